package notify

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/event"
)

// The words of a message, for all channels. What came before is never called a
// cause: "preceded by", not "caused by".

// Headline is the message in one line.
func Headline(m *Message) string {
	switch {
	case m.Test():
		return "Test message from Belfry"
	case m.Event == event.AlertEnd:
		return "Ended: " + m.Summary
	}
	return m.Summary
}

// Text is the message in sentences.
func Text(m *Message) string {
	if m.Test() {
		return m.Summary
	}
	s := stop(Headline(m))
	if lead, first := Preceded(m); lead != "" && m.Event != event.AlertEnd {
		s += " " + lead + " " + stop(first.Summary)
	}
	return s
}

// Preceded is how a message speaks of the change at the top of its list:
// "Preceded 43 s earlier by:". "" when there is none.
func Preceded(m *Message) (lead string, first Change) {
	if len(m.Changes) == 0 {
		return "", Change{}
	}
	first = m.Changes[0]
	return "Preceded " + Earlier(m.At, first.At) + " by:", first
}

// Earlier says how long before an alert something was done.
func Earlier(alert, change time.Time) string {
	if d := alert.Sub(change); d >= time.Second {
		return words(d) + " earlier"
	}
	return "moments earlier"
}

// stop ends a sentence.
func stop(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return s
	}
	if last, _ := utf8.DecodeLastRuneInString(s); unicode.IsLetter(last) || unicode.IsDigit(last) || strings.ContainsRune(`)%"'…`, last) {
		return s + "."
	}
	return s
}
