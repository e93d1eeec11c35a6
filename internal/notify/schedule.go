package notify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Schedule is the weekly hours of a policy, and what happens to alerts outside of them.
type Schedule struct {
	TimeZone string          `json:"time_zone,omitempty" maxLength:"64" doc:"Of the IANA database, such as Europe/Berlin; the account's when left out"`
	Hours    []ScheduleHours `json:"hours" maxItems:"21"`
	Outside  string          `json:"outside" enum:"drop,hold" doc:"drop: alerts are not sent. hold: they are sent when the hours begin, unless they have ended"`
	Except   []string        `json:"except,omitempty" maxItems:"20" doc:"Severities that are sent at any time"`
}

// ScheduleHours are the same hours on some days of the week.
type ScheduleHours struct {
	Days []string `json:"days" minItems:"1" maxItems:"7" enum:"mon,tue,wed,thu,fri,sat,sun"`
	From string   `json:"from" maxLength:"5" doc:"HH:MM"`
	To   string   `json:"to" maxLength:"5" doc:"HH:MM, up to 24:00; at or before from, it is on the next day"`
}

// What happens outside of a schedule.
const (
	outsideDrop = "drop"
	outsideHold = "hold"
)

// weekdays are the names of days by time.Weekday.
var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

const minutesOfDay = 24 * 60

// clock reads HH:MM as minutes of the day; 24:00 is the end of the day.
func clock(s string) (minutes int, ok bool) {
	hours, rest, found := strings.Cut(s, ":")
	if !found || len(hours) != 2 || len(rest) != 2 {
		return 0, false
	}
	h, err := strconv.ParseUint(hours, 10, 8)
	if err != nil {
		return 0, false
	}
	m, err := strconv.ParseUint(rest, 10, 8)
	if err != nil || m > 59 {
		return 0, false
	}
	minutes = int(h)*60 + int(m)
	return minutes, minutes <= minutesOfDay
}

// span is the time of the hours that begin on a day; ok is false when none do.
func (h *ScheduleHours) span(day time.Time) (from, to time.Time, ok bool) {
	if !slices.Contains(h.Days, weekdays[day.Weekday()]) {
		return from, to, false
	}
	first, okFrom := clock(h.From)
	last, okTo := clock(h.To)
	if last <= first {
		last += minutesOfDay
	}
	year, month, date := day.Date()
	// The wall clock decides, also on the days on which it is changed.
	from = time.Date(year, month, date, 0, first, 0, 0, day.Location())
	to = time.Date(year, month, date, 0, last, 0, 0, day.Location())
	return from, to, okFrom && okTo
}

// opening is the next moment within the hours: now itself, or when they begin next. It is the zero time when they
// never do.
func (s *Schedule) opening(now time.Time, zone *time.Location) (next time.Time) {
	local := now.In(zone)
	year, month, date := local.Date()
	for offset := -1; offset <= 8; offset++ {
		day := time.Date(year, month, date+offset, 12, 0, 0, 0, zone)
		for i := range s.Hours {
			from, to, ok := s.Hours[i].span(day)
			if !ok || !to.After(now) {
				continue
			}
			if !from.After(now) {
				return now
			}
			if next.IsZero() || from.Before(next) {
				next = from
			}
		}
	}
	return next
}

// words are the hours for people.
func (s *Schedule) words(zone *time.Location) string {
	var list []string
	for _, h := range s.Hours {
		list = append(list, strings.Join(h.Days, ", ")+" "+h.From+"–"+h.To)
	}
	return strings.Join(list, "; ") + " (" + zone.String() + ")"
}

// allows decides on a message at a time: it is sent, held back until, or dropped for the reason.
func (s *Schedule) allows(severity string, now time.Time, zone *time.Location) (until time.Time, dropped string) {
	if slices.Contains(s.Except, severity) {
		return time.Time{}, ""
	}
	next := s.opening(now, zone)
	switch {
	case next.Equal(now):
		return time.Time{}, ""
	case s.Outside == outsideHold && !next.IsZero():
		return next, ""
	}
	return time.Time{}, fmt.Sprintf("it is outside of its hours, %s", s.words(zone))
}

// Digest collects the alerts of a policy into one message.
type Digest struct {
	Every    string `json:"every,omitempty" maxLength:"20" doc:"A time between 5m and 24h; or at"`
	At       string `json:"at,omitempty" maxLength:"5" doc:"HH:MM, once a day; or every"`
	TimeZone string `json:"time_zone,omitempty" maxLength:"64" doc:"Of at; the account's when left out"`
}

// Limits of digests.
const (
	shortestDigest = 5 * time.Minute
	longestDigest  = 24 * time.Hour
)

// due is when the alerts of a moment are sent.
func (d *Digest) due(now time.Time, zone *time.Location) time.Time {
	if every, err := parseInterval(d.Every); d.Every != "" && err == nil && every > 0 {
		return now.Truncate(every).Add(every)
	}
	minutes, _ := clock(d.At) // checked when it was saved
	year, month, date := now.In(zone).Date()
	for offset := 0; ; offset++ {
		if at := time.Date(year, month, date+offset, 0, minutes, 0, 0, zone); at.After(now) {
			return at
		}
	}
}

// EscalationStep sends a start to further destinations when it is not acknowledged.
type EscalationStep struct {
	After      string     `json:"after" maxLength:"20" doc:"Since the first message: a time between 1m and 7d"`
	Mechanisms Mechanisms `json:"mechanisms"`
}

// Limits of escalations.
const (
	maxSteps       = 5
	longestStep    = 7 * 24 * time.Hour
	maxSeverity    = 64
	shortestEscape = time.Minute
)
