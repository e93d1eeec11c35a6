package notify_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/notify/channeltest"
)

// chat makes a webhook whose receiver is a chat: it is spared a pair of which it has seen nothing.
func (w *world) chat(url string) notify.NewWebhook {
	w.t.Helper()
	var made notify.NewWebhook
	w.must("POST", "/destinations/webhooks", map[string]any{"name": "chat", "url": url, "type": "mattermost"}, &made)
	return made
}

// events are the events that a program received, in their order.
func (r *receiver) events() (list []string) {
	for _, one := range r.all() {
		list = append(list, one.Body.Event)
	}
	return list
}

func (w *world) pair(alertID string) {
	w.t.Helper()
	w.alert(map[string]any{"id": alertID, "event": "start", "correlation_id": "c"})
	w.alert(map[string]any{"id": alertID + "-end", "event": "end", "correlation_id": "c"})
}

func (w *world) tried(alertID string) {
	w.t.Helper()
	until(w.t, "the start was tried", func() bool {
		d := w.decision(alertID).Deliveries
		return len(d) > 0 && d[0].Tries > 0
	})
}

var startAndEnd = []string{"ALERT_STATE_EVENT_START", "ALERT_STATE_EVENT_END"}

func TestAPersonGetsNoEndAfterAStartThatFailed(t *testing.T) {
	everywhereWith(t, quick, func(t *testing.T, w *world) {
		r := newReceiver(t)
		w.policy(map[string]any{"mechanisms": to(w.chat(r.URL))})
		r.answers(func(received) int { return 400 })
		w.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
		until(t, "it fails", func() bool { return w.states("a") == "start failed" })
		w.alert(map[string]any{"id": "b", "event": "end", "correlation_id": "c"})
		if got := w.states("a"); got != "start failed, end not_sent" {
			t.Error(got)
		}
	})
}

func TestAPersonsEndOvertakesAStartThatWaitsForARetry(t *testing.T) {
	w := newWorld(t, "", func(d *notify.Config) { d.Limits.Schedule = []time.Duration{0, time.Hour, time.Hour} })
	r := newReceiver(t)
	w.policy(map[string]any{"mechanisms": to(w.chat(r.URL))})
	var n atomic.Int32
	r.answers(func(received) int {
		if n.Add(1) == 1 {
			return 500
		}
		return 200
	})
	w.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
	w.tried("a")
	w.alert(map[string]any{"id": "b", "event": "end", "correlation_id": "c"})
	until(t, "the end goes", func() bool { return w.states("a") == "start superseded, end delivered" })
}

func TestAPairThatEndsWhileAChatIsPausedIsNotSent(t *testing.T) {
	w := newWorld(t, "", nil)
	r := newReceiver(t)
	h := w.chat(r.URL)
	w.policy(map[string]any{"mechanisms": to(h)})
	before := len(r.all()) // the test message
	r.answers(func(received) int { return 429 })
	w.alert(map[string]any{"id": "first"})
	w.tried("first")
	w.pair("a")
	until(t, "both are superseded", func() bool { return w.states("a") == "start superseded, end superseded" })
	if n := len(r.all()) - before; n != 1 {
		t.Errorf("%d messages to a paused receiver", n)
	}
	r.answers(nil)
	w.must("POST", "/destinations/webhooks/"+h.ID+"/enable", nil, nil) // ends the pause
	until(t, "the first arrives", func() bool { return w.states("first") == "notice delivered" })
}

// TestAProgramGetsEveryStartAndEndInOrder has a receiver that asked to wait, and one that failed at first.
func TestAProgramGetsEveryStartAndEndInOrder(t *testing.T) {
	everywhereWith(t, quick, func(t *testing.T, w *world) {
		r := newReceiver(t)
		h := w.hook(r.URL)
		w.policy(map[string]any{"mechanisms": to(h)})
		r.answers(func(received) int { return 429 })
		w.alert(map[string]any{"id": "first"})
		w.tried("first")
		w.pair("a") // neither was attempted before both were stored
		if got := w.states("a"); got != "start waiting, end waiting" {
			t.Errorf("while it is paused: %s", got)
		}
		var starts atomic.Int32
		seen := len(r.all())
		r.answers(func(got received) int {
			if got.Body.Event == startAndEnd[0] && starts.Add(1) == 1 {
				return 500
			}
			return 200
		})
		w.must("POST", "/destinations/webhooks/"+h.ID+"/enable", nil, nil)
		until(t, "both arrive", func() bool { return w.states("a") == "start delivered, end delivered" })
		got := slices.DeleteFunc(r.events()[seen:], func(event string) bool { return event == "" })
		if want := []string{startAndEnd[0], startAndEnd[0], startAndEnd[1]}; !slices.Equal(got, want) {
			t.Errorf("received %v, want %v", got, want)
		}
	})
}

// TestAProgramGetsAnEndAlsoWhenItRefusedTheStart: what it does with it is its own matter.
func TestAProgramGetsAnEndAlsoWhenItRefusedTheStart(t *testing.T) {
	everywhereWith(t, quick, func(t *testing.T, w *world) {
		r := newReceiver(t)
		w.policy(map[string]any{"mechanisms": to(w.hook(r.URL))})
		r.answers(func(got received) int {
			if got.Body.Event == startAndEnd[0] {
				return 400
			}
			return 200
		})
		w.pair("a")
		until(t, "the end arrives", func() bool { return w.states("a") == "start failed, end delivered" })
		if got := r.events(); !slices.Equal(got, startAndEnd) {
			t.Errorf("received %v", got)
		}
	})
}

// TestAnEndThatWaitsFollowsItsStartToTheFallback: when the end is stored, its start is still being tried.
func TestAnEndThatWaitsFollowsItsStartToTheFallback(t *testing.T) {
	t.Run("at once", func(t *testing.T) { testEndFollowsToTheFallback(t, false) })
	t.Run("after a restart", func(t *testing.T) { testEndFollowsToTheFallback(t, true) })
}

func testEndFollowsToTheFallback(t *testing.T, restarts bool) {
	everywhere(t, func(t *testing.T, w *world) {
		spare := newReceiver(t)
		backup := w.hook(spare.URL)
		r := newReceiver(t)
		var made notify.NewWebhook
		w.must("POST", "/destinations/webhooks", map[string]any{
			"name": "first", "url": r.URL, "fallback": map[string]any{"destination_id": backup.ID},
		}, &made)
		w.policy(map[string]any{"mechanisms": to(made)})
		under := make(chan struct{})
		release := make(chan struct{})
		r.answers(func(got received) int {
			if got.Body.Event == startAndEnd[0] {
				close(under)
				<-release
			}
			return 400
		})
		w.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
		<-under
		w.alert(map[string]any{"id": "b", "event": "end", "correlation_id": "c"})
		close(release)
		if restarts {
			w.stop()
			w.deps.Registerer = nil
			w.start()
		}
		until(t, "the fallback gets both", func() bool { return slices.Equal(spare.events(), startAndEnd) })
		if got := r.events(); !slices.Equal(got, startAndEnd[:1]) {
			t.Errorf("the first destination got %v", got)
		}
		until(t, "the end of the first is explained", func() bool {
			return w.states("a") == "start failed, end not_sent, start delivered, end delivered"
		})
	})
}

// TestAPagerIsSparedAPairOfWhichItSawNothing: PagerDuty's incident would open and close at once.
func TestAPagerIsSparedAPairOfWhichItSawNothing(t *testing.T) {
	for _, c := range channeltest.Channels() {
		traits := c.Traits()
		program := slices.Contains([]string{notify.TypeGeneric, "datadog", "splunk"}, traits.Type)
		if traits.Program != program {
			t.Errorf("%s: Program is %t", traits.Type, traits.Program)
		}
	}
}

func TestTheWebhooksOfASpaceShareItsRate(t *testing.T) {
	for _, c := range channeltest.Channels() {
		key := c.Traits().RateKey
		if c.Traits().Type != "gchat" {
			continue
		}
		const base = "https://chat.googleapis.com/v1/spaces/"
		one := key(base + "AAAA/messages?key=k1&token=t1")
		if key(base+"AAAA/messages?key=k2&token=t2") != one || key(base+"BBBB/messages?key=k1&token=t1") == one {
			t.Errorf("the key of a webhook is %q", one)
		}
	}
}
