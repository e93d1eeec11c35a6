package catalogue

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/event"
)

// Mapping is an object whose members are decoded.
type Mapping struct {
	d  *Decoder
	at *Node
}

// Mapping checks that n is a mapping and has no other keys than known. what
// names it in faults, with its article.
func (d *Decoder) Mapping(n *Node, what string, known ...string) (Mapping, bool) {
	d.file.places[n.pointer] = n.place
	if n.kind != mappingNode {
		d.Fault(n, "%s must be a mapping, not %s", what, n.kind)
		return Mapping{}, false
	}

	for i, key := range n.keys {
		if len(d.faults) >= maxFaults || slices.Contains(known, key) {
			continue
		}
		hint := "there are " + strings.Join(known, ", ")
		if near := Suggest(key, known); near != "" {
			hint = "is " + near + " meant?"
		}
		d.faultAt(n.keyAt[i], n.pointer+"/"+event.EscapeToken(key), "%s has no key %s; %s", what, Quote(key), hint)
	}
	return Mapping{d, n}, true
}

// NamedMapping is Mapping for an entry that needs no more than its name: the
// text delete is {key: delete}.
func (d *Decoder) NamedMapping(n *Node, key, what string, known ...string) (Mapping, bool) {
	if n.kind == textNode {
		n = &Node{
			kind:    mappingNode,
			keys:    []string{key},
			keyAt:   []place{n.place},
			items:   []*Node{n},
			pointer: n.pointer,
			place:   n.place,
		}
	}
	return d.Mapping(n, what, known...)
}

// Member is the value of a key; nil when it is missing or null.
func (m Mapping) Member(key string) *Node {
	for i, k := range m.at.keys {
		if k == key && m.at.items[i].kind != nullNode {
			return m.at.items[i]
		}
	}
	return nil
}

// EmptyList reports whether the node is a list without items.
func (n *Node) EmptyList() bool { return n.kind == listNode && len(n.items) == 0 }

// Text is a member of at most limit characters; a required one must be there.
func (m Mapping) Text(key string, required bool, limit int) string {
	n := m.Member(key)
	if n == nil {
		if required {
			m.d.Fault(m.at, "%s is missing", key)
		}
		return ""
	}
	return m.d.text(n, key, limit)
}

func (d *Decoder) text(n *Node, what string, limit int) string {
	isControl := func(r rune) bool {
		newline := r == '\n' && limit >= MaxText // descriptions have lines
		return r < ' ' && !newline || r == 0x7f
	}
	switch {
	case n.kind == numberNode || n.kind == boolNode:
		d.Fault(n, "%s must be text; put it in quotes: \"%s\"", what, n.text)
	case n.kind != textNode:
		d.Fault(n, "%s must be text, not %s", what, n.kind)
	case strings.TrimSpace(n.text) == "":
		d.Fault(n, "%s must not be empty", what)
	case utf8.RuneCountInString(n.text) > limit:
		d.Fault(n, "%s has %d characters; at most %d are taken", what, utf8.RuneCountInString(n.text), limit)
	case strings.ContainsFunc(n.text, isControl):
		d.Fault(n, "%s has control characters", what)
	default:
		return strings.TrimSpace(n.text)
	}
	return ""
}

// Name is a required member that names something in events.
func (m Mapping) Name(key string) string {
	s := m.Text(key, true, MaxName)
	if s != "" && !validName(s) {
		m.d.Fault(m.Member(key),
			"%s must begin with a letter or digit and have only A-Z a-z 0-9 . _ : - (at most %d)", key, MaxName)
		return ""
	}
	return s
}

func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || strings.IndexByte("._:-", c) < 0) {
			return false
		}
	}
	return s != "" && len(s) <= MaxName
}

// Title is the member "title", or made from the name: zone_setting becomes Zone
// setting.
func (m Mapping) Title(name string) string {
	if s := m.Text("title", false, MaxTitle); s != "" || name == "" {
		return s
	}
	s := strings.NewReplacer("_", " ", "-", " ", ".", " ", ":", " ").Replace(name)
	return strings.ToUpper(s[:1]) + s[1:]
}

// Flag is a member that is true or false; false when it is missing.
func (m Mapping) Flag(key string) bool {
	n := m.Member(key)
	if n != nil && n.kind != boolNode {
		m.d.Fault(n, "%s must be true or false", key)
		return false
	}
	return n != nil && n.text == "true"
}

// List is the items of a member that is a list of at most limit items.
func (m Mapping) List(key string, limit int) []*Node {
	n := m.Member(key)
	switch {
	case n == nil:
		return nil
	case n.kind != listNode:
		m.d.Fault(n, "%s must be a list, not %s", key, n.kind)
		return nil
	case len(n.items) > limit:
		m.d.Fault(n, "%s has %d entries; at most %d are taken", key, len(n.items), limit)
		return nil
	}
	m.d.file.places[n.pointer] = n.place
	return n.items
}

// Texts is a list of distinct texts. allowed returns why a text is refused, or
// "".
func (m Mapping) Texts(key string, limit int, allowed func(string) string) (texts []string) {
	for _, n := range m.List(key, limit) {
		s := m.d.text(n, "an entry of "+key, 1024)
		if s == "" {
			continue
		}
		if slices.Contains(texts, s) {
			m.d.Fault(n, "%s stands twice in %s", Quote(s), key)
			continue
		}
		if why := allowed(s); why != "" {
			m.d.Fault(n, "%s", why)
			continue
		}
		texts = append(texts, s)
	}
	return texts
}

// Schema is a member that is a JSON Schema: as it is written, and compiled; nil
// when it is missing.
func (m Mapping) Schema(key string) (Raw, *Schema) {
	n := m.Member(key)
	if n == nil {
		return nil, nil
	}
	if m.d.schemas++; m.d.schemas > maxSchemas {
		m.d.Fault(n, "the file has more than %d schemas", maxSchemas)
		return nil, nil
	}

	raw := n.JSON()
	s, err := CompileSchema(raw)
	if err != nil {
		m.d.Fault(n, "%s: %v", key, err)
		return nil, nil
	}
	return raw, s
}

// Unique adds a fault when a list within an entry already has the name. what is the
// noun in the fault, with its article.
func (d *Decoder) Unique(seen Seen, n *Node, what, name string) {
	if name == "" {
		return
	}
	if first, ok := seen[name]; ok {
		d.Fault(n, "%s %s is declared already at %s", what, Quote(name), first)
		return
	}
	seen[name] = n.place
}

// Seen are the names of a list so far, with their places.
type Seen map[string]place
