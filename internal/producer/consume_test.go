package producer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/producer"
	"github.com/belfryhq/belfry/test/sections"
)

const account = "0192f7c417d170008000000000000001"

// bench is a broker with the topic of rejects, and a consumer that runs.
type bench struct {
	*world
	bus      *bus.Producer
	registry *prometheus.Registry
	sent     int64
}

func consuming(t *testing.T, w *world) *bench {
	t.Helper()
	b, err := broker.New(broker.Config{DataDir: t.TempDir()})
	if err == nil {
		err = b.Start(t.Context())
	}
	if err == nil {
		err = bus.Ensure(t.Context(), b.Cluster(), bus.Topic{Name: event.TopicAuditRejects, Partitions: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	out := &bench{world: w, registry: prometheus.NewRegistry()}
	if w.r, err = producer.New(producer.Config{
		Env: feature.Env{
			DB:         w.db,
			Record:     feature.NewRecorder(w.record),
			Now:        w.Now,
			Registerer: out.registry,
		},
		OperatorAccount: operators,
		Sections:        sections.All(),
	}); err != nil {
		t.Fatal(err)
	}
	cluster := b.Cluster()
	cluster.Key = []byte("a key of the installation")
	consumer, err := w.r.Consumer(cluster)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := bus.NewProducer(bus.ProducerConfig{Cluster: b.Cluster()})
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close(context.Background())
	// Only Belfry may report rejects.
	forged := fmt.Sprintf(`{"at":"2026-11-22T10:00:00Z","account_id":%q,"via":"kafka","event_id":"forged",`+
		`"errors":[{"code":12000,"message":"forged"}]}`, operators)
	if err := foreign.Publish(t.Context(), bus.Message{Topic: event.TopicAuditRejects,
		Value: []byte(forged)}); err != nil {
		t.Fatal(err)
	}
	out.sent++
	if out.bus, err = bus.NewProducer(bus.ProducerConfig{Cluster: cluster}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := consumer.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		out.bus.Close(context.Background())
		stop()
		running.Wait()
	})
	return out
}

// send publishes values and waits until they were all consumed.
func (b *bench) send(values ...string) {
	b.t.Helper()
	ctx, stop := contextUntil(b.t)
	defer stop()
	for len(values) > 0 {
		n := min(len(values), 500)
		var msgs []bus.Message
		for _, v := range values[:n] {
			msgs = append(msgs, bus.Message{Topic: event.TopicAuditRejects, Key: []byte("k"), Value: []byte(v)})
		}
		if err := b.bus.Publish(ctx, msgs...); err != nil {
			b.t.Fatal(err)
		}
		values, b.sent = values[n:], b.sent+int64(n)
	}
	for {
		positions, err := bus.Positions(ctx, b.db)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, p := range positions {
			if p.Group == producer.Group && p.Next >= b.sent {
				return
			}
		}
		select {
		case <-ctx.Done():
			b.t.Fatal("the rejects were never consumed")
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func (b *bench) reject(team, acc, eventID string, faults ...event.Fault) string {
	b.t.Helper()
	if len(faults) == 0 {
		faults = []event.Fault{{Code: int(errs.CodeActionUndeclared), Pointer: "/action/type", Message: "no such action"}}
	}
	v, err := json.Marshal(event.Reject{At: b.Now().Format("2006-01-02T15:04:05.000000Z"), Producer: team, Account: acc,
		Via:     "kafka",
		EventID: eventID, Product: "tls", Errors: faults, Payload: `{"id":1}`})
	if err != nil {
		b.t.Fatal(err)
	}
	return string(v)
}

func (b *bench) list(of producer.Rejects) []producer.Reject {
	b.t.Helper()
	var all []producer.Reject
	from := producer.RejectPlace{}
	for {
		page, next, err := b.r.ListRejects(b.t.Context(), of, producer.RejectFilter{}, from, 1000)
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, page...)
		if next == nil {
			return all
		}
		from = *next
	}
}

// counts waits until the counters contain the texts.
func (b *bench) counts(texts ...string) {
	b.t.Helper()
	ctx, stop := contextUntil(b.t)
	defer stop()
	for {
		all := b.counters()
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(all, text) }) {
			return
		}
		select {
		case <-ctx.Done():
			b.t.Fatalf("metrics:\n%s", all)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func (b *bench) counters() string {
	b.t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		for _, m := range f.Metric {
			if m.Counter != nil {
				names = append(names, fmt.Sprint(*f.Name, m.Label, m.Counter.GetValue()))
			}
		}
	}
	return strings.Join(names, "\n")
}

func TestARejectReachesItsTeamItsAccountOrTheOperators(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		b := consuming(t, w)
		team, other := w.team("tls"), w.team("other")
		b.send(b.reject(team, account, "both"), b.reject(team, "", "no account"), b.reject("", account, "no team"),
			b.reject("0192f7c417d17000800000000000dead", account, "claims a team"), b.reject("", "not-an-id", "nobody"),
			"not JSON", `{"errors":[]}`)
		ids := func(of producer.Rejects) string {
			var s []string
			for _, r := range b.list(of) {
				s = append(s, r.EventID)
			}
			return strings.Join(s, ", ")
		}
		for of, want := range map[producer.Rejects]string{
			{Team: team}:       "no account, both",
			{Team: other}:      "",
			{Account: account}: "claims a team, no team, both",
			{}:                 "nobody, no account",
		} {
			got := ids(of)
			for _, id := range strings.Split(want, ", ") {
				if !strings.Contains(got, id) || len(got) != len(want) {
					t.Errorf("%+v: got %q, want %q", of, got, want)
				}
			}
		}
		// They are counted after the commit that send has seen.
		b.counts("not_in_the_catalogue", "unreadable_total[] 2")
	})
}

func TestTextThatADatabaseRefusesDoesNotStopTheRejects(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		b := consuming(t, w)
		b.send(`{"at":"x","account_id":"`+account+`","product":"a\u0000b",`+
			`"errors":[{"code":1102,"pointer":"/x\u0000","message":"\u0000"}],"payload":"\u0000\ud800"}`,
			b.reject("", account, "next"))
		if list := b.list(producer.Rejects{Account: account}); len(list) != 2 {
			t.Errorf("%+v", list)
		}
		if page, _, err := w.r.ListRejects(t.Context(), producer.Rejects{Account: account},
			producer.RejectFilter{Products: []string{"a\x00b"}}, producer.RejectPlace{}, 10); err != nil || len(page) != 1 {
			t.Errorf("%+v %v", page, err)
		}
		for _, bad := range []string{strings.Repeat("\x00", 32), "", "x"} {
			if _, err := w.r.Team(t.Context(), bad); !errs.Is(err, errs.CodeNotFound) {
				t.Errorf("team %q: %v", bad, err)
			}
			if err := w.r.RevokeToken(w.staff(), w.team("t"+fmt.Sprint(len(bad))), bad); !errs.Is(err, errs.CodeNotFound) {
				t.Errorf("token %q: %v", bad, err)
			}
		}
	})
}

func TestOnlyTheNewestRejectsAreKeptAndAllAreCounted(t *testing.T) {
	w := newWorld(t, "") // 1,000 and more rows; the statements are those of the test above
	b := consuming(t, w)
	var values []string
	for i := range 1100 {
		w.Pass(time.Millisecond)
		values = append(values, b.reject("", account, fmt.Sprintf("e%04d", i)))
	}
	b.send(values...)
	list := b.list(producer.Rejects{Account: account})
	if len(list) != 1000 || list[0].EventID != "e1099" || list[999].EventID != "e0100" {
		t.Fatalf("%d kept, from %s to %s", len(list), list[0].EventID, list[len(list)-1].EventID)
	}
	s, err := w.r.SummariseRejects(t.Context(), producer.Rejects{Account: account})
	if err != nil || s.Rejected != 1100 || len(s.Faults) != 1 || s.Faults[0].Count != 1100 ||
		s.Faults[0].Title != "not in the catalogue" {
		t.Errorf("%+v %v", s, err)
	}
}

func TestASummaryCountsByFaultFieldAndProductOverADay(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		b := consuming(t, w)
		team := w.team("tls")
		related := func(i int) event.Fault {
			return event.Fault{Code: int(errs.CodeMissingField), Pointer: fmt.Sprintf("/related/%d/id", i), Message: "x"}
		}
		b.send(b.reject(team, account, "1", related(0), related(1)), b.reject(team, account, "2", related(7)),
			b.reject(team, account, "3"))
		s, err := w.r.SummariseRejects(t.Context(), producer.Rejects{Team: team})
		if err != nil || s.Rejected != 3 || len(s.Faults) != 2 {
			t.Fatalf("%+v %v", s, err)
		}
		if f := s.Faults[0]; f.Pointer != "/related/*/id" || f.Count != 2 || f.Product != "tls" {
			t.Errorf("%+v", f)
		}
		w.Pass(25 * time.Hour)
		if s, err = w.r.SummariseRejects(t.Context(), producer.Rejects{Team: team}); err != nil || s.Rejected != 0 ||
			len(s.Faults) != 0 {
			t.Errorf("a day later: %+v %v", s, err)
		}
		b.send(b.reject(team, account, "4", event.Fault{Code: 1103, Pointer: "/action", Message: "x"}))
		page, next, err := w.r.ListRejects(t.Context(), producer.Rejects{Team: team},
			producer.RejectFilter{Codes: []int{1103}, Products: []string{"tls"}}, producer.RejectPlace{}, 2)
		if err != nil || next == nil || len(page) != 2 || page[0].EventID != "4" {
			t.Fatalf("%+v %v %v", page, next, err)
		}
		if page, next, err = w.r.ListRejects(
			t.Context(), producer.Rejects{Team: team}, producer.RejectFilter{Codes: []int{1103}},
			*next, 2); err != nil || next != nil || len(page) != 1 {
			t.Errorf("%+v %v %v", page, next, err)
		}
		if page, _, _ = w.r.ListRejects(
			t.Context(), producer.Rejects{Team: team}, producer.RejectFilter{Products: []string{"dns"}},
			producer.RejectPlace{}, 2); len(page) != 0 {
			t.Errorf("%+v", page)
		}
	})
}

func TestManyKindsOfFaultsAreCountedTogether(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		b := consuming(t, w)
		var values []string
		for i := range 700 {
			values = append(values, b.reject("", account, "e",
				event.Fault{Code: int(errs.CodeUnknownField), Pointer: fmt.Sprintf("/x%d", i), Message: "x"}))
		}
		b.send(values...)
		rows := 0
		err := w.db.View(t.Context(), func(tx *db.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT count(*) FROM fault WHERE scope = 'account'`).Scan(&rows)
		})
		if err != nil || rows > 501 {
			t.Errorf("%d rows (%v)", rows, err)
		}
		s, err := w.r.SummariseRejects(t.Context(), producer.Rejects{Account: account})
		if err != nil || s.Rejected != 700 || s.Faults[0].Pointer != "" ||
			s.Faults[0].Count != 200 && s.Faults[0].Count != 201 {
			t.Errorf("rejected %d, first %+v, %v", s.Rejected, s.Faults[0], err)
		}
	})
}
