package event_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/event"
)

var update = flag.Bool("update", false, "write the generated parts of ARCHITECTURE.md")

const page = "../../ARCHITECTURE.md"

// between replaces the text between the marks of a part.
func between(t *testing.T, text, part, with string) string {
	t.Helper()
	begin := "<!-- generated from internal/event by `go generate ./internal/event`: " + part + " -->\n"
	const end = "<!-- end -->"
	i := strings.Index(text, begin)
	if i < 0 {
		t.Fatalf("ARCHITECTURE.md has no part %q", part)
	}
	i += len(begin)
	j := strings.Index(text[i:], end)
	if j < 0 {
		t.Fatalf("the part %q has no end", part)
	}
	return text[:i] + with + text[i+j:]
}

func TestArchitectureHasThisDiagram(t *testing.T) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	want := between(t, between(t, string(b), "diagram", diagram()), "table", table())
	if want == string(b) {
		return
	}
	if !*update {
		t.Fatal("ARCHITECTURE.md does not show the topics as they are: go generate ./internal/event")
	}
	if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestEveryTopicIsWhole(t *testing.T) {
	names := map[string]bool{}
	for _, topic := range event.Topics {
		if names[topic.Name] || !strings.HasPrefix(topic.Name, "belfry.") || topic.Key == "" || topic.Payload == "" ||
			len(topic.Producers) == 0 || len(topic.Consumers) == 0 {
			t.Errorf("%+v", topic)
		}
		if topic.Retention == 0 && !topic.Internal && !topic.Compacted {
			t.Errorf("%s is kept for ever: its records are clear text", topic.Name)
		}
		names[topic.Name] = true
	}
}
