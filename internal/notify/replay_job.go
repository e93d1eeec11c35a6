package notify

import (
	"context"
	"encoding/json"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const jobReplay = "notifications.replay"

// WebhookReplay chooses which deliveries of a webhook are sent again.
type WebhookReplay struct {
	Since      web.Time `json:"since,omitzero" doc:"Made at or after this time; all when left out"`
	Before     web.Time `json:"before,omitzero" doc:"Made before this time; now when left out"`
	OnlyFailed bool     `json:"only_failed,omitempty" doc:"Only deliveries that failed or were not sent"`
	Rate       int      `json:"rate,omitempty" minimum:"1" maximum:"10000" doc:"Deliveries a second; 100 when left out"`
	DryRun     bool     `json:"dry_run,omitempty" doc:"Only count the deliveries"`
}

// ReplayResult is the result of a replay job.
type ReplayResult struct {
	Matched  int `json:"matched"`
	Replayed int `json:"replayed"`
}

// defaultReplayRate is gentle to a receiver that has just recovered.
const defaultReplayRate = 100

// mostReplayRate is the highest rate of a replay, in deliveries a second.
const mostReplayRate = 10_000

type replayInput struct {
	DestinationID string        `json:"destination_id"`
	Replay        WebhookReplay `json:"replay"`
}

type webhookReplayIn struct {
	WebhookID string `path:"webhook_id" maxLength:"64"`
	Body      WebhookReplay
}

// RegisterJobs adds the replay of a webhook's deliveries.
func (n *Feature) RegisterJobs(api *web.API, queue *jobs.Queue) {
	queue.Register(jobs.Kind{Name: jobReplay, Permission: account.DeliveriesReplay, Run: n.runReplay})
	op := web.Op{
		Path:       apiBase + "/destinations/webhooks/{webhook_id}/replay",
		ID:         "replay-webhook",
		Tag:        tag,
		Summary:    "Send the deliveries of a webhook again",
		Permission: account.DeliveriesReplay,
		Idempotent: true,
		Status:     202,
		Description: "A job; its result has how many deliveries matched and how many were sent again. " +
			"Each gets a new id, because receivers ignore an id that they have seen. Replays themselves are left out.",
	}
	web.Post(api, op, func(ctx context.Context, in *webhookReplayIn) (jobs.Info, error) {
		return n.startReplay(ctx, queue, web.Account(ctx).ID, in.WebhookID, in.Body)
	})
}

// startReplay starts the job that sends the deliveries of a webhook again.
func (n *Feature) startReplay(
	ctx context.Context, queue *jobs.Queue, accountID, webhookID string, r WebhookReplay,
) (jobs.Info, error) {
	d, err := n.Destination(ctx, accountID, webhookID)
	if err != nil {
		return jobs.Info{}, err
	}
	if err := n.completeReplay(&r); err != nil {
		return jobs.Info{}, err
	}
	if !r.DryRun {
		err := n.Change(ctx, func(tx *db.Tx) error {
			by := web.CurrentPrincipal(ctx)
			return n.record(ctx, tx, by,
				event.NewAudit(accountID, "replay", resourceDestination, d.ID, d.Name).Changed(nil, r))
		})
		if err != nil {
			return jobs.Info{}, err
		}
	}
	return queue.Start(ctx, accountID, jobReplay, replayInput{DestinationID: d.ID, Replay: r})
}

// completeReplay checks a replay and sets its defaults.
func (n *Feature) completeReplay(r *WebhookReplay) error {
	if r.Before.IsZero() {
		r.Before = moment(n.Now())
	}
	if r.Rate == 0 {
		r.Rate = defaultReplayRate
	}
	var faults errs.List
	if !r.Since.Before(r.Before.Time) {
		faults = append(faults, errs.At(errs.CodeOutOfRange, "/before", "before must be after since"))
	}
	if r.Rate < 1 || r.Rate > mostReplayRate {
		faults = append(faults, rateFault())
	}
	return faults.Or()
}

func rateFault() *errs.Error {
	return errs.At(errs.CodeOutOfRange, "/rate", "rate is 1 to %d deliveries a second", mostReplayRate)
}

// filter selects the deliveries that a replay repeats.
func (in *replayInput) filter(accountID string) delivery.Filter {
	return delivery.Filter{
		Tenant:      accountID,
		Destination: in.DestinationID,
		OnlyFailed:  in.Replay.OnlyFailed,
		Since:       in.Replay.Since.Time,
		Before:      in.Replay.Before.Time,
	}
}

// runReplay may run twice: the engine keeps the progress under the job's id.
func (n *Feature) runReplay(ctx context.Context, job *jobs.Job) (any, error) {
	var in replayInput
	if err := json.Unmarshal(job.Input, &in); err != nil {
		return nil, err
	}
	filter := in.filter(job.AccountID)
	var out ReplayResult
	var err error
	if out.Matched, err = n.queue.Count(ctx, filter); err != nil || in.Replay.DryRun {
		return out, err
	}
	out.Replayed, err = n.queue.ReplayRange(ctx, delivery.Range{
		Key:      job.ID,
		Filter:   filter,
		Rate:     in.Replay.Rate,
		Progress: func(replayed int) { job.Progress(float64(replayed) / float64(max(1, out.Matched))) },
	})
	return out, err
}
