package notify

import (
	"testing"
	"time"

	_ "time/tzdata"
)

func TestAScheduleOpensByTheWallClock(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		parsed, err := time.ParseInLocation("2006-01-02 15:04", text, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	office := Schedule{Outside: outsideHold, Hours: []ScheduleHours{
		{Days: []string{"mon", "tue", "wed", "thu", "fri"}, From: "09:00", To: "17:00"},
	}}
	night := Schedule{Outside: outsideHold, Hours: []ScheduleHours{{Days: []string{"sat"}, From: "22:00", To: "06:00"}}}
	whole := Schedule{Outside: outsideHold, Hours: []ScheduleHours{{Days: []string{"sun"}, From: "00:00", To: "24:00"}}}
	for _, c := range []struct {
		s         Schedule
		now, next string
	}{
		{office, "2026-11-27 09:00", "2026-11-27 09:00"}, // a Friday
		{office, "2026-11-27 16:59", "2026-11-27 16:59"},
		{office, "2026-11-27 17:00", "2026-11-30 09:00"},
		{office, "2026-11-27 08:59", "2026-11-27 09:00"},
		{night, "2026-11-29 05:59", "2026-11-29 05:59"}, // of the Saturday before
		{night, "2026-11-29 06:00", "2026-12-05 22:00"},
		{whole, "2026-11-29 23:59", "2026-11-29 23:59"},
		{whole, "2026-11-30 00:00", "2026-12-06 00:00"},
		{office, "2026-03-28 12:00", "2026-03-30 09:00"}, // over the change of the clock
		{office, "2026-10-24 12:00", "2026-10-26 09:00"},
	} {
		if got := c.s.opening(at(c.now), berlin); !got.Equal(at(c.next)) {
			t.Errorf("%+v at %s opens at %s, want %s", c.s.Hours, c.now, got.In(berlin), c.next)
		}
	}
	never := Schedule{Outside: outsideHold}
	if _, dropped := never.allows("error", at("2026-11-27 09:00"), berlin); dropped == "" {
		t.Error("hours that never begin hold a message for ever")
	}
	office.Except = []string{"critical"}
	if until, dropped := office.allows("critical", at("2026-11-28 09:00"), berlin); dropped != "" || !until.IsZero() {
		t.Errorf("a critical alert waits until %s, or is dropped: %s", until, dropped)
	}
}

func TestADigestIsDueOnceADayOrAtEvenTimes(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 27, 10, 7, 0, 0, time.UTC) // 11:07 in Berlin
	for _, c := range []struct {
		d    Digest
		want string
	}{
		{Digest{Every: "15m"}, "2026-11-27T10:15:00Z"},
		{Digest{Every: "1h"}, "2026-11-27T11:00:00Z"},
		{Digest{At: "11:08"}, "2026-11-27T10:08:00Z"},
		{Digest{At: "11:07"}, "2026-11-28T10:07:00Z"},
		{Digest{At: "00:00"}, "2026-11-27T23:00:00Z"},
	} {
		if got := c.d.due(now, berlin).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%+v is due at %s, want %s", c.d, got, c.want)
		}
	}
}
