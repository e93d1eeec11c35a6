package audit_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/audit"
)

func TestASentenceListsItsPlaceholders(t *testing.T) {
	text := "{actor} lowered the minimum TLS version of {resource} from {before.value} to {after.value}"
	s, err := audit.ParseSentence(text)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"actor", "resource", "before.value", "after.value"}
	if got := s.Placeholders(); !slices.Equal(got, want) || s.String() != text {
		t.Errorf("%q has the placeholders %q, want %q", s, got, want)
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
		rest := text
		for _, name := range s.Placeholders() {
			before, after, found := strings.Cut(rest, "{"+name+"}")
			if !found || strings.ContainsAny(before, "{}") {
				t.Fatalf("%q: {%s} is not the next placeholder", text, name)
			}
			rest = after
		}
		if strings.ContainsAny(rest, "{}") {
			t.Fatalf("%q leaves a brace", text)
		}
	})
}
