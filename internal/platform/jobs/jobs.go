// Package jobs runs long work outside of requests: exports, erasures, replays.
//
//	queued -> running -> done | failed
//	queued, running -> cancelled
//	running -> queued (the process drains, or its lease ended)
//
// A job is a row; a worker holds a lease on it and renews it. When a process is
// killed, its leases end and another process starts the jobs again, so a job's
// function must be safe to run twice. A worker whose lease was lost cannot write:
// every transaction checks the lease.
package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the tables of the feature database "web": those of platform/web and of
// the jobs, in one sequence of migrations.
func Schema() db.Schema {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	s := web.Schema()
	s.More = append(s.More, files)
	return s
}

// Queue holds the jobs of one database and the workers of this process. Safe for
// concurrent use.
type Queue struct {
	db    *db.DB
	cfg   Config
	log   *slog.Logger
	kinds map[string]Kind // fixed before Run
	wake  chan struct{}   // a job was queued by this process

	mu      sync.Mutex // guards running
	running map[string]context.CancelFunc
}

// Config has the limits of a Queue. Zero values mean the defaults.
type Config struct {
	Workers    int           // jobs at once in this process; 0 = 2
	Lease      time.Duration // 0 = 30 s; renewed every third of it
	Poll       time.Duration // interval of looking for jobs that other processes queued; 0 = 1 s
	PerAccount int           // open jobs of an account; 0 = 20
	Attempts   int           // starts of one job; 0 = 5
	Pause      time.Duration // before a job starts again, times its attempts so far; 0 = 10 s
	MaxFile    int64         // bytes of one job's file; 0 = 4 GiB
	KeptBytes  int64         // bytes of all files of an account; 0 = 4 GiB
}

// Kind is one kind of work.
type Kind struct {
	Name       string // "audit.export"
	Permission string // required in the account to read and cancel jobs of this kind
	// Private: the input names a person. It is deleted from the database and its
	// files when the job has ended.
	Private bool
	// Run does the work and returns the result (small; it becomes JSON). Its context
	// ends when the job is cancelled, the lease is lost or the process drains.
	Run func(ctx context.Context, job *Job) (result any, err error)
}

// The states of a job.
const (
	Queued    = "queued"
	Running   = "running"
	Done      = "done"
	Failed    = "failed"
	Cancelled = "cancelled"
)

const (
	jobsKept  = 7 * 24 * time.Hour // rows, after their end
	filesKept = 24 * time.Hour     // files, after their end
)

// New makes a Queue over a database that has [Schema].
func New(d *db.DB, cfg Config, log *slog.Logger) *Queue {
	cfg.Workers = cmp.Or(cfg.Workers, 2)
	cfg.Lease = cmp.Or(cfg.Lease, 30*time.Second)
	cfg.Poll = cmp.Or(cfg.Poll, time.Second)
	cfg.PerAccount = cmp.Or(cfg.PerAccount, 20)
	cfg.Attempts = cmp.Or(cfg.Attempts, 5)
	cfg.Pause = cmp.Or(cfg.Pause, 10*time.Second)
	cfg.MaxFile = cmp.Or(cfg.MaxFile, 4<<30)
	cfg.KeptBytes = cmp.Or(cfg.KeptBytes, 4<<30)
	return &Queue{
		db:      d,
		cfg:     cfg,
		log:     log,
		kinds:   map[string]Kind{},
		wake:    make(chan struct{}, 1),
		running: map[string]context.CancelFunc{},
	}
}

// Register adds a kind, before Run. A second one of the same name panics.
func (q *Queue) Register(k Kind) {
	if _, ok := q.kinds[k.Name]; ok || k.Name == "" || k.Permission == "" || k.Run == nil {
		panic("jobs: kind " + k.Name + ": registered twice, or without Permission or Run")
	}
	q.kinds[k.Name] = k
}

// Start queues a job; input becomes JSON. The request that starts it answers the
// Info with status 202.
func (q *Queue) Start(ctx context.Context, accountID, kind string, input any) (Info, error) {
	return q.start(ctx, accountID, kind, "", input)
}

// StartLatest is Start for jobs of which only the newest result is useful. request
// identifies the work. An open job of the same principal and request is returned
// instead of a new one; ended ones are deleted with their files.
func (q *Queue) StartLatest(ctx context.Context, accountID, kind string, request, input any) (Info, error) {
	data, err := json.Marshal(request)
	if err != nil {
		return Info{}, fmt.Errorf("jobs: request of job %s: %w", kind, err)
	}
	sum := sha256.Sum256(data)
	return q.start(ctx, accountID, kind, hex.EncodeToString(sum[:]), input)
}

func (q *Queue) start(ctx context.Context, accountID, kind, request string, input any) (Info, error) {
	k, ok := q.kinds[kind]
	if !ok {
		return Info{}, fmt.Errorf("jobs: no job kind %q", kind)
	}
	data, err := json.Marshal(input)
	if err != nil {
		return Info{}, fmt.Errorf("jobs: input of job %s: %w", kind, err)
	}
	by := ""
	if p := web.CurrentPrincipal(ctx); p != nil {
		by = p.Key()
	}
	row := jobRow{
		ID:      id.New(),
		Account: accountID,
		Kind:    k.Name,
		State:   Queued,
		Input:   data,
		Created: time.Now().UnixMicro(),
	}

	open, earlier, err := q.insert(ctx, row, by, request)
	if err != nil {
		return Info{}, err
	}
	if open.ID != "" {
		return open.info(), nil
	}
	q.signal()
	for _, jobID := range earlier {
		if err := q.remove(ctx, accountID, jobID); err != nil {
			return Info{}, err
		}
	}
	return row.info(), nil
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends; running jobs are queued again then.
func (q *Queue) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range q.cfg.Workers {
		workers.Go(func() {
			for ctx.Err() == nil {
				row, ok, err := q.claim(ctx)
				if err != nil && ctx.Err() == nil {
					q.log.Warn("jobs cannot be read, will be tried again", "error", err)
				}
				if ok {
					q.signal() // there may be more, for another worker
					q.work(ctx, row)
					continue
				}
				q.wait(ctx)
			}
		})
	}
	sweep := time.NewTicker(10 * time.Minute)
	defer sweep.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-sweep.C:
			if err := errors.Join(q.Sweep(ctx), q.deleteInputs(ctx)); err != nil && ctx.Err() == nil {
				q.log.Warn("job sweep failed", "error", err)
			}
		}
	}
	workers.Wait()
	return nil
}

// wait returns when there may be work.
func (q *Queue) wait(ctx context.Context) {
	poll := time.NewTimer(q.cfg.Poll)
	defer poll.Stop()
	select {
	case <-ctx.Done():
	case <-q.wake:
	case <-poll.C:
	}
}

// errCancelled ends a job's context, as db.ErrLeaseLost does.
var errCancelled = errors.New("the job was cancelled")

// work runs a claimed job and stores its outcome.
func (q *Queue) work(ctx context.Context, row jobRow) {
	jobCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	job := &Job{
		ID:        row.ID,
		AccountID: row.Account,
		Kind:      row.Kind,
		Input:     row.Input,
		Attempt:   int(row.Attempts),
		Resumed:   row.Progress > 0,
		queue:     q,
		owner:     row.Owner,
	}
	job.progress.Store(row.Progress)
	q.mu.Lock()
	q.running[row.ID] = func() { cancel(errCancelled) }
	q.mu.Unlock()

	// Not ctx: a job that drains keeps its lease until it has returned.
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	var renewing sync.WaitGroup
	renewing.Go(func() {
		if err := q.keep(keep, job); err != nil {
			cancel(err)
		}
	})
	result, err := q.guarded(jobCtx, job)
	stop()
	renewing.Wait()

	q.mu.Lock()
	delete(q.running, row.ID)
	q.mu.Unlock()

	// Not ctx: the outcome is stored during a drain, too. The database has its own deadline.
	late := context.WithoutCancel(ctx)
	cause := context.Cause(jobCtx)
	switch {
	case errors.Is(cause, db.ErrLeaseLost), errors.Is(cause, errCancelled):
		return // the row is no longer this worker's
	case err != nil && ctx.Err() != nil:
		err = q.requeue(late, job, 0, 1)
	case errs.KindOf(err) == errs.Unavailable && job.Attempt < q.cfg.Attempts:
		err = q.requeue(late, job, time.Duration(job.Attempt)*q.cfg.Pause, 0)
	default:
		err = q.end(late, job, result, err)
		if err == nil && q.kinds[row.Kind].Private {
			err = q.deleteInputs(late)
		}
	}
	if err != nil && !errors.Is(err, db.ErrLeaseLost) {
		q.log.Warn("a job's outcome is not stored; its lease will end and it starts again",
			"job", row.ID, "kind", row.Kind, "error", err)
	}
}

// guarded runs the job's function; a panic fails the job.
func (q *Queue) guarded(ctx context.Context, job *Job) (result any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if result, err = q.kinds[job.Kind].Run(ctx, job); err == nil && job.file != nil {
		err = job.file.Close()
	}
	return result, err
}

// Cancel ends a job, and returns it. CodeStateConflict when it is done or has
// failed already.
func (q *Queue) Cancel(ctx context.Context, accountID, jobID string) (Info, error) {
	n, err := q.cancel(ctx, accountID, jobID)
	if err != nil {
		return Info{}, err
	}
	q.mu.Lock()
	if stop := q.running[jobID]; stop != nil && n == 1 {
		stop()
	}
	q.mu.Unlock()
	info, err := q.Get(ctx, accountID, jobID)
	if err == nil && n == 0 && info.State != Cancelled {
		err = errs.New(errs.CodeStateConflict, "the job has ended: it is %s", info.State)
	}
	return info, err
}

// Delete cancels an open job, and deletes an ended one with its file. It returns
// the job's last state.
func (q *Queue) Delete(ctx context.Context, accountID, jobID string) (Info, error) {
	row, err := q.load(ctx, accountID, jobID)
	if err != nil {
		return Info{}, err
	}
	if row.State == Queued || row.State == Running {
		info, err := q.Cancel(ctx, accountID, jobID)
		if !errs.Is(err, errs.CodeStateConflict) {
			return info, err
		}
	}
	if err := q.remove(ctx, accountID, jobID); err != nil {
		return Info{}, err
	}
	info := row.info()
	info.File = nil
	return info, nil
}

// Get returns a job of the account.
func (q *Queue) Get(ctx context.Context, accountID, jobID string) (Info, error) {
	row, err := q.load(ctx, accountID, jobID)
	return row.info(), err
}
