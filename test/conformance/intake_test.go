package conformance_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/e2e/live"
)

// intake checks the answers for events that are not simply accepted, and what Belfry's own
// route shows of one that was.
func intake(t *testing.T, s *server, f *fixture) {
	send := func(body any) (live.Answer, []intakeItem) {
		a := s.Call(t, s.Token, "POST", s.accountPath("/audit/events"), body)
		var items []intakeItem
		if len(a.Result) > 0 && string(a.Result) != "null" {
			if err := json.Unmarshal(a.Result, &items); err != nil {
				t.Fatalf("result of an intake: %v\n%.1000s", err, a.Body)
			}
		}
		return a, items
	}
	old := f.events[0]
	changed := old
	changed.Action.Description = "something else"
	bad := map[string]any{"action": map[string]string{"type": "x"}, "actor": map[string]string{"type": "user", "id": "u"},
		"resource": map[string]string{"product": "p", "type": "t", "id": "i"}, "colour": "red"}
	fresh := map[string]any{
		"action":   map[string]string{"type": "x"},
		"actor":    map[string]string{"type": "user", "id": "u"},
		"resource": map[string]string{"product": "p", "type": "t", "id": "i"},
	}

	t.Run("a repeated event is a duplicate", func(t *testing.T) {
		a, items := send([]event{old})
		if a.Status != http.StatusOK || len(items) != 1 || items[0].Status != "duplicate" {
			t.Errorf("status %d, %+v", a.Status, items)
		}
	})
	t.Run("an id with other content is a conflict", func(t *testing.T) {
		a, items := send([]event{changed})
		if a.Status != http.StatusConflict || len(items) != 1 || items[0].Status != "conflict" {
			t.Errorf("status %d, %+v", a.Status, items)
		}
		if a.Header.Get("X-Should-Retry") != "false" {
			t.Error("the official clients would send a conflict again: x-should-retry is not false")
		}
	})
	t.Run("an unknown field is rejected by name", func(t *testing.T) {
		a, _ := send(bad)
		if a.Status != http.StatusBadRequest || len(a.Errors) == 0 ||
			!strings.Contains(a.Errors[0].Source.Pointer, "/colour") {
			t.Errorf("status %d, errors %+v", a.Status, a.Errors)
		}
	})
	t.Run("numbers stay as they were written", func(t *testing.T) {
		a := s.Call(t, s.Token, "GET", s.accountPath("/audit/events/conf.04"), nil)
		for _, number := range []string{"12345678901234567890", "1.10"} {
			if !bytes.Contains(a.Result, []byte(number)) {
				t.Errorf("%s is not in %s", number, a.Result)
			}
		}
	})
	t.Run("a batch is answered in its order", func(t *testing.T) {
		a, items := send([]any{
			old,
			bad,
			fresh,
			changed,
		})
		var statuses []string
		for _, item := range items {
			statuses = append(statuses, item.Status)
		}
		if want := []string{"duplicate", "rejected", "accepted", "conflict"}; a.Status != http.StatusOK ||
			!slices.Equal(statuses, want) {
			t.Fatalf("status %d, %q, want %q", a.Status, statuses, want)
		}
		var info struct{ Accepted, Duplicate, Conflict, Rejected int }
		if err := json.Unmarshal(a.ResultInfo, &info); err != nil || info.Accepted != 1 || info.Duplicate != 1 ||
			info.Conflict != 1 || info.Rejected != 1 {
			t.Errorf("result_info %s", a.ResultInfo)
		}
		if len(items[1].Errors) == 0 {
			t.Error("the rejected event has no errors")
		}
		filledIn(t, s, items[2])
	})
}

// filledIn reads an event that was sent without id, time and interface.
func filledIn(t *testing.T, s *server, item intakeItem) {
	t.Helper()
	if item.ID == "" || item.Seq == nil {
		t.Fatalf("accepted without id or seq: %+v", item)
	}
	var detail struct {
		Event struct {
			ID          string `json:"id"`
			Account     string `json:"account"`
			Seq         int64  `json:"seq"`
			OccurredAt  string `json:"occurred_at"`
			RecordedAt  string `json:"recorded_at"`
			Interface   string `json:"interface"`
			SubmittedBy struct {
				Type, ID string
			} `json:"submitted_by"`
		} `json:"event"`
	}
	s.Must(t, "GET", s.accountPath("/audit/events/"+item.ID), nil, &detail)
	shown := detail.Event
	if shown.ID != item.ID || shown.Seq != *item.Seq || shown.Account != s.account.ID {
		t.Errorf("the event %s with seq %d reads %+v", item.ID, *item.Seq, shown)
	}
	for name, text := range map[string]string{"occurred_at": shown.OccurredAt, "recorded_at": shown.RecordedAt} {
		if at, err := time.Parse(moment, text); err != nil || at.Format(moment) != text ||
			time.Since(at).Abs() > 5*time.Minute {
			t.Errorf("%s is %q", name, text)
		}
	}
	if shown.Interface == "" || shown.SubmittedBy.Type == "" || shown.SubmittedBy.ID == "" {
		t.Errorf("interface and submitted_by were not filled: %+v", shown)
	}
}
