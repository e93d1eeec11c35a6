package audit

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Long work: exports that are filtered, and erasures.

const (
	jobExport = "audit.export"
	jobErase  = "audit.erase"
)

// exportJob is what an export job works on.
type exportJob struct {
	Format string `json:"format"`
	Since  int64  `json:"since,omitempty"`
	Before int64  `json:"before,omitempty"`
	Conds  []Cond `json:"conds,omitempty"`
	Size   int64  `json:"size,omitempty"` // of a provable export; it has no filters
}

// eraseJob is what an erasure works on. It is deleted with the job's row.
type eraseJob struct {
	ActorID  string   `json:"actor_id,omitempty"`
	EventIDs []string `json:"event_ids,omitempty"`
	Fields   []string `json:"fields"`
	At       int64    `json:"at"`
}

// ExportRequest starts an export.
type ExportRequest struct {
	Body struct {
		Format string `json:"format,omitempty" enum:"ndjson,csv" default:"ndjson"`
		Since  string `json:"since,omitempty" minLength:"1" doc:"Date or RFC 3339. Without since, before and filters the export is complete and provable"`
		Before string `json:"before,omitempty" minLength:"1" doc:"Date or RFC 3339"`
		// Filters by the names of the v2 list; several values are alternatives.
		Filters map[string][]string `json:"filters,omitempty" doc:"Name of a filter of the v2 list (with .not to exclude) to its values"`
	}
}

// ErasureRequest starts an erasure.
type ErasureRequest struct {
	Body struct {
		ActorID  string   `json:"actor_id,omitempty" maxLength:"1024" doc:"Erase in all events of this actor"`
		EventIDs []string `json:"event_ids,omitempty" maxItems:"1000" doc:"Or in these events"`
		Fields   []string `json:"fields,omitempty" maxItems:"100" doc:"RFC 6901 pointers of committed fields; left out: everything that names the person"`
		Reason   string   `json:"reason" minLength:"1" maxLength:"1024" doc:"Why; it stands in the record"`
	}
}

// erasureResult is the result of an erasure's job.
type erasureResult struct {
	Events int `json:"events" doc:"Events in which something was erased"`
	// The topic of events holds clear text until its retention has passed.
	CompleteAfter string `json:"complete_after" doc:"When the bus, too, has forgotten what was published before"`
}

// RegisterJobs adds the kinds of work and the routes that start them.
// busRetention is how long the topic of events keeps a record.
func (f *Feature) RegisterJobs(api *web.API, jobs *web.Jobs, busRetention time.Duration) {
	jobs.Register(web.JobKind{Name: jobExport, Permission: "audit:export", Run: f.runExport})
	jobs.Register(web.JobKind{Name: jobErase, Permission: "audit:erase", Run: func(ctx context.Context, j *web.Job) (any, error) {
		return f.runErasure(ctx, j, busRetention)
	}})
	web.Post(api, web.Op{Path: "/accounts/{account_id}/audit/exports", ID: "start-audit-export", Tag: "Audit log", Permission: "audit:export", Idempotent: true, Status: 202,
		Summary: "Start an export", Description: "A job; its result has the file's address. For what takes longer than one request."},
		func(ctx context.Context, in *ExportRequest) (web.JobInfo, error) { return f.startExport(ctx, jobs, in) })
	web.Post(api, web.Op{Path: "/accounts/{account_id}/audit/erasures", ID: "start-audit-erasure", Tag: "Audit log", Permission: "audit:erase", Idempotent: true, Status: 202,
		Summary: "Erase personal fields", Description: "A job. The values are deleted for good; every proof still verifies, and the record says that, why and by whom it was done."},
		func(ctx context.Context, in *ErasureRequest) (web.JobInfo, error) {
			return f.startErasure(ctx, jobs, in)
		})
}

func (f *Feature) startExport(ctx context.Context, jobs *web.Jobs, in *ExportRequest) (web.JobInfo, error) {
	account := web.Account(ctx).ID
	since, before, empty, err := timeRange(in.Body.Since, in.Body.Before)
	if err != nil {
		return web.JobInfo{}, err
	}
	if empty {
		return web.JobInfo{}, errs.At(errs.CodeOutOfRange, "/before", "before must be after since")
	}
	var raw []Cond
	for name, values := range in.Body.Filters {
		field, not := cutNot(name)
		raw = append(raw, Cond{Field: field, Not: not, Values: values})
	}
	conds, err := f.conds(ctx, account, raw)
	if err != nil {
		return web.JobInfo{}, err
	}
	if _, err := compile(conds); err != nil {
		return web.JobInfo{}, err
	}
	job := exportJob{Format: in.Body.Format, Since: since, Before: before, Conds: conds}
	if job.Format == "" {
		job.Format = "ndjson"
	}
	if job.Format == "ndjson" && since == 0 && before == 0 && len(conds) == 0 {
		if job.Size, err = f.reader.Size(ctx, account); err != nil {
			return web.JobInfo{}, err
		}
	}
	if err := f.self(ctx, account, "export", "record", account, "events", map[string]any{"since": in.Body.Since, "before": in.Body.Before, "format": job.Format}); err != nil {
		return web.JobInfo{}, err
	}
	return jobs.Start(ctx, account, jobExport, job)
}

func (f *Feature) runExport(ctx context.Context, j *web.Job) (any, error) {
	var in exportJob
	if err := json.Unmarshal(j.Input, &in); err != nil {
		return nil, err
	}
	mediaType := "application/x-ndjson"
	if in.Format == "csv" {
		mediaType = "text/csv; charset=utf-8"
	}
	w, err := j.File(ctx, "audit-"+j.AccountID+"."+in.Format, mediaType)
	if err != nil {
		return nil, err
	}
	if in.Size > 0 {
		err := f.reader.ExportRange(ctx, w, j.AccountID, 0, uint64(in.Size), uint64(in.Size), func(done uint64) { j.Progress(float64(done) / float64(in.Size)) })
		return map[string]any{"events": in.Size, "complete": true}, err
	}
	total, err := f.reader.Size(ctx, j.AccountID)
	if err != nil {
		return nil, err
	}
	q := Query{Since: in.Since, Before: in.Before, Conds: in.Conds}
	counted := &countingWriter{to: w}
	n := 0
	each := func(*Record) {
		if n++; n%1000 == 0 && total > 0 {
			j.Progress(float64(n) / float64(total))
		}
	}
	if in.Format == "csv" {
		err = f.writeCSV(ctx, counted, j.AccountID, q, each)
	} else {
		err = f.writeNDJSON(ctx, counted, j.AccountID, q, each)
	}
	return map[string]any{"events": n, "bytes": counted.n, "complete": false}, err
}

type countingWriter struct {
	to io.Writer
	n  int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.n += int64(n)
	return n, err
}

func (f *Feature) startErasure(ctx context.Context, jobs *web.Jobs, in *ErasureRequest) (web.JobInfo, error) {
	b := in.Body
	account := web.Account(ctx).ID
	if (b.ActorID == "") == (len(b.EventIDs) == 0) {
		return web.JobInfo{}, errs.At(errs.CodeMissingField, "/actor_id", "give actor_id or event_ids, and not both")
	}
	for i, p := range b.Fields {
		if !Committable(p) {
			return web.JobInfo{}, errs.At(errs.CodeInvalid, "/fields/"+itoa(i), "%q is not a field that can be erased; there are %v and members of before, after and metadata that the catalogue declares personal", p, alwaysCommitted)
		}
	}
	fields := b.Fields
	if len(fields) == 0 {
		fields = erasable
	}
	// The request stands in the record first, without naming the person.
	err := f.self(ctx, account, "erase", "record", account, "personal fields", map[string]any{"reason": b.Reason, "fields": fields})
	if err != nil {
		return web.JobInfo{}, err
	}
	return jobs.Start(ctx, account, jobErase, eraseJob{ActorID: b.ActorID, EventIDs: b.EventIDs, Fields: fields, At: f.now().UnixMicro()})
}

// runErasure may run twice: what is erased is found no more.
func (f *Feature) runErasure(ctx context.Context, j *web.Job, busRetention time.Duration) (any, error) {
	var in eraseJob
	if err := json.Unmarshal(j.Input, &in); err != nil {
		return nil, err
	}
	total := 0
	for _, id := range in.EventIDs {
		rec, err := f.reader.Get(ctx, j.AccountID, id)
		if errs.Is(err, errs.CodeNotFound) && err != nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		n, err := f.ledger.Erase(ctx, j.AccountID, []int64{rec.Seq}, in.Fields)
		if err != nil {
			return nil, err
		}
		total += n
	}
	if in.ActorID != "" {
		n, err := f.erasePerson(ctx, j.AccountID, in.ActorID, in.Fields)
		if err != nil {
			return nil, err
		}
		total += n
	}
	after := time.UnixMicro(in.At).Add(busRetention)
	ctx = web.WithPrincipal(ctx, &web.Principal{Kind: web.KindSystem, ID: ReservedProduct, Name: "Belfry"}, web.AccountRef{ID: j.AccountID})
	err := f.self(ctx, j.AccountID, "erased", "record", j.AccountID, "personal fields", map[string]any{"events": total, "fields": in.Fields, "job": j.ID})
	return erasureResult{Events: total, CompleteAfter: FormatTime(after.UnixMicro())}, err
}

// erasePerson erases fields in everything that a person did and, of those, what
// names the person in what others did on their behalf. It walks through the whole
// record, however long that takes: what is not found is not erased.
func (f *Feature) erasePerson(ctx context.Context, account, person string, fields []string) (erased int, err error) {
	named := slices.DeleteFunc(slices.Clone(fields), func(p string) bool { return !strings.HasPrefix(p, "/actor/on_behalf_of/") })
	for q := (Query{Limit: eraseChunk, Conds: []Cond{{Field: "person_id", Values: []string{person}}}, Patient: true}); ; {
		page, err := f.reader.List(ctx, account, q)
		if err != nil {
			return erased, err
		}
		var own, others []int64
		for _, r := range page.Records {
			if r.Event.Actor.ID == person {
				own = append(own, r.Seq)
			} else {
				others = append(others, r.Seq)
			}
		}
		for _, part := range []struct {
			seqs   []int64
			fields []string
		}{{own, fields}, {others, named}} {
			n, err := f.ledger.Erase(ctx, account, part.seqs, part.fields)
			if erased += n; err != nil {
				return erased, err
			}
		}
		if page.Next == nil {
			return erased, nil
		}
		q.After = page.Next
	}
}
