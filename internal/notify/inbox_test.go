package notify_test

import (
	"bufio"
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
)

// The members of the tests' account; both are admins.
const (
	anaID = "0192f7c417d1700080000000000000a1"
	bobID = "0192f7c417d1700080000000000000b2"
)

// withMembers gives an account members.
func withMembers(cfg *notify.Config) {
	cfg.Recipients = func(_ context.Context, account, ref string) ([]notify.Recipient, error) {
		both := []notify.Recipient{{ID: anaID, Name: "Ana Lima"}, {ID: bobID, Name: "Bob Ito"}}
		switch {
		case account != acme:
		case ref == "role:admin":
			return both, nil
		case ref == anaID:
			return both[:1], nil
		case ref == bobID:
			return both[1:], nil
		}
		return nil, nil
	}
}

// ask is a request to the inbox of the account acme.
func (w *world) ask(token, method, path string, body, result any) (status int, failures []failure) {
	w.t.Helper()
	return w.call(token, method, "/inbox"+path, body, result)
}

// inbox lists a part of a member's inbox.
func (w *world) inbox(member, part string) (list []notify.InboxEntry) {
	w.t.Helper()
	if status, failures := w.ask("acme", "GET", "?part="+part+"&member="+member, nil, &list); status != 200 {
		w.t.Fatalf("the inbox: %d %+v", status, failures)
	}
	return list
}

// act acts on an entry and returns what it is then.
func (w *world) act(member, entryID, act string, body map[string]any) (e notify.InboxEntry) {
	w.t.Helper()
	var sent any // an empty map is no body
	if body != nil {
		sent = body
	}
	if status, failures := w.ask("acme", "POST", "/"+entryID+"/"+act+"?member="+member, sent, &e); status != 200 {
		w.t.Fatalf("%s: %d %+v", act, status, failures)
	}
	return e
}

func inboxOf(ids ...string) map[string]any {
	list := []map[string]string{}
	for _, id := range ids {
		list = append(list, map[string]string{"id": id})
	}
	return map[string]any{"inbox": list}
}

func TestAnAlertArrivesInTheInboxOfEachMemberOfARole(t *testing.T) {
	everywhereWith(t, withMembers, func(t *testing.T, w *world) {
		w.policy(map[string]any{"mechanisms": inboxOf("role:admin", anaID, "user:kim")})
		w.alert(map[string]any{"id": "down", "event": "start", "correlation_id": "c", "severity": "critical"})
		for _, member := range []string{anaID, bobID, "user:kim"} {
			until(t, "the start is in the inbox of "+member, func() bool { return len(w.inbox(member, "unread")) == 1 })
		}
		e := w.inbox(anaID, "open")[0]
		if e.AlertID != "down" || e.State != "firing" || e.Severity != "critical" || e.Property != "shop.example" ||
			e.Summary != "The shop is down" || e.Member != anaID {
			t.Errorf("the entry is %+v", e)
		}

		w.act(anaID, e.ID, "read", nil)
		w.alert(map[string]any{"id": "up", "event": "end", "correlation_id": "c"})
		until(t, "the end is there", func() bool { return w.inbox(anaID, "open")[0].State == "ended" })
		if list := w.inbox(anaID, "open"); len(list) != 1 || list[0].ReadAt.IsZero() || list[0].EndedAt.IsZero() {
			t.Errorf("after the end the inbox is %+v", list)
		}
		until(t, "every delivery is delivered", func() bool {
			for _, d := range w.decision("down").Deliveries {
				if d.State != "delivered" || d.MechanismType != "inbox" {
					return false
				}
			}
			return true
		})
	})
}

func TestEntriesAreReadArchivedAndSnoozed(t *testing.T) {
	var c movedClock
	change := func(cfg *notify.Config) {
		withMembers(cfg)
		cfg.Now = c.now
	}
	everywhereWith(t, change, func(t *testing.T, w *world) {
		w.policy(map[string]any{"mechanisms": inboxOf(anaID)})
		w.alert(map[string]any{"id": "one"})
		w.alert(map[string]any{"id": "two"})
		until(t, "both are there", func() bool { return len(w.inbox(anaID, "unread")) == 2 })
		one, two := w.inbox(anaID, "open")[1], w.inbox(anaID, "open")[0]

		w.act(anaID, one.ID, "read", nil)
		if len(w.inbox(anaID, "unread")) != 1 || len(w.inbox(anaID, "open")) != 2 {
			t.Error("a read entry is not read, or gone")
		}
		w.act(anaID, one.ID, "archive", nil)
		if got := w.inbox(anaID, "archived"); len(got) != 1 || got[0].ID != one.ID || len(w.inbox(anaID, "open")) != 1 {
			t.Errorf("archived are %+v", got)
		}
		w.act(anaID, one.ID, "archive", map[string]any{"archived": false})
		w.act(anaID, one.ID, "snooze", map[string]any{"until": c.now().Add(time.Hour).UTC().Format(time.RFC3339)})
		if len(w.inbox(anaID, "snoozed")) != 1 || len(w.inbox(anaID, "open")) != 1 {
			t.Error("a snoozed entry is not hidden")
		}
		c.move(2 * time.Hour)
		if len(w.inbox(anaID, "snoozed")) != 0 || len(w.inbox(anaID, "unread")) != 2 {
			t.Error("a snoozed entry does not come back unread")
		}
		var count notify.InboxCount
		if status, _ := w.ask("acme", "POST", "/read_all?member="+anaID, nil, &count); status != 200 || count.Unread != 0 {
			t.Errorf("read_all: %d, %d are unread", status, count.Unread)
		}
		for _, wakes := range []string{"2020-01-01T00:00:00Z", "2126-01-01T00:00:00Z"} {
			status, failures := w.ask("acme", "POST", "/"+two.ID+"/snooze?member="+anaID, map[string]any{"until": wakes}, nil)
			if status != 400 || failures[0].Source.Pointer != "/until" {
				t.Errorf("until %s: %d %+v", wakes, status, failures)
			}
		}
	})
}

func TestAnInboxIsItsMembersAlone(t *testing.T) {
	w := newWorld(t, "", withMembers)
	w.policy(map[string]any{"mechanisms": inboxOf(anaID)})
	w.alert(map[string]any{"id": "one"})
	until(t, "it is there", func() bool { return len(w.inbox(anaID, "unread")) == 1 })
	id := w.inbox(anaID, "open")[0].ID
	for _, c := range []struct {
		name, token, method, path string
		status                    int
	}{
		{"another member's inbox is empty", "acme", "POST", "/" + id + "/read?member=" + bobID, 404},
		{"a token names the member", "acme", "GET", "", 400},
		{"another account", "other", "GET", "?member=" + anaID, 403},
		{"another account's entry", "other", "POST", "/" + id + "/read?member=" + anaID, 403},
		{"a reading token changes nothing", "reader", "POST", "/" + id + "/archive?member=" + anaID, 403},
		{"a reading token reads", "reader", "GET", "?member=" + anaID, 200},
		{"a member has no other inbox", "ana", "GET", "?member=" + bobID, 404},
		{"a member has an own inbox", "ana", "GET", "", 200},
		{"and acts on it", "ana", "POST", "/" + id + "/read", 200},
	} {
		if status, failures := w.ask(c.token, c.method, c.path, nil, nil); status != c.status {
			t.Errorf("%s: %d %+v, want %d", c.name, status, failures, c.status)
		}
	}
	_, failures := w.call("acme", "POST", "/policies", map[string]any{
		"name": "x", "enabled": true, "alert_type": "shop_down", "mechanisms": inboxOf("role:nonsense", anaID, anaID),
	}, nil)
	var pointers []string
	for _, f := range failures {
		pointers = append(pointers, f.Source.Pointer)
	}
	if !slices.Equal(pointers, []string{"/mechanisms/inbox/0/id", "/mechanisms/inbox/2/id"}) {
		t.Errorf("the faults are %+v", failures)
	}
}

func TestTheStreamOfAnInboxHasEveryChange(t *testing.T) {
	w := newWorld(t, "", withMembers)
	w.policy(map[string]any{"mechanisms": inboxOf(anaID)})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET",
		w.api.URL+"/client/v4/accounts/"+acme+"/inbox/stream?member="+anaID, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer acme")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	next := func(begins string) string {
		t.Helper()
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), begins) {
				return lines.Text()
			}
		}
		t.Fatalf("the stream ended before %q: %v", begins, lines.Err())
		return ""
	}
	if got := next("data: "); got != `data: {"unread":0}` {
		t.Errorf("at first %s", got)
	}
	w.alert(map[string]any{"id": "one"})
	next("event: entry")
	if got := next("data: "); !strings.Contains(got, `"alert_id":"one"`) {
		t.Errorf("the entry is %s", got)
	}
	if got := next("data: "); got != `data: {"unread":1}` {
		t.Errorf("then %s", got)
	}
}
