package app_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/belfryhq/belfry/internal/platform/reference"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const examplesFile = "examples.json"

// TestEveryOperationHasAnExample calls every operation of a real server and holds
// input and answer against the operation's schemas. The committed examples, which
// the pages of /docs show, must fit the schemas as well. With -update an example that
// is missing or no longer fits is replaced by the recorded call, and one of an
// operation that is gone is removed.
func TestEveryOperationHasAnExample(t *testing.T) {
	r := newRecorder(t)
	r.callEverything()

	text, err := os.ReadFile(examplesFile)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := reference.ParseExamples(text)
	if err != nil {
		t.Fatal(err)
	}
	stale := map[string]string{}
	for id := range kept {
		if r.routes[id].ID == "" {
			stale[id] = "there is no such operation"
			delete(kept, id)
		}
	}
	for id, rt := range r.routes {
		recorded, called := r.examples[id]
		if !called {
			t.Errorf("%s is never called: add a call to callEverything, and record it with -update", id)
			continue
		}
		if fault := r.fault(rt, recorded); fault != "" {
			t.Errorf("%s answers what its schema does not allow: %s", id, fault)
		}
		fault := "it has no example"
		if e, ok := kept[id]; ok {
			fault = r.fault(rt, e)
		}
		if fault != "" {
			stale[id] = fault
			kept[id] = recorded
		}
	}
	if len(stale) == 0 {
		return
	}
	if !*update {
		for _, id := range slices.Sorted(maps.Keys(stale)) {
			t.Errorf("examples.json: %s: %s (go test ./internal/app -run EveryOperationHasAnExample -update)", id, stale[id])
		}
		return
	}
	if err := os.WriteFile(examplesFile, encodeExamples(t, kept), 0o644); err != nil {
		t.Fatal(err)
	}
}

func encodeExamples(t *testing.T, all reference.Examples) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(all); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// recorder calls operations by their id and keeps what was sent and answered.
type recorder struct {
	*site
	routes   map[string]web.Route
	schemas  *jsonschema.Compiler
	document map[string]any
	examples reference.Examples
	hidden   *strings.Replacer // addresses of the test, as examples show them
}

// input of a call. The zero value is a call without any.
type input struct {
	path   []string // values of the path's parameters, in their order
	query  url.Values
	body   any          // JSON
	text   string       // another body
	kind   string       // its content type
	token  string       // "" = the operators'
	client *http.Client // with a session, in place of a token
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	s := newSiteWith(t, t.Output(), []string{"BELFRY_ALLOW_NETWORKS", "127.0.0.0/8,::1/128"})
	r := &recorder{site: s, routes: map[string]web.Route{}, examples: reference.Examples{}}
	for _, rt := range s.app.API.Routes() {
		r.routes[rt.ID] = rt
	}
	text, err := s.app.API.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.document = document.(map[string]any)
	r.schemas = jsonschema.NewCompiler()
	if err := r.schemas.AddResource("file:///openapi.json", document); err != nil {
		t.Fatal(err)
	}
	return r
}

// do calls an operation and returns the result of its answer, or the whole text. An
// operation that is called more than once keeps its last call.
func (r *recorder) do(id string, in input) json.RawMessage {
	r.t.Helper()
	rt, ok := r.routes[id]
	if !ok {
		r.t.Fatalf("there is no operation %s", id)
	}
	example := reference.Example{Path: map[string]string{}, Query: in.query}
	path := rt.Path
	for _, value := range in.path {
		at := strings.Index(path, "{")
		end := strings.Index(path, "}")
		if at < 0 {
			r.t.Fatalf("%s has no parameter for %q", id, value)
		}
		example.Path[strings.TrimSuffix(path[at+1:end], "...")] = value
		path = path[:at] + value + path[end+1:]
	}
	if strings.Contains(path, "{") {
		r.t.Fatalf("%s: %s lacks a value", id, path)
	}
	if len(in.query) > 0 {
		path += "?" + in.query.Encode()
	}
	var body []byte
	switch {
	case in.body != nil:
		body = arrange(r.t, r.encode(in.body))
		example.Body, example.Type = r.hide(body), "application/json"
	case in.text != "":
		body = []byte(in.text)
		example.Lines, example.Type = splitLines(string(r.hide(body))), in.kind
	}
	status, header, answer := r.send(rt, path, example.Type, body, in)
	if status > 299 {
		r.t.Fatalf("%s: %d %s", id, status, answer)
	}
	example.Status = status
	example.Answer, _, _ = strings.Cut(header.Get("Content-Type"), ";")
	if example.Answer != "application/json" {
		example.Output = excerpt(r.hide(answer))
		r.examples[id] = example
		return answer
	}
	example.Result = r.shorten(r.hide(answer))
	r.examples[id] = example
	var envelope struct{ Result json.RawMessage }
	if err := json.Unmarshal(answer, &envelope); err != nil {
		r.t.Fatal(err)
	}
	return envelope.Result
}

func (r *recorder) send(rt web.Route, path, kind string, body []byte, in input) (int, http.Header, []byte) {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), rt.Method, r.url+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	client := http.DefaultClient
	switch {
	case in.client != nil:
		client = in.client
	case in.token != "":
		q.Header.Set("Authorization", "Bearer "+in.token)
	case !rt.Public:
		q.Header.Set("Authorization", "Bearer "+bootstrap)
	}
	if kind != "" {
		q.Header.Set("Content-Type", kind)
	}
	res, err := client.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return res.StatusCode, res.Header, firstEvents(r.t, res.Body)
	}
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, res.Header, answer
}

// firstEvents reads two events of a stream.
func firstEvents(t *testing.T, body io.Reader) []byte {
	t.Helper()
	var text []byte
	buffer := make([]byte, 4096)
	for bytes.Count(text, []byte("\ndata:")) < 2 || !bytes.HasSuffix(text, []byte("\n\n")) {
		n, err := body.Read(buffer)
		text = append(text, buffer[:n]...)
		if err != nil {
			t.Fatalf("the stream ended: %v: %s", err, text)
		}
	}
	return text
}

func (r *recorder) encode(v any) []byte {
	r.t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		r.t.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

// written is the order in which people write the members of a body.
var written = []string{
	"account_id", "id", "alert_type", "event", "correlation_id", "occurred_at", "type", "name", "email", "action",
	"actor", "resource", "product", "zone", "severity", "summary", "before", "after", "value", "unit", "text", "url",
}

// arrange sorts the members of objects as people write them.
func arrange(t *testing.T, raw json.RawMessage) json.RawMessage {
	t.Helper()
	var fields map[string]json.RawMessage
	var list []json.RawMessage
	var parts []string
	switch {
	case json.Unmarshal(raw, &fields) == nil && fields != nil:
		rank := func(name string) int {
			if i := slices.Index(written, name); i >= 0 {
				return i
			}
			return len(written)
		}
		for _, name := range slices.SortedFunc(maps.Keys(fields), func(a, b string) int {
			return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
		}) {
			parts = append(parts, fmt.Sprintf("%q:%s", name, arrange(t, fields[name])))
		}
		return json.RawMessage("{" + strings.Join(parts, ",") + "}")
	case json.Unmarshal(raw, &list) == nil && list != nil:
		for _, item := range list {
			parts = append(parts, string(arrange(t, item)))
		}
		return json.RawMessage("[" + strings.Join(parts, ",") + "]")
	}
	return raw
}

var secrets = regexp.MustCompile(`(blfp?_|whsec_|[?#&](?:token|link|secret|t|s)=)[A-Za-z0-9+/=_-]{20,}`)

// hide replaces the addresses of the test and the values of secrets.
func (r *recorder) hide(text []byte) []byte {
	out := string(text)
	if r.hidden != nil {
		out = r.hidden.Replace(out)
	}
	return []byte(secrets.ReplaceAllString(out, "${1}EXAMPLE"))
}

// longest are the limits of what an example shows of a long answer.
const (
	longestList = 2  // objects of a list
	longestText = 12 // lines
	longestLine = 400
)

// shorten keeps the first items of the lists of objects in an answer.
func (r *recorder) shorten(answer []byte) json.RawMessage {
	r.t.Helper()
	return shortenJSON(r.t, answer)
}

func shortenJSON(t *testing.T, raw json.RawMessage) json.RawMessage {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	first, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	open, ok := first.(json.Delim)
	if !ok {
		return raw
	}
	var b bytes.Buffer
	b.WriteByte(byte(open))
	for i := 0; d.More(); i++ {
		var name, value json.RawMessage
		if open == '{' {
			token, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			name = fmt.Appendf(nil, "%q", token) // names of members are ASCII
		}
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		if open == '[' && i >= longestList && (value[0] == '{' || value[0] == '[' || i >= 3*longestList) {
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		if name != nil {
			b.Write(name)
			b.WriteByte(':')
		}
		b.Write(shortenJSON(t, value))
	}
	b.WriteByte(byte(open) + 2) // { and }, [ and ] are two apart
	return b.Bytes()
}

func splitLines(text string) []string { return strings.Split(strings.TrimRight(text, "\n"), "\n") }

// excerpt is the beginning of an answer that is not JSON.
func excerpt(text []byte) []string {
	binary := func(c rune) bool { return c == '\uFFFD' || c < ' ' && c != '\n' && c != '\r' && c != '\t' }
	if bytes.ContainsFunc(text, binary) {
		return []string{fmt.Sprintf("(%d bytes)", len(text))}
	}
	list := splitLines(string(text))
	if len(list) > longestText {
		list = append(list[:longestText], "…")
	}
	for i, l := range list {
		if len(l) > longestLine {
			list[i] = strings.ToValidUTF8(l[:longestLine], "") + "…"
		}
	}
	return list
}

// fault says why an example does not fit the schemas of its operation; "" = it fits.
func (r *recorder) fault(rt web.Route, e reference.Example) string {
	at := fmt.Sprintf("/paths/%s/%s", escape(strings.ReplaceAll(rt.Path, "...}", "}")), strings.ToLower(rt.Method))
	var faults []string
	check := func(what string, value json.RawMessage, pointer string) {
		if len(value) == 0 || !r.has(pointer) {
			return
		}
		schema, err := r.schemas.Compile("file:///openapi.json#" + strings.ReplaceAll(pointer, "{", "%7B"))
		if err != nil {
			faults = append(faults, err.Error())
			return
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
		if err == nil {
			err = schema.Validate(v)
		}
		if err != nil {
			faults = append(faults, what+": "+err.Error())
		}
	}
	check("body", e.Body, at+"/requestBody/content/"+escape(e.Type)+"/schema")
	check("answer", e.Result, fmt.Sprintf("%s/responses/%d/content/application~1json/schema", at, e.Status))
	if e.Result == nil && e.Output == nil {
		faults = append(faults, "the answer is empty")
	}
	if r.has(at+"/requestBody/required") && e.Type == "" {
		faults = append(faults, "there is no body")
	}
	for _, part := range strings.Split(rt.Path, "/") {
		name := strings.TrimSuffix(strings.Trim(part, "{}"), "...")
		if strings.HasPrefix(part, "{") && e.Path[name] == "" {
			faults = append(faults, "there is no value for "+name)
		}
	}
	content := fmt.Sprintf("%s/responses/%d/content/", at, e.Status)
	if !r.has(content+escape(e.Answer)) && !r.has(content+"application~1octet-stream") {
		faults = append(faults, fmt.Sprintf("the document has no answer %d %s", e.Status, e.Answer))
	}
	return strings.Join(faults, "; ")
}

func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// has reports whether the document has a value at a pointer.
func (r *recorder) has(pointer string) bool {
	var at any = r.document
	for _, part := range strings.Split(pointer, "/")[1:] {
		fields, ok := at.(map[string]any)
		if !ok {
			return false
		}
		if at, ok = fields[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]; !ok {
			return false
		}
	}
	return true
}
