package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Example is a recorded call of an operation: its input and its successful answer.
type Example struct {
	Path   map[string]string   `json:"path,omitempty"`
	Query  map[string][]string `json:"query,omitempty"`
	Type   string              `json:"type,omitempty"`  // content type of the body
	Body   json.RawMessage     `json:"body,omitempty"`  // a JSON body
	Lines  []string            `json:"lines,omitempty"` // a body that is text
	Status int                 `json:"status"`
	Answer string              `json:"answer,omitempty"` // content type of the answer
	Result json.RawMessage     `json:"result,omitempty"` // the whole answer, as JSON
	Output []string            `json:"output,omitempty"` // an answer that is text
}

// Examples are the recorded calls by the id of the operation.
type Examples map[string]Example

// ParseExamples reads a file of examples.
func ParseExamples(text []byte) (Examples, error) {
	all := Examples{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("reference: examples: %w", err)
	}
	return all, nil
}

// body is the body as it is shown; "" = the operation takes none.
func (e Example) body() string {
	if len(e.Body) > 0 {
		return indent(e.Body)
	}
	return strings.Join(e.Lines, "\n")
}

// result is the answer as it is shown.
func (e Example) result() string {
	if len(e.Result) > 0 {
		return indent(e.Result)
	}
	return strings.Join(e.Output, "\n")
}

// indent writes JSON in steps of two spaces; short arrays and objects without
// members of their own stay on one line.
func indent(raw json.RawMessage) string {
	var b strings.Builder
	writeJSON(&b, raw, "")
	return b.String()
}

// maxInline is the longest value that is written on one line.
const maxInline = 48

func writeJSON(b *strings.Builder, raw json.RawMessage, margin string) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		b.Write(raw)
		return
	}
	raw = compact.Bytes()
	nested := bytes.ContainsAny(raw[1:], "{[")
	if raw[0] != '{' && raw[0] != '[' || !nested && len(raw) <= maxInline && len(margin) > 0 {
		b.WriteString(spaced(raw))
		return
	}
	var members []member
	open, end := "{", "}"
	if raw[0] == '[' {
		open, end = "[", "]"
	}
	members = membersOf(raw)
	if len(members) == 0 {
		b.WriteString(open + end)
		return
	}
	deeper := margin + "  "
	b.WriteString(open + "\n")
	for i, m := range members {
		b.WriteString(deeper)
		if m.name != nil {
			b.Write(m.name)
			b.WriteString(": ")
		}
		writeJSON(b, m.value, deeper)
		if i < len(members)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString(margin + end)
}

// member is one member of an object (with its name as JSON) or item of an array.
type member struct{ name, value json.RawMessage }

// membersOf reads the members of an object or array in their order.
func membersOf(raw json.RawMessage) (list []member) {
	d := json.NewDecoder(bytes.NewReader(raw))
	object := raw[0] == '{'
	if _, err := d.Token(); err != nil {
		return nil
	}
	for d.More() {
		var m member
		if object {
			token, err := d.Token()
			if err != nil {
				return list
			}
			name, _ := token.(string)
			m.name = quoteJSON(name)
		}
		if d.Decode(&m.value) != nil {
			return list
		}
		list = append(list, m)
	}
	return list
}

func quoteJSON(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil // a string is JSON
	}
	return bytes.TrimSpace(b.Bytes())
}

// spaced puts a space after commas and colons of compact JSON, outside of strings.
func spaced(raw []byte) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		b.WriteByte(c)
		switch {
		case quoted && c == '\\':
			i++
			b.WriteByte(raw[i])
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == ':'):
			b.WriteByte(' ')
		}
	}
	return b.String()
}
