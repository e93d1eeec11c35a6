package notify_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/test/engines"
)

// quick is a schedule that a test can wait for.
func quick(d *notify.Config) {
	d.Limits.Schedule = []time.Duration{0, 20 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond, time.Hour}
}

func (w *world) states(alertID string) string {
	var list []string
	for _, d := range w.decision(alertID).Deliveries {
		list = append(list, d.Event+" "+d.State)
	}
	return strings.Join(list, ", ")
}

func TestAStartThatFailedIsTriedAgainUnderTheSameID(t *testing.T) {
	w := newWorld(t, "", quick)
	r := newReceiver(t)
	w.policy(map[string]any{"mechanisms": to(w.hook(r.URL))})
	var n atomic.Int32
	r.answers(func(received) int {
		if n.Add(1) < 3 {
			return 500
		}
		return 200
	})
	w.alert(map[string]any{"id": "a", "event": "start"})
	until(t, "it is delivered", func() bool { return w.states("a") == "start delivered" })
	d := w.decision("a").Deliveries[0]
	if len(d.Attempts) != 3 || d.Attempts[0].Status != 500 || d.Attempts[0].Outcome != "retry" ||
		d.Attempts[2].Outcome != "delivered" {
		t.Errorf("%+v", d.Attempts)
	}
	ids := map[string]bool{}
	for _, got := range r.all() {
		ids[got.Header.Get("webhook-id")] = true
	}
	if len(ids) != 1 || !ids[d.ID] {
		t.Errorf("webhook-ids %v of the delivery %s", ids, d.ID)
	}
}

func TestAnEndWaitsForAStartThatIsUnderWay(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		r := newReceiver(t)
		w.policy(map[string]any{"mechanisms": to(w.hook(r.URL))})
		under, release := make(chan struct{}), make(chan struct{})
		r.answers(func(got received) int {
			if got.Body.Event == "ALERT_STATE_EVENT_START" {
				close(under)
				<-release
			}
			return 200
		})
		w.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
		<-under
		w.alert(map[string]any{"id": "b", "event": "end", "correlation_id": "c"})
		if n := len(r.all()); n != 1 {
			t.Errorf("%d messages before the start was answered", n)
		}
		close(release)
		until(t, "both arrive in order", func() bool { return w.states("a") == "start delivered, end delivered" })
	})
}

func TestAReceiverThatIsGoneIsDisabledUntilItIsEnabled(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		r := newReceiver(t)
		h := w.hook(r.URL)
		w.policy(map[string]any{"mechanisms": to(h)})
		r.answers(func(received) int { return 410 })
		w.alert(map[string]any{"id": "a"})
		until(t, "it fails", func() bool { return w.states("a") == "notice failed" })
		var d notify.Destination
		w.must("GET", "/destinations/webhooks/"+h.ID, nil, &d)
		if d.State != "disabled" || !strings.Contains(d.StateReason, "410") || d.LastFailure.IsZero() {
			t.Errorf("%+v", d)
		}
		w.alert(map[string]any{"id": "b"})
		if got := w.states("b"); got != "notice not_sent" {
			t.Error(got)
		}
		r.answers(nil)
		w.must("POST", "/destinations/webhooks/"+h.ID+"/enable", nil, &d)
		w.alert(map[string]any{"id": "c"})
		until(t, "it arrives", func() bool { return w.states("c") == "notice delivered" })
		w.must("POST", "/alerts/a/replay", nil, nil)
		until(t, "the replay arrives", func() bool { return w.states("a") == "notice failed, notice delivered" })
		if got := w.records("notification_destination"); !slices.Equal(got, []string{"create", "disable", "enable"}) {
			t.Errorf("recorded %v", got)
		}
	})
}

func TestARefusedCredentialGetsThreeAttempts(t *testing.T) {
	w := newWorld(t, "", quick)
	r := newReceiver(t)
	h := w.hook(r.URL)
	w.policy(map[string]any{"mechanisms": to(h)})
	r.answers(func(received) int { return 403 })
	w.alert(map[string]any{"id": "a"})
	until(t, "it fails", func() bool { return w.states("a") == "notice failed" })
	var d notify.Destination
	w.must("GET", "/destinations/webhooks/"+h.ID, nil, &d)
	if n := len(r.all()); n != 3 || d.State != "broken" {
		t.Errorf("%d attempts, state %s", n, d.State)
	}
}

// TestOneHangingReceiverDoesNotDelayOthers runs a receiver that takes connections
// and never answers beside five that do; both in the same account.
func TestOneHangingReceiverDoesNotDelayOthers(t *testing.T) {
	w := newWorld(t, "", func(d *notify.Config) {
		d.Limits.Attempt = 20 * time.Second
		d.Limits.InFlight = 64
		d.Limits.PerTenant = 64
	})
	var hang atomic.Bool
	stop := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if hang.Load() {
			<-stop
		}
	}))
	t.Cleanup(hanging.Close)
	t.Cleanup(func() { close(stop) })
	bad := w.hook(hanging.URL)
	hang.Store(true)
	w.policy(map[string]any{"name": "bad", "mechanisms": to(bad)})
	var good []*receiver
	for range 5 {
		r := newReceiver(t)
		good = append(good, r)
		w.policy(map[string]any{"name": "good", "mechanisms": to(w.hook(r.URL))})
	}
	var late []time.Duration
	for range 100 {
		var list []map[string]any
		for range 3 {
			list = append(list, map[string]any{
				"alert_type": "shop_down",
				"event":      "notice",
				"data":       map[string]any{"sent": time.Now().UnixNano()},
			})
		}
		w.must("POST", "/alerts", list, nil)
	}
	until(t, "the others have all", func() bool {
		for _, r := range good {
			if len(r.all()) < 300 {
				return false
			}
		}
		return true
	})
	for _, r := range good {
		for _, got := range r.all() {
			var sent struct{ Sent int64 }
			if _, err := fmt.Sscanf(string(got.Body.Data), `{"sent":%d}`, &sent.Sent); err != nil {
				t.Fatal(err)
			}
			late = append(late, got.At.Sub(time.Unix(0, sent.Sent)))
		}
	}
	slices.Sort(late)
	p99 := late[len(late)*99/100]
	t.Logf("beside 300 messages to a receiver that hangs: p50 %v, p99 %v", late[len(late)/2], p99)
	if p99 > 5*time.Second { // an attempt to the hanging one lasts 20 s
		t.Errorf("p99 of the others is %v", p99)
	}
}

func TestWhatWaitsIsSentAfterARestart(t *testing.T) {
	everywhereWith(t, func(d *notify.Config) {
		d.Limits.Schedule = []time.Duration{0, 500 * time.Millisecond, time.Second, time.Second}
	}, func(t *testing.T, w *world) {
		r := newReceiver(t)
		w.policy(map[string]any{"mechanisms": to(w.hook(r.URL))})
		under := make(chan struct{}, 10)
		var down atomic.Bool
		down.Store(true)
		r.answers(func(received) int {
			if down.Load() {
				under <- struct{}{}
				return 500
			}
			return 200
		})
		w.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
		<-under
		until(t, "the attempt is written", func() bool { return w.decision("a").Deliveries[0].Tries == 1 })
		w.stop()
		down.Store(false)
		w.deps.Registerer = nil
		w.start()
		until(t, "it arrives", func() bool { return w.states("a") == "start delivered" })
		w.alert(map[string]any{"id": "b", "event": "start", "correlation_id": "c"})
		if d := w.decision("b"); d.ID != "a" || len(d.Deliveries) != 1 {
			t.Errorf("after the restart the alert is not open any more: %+v", d)
		}
	})
}

func TestTwoProcessesShareTheDeliveriesAndOneTakesOver(t *testing.T) {
	one := newWorld(t, engines.Postgres(t), quick)
	two := &world{t: t, db: one.db, deps: one.deps, account: acme}
	two.deps.Registerer = nil
	two.start()
	r := newReceiver(t)
	var hooks []notify.NewWebhook
	for range 12 {
		hooks = append(hooks, one.hook(r.URL))
	}
	one.policy(map[string]any{"mechanisms": to(hooks...)})
	var wait sync.WaitGroup
	for i := range 20 {
		w := []*world{one, two}[i%2]
		wait.Go(func() {
			w.must("POST", "/alerts",
				map[string]any{"id": fmt.Sprint("m", i), "alert_type": "shop_down", "event": "notice"}, nil)
		})
	}
	wait.Wait()
	until(t, "all arrive", func() bool { return len(r.all()) >= 240 })
	one.stop()
	for i := range 5 {
		two.must("POST", "/alerts",
			map[string]any{"id": fmt.Sprint("n", i), "alert_type": "shop_down", "event": "notice"}, nil)
	}
	until(t, "the other takes over", func() bool { return len(r.all()) >= 300 })
	ids := map[string]int{}
	for _, got := range r.all() {
		ids[got.Header.Get("webhook-id")]++
	}
	if len(ids) != 300 || len(r.all()) != 300 {
		t.Errorf("%d messages of %d deliveries, want 300 of 300", len(r.all()), len(ids))
	}
}

// TestBadReceiversAreSurvived: what a stranger's server may do within one
// attempt's time.
func TestBadReceiversAreSurvived(t *testing.T) {
	w := newWorld(t, "", func(d *notify.Config) {
		d.Limits.Attempt = 300 * time.Millisecond
		d.Limits.Schedule = []time.Duration{0, time.Hour}
	})
	for name, script := range map[string]func(net.Conn){
		"a body that drips": func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 500 no\r\nContent-Length: 1000\r\n\r\n")
			for _, err := c.Write([]byte("x")); err == nil; _, err = c.Write([]byte("x")) {
				time.Sleep(50 * time.Millisecond) // a slow receiver
			}
		},
		"a header that drips": func(c net.Conn) {
			for _, err := c.Write([]byte("H")); err == nil; _, err = c.Write([]byte("T")) {
				time.Sleep(50 * time.Millisecond) // a slow receiver
			}
		},
		"chunks without end": func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 500 no\r\nTransfer-Encoding: chunked\r\n\r\n")
			for _, err := fmt.Fprint(c, "5\r\nhello\r\n"); err == nil; {
				_, err = fmt.Fprint(c, "5\r\nhello\r\n")
			}
		},
		"a length of 10 GB": func(c net.Conn) {
			fmt.Fprint(c,
				"HTTP/1.1 500 no\r\nContent-Length: 10000000000\r\n\r\nhello")
		},
		"a header of 1 MB": func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Big: %s\r\n\r\n", strings.Repeat("x", 1<<20))
		},
		"a reset in the body": func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 500 no\r\nContent-Length: 100\r\n\r\nhalf")
			c.(*net.TCPConn).SetLinger(0)
		},
		"no HTTP": func(c net.Conn) { fmt.Fprint(c, "220 mail.example ESMTP\r\n") },
		"nothing": func(net.Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			var bad atomic.Bool
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				for c, err := l.Accept(); err == nil; c, err = l.Accept() {
					go func() {
						defer c.Close()
						buf := make([]byte, 64<<10)
						c.Read(buf)
						if bad.Load() {
							script(c)
						} else {
							fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
						}
					}()
				}
			}()
			h := w.hook("http://" + l.Addr().String())
			bad.Store(true)
			p := w.policy(map[string]any{"mechanisms": to(h)})
			id := strings.ReplaceAll(name, " ", "-")
			w.alert(map[string]any{"id": id})
			until(t, "the attempt ends", func() bool {
				list := w.decision(id).Deliveries
				return len(list) == 1 && list[0].Tries == 1
			})
			d := w.decision(id).Deliveries[0]
			if d.State != "failed" && d.State != "waiting" || len(d.Attempts) != 1 || d.Attempts[0].TookMS > 3000 ||
				d.Reason == "" {
				t.Errorf("%+v", d)
			}
			w.must("DELETE", "/policies/"+p.ID, nil, nil)
		})
	}
}
