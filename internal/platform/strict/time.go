package strict

import (
	"strings"
	"time"
)

// Time reads a time of RFC 3339, all of them and no others: T and Z may be
// small letters, and a leap second (23:59:60 UTC) is one, which becomes the
// last microsecond of its minute, as Go's times have no place for it. What
// time.Parse takes besides (an hour of one digit, a comma before the fraction,
// an offset of a day and more) is refused.
func Time(s string) (t time.Time, ok bool) {
	const date = len("2006-01-02T15:04:05")
	if len(s) <= date || strings.Contains(s, ",") {
		return t, false
	}
	s = strings.ToUpper(s)
	zone := s[date:]
	if s[date-3] != ':' || s[date-6] != ':' {
		return t, false
	}
	if !strings.HasSuffix(zone, "Z") && (len(zone) < len("+00:00") || zone[len(zone)-len("00:00"):][:2] > "23") {
		return t, false
	}
	leap := s[date-2:date] == "60"
	if leap {
		s = s[:date-2] + "59" + s[date:]
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, false
	}
	if leap {
		t = t.UTC().Truncate(time.Second)
		if t.Hour() != 23 || t.Minute() != 59 {
			return t, false
		}
		t = t.Add(time.Second - time.Microsecond)
	}
	return t, true
}
