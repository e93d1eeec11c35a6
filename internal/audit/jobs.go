package audit

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Long work: exports that are filtered, and erasures (erase_job.go).

const (
	jobExport = "audit.export"
	jobErase  = "audit.erase"
)

// exportJob is the input of an export's job.
type exportJob struct {
	Format string          `json:"format"`
	Since  int64           `json:"since,omitempty"`
	Before int64           `json:"before,omitempty"`
	Conds  []record.Filter `json:"conds,omitempty"`
	Size   int64           `json:"size,omitempty"`   // of a provable export; it has no filters
	Expect int64           `json:"expect,omitempty"` // events that were counted before, for the progress; 0 = not known
}

// ExportRequest starts an export.
type ExportRequest struct{ Body AuditExportStart }

// AuditExportStart says which events a file of an export has.
type AuditExportStart struct {
	Format string `json:"format,omitempty" enum:"ndjson,csv,ocsf" default:"ndjson" doc:"ocsf: one OCSF event a line, for a SIEM"`
	Since  string `json:"since,omitempty" minLength:"1" doc:"Date or RFC 3339. Without since, before and filters the export is complete and provable"`
	Before string `json:"before,omitempty" minLength:"1" doc:"Date or RFC 3339"`
	// Filters by the names of the v2 list; several values are alternatives.
	Filters map[string][]string `json:"filters,omitempty" doc:"Name of a filter of the v2 list (with .not to exclude) to its values"`
}

// registerJobs adds the kinds of work and the routes that start them.
// busRetention is how long the topics that hold events, or parts of them, keep a
// record.
func (f *Feature) registerJobs(api *web.API, queue *jobs.Queue, busRetention time.Duration) {
	queue.Register(jobs.Kind{Name: jobExport, Permission: account.AuditExport, Run: f.runExport})
	queue.Register(jobs.Kind{
		Name:       jobErase,
		Permission: account.AuditErase,
		Private:    true,
		Run: func(ctx context.Context, j *jobs.Job) (any, error) {
			return f.runErasure(ctx, j, queue, busRetention)
		},
	})
	web.Post(api, web.Op{
		Path:        "/accounts/{account_id}/audit/exports",
		ID:          "start-audit-export",
		Errors:      []errs.Code{errs.CodeLimit},
		Tag:         "Audit log",
		Permission:  account.AuditExport,
		Idempotent:  true,
		Status:      202,
		Summary:     "Start an export",
		Description: "A job; its result has the file's address. For exports that take longer than one request.",
	},
		func(ctx context.Context, in *ExportRequest) (jobs.Info, error) { return f.startExport(ctx, in.Body, 0) })
	web.Post(api, web.Op{
		Path:       "/accounts/{account_id}/audit/erasures",
		ID:         "start-audit-erasure",
		Errors:     []errs.Code{errs.CodeLimit},
		Tag:        "Audit log",
		Permission: account.AuditErase,
		Idempotent: true,
		Status:     202,
		Summary:    "Erase personal fields",
		Description: "A job. The values are deleted for good; every proof still verifies, and the record says that, " +
			"why and by whom it was done. " +
			"Without fields it takes everything that names the person, and what any version of the catalogue declares " +
			"personal. " +
			"The copies that Belfry makes go too: files of export jobs, changes shown with alerts, bodies of " +
			"notifications, payloads of refused events.",
	},
		func(ctx context.Context, in *ErasureRequest) (jobs.Info, error) {
			return f.startErasure(ctx, queue, in)
		})
}

// startExport starts an export of the request's account. expect is the number of its events as far as it is known.
func (f *Feature) startExport(ctx context.Context, in AuditExportStart, expect int64) (jobs.Info, error) {
	accountID := web.Account(ctx).ID
	since, before, empty, err := timeRange(in.Since, in.Before)
	if err != nil {
		return jobs.Info{}, err
	}
	if empty {
		return jobs.Info{}, errs.At(errs.CodeOutOfRange, "/before", "before must be after since")
	}
	var raw []record.Filter
	for _, name := range slices.Sorted(maps.Keys(in.Filters)) {
		field, not := cutNot(name)
		raw = append(raw, record.Filter{Field: field, Not: not, Values: in.Filters[name]})
	}
	filters, err := f.resolveFilters(ctx, accountID, raw)
	if err != nil {
		return jobs.Info{}, err
	}
	if _, err := record.Compile(filters); err != nil {
		return jobs.Info{}, err
	}
	job := exportJob{Format: in.Format, Since: since, Before: before, Conds: filters}
	if job.Format == "" {
		job.Format = "ndjson"
	}
	if job.Format == "ndjson" && since == 0 && before == 0 && len(filters) == 0 {
		if job.Size, err = f.reader.Size(ctx, accountID); err != nil {
			return jobs.Info{}, err
		}
	}
	err = f.self(ctx, SelfAction{
		Account: accountID,
		Type:    "export",
		Name:    "events",
		Metadata: map[string]any{
			"since":  given(in.Since),
			"before": given(in.Before),
			"format": job.Format,
		},
	})
	if err != nil {
		return jobs.Info{}, err
	}
	request := job
	request.Size = 0 // a later export of the whole log replaces an earlier one
	job.Expect = expect
	return f.cfg.Jobs.StartLatest(ctx, accountID, jobExport, request, job)
}

// given is an end of a range as the record shows it; "" when it is open.
func given(s string) string {
	if openEnd(s) {
		return ""
	}
	return s
}

func (f *Feature) runExport(ctx context.Context, j *jobs.Job) (any, error) {
	var in exportJob
	if err := json.Unmarshal(j.Input, &in); err != nil {
		return nil, err
	}
	mediaType := "application/x-ndjson"
	if in.Format == "csv" {
		mediaType = "text/csv; charset=utf-8"
	}
	w, err := j.File(ctx, "audit-"+j.AccountID+extensionOf(in.Format), mediaType)
	if err != nil {
		return nil, err
	}
	if in.Size > 0 {
		whole := ledger.LogRange{To: uint64(in.Size), Size: uint64(in.Size)}
		err := f.reader.ExportRange(ctx, w, j.AccountID, whole, func(done uint64) {
			j.Progress(float64(done) / float64(in.Size))
		})
		return map[string]any{"events": in.Size, "complete": true}, err
	}
	total := in.Expect
	if total == 0 {
		if total, err = f.reader.Size(ctx, j.AccountID); err != nil {
			return nil, err
		}
	}
	q := ledger.Query{Since: in.Since, Before: in.Before, Filters: in.Conds}
	counted := &countingWriter{to: w}
	n := 0
	each := func(*record.Record) {
		if n++; n%1000 == 0 && total > 0 {
			j.Progress(min(float64(n)/float64(total), 1))
		}
	}
	err = f.writeAs(in.Format)(ctx, counted, j.AccountID, q, each)
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
