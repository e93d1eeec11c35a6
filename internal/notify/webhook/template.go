package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A template writes the body of a webhook from the fields of the standard body:
//
//	{"title": "{{headline}}", "count": {{data.errors}}, "changes": [{{#changes}}"{{summary}}"{{/changes}}]}
//
//	{{field}}                a value: inside of a string its text, escaped; elsewhere its JSON
//	{{#field}}...{{/field}}  once for each element of a list, or once when the field has a value
//	{{^field}}...{{/field}}  when the field has none
//
// Elements of a list outside of a string are separated by commas. There is no logic
// besides, so that a template always ends, and its cost is bounded.

// Limits of a template.
const (
	mostTemplate = 16 << 10  // bytes
	mostBody     = 256 << 10 // bytes that it writes
	mostSteps    = 20_000    // parts that it writes
	mostDepth    = 5         // sections in sections
)

type template struct{ nodes []node }

// node is literal text, a value or a section.
type node struct {
	text     string // literal; of a value or a section the path of the field
	kind     byte   // 0 literal, 'v' value, '#' and '^' sections
	inString bool   // the place is inside of a JSON string
	nodes    []node
}

// templateError names the place of a fault.
type templateError struct {
	line, column int
	text         string
}

func (e *templateError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.line, e.column, e.text)
}

type parser struct {
	source   string
	at       int
	inString bool
	escaped  bool // the character before was a backslash in a string
}

// parseTemplate reads a template.
func parseTemplate(s string) (*template, error) {
	if len(s) > mostTemplate {
		return nil, fmt.Errorf("the template has at most %d bytes", mostTemplate)
	}
	p := &parser{source: s}
	nodes, err := p.nodes("", 0)
	return &template{nodes}, err
}

func (p *parser) fault(at int, format string, args ...any) error {
	before := p.source[:at]
	line := 1 + strings.Count(before, "\n")
	column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return &templateError{line, column, fmt.Sprintf(format, args...)}
}

// nodes reads until the end of a section, or of the template.
func (p *parser) nodes(section string, depth int) (list []node, err error) {
	began := p.at
	for {
		text, found := p.literal()
		if text != "" {
			list = append(list, node{text: text})
		}
		if !found {
			if section != "" {
				return nil, p.fault(began, "the section %s does not end: {{/%s}} is missing", section, section)
			}
			return list, nil
		}
		at := p.at
		kind, name, err := p.tag()
		if err != nil {
			return nil, err
		}
		n := node{text: name, kind: kind, inString: p.inString}
		switch kind {
		case '/':
			if name != section {
				return nil, p.fault(at, "{{/%s}} ends no section", name)
			}
			return list, nil
		case '#', '^':
			if depth == mostDepth {
				return nil, p.fault(at, "sections are at most %d deep", mostDepth)
			}
			if n.nodes, err = p.nodes(name, depth+1); err != nil {
				return nil, err
			}
			if p.inString != n.inString {
				return nil, p.fault(at, "the section %s begins inside of a string and ends outside, or the reverse", name)
			}
		}
		list = append(list, n)
	}
}

// literal reads the text before the next tag.
func (p *parser) literal() (text string, found bool) {
	began := p.at
	for ; p.at < len(p.source); p.at++ {
		if strings.HasPrefix(p.source[p.at:], "{{") {
			return p.source[began:p.at], true
		}
		c := p.source[p.at]
		switch {
		case p.escaped:
			p.escaped = false
		case p.inString && c == '\\':
			p.escaped = true
		case c == '"':
			p.inString = !p.inString
		}
	}
	return p.source[began:], false
}

// tag reads {{name}}, {{#name}}, {{^name}} or {{/name}}.
func (p *parser) tag() (kind byte, name string, err error) {
	at := p.at
	end := strings.Index(p.source[at:], "}}")
	if end < 0 {
		return 0, "", p.fault(at, "}} is missing")
	}
	inner := strings.TrimSpace(p.source[at+2 : at+end])
	p.at = at + end + 2
	kind = 'v'
	if inner != "" && strings.IndexByte("#^/", inner[0]) >= 0 {
		kind = inner[0]
		inner = strings.TrimSpace(inner[1:])
	}
	for _, part := range strings.Split(inner, ".") {
		if part == "" || strings.ContainsAny(part, " \t\r\n{}\"'#^/&!>=") {
			return 0, "", p.fault(at, "%q is no field; a field is a name such as summary or data.errors", inner)
		}
	}
	return kind, inner, nil
}

// renderer writes a template, within limits.
type renderer struct {
	out   bytes.Buffer
	steps int
}

// render writes the body for the fields of a message. The result is valid JSON.
func (t *template) render(fields map[string]any) ([]byte, error) {
	r := &renderer{}
	if err := r.write(t.nodes, []any{fields}); err != nil {
		return nil, err
	}
	body := r.out.Bytes()
	if err := valid(body); err != nil {
		return body, err
	}
	return body, nil
}

// valid reports where a body is no JSON.
func valid(body []byte) error {
	var v any
	err := json.Unmarshal(body, &v)
	if syntax, ok := err.(*json.SyntaxError); ok { //nolint:errorlint // returned directly
		near := body[max(0, int(syntax.Offset)-40):min(len(body), int(syntax.Offset)+10)]
		return fmt.Errorf("the result is no JSON, near %q: %s", strings.ToValidUTF8(string(near), ""), syntax.Error())
	}
	return err
}

// write writes nodes. The scopes are the objects whose fields they name, the
// innermost last.
func (r *renderer) write(nodes []node, scopes []any) error {
	for i := range nodes {
		n := &nodes[i]
		if r.steps++; r.steps > mostSteps || r.out.Len() > mostBody {
			return fmt.Errorf("the template writes more than %d KiB or %d parts", mostBody>>10, mostSteps)
		}
		if n.kind == 0 {
			r.out.WriteString(n.text)
			continue
		}
		value := find(scopes, n.text)
		switch n.kind {
		case 'v':
			r.out.Write(encode(value, n.inString))
		case '^':
			if empty(value) {
				if err := r.write(n.nodes, scopes); err != nil {
					return err
				}
			}
		default:
			if err := r.section(n, value, scopes); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *renderer) section(n *node, value any, scopes []any) error {
	list, ok := value.([]any)
	if !ok && !empty(value) {
		list = []any{value}
	}
	for i, item := range list {
		if i > 0 && !n.inString {
			r.out.WriteByte(',')
		}
		if err := r.write(n.nodes, append(scopes[:len(scopes):len(scopes)], item)); err != nil {
			return err
		}
	}
	return nil
}

// find looks up a field, from the innermost scope outward. nil = there is none.
func find(scopes []any, path string) any {
	first, rest, more := strings.Cut(path, ".")
	for i := len(scopes) - 1; i >= 0; i-- {
		value, ok := member(scopes[i], first)
		if !ok {
			continue
		}
		for more && ok {
			first, rest, more = strings.Cut(rest, ".")
			value, ok = member(value, first)
		}
		if !ok {
			return nil
		}
		return value
	}
	return nil
}

func member(v any, name string) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		value, ok := v[name]
		return value, ok
	case []any:
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(v) {
			return nil, false
		}
		return v[i], true
	}
	return nil, false
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// encode writes a value as JSON; inside of a string, as escaped text.
func encode(v any, inString bool) []byte {
	if !inString {
		return encoded(v)
	}
	text, ok := v.(string)
	if !ok && v != nil {
		text = string(encoded(v))
	}
	b := encoded(text)
	return b[1 : len(b)-1] // without the quotes
}

func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	return b
}
