package audit

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// eraseJob is what an erasure works on. It is deleted when the job ends.
type eraseJob struct {
	ActorID  string   `json:"actor_id,omitempty"`
	EventIDs []string `json:"event_ids,omitempty"`
	Fields   []string `json:"fields,omitempty"` // empty = the default
	At       int64    `json:"at"`
}

// ErasureRequest starts an erasure.
type ErasureRequest struct {
	Body struct {
		ActorID  string   `json:"actor_id,omitempty" maxLength:"1024" doc:"Erase in all events of this actor, and what names it in those of others"`
		EventIDs []string `json:"event_ids,omitempty" maxItems:"1000" doc:"Or in these events"`
		Fields   []string `json:"fields,omitempty" maxItems:"100" doc:"RFC 6901 pointers of committed fields, each with all that is inside it; left out: everything that names the person, and what the catalogue declares personal"`
		Reason   string   `json:"reason" minLength:"1" maxLength:"1024" doc:"Why; it stands in the record"`
	}
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
		if !Committable(p) {
			return jobs.Info{}, errs.At(errs.CodeInvalid, "/fields/"+itoa(i),
				"%q is not a field that can be erased; there are %v, %v and members of before, after and metadata that the catalogue declares personal",
				p, alwaysCommitted, committable)
		}
	}
	// The request stands in the record first, without naming the person.
	err := f.self(ctx, account, "erase", "record", account, "personal fields", map[string]any{"reason": b.Reason, "fields": shownFields(b.Fields)})
	if err != nil {
		return jobs.Info{}, err
	}
	return queue.Start(ctx, account, jobErase, eraseJob{ActorID: b.ActorID, EventIDs: b.EventIDs, Fields: b.Fields, At: f.now().UnixMicro()})
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

// runErasure may run twice: what is erased is found no more.
func (f *Feature) runErasure(ctx context.Context, j *jobs.Job, queue *jobs.Queue, busRetention time.Duration) (any, error) {
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
	s := &selection{fields: in.Fields, personal: f.sources.Personal, found: map[string]bool{}}
	var misses erasureMisses
	var total int
	var err error
	if in.ActorID != "" {
		var met int
		total, met, err = f.erasePerson(ctx, j.AccountID, in.ActorID, s)
		misses.Actor = met == 0
	} else {
		total, misses.EventIDs, err = f.eraseEvents(ctx, j.AccountID, in.EventIDs, s)
	}
	if err != nil {
		return nil, err
	}
	for _, field := range in.Fields {
		if !s.found[field] {
			misses.Fields = append(misses.Fields, field)
		}
	}
	if err := f.eraseCopies(ctx, j.AccountID, queue); err != nil {
		return nil, err
	}
	ctx = web.WithPrincipal(ctx, &web.Principal{Kind: web.KindSystem, ID: ReservedProduct, Name: "Belfry"}, web.AccountRef{ID: j.AccountID})
	err = f.self(ctx, j.AccountID, "erased", "record", j.AccountID, "personal fields", map[string]any{"events": total, "fields": shownFields(in.Fields), "job": j.ID})
	result := erasureResult{Events: total, CompleteAfter: FormatTime(time.UnixMicro(in.At).Add(busRetention).UnixMicro())}
	// An attempt after one that had begun to erase does not find the person by what
	// that one erased. Ids of events and fields of theirs are found all the same.
	if (!j.Resumed || in.ActorID == "") && !misses.empty() {
		result.NotFound = &misses
	}
	return result, err
}

// eraseEvents erases in events by their ids, and gives those that are not there.
func (f *Feature) eraseEvents(ctx context.Context, account string, ids []string, s *selection) (erased int, unknown []string, err error) {
	var seqs []int64
	for _, id := range ids {
		rec, err := f.reader.Get(ctx, account, id)
		switch {
		case err == nil:
			seqs = append(seqs, rec.Seq)
		case errs.Is(err, errs.CodeNotFound):
			unknown = append(unknown, id)
		default:
			return 0, nil, err
		}
	}
	erased, err = f.ledger.erase(ctx, account, seqs, s, wholeEvent)
	return erased, unknown, err
}

// maxCallings is how many names and addresses of one person an erasure looks for.
const maxCallings = 100

// person is who is erased.
type person struct {
	id       string
	callings map[string]bool // addresses by which Belfry's own events call the person
}

// erasePerson erases in everything that a person did, what names the person in
// what others did on their behalf, and in what others did to the person where the
// catalogue says that a resource is one. It walks through the whole record,
// however long that takes: what is not found is not erased. met counts the events
// that name the person.
func (f *Feature) erasePerson(ctx context.Context, account, id string, s *selection) (erased, met int, err error) {
	who := person{id, map[string]bool{}}
	own := Cond{Field: "person_id", Values: []string{id}}
	err = f.walk(ctx, account, own, func(records []*Record) error {
		for _, r := range records {
			if a := r.Event.Actor; a.ID == id && a.Email != "" && len(who.callings) < maxCallings {
				who.callings[a.Email] = true
			}
		}
		return nil
	})
	// The person's own events come last: only they say how the person is called.
	for _, c := range []Cond{{Field: "resource_product", Values: []string{ReservedProduct}}, {Field: "resource_id", Values: []string{id}}, own} {
		if err != nil {
			break
		}
		err = f.walk(ctx, account, c, func(records []*Record) error {
			parts := map[part][]int64{}
			for _, r := range records {
				of, err := f.partOf(ctx, r, who, s, c.Field == own.Field)
				if err != nil {
					return err
				}
				if of != noPart {
					parts[of] = append(parts[of], r.Seq)
					met++
				}
			}
			for _, of := range []part{wholeEvent, onBehalfOf, aboutPerson} {
				n, err := f.ledger.erase(ctx, account, parts[of], s, of)
				if erased += n; err != nil {
					return err
				}
			}
			return nil
		})
	}
	return erased, met, err
}

// walk gives all events that fit a condition, page by page.
func (f *Feature) walk(ctx context.Context, account string, c Cond, each func([]*Record) error) error {
	for q := (Query{Limit: eraseChunk, Conds: []Cond{c}, Patient: true}); ; {
		page, err := f.reader.List(ctx, account, q)
		if err != nil {
			return err
		}
		if err := each(page.Records); err != nil || page.Next == nil {
			return err
		}
		q.After = page.Next
	}
}

// partOf says what of an event concerns a person: one who did it (or for whom it
// was done), or one to whom it was done.
func (f *Feature) partOf(ctx context.Context, r *Record, who person, s *selection, did bool) (part, error) {
	e := &r.Event
	switch {
	case did && e.Actor.ID == who.id:
		return wholeEvent, nil
	case did:
		return onBehalfOf, nil
	case s.personal == nil || e.Actor.ID == who.id:
		return noPart, nil
	}
	personal, err := s.personal(ctx, e.Resource.Product, e.Resource.Type)
	if err != nil {
		return noPart, err
	}
	byID := e.Resource.ID == who.id && slices.Contains(personal.Fixed(), "/resource/id")
	byName := who.callings[e.Resource.Name] && slices.Contains(personal.Fixed(), "/resource/name")
	if byID || byName {
		return aboutPerson, nil
	}
	return noPart, nil
}

// scrubAttempts is how often an erasure waits for readers that hold old pages.
const scrubAttempts = 10

// eraseCopies takes the erased values out of the files of export jobs and of the
// database. The features that keep text of events have been told by the outbox.
func (f *Feature) eraseCopies(ctx context.Context, account string, queue *jobs.Queue) error {
	f.relay.Notify()
	if err := queue.DropFiles(ctx, account, jobExport); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := f.db.Scrub(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		f.log.Warn("erased values are still in the files of the database", "account", account, "attempt", attempt, "error", err)
		if attempt == scrubAttempts {
			return nil // the values are erased; the next checkpoint takes the old pages
		}
	}
}
