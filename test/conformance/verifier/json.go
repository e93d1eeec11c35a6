package verifier

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A value is a JSON value that forgets nothing: numbers stay as they were written and
// members keep their order. Strings are decoded.
type value struct {
	kind    byte // one of n (null) t f # " [ {
	text    string
	items   []value
	members []member
}

type member struct {
	name  string
	value value
}

// maxDepth bounds the nesting of what is parsed.
const maxDepth = 200

// parseJSON reads exactly one JSON value (RFC 8259). It refuses duplicate names, invalid
// UTF-8 and lone surrogates, all of which different readers read differently.
func parseJSON(s string) (value, error) {
	if !utf8.ValidString(s) {
		return value{}, errors.New("JSON: invalid UTF-8")
	}
	p := &parser{s: s}
	v, err := p.value(0)
	if err == nil {
		p.space()
		if p.i != len(p.s) {
			err = p.fail("something follows the value")
		}
	}
	return v, err
}

type parser struct {
	s string
	i int
}

func (p *parser) fail(why string) error { return fmt.Errorf("JSON: byte %d: %s", p.i, why) }

func (p *parser) space() {
	for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
		p.i++
	}
}

func (p *parser) next(c byte) bool {
	p.space()
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) value(depth int) (value, error) {
	p.space()
	if p.i == len(p.s) {
		return value{}, p.fail("a value is missing")
	}
	if depth > maxDepth {
		return value{}, p.fail("nested too deeply")
	}
	switch p.s[p.i] {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		text, err := p.str()
		return value{kind: '"', text: text}, err
	}
	for _, word := range []string{"null", "true", "false"} {
		if strings.HasPrefix(p.s[p.i:], word) {
			p.i += len(word)
			return value{kind: word[0]}, nil
		}
	}
	return p.number()
}

func (p *parser) object(depth int) (value, error) {
	v := value{kind: '{'}
	p.i++
	if p.next('}') {
		return v, nil
	}
	names := map[string]bool{}
	for {
		p.space()
		name, err := p.str()
		if err != nil {
			return v, err
		}
		if names[name] {
			return v, p.fail(fmt.Sprintf("the name %q appears twice", name))
		}
		names[name] = true
		if !p.next(':') {
			return v, p.fail("want a colon")
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.members = append(v.members, member{name, item})
		if p.next('}') {
			return v, nil
		}
		if !p.next(',') {
			return v, p.fail("want a comma or a closing brace")
		}
	}
}

func (p *parser) array(depth int) (value, error) {
	v := value{kind: '['}
	p.i++
	if p.next(']') {
		return v, nil
	}
	for {
		item, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
		if p.next(']') {
			return v, nil
		}
		if !p.next(',') {
			return v, p.fail("want a comma or a closing bracket")
		}
	}
}

func (p *parser) number() (value, error) {
	start := p.i
	digits := func() bool {
		from := p.i
		for p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
			p.i++
		}
		return p.i > from
	}
	one := func(set string) bool {
		if p.i < len(p.s) && strings.IndexByte(set, p.s[p.i]) >= 0 {
			p.i++
			return true
		}
		return false
	}
	one("-")
	if !one("0") && !digits() {
		return value{}, p.fail("not a JSON value")
	}
	if one(".") && !digits() {
		return value{}, p.fail("a fraction without digits")
	}
	if one("eE") {
		one("+-")
		if !digits() {
			return value{}, p.fail("an exponent without digits")
		}
	}
	return value{kind: '#', text: p.s[start:p.i]}, nil
}

func (p *parser) str() (string, error) {
	if p.i == len(p.s) || p.s[p.i] != '"' {
		return "", p.fail("want a string")
	}
	p.i++
	var b strings.Builder
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '"':
			return b.String(), nil
		case c < ' ':
			return "", p.fail("a control character in a string")
		case c == '\\':
			if err := p.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", p.fail("the string does not end")
}

func (p *parser) escape(b *strings.Builder) error {
	if p.i == len(p.s) {
		return p.fail("the string does not end")
	}
	c := p.s[p.i]
	p.i++
	if at := strings.IndexByte(`"\/bfnrt`, c); at >= 0 {
		b.WriteByte("\"\\/\b\f\n\r\t"[at])
		return nil
	}
	if c != 'u' {
		return p.fail("an unknown escape")
	}
	first, err := p.hex4()
	if err != nil {
		return err
	}
	if !utf16.IsSurrogate(first) {
		b.WriteRune(first)
		return nil
	}
	if !strings.HasPrefix(p.s[p.i:], `\u`) {
		return p.fail("half of a surrogate pair")
	}
	p.i += 2
	second, err := p.hex4()
	if err != nil {
		return err
	}
	r := utf16.DecodeRune(first, second)
	if r == utf8.RuneError {
		return p.fail("half of a surrogate pair")
	}
	b.WriteRune(r)
	return nil
}

func (p *parser) hex4() (rune, error) {
	if p.i+4 > len(p.s) {
		return 0, p.fail("the string does not end")
	}
	n, err := strconv.ParseUint(p.s[p.i:p.i+4], 16, 16)
	if err != nil {
		return 0, p.fail("want four hexadecimal digits")
	}
	p.i += 4
	return rune(n), nil
}

// compact writes v without white space, with the escapes of RFC 8785, its members in the
// order they have.
func (v value) compact() string { var b strings.Builder; v.write(&b, false); return b.String() }

// canonical writes v as compact does, but its members sorted as RFC 8785 sorts them: by
// UTF-16 code units. Numbers are left alone, which is where the record differs from it.
func (v value) canonical() string { var b strings.Builder; v.write(&b, true); return b.String() }

func (v value) write(b *strings.Builder, sorted bool) {
	switch v.kind {
	case 'n':
		b.WriteString("null")
	case 't':
		b.WriteString("true")
	case 'f':
		b.WriteString("false")
	case '#':
		b.WriteString(v.text)
	case '"':
		writeString(b, v.text)
	case '[':
		b.WriteByte('[')
		for i, item := range v.items {
			if i > 0 {
				b.WriteByte(',')
			}
			item.write(b, sorted)
		}
		b.WriteByte(']')
	case '{':
		members := v.members
		if sorted {
			members = slices.Clone(members)
			slices.SortFunc(members, func(x, y member) int {
				return slices.Compare(utf16.Encode([]rune(x.name)), utf16.Encode([]rune(y.name)))
			})
		}
		b.WriteByte('{')
		for i, m := range members {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, m.name)
			b.WriteByte(':')
			m.value.write(b, sorted)
		}
		b.WriteByte('}')
	}
}

func writeString(b *strings.Builder, s string) {
	b.WriteByte('"')
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= ' ':
			b.WriteByte(c)
		default:
			if at := strings.IndexByte("\b\f\n\r\t", c); at >= 0 {
				b.WriteByte('\\')
				b.WriteByte("bfnrt"[at])
			} else {
				fmt.Fprintf(b, `\u%04x`, c)
			}
		}
	}
	b.WriteByte('"')
}

// get returns the member called name.
func (v value) get(name string) (value, bool) {
	for _, m := range v.members {
		if m.name == name {
			return m.value, true
		}
	}
	return value{}, false
}

// set returns v with the member called name added or replaced. v itself stays as it is.
func (v value) set(name string, to value) value {
	members := slices.Clone(v.members)
	for i := range members {
		if members[i].name == name {
			members[i].value = to
			return value{kind: '{', members: members}
		}
	}
	return value{kind: '{', members: append(members, member{name, to})}
}

// names returns the member names in the order they have.
func (v value) names() []string {
	names := make([]string, len(v.members))
	for i, m := range v.members {
		names[i] = m.name
	}
	return names
}
