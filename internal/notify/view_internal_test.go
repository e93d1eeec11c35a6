package notify

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestTextsAreCutBetweenCharacters(t *testing.T) {
	const family = "👩🏽‍🚀" // a person, a skin tone, a joiner and a rocket: 7 units
	for _, x := range []struct {
		s    string
		most int
		want string
	}{
		{"short", 5, "short"},
		{"longer", 5, "long…"},
		{"two words", 5, "two…"},
		{"é" + family, 8, "é" + family},
		{"é" + family + "x", 8, "é…"},
		{"ae\u0301x", 3, "a…"},
		{"😀😀😀", 5, "😀😀…"},
		{"😀", 1, "…"},
		{"x", 0, ""},
	} {
		if got := Cut(x.s, x.most); got != x.want {
			t.Errorf("%q in %d: %q, want %q", x.s, x.most, got, x.want)
		}
	}
	escape := func(s string) string { return strings.ReplaceAll(s, "&", "&amp;") }
	for most := range 40 {
		got := CutWith("a&b&c&d&e&f&g", most, escape)
		if units(got) > most || strings.Count(got, "&") != strings.Count(got, "&amp;") {
			t.Errorf("%d: %q", most, got)
		}
	}
}

func TestTimesOfAMessageAreInTheZoneOfTheAccount(t *testing.T) {
	m := &Message{Event: "notice", At: time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC)}
	for zone, want := range map[*time.Location]string{
		nil:                               "22 November 2026, 23:30:00 UTC",
		time.FixedZone("CET", 60*60):      "23 November 2026, 00:30:00 CET",
		time.FixedZone("", -3*60*60-1800): "22 November 2026, 20:00:00 -0330",
	} {
		m.Zone = zone
		if facts := ViewOf(m).Facts; !slices.Contains(facts, Fact{"Alert started", want}) {
			t.Errorf("%v: %v", zone, facts)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("👩🏽‍🚀 text", 4)
	f.Fuzz(func(t *testing.T, s string, most int) {
		if !utf8.ValidString(s) {
			return
		}
		if got := Cut(s, most); units(got) > max(most, 0) || !utf8.ValidString(got) {
			t.Errorf("%q in %d: %q", s, most, got)
		}
	})
}
