package producer_test

import (
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/producer"
	"github.com/belfryhq/belfry/test/sections"
)

func TestTheStarterAndBelfrysOwnFileAreGood(t *testing.T) {
	f, err := sections.All().Parse(producer.Starter(), catalogue.YAML)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Products) != 1 || len(sections.Resources(f.Products[0])) != 2 {
		t.Errorf("%+v", f.Products)
	}
	// What is commented out must hold too: people remove the marks.
	var open []string
	for line := range strings.Lines(string(producer.Starter())) {
		bare := strings.TrimLeft(line, " ")
		if rest, ok := strings.CutPrefix(bare, "# "); ok &&
			(strings.Contains(rest, ": ") || strings.HasSuffix(rest, ":\n")) && !strings.Contains(rest, "belfry.yaml") {
			first := strings.TrimLeft(rest, " -")
			switch word, _, _ := strings.Cut(first, ":"); word {
			case "failure", "schema", "type", "properties", "value", "password", "personal", "secret",
				"alert_types", "title", "description", "severities", "filters", "sample", "{key":
				line = line[:len(line)-len(bare)] + rest
			}
		}
		open = append(open, line)
	}
	g, err := sections.All().Parse([]byte(strings.Join(open, "")), catalogue.YAML)
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(open, ""))
	}
	if r := sections.Resources(g.Products[0])[0]; r.Schema == nil || len(r.Personal) != 1 ||
		len(sections.AlertTypes(g.Products[0])) != 1 {
		t.Errorf("not all of the starter was opened: %+v", g.Products[0])
	}
	own, err := producer.Builtin(sections.All())
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range []string{"account", "zone", "member", "role", "token", "session", "portal_session", "producer",
		"catalog", "export", "erasure", "job"} {
		found := false
		for _, r := range sections.Resources(own.Declaration) {
			found = found || r.Type == typ
		}
		if !found {
			t.Errorf("Belfry's own catalogue lacks %s", typ)
		}
	}
}
