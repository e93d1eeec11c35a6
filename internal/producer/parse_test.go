package producer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/producer"
)

func formatOf(file string) producer.Format {
	if strings.HasSuffix(file, ".json") {
		return producer.JSON
	}
	return producer.YAML
}

func TestEveryFaultOfAFileIsToldWithItsLineAndColumn(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	more, err := filepath.Glob("testdata/faults/*.json")
	if err != nil || len(more) == 0 {
		t.Fatal("no files", err)
	}
	files = append(files, more...)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = producer.Parse(data, formatOf(file))
			var list errs.List
			if !errors.As(err, &list) {
				t.Fatalf("the file is taken (%v)", err)
			}
			var b strings.Builder
			for _, e := range list {
				if e.Code != errs.CodeCatalogueInvalid || !strings.HasPrefix(e.Message, "line ") {
					t.Errorf("code %d, message %q", e.Code, e.Message)
				}
				fmt.Fprintf(&b, "%s\n    at %s\n", e.Message, e.Pointer)
			}
			golden(t, filepath.Join("faults", filepath.Base(file)+".golden"), b.String())
		})
	}
}

func TestAProductWithThreeActionsTakesFewLines(t *testing.T) {
	f, err := producer.Parse(read(t, "tls.yaml"), producer.YAML)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(read(t, "tls.yaml")), "\n"); lines > 15 {
		t.Errorf("%d lines", lines)
	}
	r := f.Products[0].Resources[0]
	if r.Title != "Zone setting" || r.Actions[2].Title != "View" || !r.Actions[2].View || r.Actions[0].View {
		t.Errorf("%+v", r)
	}
}

func TestYAMLAndItsJSONFormReadTheSame(t *testing.T) {
	y, err := producer.Parse(read(t, "full.yaml"), producer.YAML)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(y.Catalogue, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	j, err := producer.Parse(text, producer.JSON)
	if err != nil {
		t.Fatal(err)
	}
	if changes := producer.Diff(y.Catalogue, j.Catalogue); len(changes) > 0 {
		t.Errorf("%+v", changes)
	}
	if sev := y.Products[0].AlertTypes[0].Severities; sev[0] != "warning" || sev[1] != "critical" {
		t.Errorf("severities are not mild to severe: %v", sev)
	}
}

func TestNumbersOfYAMLBecomeNumbersOfJSON(t *testing.T) {
	f := parse(t, `
version: 1
products:
  - product: p
    alert_types:
      - {type: a, sample: {hex: 0x1F, under: 1_000, half: .5, exact: 1.10, day: 2026-11-22, no: no, nothing: ~, yes: true}}
`)
	want := `{"hex":31,"under":1000,"half":0.5,"exact":1.10,"day":"2026-11-22","no":"no","nothing":null,"yes":true}`
	if got := string(f.Products[0].AlertTypes[0].Sample); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAFileOverTheLimitIsRefused(t *testing.T) {
	_, err := producer.Parse(make([]byte, producer.MaxFile+1), producer.YAML)
	if !errs.Is(err, errs.CodeTooLarge) {
		t.Fatal(err)
	}
}

func TestTheStarterAndBelfrysOwnFileAreGood(t *testing.T) {
	f, err := producer.Parse(producer.Starter(), producer.YAML)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Products) != 1 || len(f.Products[0].Resources) != 2 {
		t.Errorf("%+v", f.Products)
	}
	// What is commented out must hold too: people remove the marks.
	var open []string
	for line := range strings.Lines(string(producer.Starter())) {
		bare := strings.TrimLeft(line, " ")
		if rest, ok := strings.CutPrefix(bare, "# "); ok && (strings.Contains(rest, ": ") || strings.HasSuffix(rest, ":\n")) && !strings.Contains(rest, "belfry.yaml") {
			first := strings.TrimLeft(rest, " -")
			switch word, _, _ := strings.Cut(first, ":"); word {
			case "failure", "schema", "type", "properties", "value", "password", "personal", "secret", "alert_types", "title", "description", "severities", "filters", "sample", "{key":
				line = line[:len(line)-len(bare)] + rest
			}
		}
		open = append(open, line)
	}
	g, err := producer.Parse([]byte(strings.Join(open, "")), producer.YAML)
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(open, ""))
	}
	if r := g.Products[0].Resources[0]; r.Schema == nil || len(r.Personal) != 1 || len(g.Products[0].AlertTypes) != 1 {
		t.Errorf("not all of the starter was opened: %+v", g.Products[0])
	}
	own, err := producer.Own()
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range []string{"account", "zone", "member", "role", "token", "session", "portal_session", "producer", "catalog", "export", "erasure", "job"} {
		found := false
		for _, r := range own.Decl.Resources {
			found = found || r.Type == typ
		}
		if !found {
			t.Errorf("Belfry's own catalogue lacks %s", typ)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/faults/*.yaml", "testdata/faults/*.json"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, formatOf(file) == producer.JSON)
		}
	}
	f.Add(producer.Starter(), false)
	f.Fuzz(func(t *testing.T, data []byte, asJSON bool) {
		format := producer.YAML
		if asJSON {
			format = producer.JSON
		}
		file, err := producer.Parse(data, format)
		if err != nil {
			var list errs.List
			if !errors.As(err, &list) || len(list) == 0 {
				t.Fatalf("not a list of faults: %v", err)
			}
			return
		}
		text, err := json.Marshal(file.Catalogue)
		if err != nil {
			t.Fatal(err)
		}
		again, err := producer.Parse(text, producer.JSON)
		if err != nil {
			t.Fatalf("what was taken is refused as JSON: %v\n%s", err, text)
		}
		if changes := producer.Diff(file.Catalogue, again.Catalogue); len(changes) > 0 {
			t.Fatalf("reads differently as JSON: %+v", changes)
		}
	})
}
