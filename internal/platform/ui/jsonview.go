package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"strings"
)

// maxJSON is the most of a value that a page shows, in bytes.
const maxJSON = 256 << 10

// indented is v as JSON in two-space steps. A json.RawMessage or []byte that
// is JSON is indented as it is, so large numbers keep their digits.
func indented(v any) (string, error) {
	raw, ok := v.(json.RawMessage)
	if b, isBytes := v.([]byte); isBytes {
		raw, ok = b, true
	}
	if !ok || len(raw) == 0 {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if len(raw) == 0 && ok {
			v = nil
		}
		if err := enc.Encode(v); err != nil {
			return "", fmt.Errorf("json: %w", err)
		}
		raw = buf.Bytes()
	}
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(raw), "", "  "); err != nil {
		return "", fmt.Errorf("json: %w", err)
	}
	return out.String(), nil
}

// jsonHTML is v as coloured JSON. A value that is not JSON is shown as text;
// a page about a broken message must not break.
func jsonHTML(v any) template.HTML {
	text, err := indented(v)
	if err != nil {
		text = fmt.Sprintf("%s", v)
		if len(text) > maxJSON {
			text = text[:maxJSON]
		}
		return template.HTML(html.EscapeString(strings.ToValidUTF8(text, "\uFFFD"))) //nolint:gosec // escaped
	}
	cut := len(text) > maxJSON
	if cut {
		text = strings.ToValidUTF8(text[:maxJSON], "")
	}
	var b strings.Builder
	for len(text) > 0 {
		token, class := jsonToken(text)
		text = text[len(token):]
		if class == "js" && strings.HasPrefix(strings.TrimLeft(text, " "), ":") {
			class = "jk"
		}
		if class == "" {
			b.WriteString(html.EscapeString(token))
			continue
		}
		b.WriteString(`<span class="` + class + `">` + html.EscapeString(token) + `</span>`)
	}
	if cut {
		b.WriteString("\n… the rest is not shown")
	}
	return template.HTML(b.String()) //nolint:gosec // every token is escaped
}

// jsonToken takes the next token off s (not empty) and says its class: js
// string, jn number, jl literal, "" for the rest.
func jsonToken(s string) (token, class string) {
	switch c := s[0]; {
	case c == '"':
		for i := 1; i < len(s); i++ {
			switch s[i] {
			case '\\':
				i++
			case '"':
				return s[:i+1], "js"
			}
		}
		return s, ""
	case c == '-' || c >= '0' && c <= '9':
		return s[:span(s, "+-.eE0123456789")], "jn"
	case c >= 'a' && c <= 'z':
		return s[:span(s, "abcdefghijklmnopqrstuvwxyz")], "jl"
	default:
		n := strings.IndexAny(s[1:], `"-0123456789abcdefghijklmnopqrstuvwxyz`)
		if n < 0 {
			return s, ""
		}
		return s[:n+1], ""
	}
}

// span is how many bytes at the start of s are in set.
func span(s, set string) int {
	n := 0
	for n < len(s) && strings.IndexByte(set, s[n]) >= 0 {
		n++
	}
	return n
}
