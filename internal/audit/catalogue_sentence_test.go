package audit_test

import (
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/audit"
)

func TestASentenceIsFilledFromItsPlaceholders(t *testing.T) {
	text := "{actor} lowered the minimum TLS version of {resource} from {before.value} to {after.value}"
	s, err := audit.ParseSentence(text)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{"actor": "Ana", "resource": "shop.example", "before.value": "1.2", "after.value": "1.0"}
	got := s.Render(func(name string) string { return values[name] })
	if want := "Ana lowered the minimum TLS version of shop.example from 1.2 to 1.0"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if p := s.Placeholders(); len(p) != 4 || p[2] != "before.value" {
		t.Errorf("placeholders %v", p)
	}
}

func TestAMistypedPlaceholderIsRefusedWithASuggestion(t *testing.T) {
	_, err := audit.ParseSentence("{resorce} was changed")
	if err == nil || !strings.Contains(err.Error(), "{resource} meant") {
		t.Errorf("%v", err)
	}
}

func FuzzSentence(f *testing.F) {
	for _, s := range []string{"{actor} did {action}", "{", "}", "{before.a.b} x", "{{actor}}", "é{zone}",
		"{metadata.é}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := audit.ParseSentence(text)
		if err != nil {
			return
		}
		if got := s.Render(func(name string) string { return "{" + name + "}" }); got != text {
			t.Fatalf("%q renders as %q", text, got)
		}
		if strings.ContainsAny(s.Render(func(string) string { return "" }), "{}") {
			t.Fatalf("%q leaves a brace", text)
		}
	})
}
