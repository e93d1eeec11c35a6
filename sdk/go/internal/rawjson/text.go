package rawjson

import (
	"bytes"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// unquote is the content of a string literal that Parse accepted.
func unquote(lit []byte) string {
	in := lit[1 : len(lit)-1]
	at := bytes.IndexByte(in, '\\')
	if at < 0 {
		return string(in)
	}
	out := append(make([]byte, 0, len(in)), in[:at]...)
	for at < len(in) {
		if in[at] != '\\' {
			out = append(out, in[at])
			at++
			continue
		}
		switch c := in[at+1]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, _ := hex4(in[at:])
			at += 4
			if utf16.IsSurrogate(r) {
				low, _ := hex4(in[at+2:])
				r = utf16.DecodeRune(r, low)
				at += 6
			}
			out = utf8.AppendRune(out, r)
		default: // " \ /
			out = append(out, c)
		}
		at += 2
	}
	return string(out)
}

// AppendString appends s as a JSON string with RFC 8785's minimal escapes.
// Bytes that are not UTF-8 are copied as they are: Parse finds them.
func AppendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// AppendCanonical appends node i in canonical form: no white space, members
// sorted by name as UTF-16 code units and strings with minimal escapes as RFC
// 8785 has it, but numbers exactly as they were written.
func (d *Doc) AppendCanonical(dst []byte, i int) []byte {
	switch d.Nodes[i].Kind {
	case '{':
		var members []int
		for c := range d.Children(i) {
			members = append(members, c)
		}
		slices.SortFunc(members, func(a, b int) int {
			return slices.Compare(utf16.Encode([]rune(d.Key(a))), utf16.Encode([]rune(d.Key(b))))
		})
		dst = append(dst, '{')
		for k, c := range members {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = AppendString(dst, d.Key(c))
			dst = append(dst, ':')
			dst = d.AppendCanonical(dst, c)
		}
		return append(dst, '}')
	case '[':
		dst = append(dst, '[')
		first := true
		for c := range d.Children(i) {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = d.AppendCanonical(dst, c)
		}
		return append(dst, ']')
	case '"':
		return AppendString(dst, d.Text(i))
	}
	return append(dst, d.Bytes(i)...)
}

// AppendCompact appends node i without white space and otherwise unchanged.
func (d *Doc) AppendCompact(dst []byte, i int) []byte {
	n := d.Nodes[i]
	if n.Kind != '{' && n.Kind != '[' {
		return append(dst, d.Bytes(i)...)
	}
	dst = append(dst, n.Kind)
	first := true
	for c := range d.Children(i) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if m := d.Nodes[c]; m.KeyEnd != 0 {
			dst = append(dst, d.Data[m.KeyStart:m.KeyEnd]...)
			dst = append(dst, ':')
		}
		dst = d.AppendCompact(dst, c)
	}
	return append(dst, n.Kind+2) // '{'+2 is '}', '['+2 is ']'
}
