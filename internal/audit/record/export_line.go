package record

import (
	"encoding/base64"
	"strconv"

	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// ExportHeader is the first line of a provable export. Left are the hashes of
// the maximal subtrees of [0, from), right those of [to, size).
type ExportHeader struct {
	Export ExportRange `json:"export"`
}

// ExportRange is the range of a provable export, and the hashes around it.
type ExportRange struct {
	V       int           `json:"v"`
	Account string        `json:"account"`
	From    uint64        `json:"from"`
	To      uint64        `json:"to"`
	Size    uint64        `json:"size"`
	Left    []merkle.Hash `json:"left"`
	Right   []merkle.Hash `json:"right"`
}

// ExportLine is one event of a provable export:
// {"seq","envelope","event","openings":{"<pointer>":{"salt","value"}}}.
func (r *Record) ExportLine() ([]byte, error) {
	shown, err := r.Shown()
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, 2*len(r.raw.Envelope)+len(shown)+1024)
	b = append(b, `{"seq":`...)
	b = append(b, strconv.Itoa(int(r.Seq))...)
	b = append(b, `,"envelope":"`...)
	b = base64.StdEncoding.AppendEncode(b, r.raw.Envelope)
	b = append(b, `","event":`...)
	b = append(b, shown...)
	b = append(b, `,"openings":`...)
	b = appendOpenings(b, r.raw.OpeningList())
	return append(b, '}'), nil
}

func appendOpenings(b []byte, list []Opening) []byte {
	b = append(b, '{')
	for i, o := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(quote(b, o.Path), `:{"salt":"`...)
		b = base64.StdEncoding.AppendEncode(b, o.Salt[:])
		b = append(b, `","value":`...)
		b = append(b, o.Value...)
		b = append(b, '}')
	}
	return append(b, '}')
}

// Bundle is one event with everything that proves it offline.
//
//	{"bundle":{"v":1},"seq","envelope","event","openings","proof":"<C2SP tlog-proof>","vkey"}
func (r *Record) Bundle(proof []byte, vkey string) ([]byte, error) {
	line, err := r.ExportLine()
	if err != nil {
		return nil, err
	}
	b := append([]byte(`{"bundle":{"v":1},`), line[1:len(line)-1]...)
	b = append(b, `,"proof":`...)
	b = quote(b, string(proof))
	b = append(b, `,"vkey":`...)
	b = quote(b, vkey)
	return append(b, '}'), nil
}
