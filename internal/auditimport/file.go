package auditimport

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"

	"github.com/belfryhq/belfry/internal/event"
)

// maxLine is the longest line in bytes: an event has at most 64 KiB, and a line of
// an export has it twice, with its envelope in base64.
const maxLine = 1 << 20

// FromFile returns the events of the lines of a file: events as the API accepts
// them, or an export of Belfry. A line that is too long is an Item with a fault.
func FromFile(name string, open func() (io.ReadCloser, error)) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		file, err := open()
		if err != nil {
			yield(Item{}, err)
			return
		}
		defer file.Close()
		in := bufio.NewReaderSize(file, 1<<16)
		ids := derivedIDs{}
		for number := 1; ; number++ {
			line, tooLong, err := readLine(in)
			if errors.Is(err, io.EOF) && len(line) == 0 && !tooLong {
				return
			}
			if err != nil && !errors.Is(err, io.EOF) {
				yield(Item{}, fmt.Errorf("%s, line %d: %w", name, number, err))
				return
			}
			item := Item{place: fmt.Sprintf("%s:%d", name, number)}
			if tooLong {
				item.fault = fmt.Sprintf("the line has more than %d bytes; an event has at most 65,535", maxLine)
			} else if item.event, item.own = ids.prepare(bytes.TrimSpace(line)); len(item.event) == 0 && !item.own {
				continue
			}
			if !yield(item, nil) || err != nil {
				return
			}
		}
	}
}

// readLine returns a line, which ends at "\n" or at the end of the file. A line
// that is too long is read to its end and not returned.
func readLine(in *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if tooLong = tooLong || len(line)+len(part) > maxLine; tooLong {
			line = nil
		} else {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, tooLong, err
		}
	}
}

// derivedIDs makes ids for events that have none: the digest of the line and, where
// a file repeats a line, of the number of its earlier occurrences. The same file
// always has the same ids.
type derivedIDs map[[16]byte]int

// prepare returns the event of a line in the form of the API; nil for the first line
// of an export, and for an exported event of Belfry itself (own). A line that is no
// JSON object stays as it is: the server describes its fault.
func (ids derivedIDs) prepare(line []byte) (value []byte, own bool) {
	var m map[string]json.RawMessage
	if json.Unmarshal(line, &m) != nil || m == nil {
		return line, false
	}
	if len(m) == 1 && m["export"] != nil {
		return nil, false
	}
	changed := false
	if m["envelope"] != nil && m["event"] != nil && m["openings"] != nil { // a provable export
		var shown map[string]json.RawMessage
		if json.Unmarshal(m["event"], &shown) != nil || shown == nil {
			return line, false
		}
		m = shown
		changed = true
	}
	if m["seq"] != nil && m["recorded_at"] != nil && m["submitted_by"] != nil { // a line of an export
		var resource struct{ Product string }
		if json.Unmarshal(m["resource"], &resource) == nil && resource.Product == event.Product {
			return nil, true
		}
		for _, added := range []string{"account", "seq", "recorded_at", "submitted_by"} {
			delete(m, added)
		}
		var zone struct{ ID, Name string }
		if json.Unmarshal(m["zone"], &zone) == nil {
			m["zone"] = quotedJSON(cmp.Or(zone.Name, zone.ID))
		}
		changed = true
	}
	if id := m["id"]; id == nil || string(id) == "null" {
		sum := [16]byte(digest(line, 0))
		before := ids[sum]
		ids[sum] = before + 1
		made := quotedJSON("import." + hex.EncodeToString(digest(line, before)))
		if !changed && id == nil && len(m) > 0 { // the rest stays as it was written, with its faults
			return append(append(append([]byte(`{"id":`), made...), ','), line[1:]...), false
		}
		m["id"] = made
		changed = true
	}
	if !changed {
		return line, false
	}
	out, err := json.Marshal(m)
	if err != nil {
		return line, false
	}
	return out, false
}

// digest is of a line with nth earlier occurrences in its file.
func digest(line []byte, nth int) []byte {
	h := sha256.New()
	io.WriteString(h, strconv.Itoa(nth)+"\n") // a hash never fails
	h.Write(line)
	return h.Sum(nil)[:16]
}

func quotedJSON(s string) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		return json.RawMessage(`""`) // no string fails to encode
	}
	return b
}
