package reference

import (
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"
)

const tinyDocument = `{"components": {"schemas": {
	"Event": {"type": "object", "required": ["id"], "properties": {
		"id": {"type": "string", "maxLength": 64, "description": "Unique"},
		"kind": {"type": "string", "enum": ["a", "b"], "default": "a"},
		"at": {"type": ["string", "null"], "format": "date-time"},
		"count": {"type": "integer", "minimum": 1, "maximum": 5},
		"parent": {"$ref": "#/components/schemas/Event"},
		"tags": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}, "maxItems": 3}}
	}}}}}`

func TestASchemaIsATreeInWords(t *testing.T) {
	d, err := parseDocument([]byte(tinyDocument))
	if err != nil {
		t.Fatal(err)
	}
	one := &schema{Ref: "#/components/schemas/Event"}
	list, kind := d.fields(&schema{OneOf: []*schema{one, {Type: typeName{Word: "array"}, Items: one}}}, nil)
	if kind != "object or list of objects" {
		t.Errorf("the kind is %q", kind)
	}
	var b strings.Builder
	writeFields(&b, list, "")
	want := "- `id` (string, required, at most 64 characters): Unique\n" +
		"- `at` (time (RFC 3339) or null)\n" +
		"- `count` (whole number, 1 to 5)\n" +
		"- `kind` (string, default \"a\"), one of `a`, `b`\n" +
		"- `parent` (object, as above)\n" +
		"- `tags` (object: name to list of strings)\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestJSONIsIndentedInItsOwnOrder(t *testing.T) {
	raw := json.RawMessage(`{"b":[1,2],"a":{"x":"p,q: r","y":null},"list":[{"n":1}],"none":[],"big":12345678901234567890}`)
	want := "{\n  \"b\": [1, 2],\n  \"a\": {\"x\": \"p,q: r\", \"y\": null},\n  \"list\": [\n    {\"n\": 1}\n  ],\n" +
		"  \"none\": [],\n  \"big\": 12345678901234567890\n}"
	if got := indent(raw); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := pythonValue(`{"a": true, "true": null, "s": "false \" null"}`); got !=
		`{"a": True, "true": None, "s": "false \" null"}` {
		t.Errorf("Python: %s", got)
	}
}

func TestCurlQuotesTheBodyForAShell(t *testing.T) {
	op := &Op{ID: "x", Method: "PUT", Path: "/client/v4/accounts/{account_id}/x/{id}"}
	text := call{op, Example{
		Path: map[string]string{"account_id": "0123", "id": "a b"},
		Body: json.RawMessage(`{"t":"it's"}`), Type: "application/json",
	}}.curl()
	for _, want := range []string{`-X PUT "$BELFRY_URL/client/v4/accounts/$BELFRY_ACCOUNT/x/a%20b"`, `"it'\''s"`} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %s:\n%s", want, text)
		}
	}
}

func TestTheSearchNeedsAllWordsAndRanksTitlesFirst(t *testing.T) {
	list := []entry{
		{"guide", "Receive", "Notifications", "/guide", "a webhook has a secret"},
		{"operation", "Create a webhook", "POST /webhooks", "/create", "create-webhook secret"},
		{"operation", "Webhook secret", "POST /rotate", "/rotate", ""},
	}
	for query, want := range map[string]string{
		"webhook":        "/rotate /create /guide",
		"webhook secret": "/rotate /create /guide",
		"POST":           "/create /rotate",
		"webhook absent": "",
		"  ":             "",
	} {
		var got []string
		for _, e := range find(list, query) {
			got = append(got, e.Href)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v: expected %s", query, got, want)
		}
	}
}

func TestLinksOfGuidesLeadToPagesOrToTheRepository(t *testing.T) {
	g := guideReader{root: "docs", repository: "https://r.example/",
		served: map[string]string{"guide/start.md": "/docs/guide/start"}}
	for to, want := range map[string]string{
		"start.md#one":        "/docs/guide/start.md#one",
		"../guide/start.md":   "/docs/guide/start.md",
		"../../sdk/README.md": "https://r.example/sdk/README.md",
		"../scale.md":         "https://r.example/docs/scale.md",
		"#here":               "#here",
		"https://c2sp.org":    "https://c2sp.org",
	} {
		if got := g.target("guide/read.md", to, true); got != want {
			t.Errorf("%s leads to %s: expected %s", to, got, want)
		}
	}
	text := g.rewriteLinks("guide/read.md", "[a](start.md)\n```\n[b](start.md)\n```\n")
	if text != "[a](/docs/guide/start.md)\n```\n[b](start.md)\n```\n" {
		t.Errorf("the text is %q", text)
	}
}

var anyTag = regexp.MustCompile(`</?span[^>]*>`)

func TestHighlightedCodeKeepsItsText(t *testing.T) {
	for language, text := range map[string]string{
		"json": `{"a<b": "x", "n": -1.5e3, "t": true}`, "go": "if err != nil { // <b>\n}", "curl": `curl -H "A: $B" '<x>'`,
		"python": "x = \"\"\"a\n\"\"\"  # c", "text": "<&>", "javascript": "const a = `<${b}>`;",
	} {
		got := html.UnescapeString(anyTag.ReplaceAllString(string(highlight(language, text)), ""))
		if got != text {
			t.Errorf("%s: %q: expected %q", language, got, text)
		}
	}
}
