package incident_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/incident"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/outbound"
	"github.com/belfryhq/belfry/internal/platform/seal"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/test/clock"
	"github.com/belfryhq/belfry/test/engines"
	"github.com/belfryhq/belfry/test/poll"
)

const masterKey = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// world is a Feature with its database, the accounts that have a policy, and what it recorded and sent.
type world struct {
	*clock.Clock

	t  *testing.T
	f  *incident.Feature
	db *db.DB

	mu       sync.Mutex // guards what follows
	recorded []event.Audit
	mails    []incident.Mail
	policies []string // accounts, in their order
	asked    int      // calls for accounts
	failAt   int      // the call that fails; 0 = none
}

// everywhere runs a test on both engines.
func everywhere(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newWorld(t, "")) })
	t.Run("postgres", func(t *testing.T) { test(t, newWorld(t, engines.Postgres(t))) })
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	d, err := db.Open(t.Context(), db.Config{
		Feature: "incident",
		DataDir: t.TempDir(),
		URL:     url,
		Schemas: []db.Schema{bus.Schema(), incident.Schema(), delivery.Schema()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	w := &world{t: t, db: d, Clock: clock.At(time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC))}
	w.f = w.another(nil)
	return w
}

// another is a Feature of a further process on the same database.
func (w *world) another(change func(*incident.Config)) *incident.Feature {
	w.t.Helper()
	box, err := seal.New(masterKey)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := incident.Config{
		Env: feature.Env{
			DB:     w.db,
			Record: feature.NewRecorder(w.record),
			Now:    w.Now,
			URL:    "http://belfry.test",
			Active: true,
		},
		Box:             box,
		OperatorAccount: account.Installation,
		Accounts:        w.accounts,
		SendMail:        w.mail,
		Post:            outbound.New(outbound.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}).Post,
		Poll:            5 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	f, err := incident.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

func (w *world) record(_ context.Context, _ *db.Tx, events ...event.Audit) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recorded = append(w.recorded, events...)
	return nil
}

// actions are the recorded actions on a type of resource.
func (w *world) actions(resourceType string) (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.recorded {
		if e.Resource.Type == resourceType {
			list = append(list, e.Action.Type)
		}
	}
	return list
}

// accounts are the accounts with a policy, as notify lists them.
func (w *world) accounts(_ context.Context, _, after string, limit int) (list []string, next string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if w.asked == w.failAt {
		return nil, "", context.DeadlineExceeded
	}
	from := 0
	for from < len(w.policies) && w.policies[from] <= after {
		from++
	}
	list = slices.Clone(w.policies[from:min(from+limit, len(w.policies))])
	if len(list) == limit {
		next = list[limit-1]
	}
	return list, next, nil
}

func (w *world) mail(_ context.Context, m incident.Mail) delivery.Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mails = append(w.mails, m)
	return delivery.Result{Status: 250}
}

func (w *world) sent() []incident.Mail {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.mails)
}

// run runs the stages of a feature until the test ends or stop is called.
func (w *world) run(f *incident.Feature) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	for _, stage := range f.Describe().Stages {
		running.Go(func() {
			if err := stage.Run(ctx); err != nil {
				w.t.Errorf("%s: %v", stage.Name, err)
			}
		})
	}
	stop = func() {
		cancel()
		running.Wait()
	}
	w.t.Cleanup(stop)
	return stop
}

// alerts are those in the outbox, in their order.
func (w *world) alerts() (list []event.Alert) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx *db.Tx) error {
		return db.Each(w.t.Context(), tx, func(row db.Row) error {
			var value []byte
			var a event.Alert
			if err := row.Scan(&value); err != nil {
				return err
			}
			err := json.Unmarshal(value, &a)
			list = append(list, a)
			return err
		}, `SELECT value FROM outbox WHERE topic = $1 ORDER BY id`, event.TopicAlerts)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *world) component(name string) incident.Component {
	w.t.Helper()
	c, err := w.f.CreateComponent(w.t.Context(), incident.ComponentCreate{Name: name, Group: "Core", Location: "ams"})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) declare(in incident.IncidentCreate) *incident.Incident {
	w.t.Helper()
	if in.Message == "" {
		in.Message = "We are looking for the cause."
	}
	i, err := w.f.DeclareIncident(w.t.Context(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

func (w *world) publish(incidentID string, in incident.UpdateCreate) *incident.Incident {
	w.t.Helper()
	if in.Message == "" {
		in.Message = "More of it."
	}
	i, err := w.f.PublishUpdate(w.t.Context(), incidentID, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

func down(c incident.Component, h incident.Health) []incident.ComponentHealth {
	return []incident.ComponentHealth{{ID: c.ID, Health: h}}
}

// receiver keeps the webhooks that it gets.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex // guards what follows
	status int
	got    []received
}

type received struct {
	Header http.Header
	Body   string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: 200}
	r.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) {
		var body strings.Builder
		b := make([]byte, 64<<10)
		for {
			n, err := q.Body.Read(b)
			body.Write(b[:n])
			if err != nil {
				break
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, received{q.Header, body.String()})
		rw.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) answers(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func at(t time.Time) web.Time { return web.Time{Time: t} }

// zeroKey is the beginning of a list.
var zeroKey web.Keyset

// untilMails waits for a number of mails.
func untilMails(t *testing.T, w *world, n int) {
	t.Helper()
	poll.Until(t, "the mails are sent", func() bool { return len(w.sent()) >= n })
}
