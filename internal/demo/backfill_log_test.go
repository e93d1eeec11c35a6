package demo

import (
	"testing"
	"time"
)

// Without a request in a quarter of an hour an objective has no data, and the demo's overview would show a warning
// that the user did not cause.
func TestTheOldSiteIsNeverSilent(t *testing.T) {
	start := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	old, err := realLog(start)
	if err != nil {
		t.Fatal(err)
	}
	silent := 0
	total := int64(0)
	bad := int64(0)
	for n := range int64(4 * 24 * 60) {
		c := minuteOf(old, start.Unix()+60*n)
		if silent++; c.Total > 0 {
			silent = 0
		}
		if silent > 10 {
			t.Fatalf("no request in the %d minutes before minute %d", silent, n)
		}
		if c.Bad > c.Total {
			t.Fatalf("%d of %d requests failed", c.Bad, c.Total)
		}
		total += c.Total
		bad += c.Bad
	}
	if total < 5000 || bad > 10 {
		t.Errorf("four days have %d requests and %d failures", total, bad)
	}
}
