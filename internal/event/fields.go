package event

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Fields selects members of an event's before, after and metadata, as the
// entries of a catalogue's personal and secret do. The SDK's Config.Redact has
// the same rules; sdk/vectors holds both.
//
//   - A name selects every member of that name, at any depth, whatever the case
//     of its letters.
//   - A JSON Pointer selects one place. It goes through lists: in a list, a
//     number picks one item and a name goes into every item.
//
// Every other entry (/reason/text, or /after as a whole) is kept apart, in Fixed.
type Fields struct {
	names    []string
	pointers [][]string
	fixed    []string
}

// openParts are the parts of an event whose members a product chooses.
var openParts = []string{"before", "after", "metadata"}

// ParseFields reads the entries.
func ParseFields(entries []string) Fields {
	var f Fields
	for _, entry := range entries {
		tokens := PointerTokens(entry)
		switch {
		case entry != "" && !strings.Contains(entry, "/"):
			f.names = append(f.names, entry)
		case entry != "" && entry[0] == '/' && len(tokens) > 1 && slices.Contains(openParts, tokens[0]) &&
			!slices.Contains(tokens, ""):
			f.pointers = append(f.pointers, tokens)
		default:
			f.fixed = append(f.fixed, entry)
		}
	}
	return f
}

// Fixed are the entries that select no members: pointers to other fields, to
// before, after or metadata as a whole, and what is neither name nor pointer.
func (f Fields) Fixed() []string { return f.fixed }

// PointerTokens splits an RFC 6901 pointer into its unescaped tokens.
func PointerTokens(pointer string) []string {
	tokens := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, t := range tokens {
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return tokens
}

// EscapeToken makes a name one token of an RFC 6901 pointer.
func EscapeToken(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// NoMembers reports whether no member can be selected.
func (f Fields) NoMembers() bool { return len(f.names) == 0 && len(f.pointers) == 0 }

// Covers reports whether the place of a pointer below before, after or metadata
// is selected, or lies inside a selected member.
func (f Fields) Covers(pointer string) bool {
	tokens := PointerTokens(pointer)
	if len(tokens) < 2 || !slices.Contains(openParts, tokens[0]) {
		return false
	}
	at := f.at(tokens[0])
	for _, token := range tokens[1:] {
		below, selected := f.into(at, token)
		if isIndex(token) {
			// Whether a list or an object is meant, only a value could say.
			items, one := f.item(at, token)
			below = append(below, items...)
			selected = selected || one
		}
		if selected {
			return true
		}
		at = below
	}
	return false
}

// Selected is a selected member of a value.
type Selected struct {
	Pointer string // RFC 6901, in the event
	List    string // pointer of the outermost list around it; empty when there is none
	Value   jsontext.Value
}

// Find gives the selected members of a value; root is before, after or
// metadata. A member inside a selected one is found as well.
func (f Fields) Find(root string, v jsontext.Value) ([]Selected, error) {
	return f.Below("/"+root, v)
}

// Below is Find for the value at a pointer below before, after or metadata, or
// at one of them.
func (f Fields) Below(pointer string, v jsontext.Value) ([]Selected, error) {
	tokens := PointerTokens(pointer)
	at := f.at(tokens[0])
	for _, token := range tokens[1:] {
		at, _ = f.into(at, token)
	}
	var list []Selected
	_, err := f.replace(pointer, at, v, func(s Selected) jsontext.Value {
		list = append(list, s)
		return nil
	})
	return list, err
}

// Replace gives the value with each selected member replaced by what with gives;
// nil keeps a member, and looks inside it. A value in which nothing is replaced
// is given back as it was.
func (f Fields) Replace(root string, v jsontext.Value, with func(Selected) jsontext.Value) (jsontext.Value, error) {
	return f.replace("/"+root, f.at(root), v, with)
}

func (f Fields) replace(
	pointer string,
	at [][]string,
	v jsontext.Value,
	with func(Selected) jsontext.Value,
) (jsontext.Value, error) {
	if f.NoMembers() || len(v) == 0 {
		return v, nil
	}
	var out bytes.Buffer
	w := walk{fields: f, with: with, enc: jsontext.NewEncoder(&out, jsontext.AllowDuplicateNames(true))}
	dec := jsontext.NewDecoder(bytes.NewReader(v), jsontext.AllowDuplicateNames(true))
	if err := w.value(dec, pointer, "", at); err != nil {
		return nil, err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the value's end")
	}
	if !w.replaced {
		return v, nil
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// at gives what is left of the pointers below a part of the event.
func (f Fields) at(root string) [][]string {
	var list [][]string
	for _, p := range f.pointers {
		if p[0] == root {
			list = append(list, p[1:])
		}
	}
	return list
}

// into goes from an object into its member.
func (f Fields) into(at [][]string, name string) (below [][]string, selected bool) {
	selected = slices.ContainsFunc(f.names, func(n string) bool { return strings.EqualFold(n, name) })
	for _, p := range at {
		switch {
		case p[0] != name:
		case len(p) == 1:
			selected = true
		default:
			below = append(below, p[1:])
		}
	}
	return below, selected
}

// item goes from a list into one of its items.
func (f Fields) item(at [][]string, index string) (below [][]string, selected bool) {
	for _, p := range at {
		switch {
		case !isIndex(p[0]):
			below = append(below, p)
		case p[0] != index:
		case len(p) == 1:
			selected = true
		default:
			below = append(below, p[1:])
		}
	}
	return below, selected
}

// isIndex reports whether a token is an array index of RFC 6901.
func isIndex(token string) bool {
	n, err := strconv.Atoi(token)
	return err == nil && n >= 0 && strconv.Itoa(n) == token
}

// walk copies one value.
type walk struct {
	fields   Fields
	with     func(Selected) jsontext.Value
	enc      *jsontext.Encoder
	replaced bool
}

// value copies the value at a pointer, inside a list or not; at holds the remaining
// parts of the pointers at this place.
func (w *walk) value(dec *jsontext.Decoder, pointer, list string, at [][]string) error {
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	kind := token.Kind()
	if err := w.enc.WriteToken(token); err != nil || kind != '{' && kind != '[' {
		return err
	}
	if kind == '[' && list == "" {
		list = pointer
	}
	for i := 0; dec.PeekKind() != '}' && dec.PeekKind() != ']'; i++ {
		var below [][]string
		var selected bool
		name := strconv.Itoa(i)
		if kind == '{' {
			token, err := dec.ReadToken()
			if err != nil {
				return err
			}
			name = token.String()
			if err := w.enc.WriteToken(jsontext.String(name)); err != nil {
				return err
			}
			below, selected = w.fields.into(at, name)
		} else {
			below, selected = w.fields.item(at, name)
		}
		if err := w.member(dec, pointer+"/"+EscapeToken(name), list, below, selected); err != nil {
			return err
		}
	}
	token, err = dec.ReadToken()
	if err != nil {
		return err
	}
	return w.enc.WriteToken(token)
}

// member copies the value of a member or item, or replaces it.
func (w *walk) member(dec *jsontext.Decoder, pointer, list string, at [][]string, selected bool) error {
	if !selected {
		return w.value(dec, pointer, list, at)
	}
	v, err := dec.ReadValue()
	if err != nil {
		return err
	}
	v = v.Clone()
	if with := w.with(Selected{pointer, list, v}); with != nil {
		w.replaced = true
		return w.enc.WriteValue(with)
	}
	return w.value(jsontext.NewDecoder(bytes.NewReader(v), jsontext.AllowDuplicateNames(true)), pointer, list, at)
}
