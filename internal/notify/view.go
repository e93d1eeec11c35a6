package notify

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/event"
)

// View is a message in the parts that mail and chats show.
type View struct {
	Headline string
	Color    string // #rrggbb
	Mark     string // a colored character, for receivers without colors
	Detail   string // a sentence more
	Lead     string // introduces Changes
	Changes  []Change
	More     int
	Facts    []Fact
	Links    []Link // the first is the page of the alert
	Policy   string
}

// Fact is a name and its value.
type Fact struct{ Name, Value string }

// Link is a page for the reader.
type Link struct{ Label, URL string }

// The colors of messages.
const (
	colorBad  = "#c0392b"
	colorInfo = "#2d6cdf"
	colorGood = "#1e8449"

	markBad  = "🔴"
	markInfo = "🔵"
	markGood = "🟢"
)

// ViewOf arranges a message. A fact without a value is left out.
func ViewOf(m *Message) View {
	v := View{
		Headline: Headline(m),
		Policy:   m.Policy,
		Color:    colorBad,
		Mark:     markBad,
		Links:    []Link{{"View alert", m.URL}},
	}
	switch m.Event {
	case "":
		v.Color = colorInfo
		v.Mark = markInfo
		v.Detail = m.Summary
		v.Links[0].Label = "View notifications"
		return v
	case event.AlertNotice:
		v.Color = colorInfo
		v.Mark = markInfo
	case event.AlertEnd:
		v.Color = colorGood
		v.Mark = markGood
		if m.Summary != m.Subject {
			v.Detail = m.Summary
		}
		v.fact("What", m.Title)
		v.fact("Property", m.Property)
		v.fact("Severity", m.Severity)
		v.fact("Started", timeText(m.Started, m.Zone))
		v.fact("Ended", timeText(m.At, m.Zone))
		return v
	}
	if m.AckURL != "" {
		v.Links = append(v.Links, Link{"Acknowledge", m.AckURL})
	}
	v.Lead, _ = Preceded(m)
	if m.Type == TypeAuditEvent && len(m.Changes) > 0 {
		v.Lead = "In the audit log:"
	}
	v.Changes = m.Changes
	v.More = m.More
	if len(m.Digest) > 0 {
		v.Lead = "Alerts:"
		v.Changes = m.Digest
		v.More = m.DigestMore
		v.Links[0].Label = "View alerts"
		return v
	}
	v.fact("What", m.Title)
	v.fact("Property", m.Property)
	v.fact("Severity", m.Severity)
	if at, by, ok := Start(m); ok {
		name := "Began"
		if by {
			name = "Began by"
		}
		v.fact(name, timeText(at, m.Zone))
	}
	v.fact("Alert started", timeText(m.At, m.Zone))
	return v
}

func (v *View) fact(name, value string) {
	if value != "" {
		v.Facts = append(v.Facts, Fact{name, value})
	}
}

// Short returns the view with each text cut to a number of characters.
func (v View) Short(most int) View {
	v.Headline = Cut(v.Headline, most)
	v.Detail = Cut(v.Detail, most)
	v.Policy = Cut(v.Policy, min(most, maxName))
	changes := make([]Change, len(v.Changes))
	for i, c := range v.Changes {
		c.Summary = Cut(c.Summary, most)
		c.Actor = Cut(c.Actor, min(most, maxName))
		changes[i] = c
	}
	v.Changes = changes
	facts := make([]Fact, len(v.Facts))
	for i, f := range v.Facts {
		facts[i] = Fact{f.Name, Cut(f.Value, min(most, maxName))}
	}
	v.Facts = facts
	return v
}

// budgets are the lengths of texts that Fit tries.
var budgets = []int{3000, 1500, 700, 300, 100, 40}

// Fit writes a view with texts as long as the size of the whole permits, in bytes.
func Fit(v View, most int, write func(View) ([]byte, error)) (body []byte, err error) {
	for _, n := range budgets {
		if body, err = write(v.Short(n)); err != nil || len(body) <= most {
			return body, err
		}
	}
	return body, nil
}

// timeText is a time for people, with its zone; "" for the zero time. Without a zone it is UTC.
func timeText(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	if zone == nil {
		zone = time.UTC
	}
	return t.In(zone).Format("2 January 2006, 15:04:05 MST")
}

// Cut returns a text of at most a number of characters, which ends with … when it was
// longer. A character outside of the basic plane counts as two, as the receivers
// count, and none is separated from the marks that combine with it.
func Cut(s string, most int) string {
	n := 0 // characters so far
	at := 0
	for i, r := range s {
		n += max(1, utf16.RuneLen(r))
		if n <= most-1 {
			at = i + utf8.RuneLen(r)
		}
	}
	if n <= most {
		return s
	}
	if most <= 0 {
		return ""
	}
	for at > 0 {
		before, size := utf8.DecodeLastRuneInString(s[:at])
		next, _ := utf8.DecodeRuneInString(s[at:])
		if !joins(next) && before != zeroWidthJoiner {
			break
		}
		at -= size
	}
	return strings.TrimRightFunc(s[:at], unicode.IsSpace) + "…"
}

const zeroWidthJoiner = 0x200d

// joins reports whether a character belongs to the one before it.
func joins(r rune) bool {
	return r == zeroWidthJoiner || unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) ||
		r >= 0x1f3fb && r <= 0x1f3ff // skin tones
}

// Level orders severities for receivers that have their own.
type Level int

// The levels.
const (
	LevelInfo Level = iota
	LevelWarning
	LevelError
	LevelCritical
)

// LevelOf reads the severity of a message. A severity with another name is an error.
func LevelOf(m *Message) Level {
	switch strings.ToLower(m.Severity) {
	case "info", "information", "notice", "debug", "none", "low":
		return LevelInfo
	case "warning", "warn", "minor", "medium":
		return LevelWarning
	case "critical", "fatal", "emergency", "page", "major", "high":
		return LevelCritical
	}
	return LevelError
}

// CutWith is Cut for a text that escape makes longer: what it returns has at most a
// number of characters, and no escape sequence is cut.
func CutWith(s string, most int, escape func(string) string) string {
	for n := most; n > 0; {
		escaped := escape(Cut(s, n))
		length := units(escaped)
		if length <= most {
			return escaped
		}
		n = min(n-1, n*most/length)
	}
	return ""
}

// units is the length of a text in characters, as the receivers count them.
func units(s string) (n int) {
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// Count writes a number for people.
func Count(n int) string { return strconv.Itoa(n) }
