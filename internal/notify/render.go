package notify

import (
	"cmp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/event"
)

// The texts of a message, for all channels. A preceding change is never called the
// cause: "preceded by", not "caused by".

// plainText removes characters that change how the rest of a line is read: control
// characters, and the marks that reverse the direction of writing.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return -1
		}
		return r
	}, s)
}

// sanitize makes the texts of a message fit for one line each. Data stays as the
// product sent it.
func (m *Message) sanitize() {
	m.Policy = plainText(m.Policy)
	m.Name = plainText(m.Name)
	m.Title = plainText(m.Title)
	m.Subject = plainText(m.Subject)
	m.Summary = plainText(m.Summary)
	for i := range m.Changes {
		c := &m.Changes[i]
		c.Actor = plainText(c.Actor)
		c.Summary = plainText(c.Summary)
	}
}

// Headline is the message in one line.
func Headline(m *Message) string {
	switch {
	case m.Test():
		return "Test message from Belfry"
	case m.Event == event.AlertEnd:
		return "Alert " + strings.ToLower(Ended(m.Started, m.At)) + ": " + cmp.Or(m.Subject, m.Summary)
	}
	return m.Summary
}

// Ended says that an alert is over, and how long it lasted.
func Ended(started, ended time.Time) string {
	if lasted := ended.Sub(started); !started.IsZero() && lasted >= time.Second {
		return "Ended after " + durationWords(lasted)
	}
	return "Ended"
}

// subjectTitle returns the title of what an alert is about: its resource with the
// type of the alert, or the summary.
func subjectTitle(r *event.AlertResource, kind, summary string) string {
	if r == nil || kind == "" {
		return cmp.Or(summary, kind)
	}
	first, size := utf8.DecodeRuneInString(kind)
	if second, _ := utf8.DecodeRuneInString(kind[size:]); unicode.IsLower(second) { // "Error budget", not "TLS"
		kind = string(unicode.ToLower(first)) + kind[size:]
	}
	return cmp.Or(r.Name, r.ID) + " " + kind
}

// Text is the message in sentences.
func Text(m *Message) string {
	if m.Test() {
		return m.Summary
	}
	s := stop(Headline(m))
	if m.Event == event.AlertEnd && m.Subject != "" && m.Summary != m.Subject {
		s += " " + stop(m.Summary)
	}
	if lead, first := Preceded(m); lead != "" && m.Event != event.AlertEnd {
		s += " " + lead + " " + stop(first.Summary)
	}
	return s
}

// Preceded introduces the first change of a message: "Preceded 43 s earlier by:".
// "" when there is none.
func Preceded(m *Message) (lead string, first Change) {
	if len(m.Changes) == 0 {
		return "", Change{}
	}
	first = m.Changes[0]
	return "Preceded " + Earlier(m.At, first.At) + " by:", first
}

// beginGrace is the precision of a beginning that was derived from counts: a change
// that is recorded up to this time after it may have preceded it.
const beginGrace = 30 * time.Second

// alertStart is the beginning of the condition that an alert reports.
type alertStart struct {
	At time.Time
	By bool // it had begun by then
}

// startOf corrects a beginning that was derived from counts. When a change follows
// it closely, the result is the time by which the condition had begun, so that no
// preceding change is listed after it.
func startOf(began, alert time.Time, changes []Change) alertStart {
	s := alertStart{At: began}
	for _, c := range changes {
		if c.At.After(began) && !c.At.After(began.Add(beginGrace)) {
			s = alertStart{At: began.Add(beginGrace), By: true}
		}
	}
	if s.At.After(alert) {
		s.At = alert
	}
	return s
}

// Start returns the beginning of the condition that a message reports; by says that
// it had begun by then. ok is false when that is the time of the alert itself.
func Start(m *Message) (at time.Time, by, ok bool) {
	s := startOf(m.Began, m.At, m.Changes)
	return s.At, s.By, m.Began.Before(m.At)
}

// Earlier says how long before an alert something was done.
func Earlier(alert, change time.Time) string {
	if d := alert.Sub(change); d >= time.Second {
		return durationWords(d) + " earlier"
	}
	return "moments earlier"
}

// stop ends a sentence.
func stop(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return s
	}
	if last, _ := utf8.DecodeLastRuneInString(s); unicode.IsLetter(last) || unicode.IsDigit(last) ||
		strings.ContainsRune(`)%"'…`, last) {
		return s + "."
	}
	return s
}
