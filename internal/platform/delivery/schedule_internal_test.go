package delivery

import (
	"strings"
	"testing"
	"time"
)

func TestTheTableOfAnswers(t *testing.T) {
	hour := 2 * time.Hour
	for _, c := range []struct {
		name     string
		r        Result
		failures int
		age      time.Duration
		want     Verdict
		why      string
	}{
		{"2xx", Result{Status: 204}, 3, 0, Verdict{State: StateDelivered, Mark: DestinationOK}, ""},
		{"3xx", Result{Status: 302}, 0, 0, Verdict{State: StateWaiting, Counts: true, Wait: 5 * time.Second},
			"redirects are not followed; update the URL"},
		{"3xx with a place", Result{Status: 308, Response: []Header{{"Location", "https://example.com/hook/"}}}, 0, 0,
			Verdict{State: StateWaiting, Counts: true, Wait: 5 * time.Second}, "update the URL to https://example.com/hook/"},
		{"400", Result{Status: 400}, 0, 0, Verdict{State: StateFailed}, "400 Bad Request"},
		{"413", Result{Status: 413}, 0, 0, Verdict{State: StateFailed}, "replayed"},
		{"415", Result{Status: 415}, 0, 0, Verdict{State: StateFailed}, ""},
		{"422", Result{Status: 422}, 0, 0, Verdict{State: StateFailed}, ""},
		{"401, first", Result{Status: 401}, 0, 0, Verdict{State: StateWaiting, Counts: true, Wait: 5 * time.Second},
			"refuses the credential"},
		{"403, third", Result{Status: 403}, 2, 0, Verdict{State: StateFailed, Counts: true, Mark: DestinationBroken},
			"given up after 3"},
		{"404", Result{Status: 404}, 1, 0, Verdict{State: StateWaiting, Counts: true, Wait: 5 * time.Minute}, ""},
		{"408", Result{Status: 408}, 4, 0, Verdict{State: StateWaiting, Counts: true, Wait: 5 * time.Hour}, ""},
		{"410", Result{Status: 410}, 0, 0, Verdict{State: StateFailed, Mark: DestinationDisabled}, "disabled"},
		{"429, new", Result{Status: 429, RetryAfter: time.Minute}, 0, 0,
			Verdict{State: StateWaiting, Wait: time.Minute, Pause: time.Minute}, "asks to wait"},
		{"429, never below the StandardSchedule", Result{Status: 429, RetryAfter: time.Second}, 2, 0,
			Verdict{State: StateWaiting, Wait: 30 * time.Minute, Pause: 30 * time.Minute}, ""},
		{"429, capped", Result{Status: 429, RetryAfter: 999 * time.Hour}, 0, hour,
			Verdict{State: StateWaiting, Counts: true, Wait: 24 * time.Hour, Pause: 24 * time.Hour}, ""},
		{"503 with Retry-After", Result{Status: 503, RetryAfter: time.Hour}, 0, 0,
			Verdict{State: StateWaiting, Wait: time.Hour, Pause: time.Hour}, ""},
		{"503", Result{Status: 503}, 0, 0, Verdict{State: StateWaiting, Counts: true, Wait: 5 * time.Second, Overload: true},
			""},
		{"504", Result{Status: 504}, 0, 0, Verdict{State: StateWaiting, Counts: true, Wait: 5 * time.Second, Overload: true},
			""},
		{"timeout", Result{Fault: Timeout, Error: "late"}, 0, 0, Verdict{State: StateWaiting, Counts: true,
			Wait: 5 * time.Second, Overload: true}, "late"},
		{"blocked", Result{Fault: Blocked, Error: "BELFRY_ALLOW_NETWORKS"}, 0, 0, Verdict{State: StateFailed},
			"BELFRY_ALLOW_NETWORKS"},
		{"kept", Result{Fault: Kept, Error: "no server"}, 0, 0, Verdict{State: StateKept}, "no server"},
		{"the last", Result{Status: 500}, 9, 0, Verdict{State: StateFailed, Counts: true, Overload: true},
			"given up after 10"},
	} {
		got := Judge(c.r, c.failures, c.age, StandardSchedule, 0)
		if !strings.Contains(got.Why, c.why) {
			t.Errorf("%s: why is %q", c.name, got.Why)
		}
		if got.Why = ""; got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if got := Judge(Result{Status: 500}, 0, 0, StandardSchedule, 0.999); got.Wait <= 5*time.Second ||
		got.Wait > 6*time.Second {
		t.Errorf("with jitter %v", got.Wait)
	}
}

func TestTheScheduleIsTheSpecifications(t *testing.T) {
	var sum time.Duration
	for _, d := range StandardSchedule {
		sum += d
	}
	if want := 75*time.Hour + 35*time.Minute + 5*time.Second; sum != want || len(StandardSchedule) != 10 {
		t.Errorf("%d attempts over %v, want %v", len(StandardSchedule), sum, want)
	}
}
