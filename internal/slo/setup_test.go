package slo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/slo"
	"github.com/belfryhq/belfry/test/clock"
	"github.com/belfryhq/belfry/test/engines"
)

const (
	acme         = "0192f7c417d170008000000000000001"
	otherAccount = "0192f7c417d170008000000000000002"
	shop         = "0192f7c417d1700080000000000000aa"
	blog         = "0192f7c417d1700080000000000000bb"
	epoch        = 1_764_028_800 // a midnight in UTC
)

// world is a Feature with its database, and what it recorded and would send.
type world struct {
	*clock.Clock

	t  testing.TB
	f  *slo.Feature
	db *db.DB

	mu       sync.Mutex // guards what follows
	recorded []event.Audit
	offset   int64
}

// everywhere runs a test on both engines.
func everywhere(t *testing.T, test func(t *testing.T, w *world)) {
	both(t, func(t *testing.T, database func() string) { test(t, newWorld(t, database())) })
}

// both runs a test on both engines; database makes an empty one.
func both(t *testing.T, test func(t *testing.T, database func() string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, func() string { return "" }) })
	t.Run("postgres", func(t *testing.T) { test(t, func() string { return engines.Postgres(t) }) })
}

func newWorld(t testing.TB, url string) *world {
	t.Helper()
	d, err := db.Open(t.Context(), db.Config{
		Feature: "slo",
		DataDir: t.TempDir(),
		URL:     url,
		Schemas: []db.Schema{bus.Schema(), slo.Schema()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	err = d.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO bus_offset (grp, topic, partition, next, epoch, updated_at)
			VALUES ($1, $2, 0, 0, 0, 0)`, slo.Group, event.TopicTrafficSharded)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: d, Clock: clock.At(time.Unix(epoch, 0))}
	w.f = w.another(nil)
	return w
}

// another is the Feature of a further process on the same database.
func (w *world) another(r prometheus.Registerer, change ...func(*slo.Config)) *slo.Feature {
	w.t.Helper()
	cfg := slo.Config{
		Env: feature.Env{
			DB:         w.db,
			Record:     feature.NewRecorder(w.record),
			Now:        w.Now,
			Registerer: r,
		},
		Zone: w.zone,
	}
	for _, c := range change {
		c(&cfg)
	}
	f, err := slo.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// setClock sets the clock to Unix seconds.
func (w *world) setClock(at int64) { w.Set(time.Unix(at, 0)) }

func (w *world) record(ctx context.Context, tx *db.Tx, events ...event.Audit) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recorded = append(w.recorded, events...)
	return nil
}

func (w *world) zone(_ context.Context, account, ref string) (string, string, error) {
	names := map[string]string{shop: shop, "shop": shop, "shop.example": shop, blog: blog, "blog": blog}
	if account != acme {
		return "", "", nil
	}
	titles := map[string]string{shop: "shop.example", blog: "blog.example"}
	id := names[ref]
	return id, titles[id], nil
}

func (w *world) create(spec slo.ObjectiveSpec) *slo.Objective {
	w.t.Helper()
	o, err := w.f.Create(w.t.Context(), acme, spec)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func checkoutSpec() slo.ObjectiveSpec {
	return slo.ObjectiveSpec{Name: "checkout", Match: slo.Match{Zone: "shop"}, Target: 99.95}
}

// count is one record of a zone.
func count(zone, id string, counts ...event.Count) event.Traffic {
	return event.Traffic{Account: acme, Zone: zone, ID: id, Counts: counts}
}

// steady are records of ten seconds each, a record a tick.
func steady(zone string, from, until int64, total, bad int64) []event.Traffic {
	var list []event.Traffic
	for at := from; at < until; at += 10 {
		list = append(list, count(zone, fmt.Sprintf("%s-%d", zone[len(zone)-2:], at),
			event.Count{At: at, Seconds: 10, Total: total, Bad: bad}))
	}
	return list
}

// batch makes a batch as a consumer would get it, for the claim of epoch 0 at
// offset 0 that newWorld makes; moving it leaves it where it is.
func (w *world) batch(list ...event.Traffic) *bus.Batch {
	w.t.Helper()
	var records []bus.Record
	for _, one := range list {
		value, err := json.Marshal(one)
		if err != nil {
			w.t.Fatal(err)
		}
		at := int64(0)
		for _, c := range one.Counts {
			at = max(at, c.At+max(c.Seconds, 10))
		}
		records = append(records, bus.Record{Key: []byte(one.Zone), Value: value, Offset: w.offset, Time: time.Unix(at, 0)})
		w.offset++
	}
	return &bus.Batch{Group: slo.Group, Topic: event.TopicTrafficSharded, Records: records}
}

func (w *world) handle(list ...event.Traffic) {
	w.t.Helper()
	if err := w.f.Handle(w.t.Context(), w.batch(list...)); err != nil {
		w.t.Fatal(err)
	}
}

// alerts are those in the outbox, in their order.
func (w *world) alerts() []event.Alert {
	w.t.Helper()
	var list []event.Alert
	err := w.db.View(w.t.Context(), func(tx *db.Tx) error {
		rows, err := tx.Query(w.t.Context(), `SELECT value FROM outbox WHERE topic = $1 ORDER BY id`, event.TopicAlerts)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var value []byte
			var a event.Alert
			if err := rows.Scan(&value); err != nil {
				return err
			}
			if err := json.Unmarshal(value, &a); err != nil {
				return err
			}
			list = append(list, a)
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// dump is everything that a shard's state is, as text.
func (w *world) dump() string {
	w.t.Helper()
	out := ""
	for _, query := range []string{
		`SELECT id, clock FROM shard ORDER BY id`,
		`SELECT shard, id, account_id, zone_id, kind, value, sli, first_at FROM line ORDER BY shard, id`,
		`SELECT shard, level, start, chunk, data FROM slo_column ORDER BY shard, level, start, chunk`,
		`SELECT shard, id, at FROM seen ORDER BY shard, id`,
		`SELECT objective_id, shard, line, clock, data_at, sums FROM reading ORDER BY objective_id`,
		`SELECT objective_id, pair, shard, state, since, began, told FROM standing ORDER BY objective_id, pair`,
		`SELECT id, objective_id, at, detail FROM transition ORDER BY at, id`,
		`SELECT topic, value FROM outbox ORDER BY id`,
		`SELECT shard, account_id, zone_id, origin, at FROM origin_answer ORDER BY shard, account_id, zone_id, origin`,
		`SELECT shard, account_id, zone_id, origin, detail FROM origin_outage ORDER BY shard, account_id, zone_id, origin`,
	} {
		err := w.db.View(w.t.Context(), func(tx *db.Tx) error {
			rows, err := tx.Query(w.t.Context(), query)
			if err != nil {
				return err
			}
			defer rows.Close()
			names, err := rows.Columns()
			if err != nil {
				return err
			}
			for rows.Next() {
				values := make([]any, len(names))
				for i := range values {
					values[i] = new(any)
				}
				if err := rows.Scan(values...); err != nil {
					return err
				}
				for _, v := range values {
					if b, ok := (*v.(*any)).([]byte); ok {
						out += fmt.Sprintf("%q ", b)
					} else {
						out += fmt.Sprintf("%v ", *v.(*any))
					}
				}
				out += "\n"
			}
			return rows.Err()
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return out
}

// running is a broker, and a consumer that runs.
func running(t *testing.T, w *world) *bus.Producer {
	t.Helper()
	b, err := broker.New(broker.Config{DataDir: t.TempDir()})
	if err == nil {
		err = b.Start(t.Context())
	}
	if err == nil {
		err = bus.Ensure(t.Context(), b.Cluster(), bus.Topic{Name: event.TopicTrafficSharded, Partitions: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	cluster := b.Cluster()
	cluster.Key = []byte("a key of the installation")
	consumer, err := w.f.Consumer(cluster)
	if err != nil {
		t.Fatal(err)
	}
	p, err := bus.NewProducer(bus.ProducerConfig{Cluster: cluster})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- consumer.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = p.Close(context.Background())
	})
	return p
}

// alertIDs are the parts of a dump that are made of an objective's random id.
var alertIDs = regexp.MustCompile(`\b[0-9a-f]{32}\b`)

func (w *world) objectiveID() string {
	w.t.Helper()
	list, err := w.f.Objectives(w.t.Context(), acme, "", 1)
	if err != nil || len(list) != 1 {
		w.t.Fatal(len(list), err)
	}
	return list[0].ID
}
