package verify

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// A plain line is one that has exactly the bytes which [Record.exportLine]
// writes, as nearly all have. Those bytes follow from seq, envelope and openings
// alone, so it is verified without decoding JSON: read the openings, check their
// commitments, write the shown event again from the envelope's clear members and
// the openings, and compare the bytes.
//
// It only ever says yes, and only where exportedEvent.verify would (a fuzz test
// compares them). Whatever is unusual (escapes in a name, other spacing,
// anything changed) is a "don't know", and verify decides and finds the words.
type plain struct {
	envelope, shown []byte
	openings        []plainOpening
	salt            [33]byte // DecodedLen of 44 characters is 33
	value           []byte
}

// plainOpening is a value that is put back at its pointer, as bytes of the line.
type plainOpening struct {
	path, salt, value []byte
}

// verify returns the leaf, and how many commitments stay closed.
func (p *plain) verify(line []byte, account string, seq uint64) (leaf merkle.Hash, erased int, ok bool) {
	if seq > math.MaxInt64 || !utf8.Valid(line) {
		return leaf, 0, false
	}
	r := plainReader{b: line}
	if !r.skip(`{"seq":`) || !r.skip(strconv.FormatUint(seq, 10)) || !r.skip(`,"envelope":"`) {
		return leaf, 0, false
	}
	end := bytes.IndexByte(line[r.i:], '"')
	if end < 0 || !p.decode(line[r.i:r.i+end]) {
		return leaf, 0, false
	}
	r.i += end
	const opened = `,"openings":{` // in a string its quotes would be escaped
	if !r.skip(`","event":`) {
		return leaf, 0, false
	}
	size := bytes.Index(line[r.i:], []byte(opened))
	if size < 0 {
		return leaf, 0, false
	}
	event := line[r.i : r.i+size]
	r.i += size + len(opened)
	if !p.readOpenings(&r) || r.i != len(line) {
		return leaf, 0, false
	}
	if erased, ok = p.open(account, seq); !ok || !bytes.Equal(p.shown, event) {
		return leaf, 0, false
	}
	return merkle.LeafHash(p.envelope), erased, true
}

// decode reads the envelope's base64.
func (p *plain) decode(text []byte) bool {
	if bytes.IndexByte(text, '\r') >= 0 { // which the decoder skips
		return false
	}
	if n := base64.StdEncoding.DecodedLen(len(text)); cap(p.envelope) < n {
		p.envelope = make([]byte, n)
	}
	p.envelope = p.envelope[:cap(p.envelope)]
	n, err := base64.StdEncoding.Strict().Decode(p.envelope, text)
	p.envelope = p.envelope[:max(n, 0)]
	return err == nil && utf8.Valid(p.envelope)
}

// readOpenings reads what follows {"openings": up to the end of the line.
func (p *plain) readOpenings(r *plainReader) bool {
	p.openings = p.openings[:0]
	for first := true; !r.skip(`}}`); first = false {
		if !first && !r.skip(`,`) {
			return false
		}
		path, ok := r.word()
		if !ok || !r.skip(`:{"salt":`) {
			return false
		}
		salt, ok := r.word()
		if !ok || len(salt) != 44 || !r.skip(`,"value":`) {
			return false
		}
		start := r.i
		if !r.value(0) || !r.skip(`}`) {
			return false
		}
		p.openings = append(p.openings, plainOpening{path, salt, r.b[start : r.i-1]})
	}
	return true
}

// open reads the envelope, checks every opening against its commitment, and
// writes the event that is to be shown.
func (p *plain) open(account string, seq uint64) (erased int, ok bool) {
	r := plainReader{b: p.envelope}
	if !r.skip(`{"v":1,"recorded_at":`) {
		return 0, false
	}
	recorded, ok := r.raw()
	if !ok || len(recorded) != len(record.TimeLayout)+2 {
		return 0, false
	}
	if _, err := time.Parse(record.TimeLayout, string(recorded[1:len(recorded)-1])); err != nil || !r.skip(`,"account":`) {
		return 0, false
	}
	owner, ok := r.raw()
	if !ok || string(owner[1:len(owner)-1]) != account || !r.skip(`,"submitted_by":{"type":`) {
		return 0, false
	}
	kind, ok := r.raw()
	if !ok || !r.skip(`,"id":`) {
		return 0, false
	}
	by, ok := r.raw()
	if !ok || !r.skip(`},"event":`) {
		return 0, false
	}
	start := r.i
	if !r.value(0) {
		return 0, false
	}
	shown := r.b[start:r.i]
	if !r.skip(`,"commitments":{`) {
		return 0, false
	}
	if erased, ok = p.check(&r); !ok || r.i != len(r.b) {
		return 0, false
	}
	// What the ledger adds is put back like an opening; all of it sorts apart
	// from what an event's commitments are called.
	p.value = append(append(append(append(append(p.value[:0], `{"id":`...), by...), `,"type":`...), kind...), '}')
	submitted := p.value
	p.value = strconv.AppendUint(p.value, seq, 10)
	number := p.value[len(submitted):]
	added := [...]plainOpening{{path: []byte("/account"), value: owner}, {path: []byte("/recorded_at"), value: recorded},
		{path: []byte("/seq"), value: number}, {path: []byte("/submitted_by"), value: submitted}}
	for _, a := range added {
		i := len(p.openings)
		for i > 0 && bytes.Compare(p.openings[i-1].path, a.path) > 0 {
			i--
		}
		p.openings = append(p.openings, plainOpening{})
		copy(p.openings[i+1:], p.openings[i:])
		p.openings[i] = a
	}
	p.shown, ok = merge(p.shown[:0], shown, p.openings, 1, eventShape)
	return erased, ok
}

// check reads the commitments, which are in the order of their pointers as the
// openings must be, and compares each opening with its own.
func (p *plain) check(r *plainReader) (erased int, ok bool) {
	next, last := 0, []byte(nil)
	for first := true; !r.skip(`}}`); first = false {
		if !first && !r.skip(`,`) {
			return 0, false
		}
		path, ok := r.word()
		if !ok || len(path) == 0 || path[0] != '/' || bytes.Compare(path, last) <= 0 || !r.skip(`:`) {
			return 0, false
		}
		last = path
		sum, ok := r.word()
		if !ok || len(sum) != 44 || !p.hash(sum) {
			return 0, false
		}
		committed := [32]byte(p.salt[:32])
		if next == len(p.openings) || !bytes.Equal(p.openings[next].path, path) {
			erased++
			continue
		}
		o := p.openings[next]
		next++
		if !p.hash(o.salt) || record.Commit((*[32]byte)(p.salt[:32]), o.value) != committed {
			return 0, false
		}
	}
	return erased, next == len(p.openings)
}

// hash decodes 32 bytes in base64 into p.salt.
func (p *plain) hash(text []byte) bool {
	n, err := base64.StdEncoding.Strict().Decode(p.salt[:], text)
	return err == nil && n == 32
}

// merge appends the object own (nil = empty) with each opened value put at its
// pointer, of which the first depth bytes lead to this object. Openings come with
// their pointers ascending. shape, unless nil, says what own may hold.
func merge(dst, own []byte, list []plainOpening, depth int, shape *clearShape) ([]byte, bool) {
	r := plainReader{b: own}
	if own != nil && !r.skip(`{`) {
		return nil, false
	}
	dst = append(dst, '{')
	key, value, ok := r.member(shape)
	for written := false; ok && (key != nil || len(list) > 0); written = true {
		token, n := firstMember(list, depth)
		if n < 0 {
			return nil, false
		}
		order := 1 // of the clear member relative to the opened one
		if n == 0 {
			order = -1
		} else if key != nil {
			order = bytes.Compare(key, token)
		}
		if written {
			dst = append(dst, ',')
		}
		if order > 0 {
			dst = append(append(append(dst, '"'), token...), '"', ':')
			dst, ok = mergeOpened(dst, nil, list[:n], depth+len(token), nil)
		} else {
			dst = append(append(append(dst, '"'), key...), '"', ':')
			dst, ok = mergeOpened(dst, value, list[:n*(order+1)], depth+len(key), shape.member(key))
		}
		if order >= 0 {
			list = list[n:]
		}
		if ok && order <= 0 {
			key, value, ok = r.member(shape)
		}
	}
	return append(dst, '}'), ok
}

// mergeOpened appends one member's value: own (nil = none) with what is opened
// at its pointer, which has the length here, or below.
func mergeOpened(dst, own []byte, list []plainOpening, here int, shape *clearShape) ([]byte, bool) {
	if len(list) > 0 && len(list[0].path) == here {
		if own != nil {
			return nil, false // it would take the place of a clear member
		}
		own, list = list[0].value, list[1:]
	}
	if len(list) == 0 && (shape == nil || shape.kind != '{') {
		return append(dst, own...), true
	}
	return merge(dst, own, list, here+1, shape)
}

// firstMember returns the name of the first opened member and how many openings are
// its own or below it; -1 when they are not in the order of the members.
func firstMember(list []plainOpening, depth int) (token []byte, n int) {
	for ; n < len(list); n++ {
		path := list[n].path
		if len(path) <= depth {
			return nil, -1
		}
		t := path[depth:]
		if i := bytes.IndexByte(t, '/'); i >= 0 {
			t = t[:i]
		}
		switch {
		case len(t) == 0 || bytes.IndexByte(t, '~') >= 0:
			return nil, -1
		case n == 0:
			token = t
		case bytes.Compare(t, token) < 0:
			return nil, -1
		case !bytes.Equal(t, token):
			return token, n
		}
	}
	return token, n
}

// clearShape is the shape that a value in the clear part of an envelope may have: a kind of
// JSON value ('"', '0' = a small whole number, '{', '[' = the related things).
type clearShape struct {
	kind    byte
	members map[string]*clearShape
}

func (s *clearShape) member(key []byte) *clearShape {
	if s == nil {
		return nil
	}
	return s.members[string(key)]
}

// eventShape is the clear part of an event in version 1.
var eventShape = object(map[string]*clearShape{
	"action": texts("description", "result", "type"),
	"actor": object(map[string]*clearShape{"on_behalf_of": texts("type"),
		"token_id": {kind: '"'}, "token_name": {kind: '"'}, "type": {kind: '"'}}),
	"change_set": {kind: '"'}, "id": {kind: '"'}, "interface": {kind: '"'}, "occurred_at": {kind: '"'},
	"reason":   texts("text", "url"),
	"related":  {kind: '['},
	"request":  object(map[string]*clearShape{"id": {kind: '"'}, "method": {kind: '"'}, "status_code": {kind: '0'}}),
	"resource": texts("id", "name", "product", "scope", "type"),
	"zone":     texts("id", "name"),
})

func object(members map[string]*clearShape) *clearShape { return &clearShape{'{', members} }

func texts(names ...string) *clearShape {
	s := object(map[string]*clearShape{})
	for _, n := range names {
		s.members[n] = &clearShape{kind: '"'}
	}
	return s
}

// fits reports whether a canonical value is of the shape.
func (s *clearShape) fits(v []byte) bool {
	switch s.kind {
	case '0':
		return len(v) <= 9 && v[0] >= '0' && v[0] <= '9' && !bytes.ContainsAny(v, ".eE")
	case '[':
		var list []record.Related
		return v[0] == '[' && json.Unmarshal(v, &list, onlyKnown) == nil
	}
	return v[0] == s.kind
}
