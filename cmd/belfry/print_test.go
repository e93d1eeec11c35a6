package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// forged is a line that imitates the words of belfry verify.
const forged = "OK    key         the one you gave"

// hostile is a text that erases lines, turns the order of words and begins a
// line of its own.
const hostile = "n\x1b[1A\x1b[2K\n" + forged + "\r\u009b1A\u202egnp\u2066\n" + forged + "\n"

// spoiled puts the hostile text into every text of a JSON value.
func spoiled(v any) any {
	switch v := v.(type) {
	case string:
		return hostile
	case []any:
		for i := range v {
			v[i] = spoiled(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = spoiled(v[k])
		}
	}
	return v
}

// harmless fails when something that was printed acts on a terminal or has a
// line that a stranger wrote.
func harmless(t *testing.T, what, printed string) {
	t.Helper()
	for _, r := range printed {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
			t.Errorf("%s printed %U:\n%q", what, r, printed)
			break
		}
	}
	for line := range strings.Lines(printed) {
		if strings.HasPrefix(strings.TrimSpace(line), forged) {
			t.Errorf("%s printed a line of the server's or the file's:\n%q", what, printed)
		}
	}
}

// hostileServer answers everything with the hostile text: with success, or with
// the status refuse.
func hostileServer(t *testing.T, refuse int) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := map[string]any{
			"success":     refuse == 0,
			"errors":      []any{},
			"result_info": map[string]any{"accepted": 0, "rejected": 1},
		}
		faults := []any{map[string]any{"code": 1, "message": "x", "source": map[string]any{"pointer": "x"}}}
		switch {
		case refuse != 0:
			answer["errors"] = faults
			answer["result"] = map[string]any{"refused": []any{map[string]any{"index": 0, "errors": faults}}}
		case strings.Contains(r.URL.Path, "/catalog"):
			answer["result"] = map[string]any{
				"version": 7,
				"changes": []any{map[string]any{"op": "x", "kind": "x", "name": "x", "field": "x", "breaking": true, "why": "x"}},
			}
		case strings.HasSuffix(r.URL.Path, "/audit/events"):
			answer["result"] = []any{map[string]any{"index": 0, "id": "x", "status": "rejected", "errors": faults}}
		case strings.HasSuffix(r.URL.Path, "/traffic/counts"):
			answer["result"] = map[string]any{"refused": []any{map[string]any{"index": 0, "errors": faults}}}
		case strings.HasSuffix(r.URL.Path, "/audit/keys"):
			answer["result"] = []any{map[string]any{"id": "x", "vkey": "x"}}
		default: // outside the envelope
			fmt.Fprint(w, hostile)
			return
		}
		status := "rejected" // a word that the program compares stays
		body, err := json.Marshal(spoiled(answer))
		if err != nil {
			t.Error(err)
		}
		if refuse == 0 {
			body = bytes.Replace(body, []byte(`"status":"`+quoted(t, hostile)+`"`), []byte(`"status":"`+status+`"`), 1)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(max(refuse, 200))
		w.Write(body)
	}))
	t.Cleanup(s.Close)
	return s
}

func quoted(t *testing.T, s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[1 : len(b)-1])
}

// Every command that reads files or asks a server is run with files, servers
// and arguments that want to write on the terminal.
func TestNoCommandLetsAFileOrAServerSpeakToTheTerminal(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	q := quoted(t, hostile)
	header := write("header.ndjson", `{"export":{"v":1,"account":"`+q+`","from":0,"to":1,"size":1,"left":[],"right":[]}}`+
		"\n"+
		`{"seq":0,"envelope":"`+q+`","event":{},"openings":{"`+q+`":{"salt":"","value":1}}}`+"\n")
	garbage := write("garbage", hostile)
	events := write("events.ndjson", `{"id":"`+q+`"}`+"\n")
	access := write("access.log", hostile+"192.0.2.7 - - [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 1\n")
	catalogue := write("belfry.yaml", "version: 1\nproducts:\n  - product: \"a\\e[1A\\n"+forged+"\"\n    titel: x\n")
	goodCatalogue := filepath.Join(dir, "good.yaml")
	objective := write("objective.json", `{"name":"`+q+`","target":99.9,"window":"30d"}`)
	var counts strings.Builder
	for i := range 720 {
		fmt.Fprintf(&counts, `{"zone":"shop","ts":%d,"total":100,"bad":%d}`+"\n", 1_764_028_800+i*10, 100*(i/600))
	}
	good := write("counts.ndjson", counts.String())
	settings := write("settings.yaml", "\"a\\e[1A\\n"+forged+"\": 1\n")
	if code := dispatch(t.Context(), []string{"catalog", "init", "--output", goodCatalogue}, &bytes.Buffer{},
		&bytes.Buffer{}); code != 0 {
		t.Fatal(code)
	}
	vkey := "x+00000000+AAAA" + hostile
	lines := map[string][][]string{
		"verify": {
			{"verify", "--export", header, "--checkpoint", garbage, "--key", vkey},
			{"verify", "--bundle", header},
			{"verify", "--bundle", garbage, "--key", vkey},
			{"verify", "--export", garbage, "--checkpoint", garbage, "--key", vkey},
			{"verify", hostile},
			{"verify", "--bundle", dir + "/" + hostile},
		},
		"audit": {
			{"audit", "import", "--account", hostile, "--events", events},
			{"audit", "import", "--account", "a", "--events", garbage},
			{"audit", "import", "--account", "a", "--git", dir + "/" + hostile},
			{"audit", "export", "--account", "a", "--out", dir + "/" + "out\n" + forged},
			{"audit", hostile},
		},
		"catalog": {
			{"catalog", "check", catalogue},
			{"catalog", "check", garbage},
			{"catalog", "apply", goodCatalogue, "--producer", hostile},
			{"catalog", hostile},
		},
		"slo": {
			{"slo", "simulate", "--objective", objective, good},
			{"slo", "simulate", "--objective", objective, garbage},
			{"slo", "simulate", "--objective", garbage, good},
			{"slo", "simulate", "--objective", objective, "--format", hostile, good},
		},
		"tail": {
			{"tail", "--account", "a", "--zone", hostile, "--state", filepath.Join(dir, "state"), access},
			{"tail", "--account", "a", "--state", filepath.Join(dir, "state2"), dir + "/" + hostile},
		},
		"login-link": {
			{"login-link", "--config", settings},
			{"login-link", "--config", hostile},
			{"login-link", "--email", hostile},
		},
		"migrate": {{"migrate", "--config", settings}, {"migrate", hostile, "--nonsense"}},
		"serve":   {{"serve", "--config", settings}, {"serve", "--roles", hostile}},
		"demo":    {{"demo", "--" + hostile}},
		"version": {{"version", "--" + hostile}},
	}
	t.Setenv("BELFRY_DATA_DIR", filepath.Join(dir, "data"))
	for refuse := range 2 {
		server := hostileServer(t, refuse*403)
		t.Setenv("BELFRY_URL", server.URL)
		t.Setenv("BELFRY_TOKEN", "blf_x")
		for _, c := range commands() {
			if len(lines[c.name]) == 0 {
				t.Errorf("no line of this test runs belfry %s", c.name)
			}
			for _, args := range lines[c.name] {
				if c.name != "login-link" || len(args) == 3 && args[1] == "--config" {
					var out, complaints bytes.Buffer
					dispatch(t.Context(), args, &out, &complaints)
					harmless(t, fmt.Sprintf("%.60q", args), out.String()+complaints.String())
				}
			}
		}
	}
}

// The whole of what commands print goes through print.go.
func TestNothingIsPrintedPastThePrinter(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset, seen := token.NewFileSet(), 0
	for _, name := range files {
		if name == "print.go" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			s, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, _ := s.X.(*ast.Ident)
			if pkg != nil && pkg.Name == "fmt" &&
				(strings.HasPrefix(s.Sel.Name, "Fprint") || strings.HasPrefix(s.Sel.Name, "Print")) {
				t.Errorf("%s: fmt.%s: use printf, which makes visible what files and servers say", fset.Position(n.Pos()),
					s.Sel.Name)
			}
			return true
		})
	}
	if seen < 8 {
		t.Fatalf("only %d files were read", seen)
	}
}

func TestJoinedErrorsStandOnLinesOfTheirOwn(t *testing.T) {
	var b bytes.Buffer
	fail(&b, "x", fmt.Errorf("configuration: %w", errors.Join(errors.New("one\n"+forged), errors.New("two"))))
	if want := "belfry x: configuration: one\\n" + forged + "\n  two\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	b.Reset()
	printf(&b, "%s|%q|%-4s|%d|%v", "a\n", "b\x1b", "c", 7, []string{"x\r", "y"})
	if want := `a\n|"b\x1b"|c   |7|x\r, y`; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestACharacterThatIsWrittenInPiecesStaysWhole(t *testing.T) {
	var b bytes.Buffer
	p := &printer{to: &b}
	for _, c := range []byte("é\u202e😀\x1b\xff") {
		if n, err := p.Write([]byte{c}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	p.Write([]byte("\xe2\x80"))
	p.flush()
	if want := `é\u202e😀\u001b\xff\xe2\x80`; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
