package rawjson

import (
	"bytes"
	"unicode/utf8"
)

// Parse indexes data. d keeps data, which must not change in the meantime. Values
// nested deeper than maxDepth levels (the outermost is level 1) are refused.
// The error is an *Error.
func (d *Doc) Parse(data []byte, maxDepth int) error {
	d.Data, d.Nodes = data, d.Nodes[:0]
	p := parser{d: d, data: data, maxDepth: int32(maxDepth)}
	p.space()
	if err := p.value(-1, 1, 0, 0); err != nil {
		return err
	}
	p.space()
	if p.at != len(data) {
		return p.fail(0, "more text after the JSON value")
	}
	return nil
}

type parser struct {
	d        *Doc
	data     []byte
	at       int
	maxDepth int32
}

// fail reports a fault while node i was being read.
func (p *parser) fail(i int, message string) *Error {
	e := &Error{Offset: p.at, Message: message}
	if i >= 0 && i < len(p.d.Nodes) {
		e.Pointer = p.d.Pointer(i)
	}
	return e
}

func (p *parser) space() {
	for p.at < len(p.data) {
		switch p.data[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// value reads one value as a child of parent. Recursion ends at maxDepth.
func (p *parser) value(parent int, depth int32, keyStart, keyEnd int) error {
	i := len(p.d.Nodes)
	if p.at >= len(p.data) {
		return p.fail(parent, "the text ends where a value was expected")
	}
	kind := p.data[p.at]
	p.d.Nodes = append(p.d.Nodes, Node{
		Kind: kind, Depth: depth, Start: int32(p.at), Parent: int32(parent),
		KeyStart: int32(keyStart), KeyEnd: int32(keyEnd),
	})
	var err error
	switch {
	case kind == '{' || kind == '[':
		if depth > p.maxDepth {
			e := p.fail(i, "nested too deeply")
			e.TooDeep = true
			return e
		}
		if kind == '{' {
			err = p.object(i, depth)
		} else {
			err = p.array(i, depth)
		}
	case kind == '"':
		err = p.str(i)
	case kind == 't':
		err = p.word(i, "true")
	case kind == 'f':
		err = p.word(i, "false")
	case kind == 'n':
		err = p.word(i, "null")
	case kind == '-' || kind >= '0' && kind <= '9':
		p.d.Nodes[i].Kind = '0'
		err = p.number(i)
	default:
		return p.fail(i, "a value begins with a character that no JSON value begins with")
	}
	if err != nil {
		return err
	}
	p.d.Nodes[i].End, p.d.Nodes[i].Next = int32(p.at), int32(len(p.d.Nodes))
	return nil
}

func (p *parser) object(i int, depth int32) error {
	p.at++
	p.space()
	if p.at < len(p.data) && p.data[p.at] == '}' {
		p.at++
		return nil
	}
	names := nameSet{d: p.d, object: i}
	for {
		if p.at >= len(p.data) || p.data[p.at] != '"' {
			return p.fail(i, "an object member needs a name in double quotes")
		}
		keyStart := p.at
		if err := p.str(i); err != nil {
			return err
		}
		keyEnd := p.at
		p.space()
		if p.at >= len(p.data) || p.data[p.at] != ':' {
			return p.fail(i, "a colon is missing after a member's name")
		}
		p.at++
		p.space()
		member := len(p.d.Nodes)
		if err := p.value(i, depth+1, keyStart, keyEnd); err != nil {
			return err
		}
		if names.repeats(member) {
			p.at = keyStart
			return p.fail(member, "two members have the same name")
		}
		p.space()
		switch {
		case p.at < len(p.data) && p.data[p.at] == ',':
			p.at++
			p.space()
		case p.at < len(p.data) && p.data[p.at] == '}':
			p.at++
			return nil
		default:
			return p.fail(i, "a comma or closing brace is missing in an object")
		}
	}
}

func (p *parser) array(i int, depth int32) error {
	p.at++
	p.space()
	if p.at < len(p.data) && p.data[p.at] == ']' {
		p.at++
		return nil
	}
	for {
		if err := p.value(i, depth+1, 0, 0); err != nil {
			return err
		}
		p.space()
		switch {
		case p.at < len(p.data) && p.data[p.at] == ',':
			p.at++
			p.space()
		case p.at < len(p.data) && p.data[p.at] == ']':
			p.at++
			return nil
		default:
			return p.fail(i, "a comma or closing bracket is missing in an array")
		}
	}
}

func (p *parser) word(i int, word string) error {
	if !bytes.HasPrefix(p.data[p.at:], []byte(word)) {
		return p.fail(i, "a word that is not true, false or null")
	}
	p.at += len(word)
	return nil
}

// number reads RFC 8259's grammar: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
func (p *parser) number(i int) error {
	digits := func() int {
		from := p.at
		for p.at < len(p.data) && p.data[p.at] >= '0' && p.data[p.at] <= '9' {
			p.at++
		}
		return p.at - from
	}
	is := func(c byte) bool { return p.at < len(p.data) && p.data[p.at] == c }
	if is('-') {
		p.at++
	}
	zero := is('0')
	if n := digits(); n == 0 || zero && n > 1 {
		return p.fail(i, "a malformed number")
	}
	if is('.') {
		p.at++
		if digits() == 0 {
			return p.fail(i, "a number without digits after its point")
		}
	}
	if is('e') || is('E') {
		p.at++
		if is('+') || is('-') {
			p.at++
		}
		if digits() == 0 {
			return p.fail(i, "a number without digits in its exponent")
		}
	}
	return nil
}

// str reads a string (a value, or a member's name of object i).
func (p *parser) str(i int) error {
	p.at++
	for p.at < len(p.data) {
		c := p.data[p.at]
		switch {
		case c == '"':
			p.at++
			return nil
		case c == '\\':
			if err := p.escape(i); err != nil {
				return err
			}
		case c < 0x20:
			return p.fail(i, "a control character inside a string must be escaped")
		case c < utf8.RuneSelf:
			p.at++
		default:
			r, n := utf8.DecodeRune(p.data[p.at:])
			if r == utf8.RuneError && n <= 1 {
				return p.fail(i, "a string is not valid UTF-8")
			}
			p.at += n
		}
	}
	return p.fail(i, "a string has no end")
}

func (p *parser) escape(i int) error {
	if p.at+1 >= len(p.data) {
		return p.fail(i, "a string has no end")
	}
	switch p.data[p.at+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		p.at += 2
		return nil
	case 'u':
		r, ok := hex4(p.data[p.at:])
		if !ok {
			return p.fail(i, "an escape needs four hexadecimal digits")
		}
		if r < 0xd800 || r > 0xdfff {
			p.at += 6
			return nil
		}
		if low, ok := hex4(p.data[p.at+6:]); ok && r < 0xdc00 && low >= 0xdc00 && low <= 0xdfff {
			p.at += 12
			return nil
		}
		return p.fail(i, "an escape is half of a surrogate pair")
	}
	return p.fail(i, "an escape that JSON does not have")
}

// hex4 reads the code unit of an escape of the form \uXXXX.
func hex4(s []byte) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range s[2:6] {
		r <<= 4
		switch {
		case c >= '0' && c <= '9':
			r |= rune(c - '0')
		case c >= 'a' && c <= 'f':
			r |= rune(c-'a') + 10
		case c >= 'A' && c <= 'F':
			r |= rune(c-'A') + 10
		default:
			return 0, false
		}
	}
	return r, true
}

// nameSet finds repeated names: by comparing while an object is small, and by
// a map from then on, so that a large object costs no quadratic time.
type nameSet struct {
	d      *Doc
	object int
	count  int
	seen   map[string]bool
}

const smallObject = 16

func (s *nameSet) repeats(member int) bool {
	s.count++
	if s.count <= smallObject {
		n := s.d.Nodes[member]
		raw := s.d.Data[n.KeyStart:n.KeyEnd]
		escaped := bytes.IndexByte(raw, '\\') >= 0
		for c := s.object + 1; c < member; c = int(s.d.Nodes[c].Next) {
			m := s.d.Nodes[c]
			if !escaped && bytes.Equal(raw, s.d.Data[m.KeyStart:m.KeyEnd]) {
				return true
			}
			if (escaped || bytes.IndexByte(s.d.Data[m.KeyStart:m.KeyEnd], '\\') >= 0) && s.d.Key(c) == s.d.Key(member) {
				return true
			}
		}
		return false
	}
	if s.seen == nil {
		s.seen = make(map[string]bool, 2*smallObject)
		for c := s.object + 1; c < member; c = int(s.d.Nodes[c].Next) {
			s.seen[s.d.Key(c)] = true
		}
	}
	key := s.d.Key(member)
	if s.seen[key] {
		return true
	}
	s.seen[key] = true
	return false
}
