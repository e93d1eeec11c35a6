package incident

import (
	"testing"
	"time"
)

func moment(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestADayHasItsWorstStatusAndTheWeightedTime(t *testing.T) {
	now := moment("2026-11-28 12:00")
	created := moment("2026-11-25 09:00")
	list := []outage{
		// Two incidents overlap for an hour: the worse one counts.
		{Health: PartialOutage, From: moment("2026-11-26 10:00"), End: moment("2026-11-26 14:00")},
		{Health: MajorOutage, From: moment("2026-11-26 12:00"), End: moment("2026-11-26 13:00")},
		// Over midnight, and still open.
		{Health: MajorOutage, From: moment("2026-11-27 23:00")},
	}
	days := history(list, created, now, 5)
	for n, want := range []day{
		{Known: false, Worst: Operational, Down: 0, Lasted: 24 * time.Hour},
		{Known: true, Worst: Operational, Down: 0, Lasted: 24 * time.Hour},
		{Known: true, Worst: MajorOutage, Down: time.Hour + 54*time.Minute, Lasted: 24 * time.Hour}, // 3 h of 30 %
		{Known: true, Worst: MajorOutage, Down: time.Hour, Lasted: 24 * time.Hour},
		{Known: true, Worst: MajorOutage, Down: 12 * time.Hour, Lasted: 12 * time.Hour},
	} {
		want.Date = moment("2026-11-24 00:00").AddDate(0, 0, n)
		if got := days[n]; got != want {
			t.Errorf("day %d: %+v, want %+v", n, got, want)
		}
	}
	down := time.Hour + 54*time.Minute + 13*time.Hour
	if got, want := uptime(days), 1-float64(down)/float64(84*time.Hour); got != want {
		t.Errorf("uptime %v, want %v", got, want)
	}
}

func TestMaintenanceAndDegradationAreNoDowntime(t *testing.T) {
	now := moment("2026-11-28 12:00")
	list := []outage{
		{Health: Maintained, From: moment("2026-11-28 01:00"), End: moment("2026-11-28 02:00")},
		{Health: Degraded, From: moment("2026-11-28 03:00"), End: moment("2026-11-28 04:00")},
	}
	days := history(list, moment("2026-01-01 00:00"), now, 1)
	if d := days[0]; d.Down != 0 || d.Worst != Degraded || uptime(days) != 1 {
		t.Errorf("%+v, uptime %v", d, uptime(days))
	}
}
