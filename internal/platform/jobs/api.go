package jobs

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

type jobInput struct {
	JobID string `path:"job_id"`
}

type jobsInput struct {
	web.Paging
	Kind string `query:"kind" maxLength:"64" doc:"Only jobs of this kind, such as audit.export"`
}

func jobKey(i Info) web.Keyset { return web.Keyset{At: i.CreatedAt.Micros(), ID: i.ID} }

const (
	tag     = "Jobs"
	jobPath = "/accounts/{account_id}/jobs/{job_id}"
)

// API registers the operations on jobs. A job is visible to credentials that have
// the permission of its kind in its account; for others it does not exist.
func (q *Queue) API(api *web.API) {
	api.Limit("jobs.open", q.cfg.PerAccount)
	api.Limit("jobs.kept_bytes", q.cfg.KeptBytes)

	web.Get(api, web.Op{
		Path:        "/accounts/{account_id}/jobs",
		ID:          "list-jobs",
		Tag:         tag,
		Summary:     "List jobs",
		Description: "The jobs of the account that the credential may read, the newest first. They are kept for a week.",
		Permission:  web.AnyPermission,
	}, func(ctx context.Context, in *jobsInput) (web.Page[Info], error) {
		account := web.Account(ctx).ID
		kinds := q.readable(ctx, account, in.Kind)
		page, err := web.ReadPage(api.Cursors(), "jobs "+account+" "+in.Kind, in.Paging, jobKey,
			func(after web.Keyset, limit int) ([]Info, error) { return q.List(ctx, account, kinds, after, limit) })
		for i := range page.Items {
			if file := page.Items[i].File; file != nil {
				file.URL = api.ExternalURL() + file.URL
			}
		}
		return page, err
	})

	web.Get(api, web.Op{
		Path:       jobPath,
		ID:         "get-job",
		Tag:        tag,
		Summary:    "Get a job",
		Permission: web.AnyPermission,
	}, func(ctx context.Context, in *jobInput) (Info, error) {
		r, err := q.visible(ctx, in.JobID)
		if err != nil {
			return Info{}, err
		}
		info := r.info()
		if info.File != nil {
			info.File.URL = api.ExternalURL() + info.File.URL
			if string(info.Result) == "null" {
				info.Result, _ = json.Marshal(info.File) // strings and numbers
			}
		}
		return info, nil
	})

	web.Delete(api, web.Op{
		Path:        jobPath,
		ID:          "delete-job",
		Errors:      []errs.Code{errs.CodeStateConflict},
		Tag:         tag,
		Summary:     "Cancel a job, or delete one that has ended",
		Description: "A job that has ended is deleted with its file; the answer is its last state.",
		Permission:  web.AnyPermission,
	}, func(ctx context.Context, in *jobInput) (Info, error) {
		r, err := q.visible(ctx, in.JobID)
		if err != nil {
			return Info{}, err
		}
		return q.Delete(ctx, r.Account, r.ID)
	})

	web.Get(api, web.Op{
		Path:       jobPath + "/file",
		ID:         "download-job-file",
		Tag:        tag,
		Summary:    "Download a job's file",
		Permission: web.AnyPermission,
		Stream:     true,
		Content:    "application/octet-stream",
	}, func(ctx context.Context, in *jobInput) (web.Stream, error) {
		r, err := q.visible(ctx, in.JobID)
		if err != nil {
			return web.Stream{}, err
		}
		if !r.downloadable(time.Now()) {
			return web.Stream{}, errs.New(errs.CodeNotFound,
				"the job has no file: it is %s, or the file was deleted after 24 hours", r.State)
		}
		write := func(ctx context.Context, w *web.StreamWriter) error { return q.copyFile(ctx, r, w) }
		return web.Stream{ContentType: r.FileType, Filename: r.FileName, Write: write}, nil
	})
}

// readable lists the kinds of jobs that the principal may read in the account; only, unless it is empty, is one kind.
func (q *Queue) readable(ctx context.Context, account, only string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(q.kinds)) {
		allowed := web.CurrentPrincipal(ctx).Can(account, q.kinds[name].Permission)
		if allowed && (only == "" || only == name) {
			list = append(list, name)
		}
	}
	return list
}

// visible returns a job of the request's account if the principal has the
// permission of its kind.
func (q *Queue) visible(ctx context.Context, jobID string) (jobRow, error) {
	account := web.Account(ctx).ID
	r, err := q.load(ctx, account, jobID)
	if err != nil {
		return jobRow{}, err
	}
	k, ok := q.kinds[r.Kind]
	if !ok || !web.CurrentPrincipal(ctx).Can(account, k.Permission) {
		return jobRow{}, noJob()
	}
	return r, nil
}

func noJob() error { return errs.New(errs.CodeNotFound, "there is no such job") }
