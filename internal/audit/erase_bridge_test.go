package audit

import (
	"context"
	"log/slog"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/jobs"
)

// JobErase is the name of an erasure's job.
const JobErase = jobErase

// RegisterErasure adds the job of an erasure as the feature does.
func RegisterErasure(
	queue *jobs.Queue,
	d *db.DB,
	r *ledger.Reader,
	l *ledger.Ledger,
	ownRecorded func(context.Context, string) error,
) {
	self := func(context.Context, SelfAction) error { return nil }
	f := &Feature{
		db:          d,
		reader:      r,
		ledger:      l,
		cfg:         Config{Env: feature.Env{Wake: func() {}}},
		self:        self,
		ownRecorded: ownRecorded,
		now:         time.Now,
		log:         slog.New(slog.DiscardHandler),
	}
	queue.Register(jobs.Kind{
		Name:       jobErase,
		Permission: "audit:erase",
		Run: func(ctx context.Context, j *jobs.Job) (any, error) {
			return f.runErasure(ctx, j, queue, time.Hour)
		},
	})
}
