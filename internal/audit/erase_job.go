package audit

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// eraseJob is the input of an erasure's job. It is deleted when the job ends.
type eraseJob struct {
	ActorID  string   `json:"actor_id,omitempty"`
	EventIDs []string `json:"event_ids,omitempty"`
	Fields   []string `json:"fields,omitempty"` // empty = the default
	At       int64    `json:"at"`
}

// ErasureRequest starts an erasure.
type ErasureRequest struct{ Body AuditErasureStart }

// AuditErasureStart says whose data, or which events, an erasure covers.
type AuditErasureStart struct {
	ActorID  string   `json:"actor_id,omitempty" maxLength:"1024" doc:"Erase in all events of this actor, and what names it in those of others"`
	EventIDs []string `json:"event_ids,omitempty" maxItems:"1000" doc:"Or in these events"`
	Fields   []string `json:"fields,omitempty" maxItems:"100" doc:"RFC 6901 pointers of committed fields, each with all that is inside it; left out: everything that names the person, and what the catalogue declares personal"`
	Reason   string   `json:"reason" minLength:"1" maxLength:"1024" doc:"The reason, which is recorded"`
}

// erasureResult is the result of an erasure's job.
type erasureResult struct {
	Events   int            `json:"events" doc:"Events in which something was erased"`
	NotFound *erasureMisses `json:"not_found,omitempty" doc:"What was asked for and is in no event"`
	// The topic of events holds clear text until its retention has passed.
	CompleteAfter string `json:"complete_after" doc:"When the topics of the bus have passed their retention. The embedded broker deletes whole segments of a topic: where little is published, that is later"`
}

// erasureMisses are the parts of a request that no event has.
type erasureMisses struct {
	Actor    bool     `json:"actor,omitempty" doc:"True when no event names the actor"`
	EventIDs []string `json:"event_ids,omitempty"`
	Fields   []string `json:"fields,omitempty" doc:"Fields that none of the events has committed by themselves: they cannot be erased alone; erase what holds them (/after instead of /after/x)"`
}

func (m *erasureMisses) empty() bool { return !m.Actor && len(m.EventIDs) == 0 && len(m.Fields) == 0 }

func (f *Feature) startErasure(ctx context.Context, queue *jobs.Queue, in *ErasureRequest) (jobs.Info, error) {
	b := in.Body
	account := web.Account(ctx).ID
	if (b.ActorID == "") == (len(b.EventIDs) == 0) {
		return jobs.Info{}, errs.At(errs.CodeMissingField, "/actor_id", "give actor_id or event_ids, and not both")
	}
	for i, p := range b.Fields {
		if !record.Committable(p) {
			return jobs.Info{}, errs.At(errs.CodeInvalid, "/fields/"+strconv.Itoa(i),
				"%q is not a field that can be erased; there are %v, %v and members of before, after and metadata that the "+
					"catalogue declares personal",
				p, record.AlwaysCommitted(), record.AlsoCommittable())
		}
	}
	// The request is recorded first, without the name of the person.
	err := f.self(ctx, SelfAction{
		Account:  account,
		Type:     "erase",
		Name:     "personal fields",
		Metadata: map[string]any{"reason": b.Reason, "fields": shownFields(b.Fields)},
	})
	if err != nil {
		return jobs.Info{}, err
	}
	return queue.Start(ctx, account, jobErase, eraseJob{
		ActorID:  b.ActorID,
		EventIDs: b.EventIDs,
		Fields:   b.Fields,
		At:       f.now().UnixMicro(),
	})
}

// shownFields are the fields of an erasure as the record shows them.
func shownFields(fields []string) any {
	if len(fields) == 0 {
		return "All personal fields"
	}
	return fields
}

// outboxWait is how long one attempt of an erasure waits for events of Belfry's
// own that are on their way into the record.
const outboxWait = time.Minute

// runErasure is idempotent: erased events no longer match.
func (f *Feature) runErasure(
	ctx context.Context,
	j *jobs.Job,
	queue *jobs.Queue,
	busRetention time.Duration,
) (any, error) {
	var in eraseJob
	if err := json.Unmarshal(j.Input, &in); err != nil {
		return nil, err
	}
	// Events that are still in an outbox would be recorded afterwards, with their
	// values.
	if f.ownRecorded != nil {
		waiting, cancel := context.WithTimeout(ctx, outboxWait)
		err := f.ownRecorded(waiting, j.AccountID)
		cancel()
		if err != nil {
			return nil, err
		}
	}
	if err := j.Begin(ctx); err != nil {
		return nil, err
	}
	s := &ledger.Selection{Fields: in.Fields, Personal: f.sources.Personal}
	var misses erasureMisses
	var total int
	var err error
	if in.ActorID != "" {
		var met int
		total, met, err = f.ledger.ErasePerson(ctx, f.reader, j.AccountID, in.ActorID, s)
		misses.Actor = met == 0
	} else {
		total, misses.EventIDs, err = f.ledger.EraseEvents(ctx, f.reader, j.AccountID, in.EventIDs, s)
	}
	if err != nil {
		return nil, err
	}
	misses.Fields = s.Missing()
	if err := f.eraseCopies(ctx, j.AccountID, queue); err != nil {
		return nil, err
	}
	ctx = web.WithPrincipal(ctx, &web.Principal{Kind: web.KindSystem, ID: event.Product, Name: "Belfry"},
		web.AccountRef{ID: j.AccountID})
	err = f.self(ctx, SelfAction{
		Account: j.AccountID,
		Type:    "erased",
		Name:    "personal fields",
		Metadata: map[string]any{
			"events": total,
			"fields": shownFields(in.Fields),
			"job":    j.ID,
		},
	})
	result := erasureResult{
		Events:        total,
		CompleteAfter: record.FormatTime(time.UnixMicro(in.At).Add(busRetention).UnixMicro()),
	}
	// An attempt after one that had begun to erase does not find the person by what
	// that one erased. Event ids and their fields are found all the same.
	if (!j.Resumed || in.ActorID == "") && !misses.empty() {
		result.NotFound = &misses
	}
	return result, err
}

// scrubAttempts is how often an erasure waits for readers that hold old pages.
const scrubAttempts = 10

// eraseCopies takes the erased values out of the files of export jobs and of the
// database. The features that keep text of events are notified through the outbox.
func (f *Feature) eraseCopies(ctx context.Context, account string, queue *jobs.Queue) error {
	f.cfg.Wake()
	if err := queue.DropFiles(ctx, account, jobExport); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := f.db.Scrub(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		f.log.Warn("erased values are still in the files of the database", "account", account, "attempt", attempt, "error",
			err)
		if attempt == scrubAttempts {
			return nil // the values are erased; the next checkpoint takes the old pages
		}
	}
}
