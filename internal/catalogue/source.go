package catalogue

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Format is how a catalogue file is written.
type Format string

// The formats.
const (
	YAML Format = "yaml"
	JSON Format = "json"
)

// nodeKind of a node, in JSON's words.
type nodeKind uint8

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	textNode
	listNode
	mappingNode
)

var kindNames = [...]string{"null", "true or false", "a number", "text", "a list", "a mapping"}

func (k nodeKind) String() string { return kindNames[k] }

// Node is one value of a catalogue file with its place. YAML and JSON are read
// into the same tree; anchors, tags and merge keys of YAML are refused.
type Node struct {
	kind    nodeKind
	text    string // of text; a number as JSON writes it; true or false
	keys    []string
	keyAt   []place
	items   []*Node // of an array, or the values of keys
	pointer string  // RFC 6901, from the file's root
	place
}

// place is a position in a file, counted from 1.
type place struct{ line, column int }

func (p place) String() string { return fmt.Sprintf("line %d, column %d", p.line, p.column) }

// faultAt describes a fault of the file.
func faultAt(at place, pointer, format string, args ...any) *errs.Error {
	return errs.At(errs.CodeCatalogueInvalid, pointer, "%s: %s", at, fmt.Sprintf(format, args...))
}

const maxDepth = 64 // of nesting, schemas included

// readSource parses a file into nodes.
func readSource(data []byte, format Format) (*Node, *errs.Error) {
	if !utf8.Valid(data) {
		return nil, faultAt(place{1, 1}, "", "the file is not UTF-8 text")
	}
	if format == JSON {
		return readJSON(data)
	}
	return readYAML(data)
}

func readYAML(data []byte) (*Node, *errs.Error) {
	var doc yaml.Node
	err := yaml.Load(data, &doc, yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(2*maxDepth))))
	var fault *yaml.LoadError
	switch {
	case errors.As(err, &fault):
		at := place{max(1, fault.Mark.Line), max(1, fault.Mark.Column)}
		return nil, faultAt(at, "", "not valid YAML: %s", strings.TrimPrefix(fault.Message, "yaml: "))
	case err != nil:
		return nil, faultAt(place{1, 1}, "", "not one YAML document: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	case doc.Kind != yaml.DocumentNode || len(doc.Content) != 1:
		return nil, faultAt(place{1, 1}, "", "the file is empty")
	}
	return fromYAML(doc.Content[0], "", 1)
}

func fromYAML(y *yaml.Node, pointer string, depth int) (*Node, *errs.Error) {
	n := &Node{pointer: pointer, place: place{max(1, y.Line), max(1, y.Column)}}
	refuse := func(format string, args ...any) (*Node, *errs.Error) {
		return nil, faultAt(n.place, pointer, format, args...)
	}
	switch {
	case depth > maxDepth:
		return refuse("nested deeper than %d levels", maxDepth)
	case y.Kind == yaml.AliasNode || y.Anchor != "":
		return refuse("anchors (&) and aliases (*) are not taken: write the value out")
	case y.Style&yaml.TaggedStyle != 0:
		return refuse("tags (%s) are not taken", y.Tag)
	}
	switch y.Kind {
	case yaml.ScalarNode:
		err := n.scalar(y)
		return n, err
	case yaml.SequenceNode:
		n.kind = listNode
		for i, c := range y.Content {
			item, err := fromYAML(c, pointer+"/"+strconv.Itoa(i), depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		return n, nil
	case yaml.MappingNode:
		n.kind = mappingNode
		seen := map[string]bool{}
		for i := 0; i+1 < len(y.Content); i += 2 {
			k := y.Content[i]
			at := place{max(1, k.Line), max(1, k.Column)}
			if k.Kind != yaml.ScalarNode || k.ShortTag() != "!!str" || k.Anchor != "" || k.Style&yaml.TaggedStyle != 0 {
				return nil, faultAt(at, pointer, "a key must be plain text; put it in quotes")
			}
			if err := n.key(k.Value, at, seen); err != nil {
				return nil, err
			}
			item, err := fromYAML(y.Content[i+1], pointer+"/"+event.EscapeToken(k.Value), depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		return n, nil
	}
	return refuse("this is not a value")
}

// key adds a name, which must be new in its Mapping.
func (n *Node) key(name string, at place, seen map[string]bool) *errs.Error {
	if seen[name] {
		return faultAt(at, n.pointer+"/"+event.EscapeToken(name), "the key %s stands twice", Quote(name))
	}
	seen[name] = true
	n.keys = append(n.keys, name)
	n.keyAt = append(n.keyAt, at)
	return nil
}

func (n *Node) scalar(y *yaml.Node) *errs.Error {
	n.text = y.Value
	switch y.ShortTag() {
	case "!!null":
		n.kind = nullNode
		n.text = ""
	case "!!bool":
		n.kind = boolNode
		n.text = strings.ToLower(y.Value)
	case "!!int", "!!float":
		n.kind = numberNode
		if jsonNumber(y.Value) {
			return nil
		}
		return n.otherNumber(y)
	case "!!str", "!!timestamp":
		n.kind = textNode
	default:
		return faultAt(n.place, n.pointer, "a value of the kind %s is not taken", y.ShortTag())
	}
	return nil
}

// otherNumber writes 0x1F, 1_000 or .5 as JSON does.
func (n *Node) otherNumber(y *yaml.Node) *errs.Error {
	var i int64
	if y.Decode(&i) == nil && y.ShortTag() == "!!int" {
		n.text = strconv.FormatInt(i, 10)
		return nil
	}
	var f float64
	if y.Decode(&f) == nil {
		if s := strconv.FormatFloat(f, 'g', -1, 64); jsonNumber(s) {
			n.text = s
			return nil
		}
	}
	return faultAt(n.place, n.pointer, "JSON has no such number")
}

func jsonNumber(s string) bool {
	v := jsontext.Value(s)
	return v.Kind() == '0' && v.IsValid() && strings.TrimSpace(s) == s
}

func readJSON(data []byte) (*Node, *errs.Error) {
	d := jsonReader{data: data, dec: jsontext.NewDecoder(bytes.NewReader(data))}
	n, fault := d.value("", 1)
	if fault == nil {
		if at := d.next(); at < len(data) {
			fault = faultAt(d.place(at), "", "something follows the JSON value")
		}
	}
	return n, fault
}

type jsonReader struct {
	data []byte
	dec  *jsontext.Decoder

	// The last place and its offset. Places are computed from left to right;
	// counting each from the start would take the square of the file's size.
	last   place
	offset int
}

// next is the offset of the next token.
func (d *jsonReader) next() int {
	at := int(d.dec.InputOffset())
	for at < len(d.data) && strings.IndexByte(" \t\r\n,:", d.data[at]) >= 0 {
		at++
	}
	return at
}

func (d *jsonReader) place(offset int) place {
	offset = min(offset, len(d.data))
	if offset < d.offset || d.last.line == 0 {
		d.last = place{1, 1}
		d.offset = 0
	}
	passed := d.data[d.offset:offset]
	if i := bytes.LastIndexByte(passed, '\n'); i >= 0 {
		d.last.line += bytes.Count(passed, []byte("\n"))
		d.last.column = 1
		passed = passed[i+1:]
	}
	d.last.column += utf8.RuneCount(passed)
	d.offset = offset
	return d.last
}

func (d *jsonReader) fault(err error, pointer string) *errs.Error {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return faultAt(d.place(len(d.data)), pointer, "the JSON value is not whole")
	}
	at := d.place(int(syntax.ByteOffset))
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return faultAt(at, string(syntax.JSONPointer), "the key %s stands twice", Quote(syntax.JSONPointer.LastToken()))
	}
	return faultAt(at, string(syntax.JSONPointer), "not valid JSON: %v", syntax.Err)
}

func (d *jsonReader) value(pointer string, depth int) (*Node, *errs.Error) {
	n := &Node{pointer: pointer, place: d.place(d.next())}
	if depth > maxDepth {
		return nil, faultAt(n.place, pointer, "nested deeper than %d levels", maxDepth)
	}
	tok, err := d.dec.ReadToken()
	if err != nil {
		return nil, d.fault(err, pointer)
	}
	switch tok.Kind() {
	case 'n':
		n.kind = nullNode
	case 't', 'f':
		n.kind = boolNode
		n.text = tok.String()
	case '0':
		n.kind = numberNode
		n.text = tok.String()
	case '"':
		n.kind = textNode
		n.text = tok.String()
	case '[':
		n.kind = listNode
		for i := 0; d.dec.PeekKind() != ']'; i++ {
			item, fault := d.value(pointer+"/"+strconv.Itoa(i), depth+1)
			if fault != nil {
				return nil, fault
			}
			n.items = append(n.items, item)
		}
		_, err = d.dec.ReadToken()
	case '{':
		n.kind = mappingNode
		seen := map[string]bool{}
		for d.dec.PeekKind() != '}' {
			at := d.place(d.next())
			name, err := d.dec.ReadToken()
			if err != nil {
				return nil, d.fault(err, pointer)
			}
			key := name.String()
			if fault := n.key(key, at, seen); fault != nil {
				return nil, fault
			}
			item, fault := d.value(pointer+"/"+event.EscapeToken(key), depth+1)
			if fault != nil {
				return nil, fault
			}
			n.items = append(n.items, item)
		}
		_, err = d.dec.ReadToken()
	}
	if err != nil {
		return nil, d.fault(err, pointer)
	}
	return n, nil
}

// JSON is the value as compact JSON, its members in the file's order.
func (n *Node) JSON() Raw { return n.json(nil) }

func (n *Node) json(b []byte) []byte {
	switch n.kind {
	case nullNode:
		return append(b, "null"...)
	case boolNode, numberNode:
		return append(b, n.text...)
	case textNode:
		b, _ = jsontext.AppendQuote(b, n.text) // the file is valid UTF-8
		return b
	case listNode:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.json(b)
		}
		return append(b, ']')
	default:
		b = append(b, '{')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b, _ = jsontext.AppendQuote(b, n.keys[i])
			b = append(b, ':')
			b = item.json(b)
		}
		return append(b, '}')
	}
}

// Quote quotes a name of a file or an event, cut to 60 characters.
func Quote(name string) string {
	if runes := []rune(name); len(runes) > 60 {
		name = string(runes[:59]) + "…"
	}
	return strconv.Quote(name)
}
