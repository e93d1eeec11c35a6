package strict_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/belfryhq/belfry/internal/platform/strict"
)

func TestWhatActsOnATerminalIsWrittenAsAnEscape(t *testing.T) {
	for in, want := range map[string]string{
		"Ana":                          "Ana",
		"Zoë, Ναύς, 😀 and \ufffd":      "Zoë, Ναύς, 😀 and \ufffd",
		"a\nOK    key":                 `a\nOK    key`,
		"\x1b[1A\x1b[2K":               `\u001b[1A\u001b[2K`,
		"\u009b1A":                     `\u009b1A`,
		"\x9b1A":                       `\x9b1A`,
		"cut\xe2\x80":                  `cut\xe2\x80`,
		"\u202edoc.exe\u2066\u2069":    `\u202edoc.exe\u2066\u2069`,
		"\u200e\u200f\u061c\u2028\x7f": `\u200e\u200f\u061c\u2028\u007f`,
		"\r\t\x00":                     `\r\t\u0000`,
	} {
		if got := strict.Visible(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := strict.VisibleLines("a\n\tb\r\x1b"); got != "a\n\tb"+`\r\u001b` {
		t.Errorf("%q", got)
	}
}

// A JSON line that was made visible is the same value.
func TestVisibleKeepsTheValueOfAJSONText(t *testing.T) {
	for r := rune(1); r < 0x3000; r++ {
		text, err := json.Marshal("a" + string(r))
		if err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal([]byte(strict.Visible(string(text))), &back); err != nil || back != "a"+string(r) {
			t.Fatalf("%U: %q, %v", r, back, err)
		}
	}
}

func TestATextOfOneLineHasNoControlAndNoBidiFormat(t *testing.T) {
	for r := rune(0); r < 0x3000; r++ {
		bad := unicode.Is(unicode.Cc, r) && r < 0x80 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
		if _, found := strict.OneLine("a" + string(r) + "b"); found != bad {
			t.Errorf("%U: refused %v, want %v", r, found, bad)
		}
		if replaced := strict.Replace("a" + string(r)); (replaced != "a"+string(r)) != bad || bad && replaced != "a\ufffd" {
			t.Errorf("%U became %q", r, replaced)
		}
	}
	for text, bad := range map[string]bool{
		"a\n\tb\r\nc": false,
		"a\rb":        true,
		"a\x1bb":      true,
		"\u202eא":     false,
		"\x00":        true,
		"end\r":       true,
	} {
		if _, found := strict.Lines(text); found != bad {
			t.Errorf("%q: refused %v, want %v", text, found, bad)
		}
	}
	if strings.Contains(strict.Replace("\x00\x1b"), "\x1b") {
		t.Error("an escape stays")
	}
}
