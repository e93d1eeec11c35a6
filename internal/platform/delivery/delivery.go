// Package delivery sends what a feature has stored to destinations outside of
// Belfry: durable, retried for days, in order where order matters, and fair
// between tenants and destinations.
//
//	feature's transaction: Insert(tx, items) -> COMMIT -> Offer(items)
//	-> queue (one owner per shard) -> Compose -> Send -> Judge
//	-> outcome (group commit, with the feature's Record) -> next of the lane
//
// A delivery:
//
//	waiting --2xx--> delivered        waiting --permanent, or given up--> failed
//	waiting --overtaken in its lane--> superseded
//	waiting --nothing left to send, or nowhere to send it--> not_sent
//	waiting --no transport configured--> kept
//
// A lane is one destination and one lane key: one delivery at a time, in the
// order of ids. A tenant and a destination have a limited number of attempts in
// flight, so that a receiver that hangs uses up its own share and no other.
// Sending is at least once, under the same id over all attempts: a process that
// dies repeats at most the attempts that were in flight.
//
// A destination that asks to wait (Retry-After) is paused; the pause is stored, so
// that a restart does not end it.
//
// The engine owns its tables in the feature's database (see [Schema]) and does not
// know the messages: the feature passes functions (see [Config]).
package delivery

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/run"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the engine's tables. It follows the feature's own schema in the list
// of db.Config.
func Schema() db.Schema {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return db.Schema{Source: "delivery", Files: files}
}

// The states of a delivery.
const (
	StateWaiting    = "waiting"
	StateDelivered  = "delivered"
	StateFailed     = "failed"
	StateSuperseded = "superseded"
	StateNotSent    = "not_sent"
	StateKept       = "kept"
)

// Item is one delivery. The feature fills the first block and calls
// [Queue.Insert]; from [Queue.Offer] on, the queue owns the Item.
type Item struct {
	ID          string // the same over all attempts; ids of one lane sort in its order. "" = Insert makes one
	Tenant      string
	Destination string
	Kind        string    // of channel: a label of metrics
	Lane        string    // key of its order within the destination; "" = a lane of its own
	Subject     string    // what the feature groups deliveries by, such as an incident; "" = nothing
	Payload     string    // reference to the message's data, such as the key of a row
	Labels      string    // the feature's own description; opaque
	HoldUntil   time.Time // not sent before, whatever happens to the destination; zero = now
	ReplayOf    string    // id of the delivery that this one repeats
	State       string    // "" = waiting; any other state is final
	Why         string    // for people

	// Data belongs to the feature and is kept in memory only; it is lost when the
	// process ends. See Config.Load.
	Data any

	FallbackOf string // id of the failed delivery that it replaces
	Attempts   int    // all of them
	Failures   int    // attempts that move the schedule on
	Due        time.Time
	Created    time.Time

	unsure   bool // an attempt may have been in flight when a process died
	read     bool // it came from the database: it may still be offered
	inFlight bool // from the choice of the item to the commit of its outcome
	admitted bool // it has taken a token of its rate
	lane     *lane
}

// held reports whether the item still waits for HoldUntil.
func (it *Item) held() bool { return !it.HoldUntil.IsZero() && !it.Attempted() }

// Attempted reports whether the receiver may have seen the delivery.
func (it *Item) Attempted() bool { return it.Attempts > 0 || it.unsure || it.inFlight }

// InFlight reports whether an attempt is being made or its outcome stored.
func (it *Item) InFlight() bool { return it.inFlight }

// Message is made by Compose and sent by Send; the engine does not look into it.
type Message any

// Closing ends a delivery without a further attempt.
type Closing struct {
	Item       *Item
	State, Why string
}

// Config connects a feature with the engine. Functions that are marked optional
// may be nil.
type Config struct {
	DB   *db.DB
	Name string // of the feature: metrics begin with belfry_NAME_

	// Compose makes the message of an attempt. A verdict instead of a message
	// ends or postpones the delivery without an attempt; after an error it is
	// composed again in a moment.
	Compose func(ctx context.Context, it *Item) (Message, *Verdict, error)
	// Send makes one attempt within ctx's deadline.
	Send func(ctx context.Context, it *Item, m Message) Result
	// Judge may change the verdict on an attempt. Optional: see [Judge].
	Judge func(it *Item, r Result, standard Verdict) Verdict
	// Order says which deliveries of a lane, which has two or more, end without an
	// attempt because of later ones. It must not call the queue. Optional.
	Order func(lane []*Item) []Closing
	// Record stores the feature's data about outcomes, in the transaction that
	// stores them. after runs once that is committed; it may be nil. Optional.
	Record func(ctx context.Context, tx *db.Tx, list []*Outcome) (after func(), err error)
	// Load prepares an item that was read from the database, usually by decoding
	// Labels into Data. Optional.
	Load func(it *Item) error
	// Rate returns the key under which an item is counted and the rate of that key;
	// the zero Rate is unlimited. Optional.
	Rate func(it *Item) (key string, rate Rate)

	Log        *slog.Logger
	Registerer prometheus.Registerer // optional
	Kinds      []string              // of channels, so that their counters begin at 0
	Now        func() time.Time      // nil = time.Now
	Limits     Limits
}

// Limits bound the work; zero values are replaced by the defaults.
type Limits struct {
	Attempt        time.Duration   // of one attempt; 15 s
	Schedule       []time.Duration // waits before each attempt; the first is 0; Standard Webhooks'
	InFlight       int             // attempts in flight; 2,000
	PerTenant      int             // of these, of one tenant; a quarter
	PerDestination int             // of these, to one destination; 32
	Lease          time.Duration   // of a shard, with several processes; 15 s
	Poll           time.Duration   // for deliveries that other processes stored; 500 ms
}

// WithDefaults replaces zero values.
func (l Limits) WithDefaults() Limits {
	setDuration := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	setInt := func(n *int, to int) {
		if *n <= 0 {
			*n = to
		}
	}
	setDuration(&l.Attempt, 15*time.Second)
	setDuration(&l.Lease, 15*time.Second)
	setDuration(&l.Poll, 500*time.Millisecond)
	setInt(&l.InFlight, 2000)
	setInt(&l.PerTenant, max(1, l.InFlight/4))
	setInt(&l.PerDestination, 32)
	if len(l.Schedule) == 0 {
		l.Schedule = StandardSchedule
	}
	return l
}

// New makes a queue; [Queue.Stages] run it.
func New(cfg Config) (*Queue, error) {
	if cfg.DB == nil || cfg.Name == "" || cfg.Compose == nil || cfg.Send == nil {
		return nil, errors.New("delivery: DB, Name, Compose and Send are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Limits = cfg.Limits.WithDefaults()
	q := newQueue(cfg)
	lanes := 1
	if cfg.DB.Engine == db.Postgres {
		lanes = 2
	}
	limits := db.Limits{Batch: 500, Queue: 100_000, Lanes: lanes}
	q.writer = db.NewWriter(limits, func(*write) int { return 1 }, q.flush)
	if cfg.Registerer != nil {
		if err := q.metrics.register(cfg.Registerer, q); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// Stages returns the goroutines of a process: the queue if send is true, and always the
// writer of outcomes, which stops after the queue so that the outcomes of the last
// attempts are stored.
func (q *Queue) Stages(send bool) []run.Stage {
	var list []run.Stage
	if send {
		list = append(list, run.Stage{Name: "deliveries", Run: q.run, Drain: q.cfg.Limits.Attempt + 5*time.Second})
	}
	return append(list, run.Stage{Name: "delivery writer", Run: q.writer.Run})
}

// shared reports whether other processes may work on the same database.
func (q *Queue) shared() bool { return q.cfg.DB.Engine == db.Postgres }
