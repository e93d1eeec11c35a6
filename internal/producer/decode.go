package producer

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// File is a catalogue that was read and found good, with the places of its
// parts, so that later objections (another team's product) can name them.
type File struct {
	Catalogue
	Text   []byte // as it was written
	Format Format

	places map[string]place // by RFC 6901 pointer
}

// Parse reads a catalogue file and checks everything that needs no server. Its
// error is an [errs.List] of code CodeCatalogueInvalid; each message begins
// with the line and column, each pointer leads into the file.
func Parse(data []byte, format Format) (*File, error) {
	return parse(data, format, &decoder{})
}

// parseStored reads a catalogue that was applied once. Rules that were made
// stricter since do not take it out of force.
func parseStored(data []byte, format Format) (*File, error) {
	return parse(data, format, &decoder{stored: true})
}

func parse(data []byte, format Format, d *decoder) (*File, error) {
	if len(data) > MaxFile {
		return nil, errs.List{errs.New(errs.CodeTooLarge, "the catalogue has %d bytes; at most %d are taken", len(data), MaxFile)}
	}
	root, fault := readSource(data, format)
	if fault != nil {
		return nil, errs.List{fault}
	}
	d.file = &File{Text: data, Format: format, places: map[string]place{}}
	d.catalogue(root)
	if len(d.list) > 0 {
		return nil, d.faults()
	}
	return d.file, nil
}

// fault describes an objection to a part of the file.
func (f *File) fault(code errs.Code, pointer, message string) *errs.Error {
	return errs.At(code, pointer, "%s: %s", f.places[pointer], message)
}

// decoder turns nodes into a Catalogue and gathers the faults on the way.
type decoder struct {
	own     bool // Belfry's own catalogue: reserved names are right
	stored  bool // the catalogue is in force already
	file    *File
	list    []placed
	entries int // resources and actions so far
	schemas int
	steps   int // of the comparisons of samples so far
}

// maxFileSteps bounds the comparisons of all samples of a file.
const maxFileSteps = 1_000_000

func (d *decoder) afford(steps int) bool {
	d.steps += steps
	return d.steps <= maxFileSteps
}

type placed struct {
	place
	fault *errs.Error
}

// fault notes what is wrong with a node.
func (d *decoder) fault(n *node, format string, args ...any) {
	d.faultAt(n.place, n.pointer, format, args...)
}

func (d *decoder) faultAt(at place, pointer, format string, args ...any) {
	if len(d.list) < maxFaults {
		d.list = append(d.list, placed{at, faultAt(at, pointer, format, args...)})
	}
}

// faults gives them in the order of the file.
func (d *decoder) faults() errs.List {
	slices.SortStableFunc(d.list, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	list := make(errs.List, len(d.list))
	for i, p := range d.list {
		list[i] = p.fault
	}
	return list
}

// mapping is an object whose members are being taken.
type mapping struct {
	d  *decoder
	at *node
}

// mapping checks that n is one, with no other keys than known.
func (d *decoder) mapping(n *node, what string, known ...string) (mapping, bool) {
	d.file.places[n.pointer] = n.place
	if n.kind != object {
		d.fault(n, "%s must be a mapping, not %s", what, n.kind)
		return mapping{}, false
	}
	for i, key := range n.keys {
		if len(d.list) < maxFaults && !slices.Contains(known, key) {
			hint := "there are " + strings.Join(known, ", ")
			if near := nearest(key, known); near != "" {
				hint = "is " + near + " meant?"
			}
			d.faultAt(n.keyAt[i], n.pointer+"/"+escape(key), "%s has no key %s; %s", what, show(key), hint)
		}
	}
	return mapping{d, n}, true
}

// member is the value of a key; nil when it is not there or null.
func (m mapping) member(key string) *node {
	for i, k := range m.at.keys {
		if k == key && m.at.items[i].kind != null {
			return m.at.items[i]
		}
	}
	return nil
}

// text takes a member of at most limit characters; required when it must be there.
func (m mapping) text(key string, required bool, limit int) string {
	n := m.member(key)
	if n == nil {
		if required {
			m.d.fault(m.at, "%s is missing", key)
		}
		return ""
	}
	return m.d.text(n, key, limit)
}

func (d *decoder) text(n *node, what string, limit int) string {
	switch {
	case n.kind == number || n.kind == boolean:
		d.fault(n, "%s must be text; put it in quotes: \"%s\"", what, n.text)
	case n.kind != text:
		d.fault(n, "%s must be text, not %s", what, n.kind)
	case strings.TrimSpace(n.text) == "":
		d.fault(n, "%s must not be empty", what)
	case utf8.RuneCountInString(n.text) > limit:
		d.fault(n, "%s has %d characters; at most %d are taken", what, utf8.RuneCountInString(n.text), limit)
	case strings.ContainsFunc(n.text, func(r rune) bool { return r < ' ' && (r != '\n' || limit < maxText) || r == 0x7f }):
		d.fault(n, "%s has control characters", what)
	default:
		return strings.TrimSpace(n.text)
	}
	return ""
}

// name takes a required member that names something in events.
func (m mapping) name(key string) string {
	s := m.text(key, true, maxName)
	if s != "" && !validName(s) {
		m.d.fault(m.member(key), "%s must begin with a letter or digit and have only A-Z a-z 0-9 . _ : - (at most %d)", key, maxName)
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
	return s != "" && len(s) <= maxName
}

// title is the member "title", or made from the name: zone_setting is Zone setting.
func (m mapping) title(name string) string {
	if s := m.text("title", false, maxTitle); s != "" || name == "" {
		return s
	}
	s := strings.NewReplacer("_", " ", "-", " ", ".", " ", ":", " ").Replace(name)
	return strings.ToUpper(s[:1]) + s[1:]
}

func (m mapping) flag(key string) bool {
	n := m.member(key)
	if n != nil && n.kind != boolean {
		m.d.fault(n, "%s must be true or false", key)
		return false
	}
	return n != nil && n.text == "true"
}

// list takes a member that is a list of at most limit items.
func (m mapping) list(key string, limit int) []*node {
	n := m.member(key)
	switch {
	case n == nil:
		return nil
	case n.kind != array:
		m.d.fault(n, "%s must be a list, not %s", key, n.kind)
		return nil
	case len(n.items) > limit:
		m.d.fault(n, "%s has %d entries; at most %d are taken", key, len(n.items), limit)
		return nil
	}
	m.d.file.places[n.pointer] = n.place
	return n.items
}

// texts takes a list of distinct texts.
func (m mapping) texts(key string, most int, allowed func(string) string) []string {
	var list []string
	for _, n := range m.list(key, most) {
		s := m.d.text(n, "an entry of "+key, 1024)
		if s == "" {
			continue
		}
		if slices.Contains(list, s) {
			m.d.fault(n, "%s stands twice in %s", show(s), key)
			continue
		}
		if why := allowed(s); why != "" {
			m.d.fault(n, "%s", why)
			continue
		}
		list = append(list, s)
	}
	return list
}

// schema takes a JSON Schema and compiles it.
func (m mapping) schema(key string) (Raw, *schema) {
	n := m.member(key)
	if n == nil {
		return nil, nil
	}
	if m.d.schemas++; m.d.schemas > maxSchemas {
		m.d.fault(n, "the file has more than %d schemas", maxSchemas)
		return nil, nil
	}
	raw := n.json(nil)
	s, err := compileSchema(raw)
	if err != nil {
		m.d.fault(n, "%s: %v", key, err)
		return nil, nil
	}
	return raw, s
}

// unique notes a second entry of a name.
func (d *decoder) unique(seen map[string]place, n *node, what, name string) {
	if name == "" {
		return
	}
	if first, ok := seen[name]; ok {
		d.fault(n, "%s %s is declared already at %s", what, show(name), first)
		return
	}
	seen[name] = n.place
}
