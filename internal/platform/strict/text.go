package strict

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// OneLine finds the first character that a text of one line must not hold: the
// C0 controls and DEL, which move a terminal's cursor or begin another line,
// and the bidirectional embeddings, overrides and isolates, which show what
// follows in another order. found is false for a text without one.
func OneLine(s string) (bad rune, found bool) {
	return firstOf(s, func(r rune) bool { return isC0(r) || isBidiFormat(r) })
}

// Lines is OneLine for a text of several lines, which may hold tabs and line
// ends ("\n", "\r\n") and text in both directions.
func Lines(s string) (bad rune, found bool) {
	for i, r := range s {
		switch {
		case r == '\n' || r == '\t' || r == '\r' && strings.HasPrefix(s[i+1:], "\n"):
		case isC0(r):
			return r, true
		}
	}
	return 0, false
}

// Replace writes U+FFFD for each character that OneLine refuses.
func Replace(s string) string {
	if _, found := OneLine(s); !found {
		return s
	}
	return strings.Map(func(r rune) rune {
		if isC0(r) || isBidiFormat(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// Visible writes a stranger's text so that it stays within its line on a
// terminal and shows in its own order: control characters (C0, DEL, C1), line
// separators and all bidirectional controls become \n, \t or \u001b, bytes that
// are not UTF-8 become \x9b. In a JSON text the result is the same value.
func Visible(s string) string { return visible(s, false) }

// VisibleLines is Visible for a text of several lines: "\n" and "\t" stay.
func VisibleLines(s string) string { return visible(s, true) }

func visible(s string, lines bool) string {
	quiet := func(r rune) bool {
		return lines && (r == '\n' || r == '\t') || !isC0(r) && !acts(r)
	}
	if _, found := firstOf(s, func(r rune) bool { return r == utf8.RuneError || !quiet(r) }); !found {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case quiet(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += size
	}
	return b.String()
}

func isC0(r rune) bool { return r < 0x20 || r == 0x7f }

// isBidiFormat reports the embeddings, overrides and isolates of Unicode's
// bidirectional algorithm (UAX #9). The marks U+061C, U+200E and U+200F are not
// among them: names in Arabic and Hebrew need those.
func isBidiFormat(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// acts reports what else changes how a terminal shows the text around it.
func acts(r rune) bool {
	c1 := r >= 0x80 && r < 0xa0
	separator := r == 0x2028 || r == 0x2029
	mark := r == 0x061c || r == 0x200e || r == 0x200f
	return c1 || separator || mark || isBidiFormat(r)
}

func firstOf(s string, is func(rune) bool) (rune, bool) {
	if i := strings.IndexFunc(s, is); i >= 0 {
		r, _ := utf8.DecodeRuneInString(s[i:])
		return r, true
	}
	return 0, false
}
