package catalogue_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/test/sections"
)

func formatOf(file string) catalogue.Format {
	if strings.HasSuffix(file, ".json") {
		return catalogue.JSON
	}
	return catalogue.YAML
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
			_, err = sections.All().Parse(data, formatOf(file))
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
	f, err := sections.All().Parse(read(t, "tls.yaml"), catalogue.YAML)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(read(t, "tls.yaml")), "\n"); lines > 15 {
		t.Errorf("%d lines", lines)
	}
	r := sections.Resources(f.Products[0])[0]
	if r.Title != "Zone setting" || r.Actions[2].Title != "View" || !r.Actions[2].View || r.Actions[0].View {
		t.Errorf("%+v", r)
	}
}

func TestYAMLAndItsJSONFormReadTheSame(t *testing.T) {
	y, err := sections.All().Parse(read(t, "full.yaml"), catalogue.YAML)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(y.Catalogue, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	j, err := sections.All().Parse(text, catalogue.JSON)
	if err != nil {
		t.Fatal(err)
	}
	if changes := sections.All().Diff(y.Catalogue, j.Catalogue); len(changes) > 0 {
		t.Errorf("%+v", changes)
	}
	if sev := sections.AlertTypes(y.Products[0])[0].Severities; sev[0] != "warning" || sev[1] != "critical" {
		t.Errorf("severities are not mild to severe: %v", sev)
	}
}

func TestNumbersOfYAMLBecomeNumbersOfJSON(t *testing.T) {
	f := parse(t, `
version: 1
products:
  - product: p
    alert_types:
      - type: a
        sample: {hex: 0x1F, under: 1_000, half: .5, exact: 1.10, day: 2026-11-22, no: no, nothing: ~, yes: true}
`)
	want := `{"hex":31,"under":1000,"half":0.5,"exact":1.10,"day":"2026-11-22","no":"no","nothing":null,"yes":true}`
	if got := string(sections.AlertTypes(f.Products[0])[0].Sample); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAFileOverTheLimitIsRefused(t *testing.T) {
	_, err := sections.All().Parse(make([]byte, catalogue.MaxFile+1), catalogue.YAML)
	if !errs.Is(err, errs.CodeTooLarge) {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/faults/*.yaml", "testdata/faults/*.json",
		"../producer/starter.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, formatOf(file) == catalogue.JSON)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, asJSON bool) {
		format := catalogue.YAML
		if asJSON {
			format = catalogue.JSON
		}
		file, err := sections.All().Parse(data, format)
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
		again, err := sections.All().Parse(text, catalogue.JSON)
		if err != nil {
			t.Fatalf("what was taken is refused as JSON: %v\n%s", err, text)
		}
		if changes := sections.All().Diff(file.Catalogue, again.Catalogue); len(changes) > 0 {
			t.Fatalf("reads differently as JSON: %+v", changes)
		}
	})
}
