package web

import (
	"context"
	"encoding/json"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

type jobInput struct {
	JobID string `path:"job_id"`
}

// API registers the operations on jobs. A job is seen by those who have its
// kind's permission in its account, and does not exist for others.
func (j *Jobs) API(a *API) {
	a.Limit("jobs.open", j.cfg.PerAccount)
	a.Limit("jobs.kept_bytes", j.cfg.KeptBytes)
	op := func(path, summary string) Op {
		return Op{Path: "/accounts/{account_id}/jobs/{job_id}" + path, Tag: "Jobs", Summary: summary, Permission: AnyPermission}
	}
	show := func(r jobRow) (JobInfo, error) {
		i := r.info()
		if i.File != nil {
			i.File.URL = a.cfg.ExternalURL + i.File.URL
			if string(i.Result) == "null" {
				i.Result, _ = json.Marshal(i.File) // strings and numbers
			}
		}
		return i, nil
	}
	Get(a, op("", "Get a job"), func(ctx context.Context, in *jobInput) (JobInfo, error) {
		r, err := j.visible(ctx, in.JobID)
		if err != nil {
			return JobInfo{}, err
		}
		return show(r)
	})
	remove := op("", "Cancel a job, or delete one that has ended")
	remove.Description = "A job that has ended is removed with its file; the answer is the job as it was."
	Delete(a, remove, func(ctx context.Context, in *jobInput) (JobInfo, error) {
		r, err := j.visible(ctx, in.JobID)
		if err != nil {
			return JobInfo{}, err
		}
		return j.Delete(ctx, r.Account, r.ID)
	})
	file := op("/file", "Download a job's file")
	file.Stream, file.Content = true, "application/octet-stream"
	Get(a, file, func(ctx context.Context, in *jobInput) (Stream, error) {
		r, err := j.visible(ctx, in.JobID)
		if err != nil {
			return Stream{}, err
		}
		if !r.downloadable(time.Now()) {
			return Stream{}, errs.New(errs.CodeNotFound, "the job has no file (it is %s), or the file's 24 hours are over", r.State)
		}
		return Stream{ContentType: r.FileType, Filename: r.FileName, Write: func(ctx context.Context, w *StreamWriter) error {
			return j.copyFile(ctx, r, w)
		}}, nil
	})
}

// visible is a job of the request's account whose kind the principal may use.
func (j *Jobs) visible(ctx context.Context, jobID string) (jobRow, error) {
	account := Account(ctx).ID
	r, err := j.load(ctx, account, jobID)
	if err != nil {
		return jobRow{}, err
	}
	k, ok := j.kinds[r.Kind]
	if !ok || !CurrentPrincipal(ctx).Can(account, k.Permission) {
		return jobRow{}, errs.New(errs.CodeNotFound, "there is no such job")
	}
	return r, nil
}
