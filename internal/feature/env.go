package feature

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Env is the environment that the app gives to each feature. Only DB is required.
type Env struct {
	DB *db.DB // the feature's own database, with bus.Schema and the feature's

	// Record writes Belfry's own audit events in the transaction of the change; nil = to the outbox of DB.
	Record Recorder

	// Wake wakes the relay of the outbox after a commit; nil = the relay polls.
	Wake func()

	// Activity reads the newest audit events about an object; nil = pages have no such section.
	Activity Activity

	// TimeZone is the zone of an account for times in mails, reports and schedules; nil = UTC.
	TimeZone func(ctx context.Context, accountID string) *time.Location

	Jobs       *jobs.Queue           // long work; nil = none
	Cursors    *web.Cursors          // seals the cursors of lists
	Log        *slog.Logger          // nil = none
	Registerer prometheus.Registerer // nil = no metrics
	Now        func() time.Time      // nil = time.Now
	URL        string                // http(s)://HOST of the server, for links; without a slash at the end

	// Active reports that this process has the feature's role: it consumes the feature's topics and does its
	// background work. Every process serves the API.
	Active bool
}

// Complete returns the environment with its defaults. It is the first step of each constructor; name is the
// feature's, for the error.
func (e Env) Complete(name string) (Env, error) {
	if e.DB == nil {
		return e, errors.New(name + ": DB is required")
	}
	if e.Wake == nil {
		e.Wake = func() {}
	}
	if e.Log == nil {
		e.Log = slog.New(slog.DiscardHandler)
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	if e.TimeZone == nil {
		e.TimeZone = func(context.Context, string) *time.Location { return time.UTC }
	}
	if e.Record == nil {
		e.Record = recorderAt(e.Now, Enqueue)
	}
	e.URL = strings.TrimSuffix(e.URL, "/")
	return e, nil
}

// Change runs fn in a writing transaction and wakes the relay after the commit.
func (e *Env) Change(ctx context.Context, fn func(*db.Tx) error) error {
	if err := e.DB.Tx(ctx, fn); err != nil {
		return err
	}
	e.Wake()
	return nil
}
