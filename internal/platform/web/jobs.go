package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// Jobs runs long work: exports, replays, backfills.
//
//	queued -> running -> done | failed
//	queued, running -> cancelled
//	running -> queued (the process drains, or its lease passed)
//
// A job is a row; a worker holds it by a lease that it renews. When a process
// is killed, its leases pass and another process begins the jobs again, so that
// a job's function must bear being run twice. A worker that lost its lease
// writes nothing: every write names the owner.
type Jobs struct {
	db    *db.DB
	cfg   JobsConfig
	log   *slog.Logger
	kinds map[string]JobKind // fixed before Run
	wake  chan struct{}      // a job was queued here

	mu      sync.Mutex // guards running
	running map[string]context.CancelFunc
}

// JobsConfig are the limits of Jobs. Zero values mean the defaults.
type JobsConfig struct {
	Workers    int           // jobs at once in this process; 0 = 2
	Lease      time.Duration // 0 = 30 s; renewed every third of it
	Poll       time.Duration // how often work of other processes is looked for; 0 = 1 s
	PerAccount int           // most open jobs of an account; 0 = 20
	Attempts   int           // most beginnings of a job; 0 = 5
	Pause      time.Duration // before a job is begun again, times the attempts so far; 0 = 10 s
	MaxFile    int64         // largest file of a job; 0 = 4 GiB
	KeptBytes  int64         // all files of an account that are kept; 0 = 4 GiB
}

// JobKind is one kind of work.
type JobKind struct {
	Name       string // "audit.export"
	Permission string // that reading and cancelling its jobs needs in the account
	// Private takes the input out of the database's files when a job has ended: it
	// names a person.
	Private bool
	// Run does the work and gives the result (small; it becomes JSON). Its
	// context ends when the job is cancelled, the lease is lost or the process
	// drains.
	Run func(ctx context.Context, job *Job) (result any, err error)
}

// The states of a job.
const (
	JobQueued    = "queued"
	JobRunning   = "running"
	JobDone      = "done"
	JobFailed    = "failed"
	JobCancelled = "cancelled"
)

const (
	jobsKept  = 7 * 24 * time.Hour // rows, after their end
	filesKept = 24 * time.Hour     // files, after their end
)

// NewJobs uses a database that has [Schema].
func NewJobs(d *db.DB, cfg JobsConfig, log *slog.Logger) *Jobs {
	def := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	def(&cfg.Workers, 2)
	def(&cfg.PerAccount, 20)
	def(&cfg.Attempts, 5)
	if cfg.Lease == 0 {
		cfg.Lease = 30 * time.Second
	}
	if cfg.Pause == 0 {
		cfg.Pause = 10 * time.Second
	}
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	if cfg.MaxFile == 0 {
		cfg.MaxFile = 4 << 30
	}
	if cfg.KeptBytes == 0 {
		cfg.KeptBytes = 4 << 30
	}
	return &Jobs{db: d, cfg: cfg, log: log, kinds: map[string]JobKind{}, wake: make(chan struct{}, 1), running: map[string]context.CancelFunc{}}
}

// Register adds a kind, before Run. A second one of the same name panics.
func (j *Jobs) Register(k JobKind) {
	if _, ok := j.kinds[k.Name]; ok || k.Name == "" || k.Permission == "" || k.Run == nil {
		panic("web: job kind " + k.Name + ": registered twice, or without Permission or Run")
	}
	j.kinds[k.Name] = k
}

// Start queues a job; input becomes JSON. The answer of the request that
// starts it is the JobInfo with status 202.
func (j *Jobs) Start(ctx context.Context, accountID, kind string, input any) (JobInfo, error) {
	return j.start(ctx, accountID, kind, "", input)
}

// StartLatest is Start for a job whose newest result makes earlier ones of no
// use. request says what was asked for. While a job of the same principal and
// request is open, that one is the answer; those that have ended are removed,
// with their files.
func (j *Jobs) StartLatest(ctx context.Context, accountID, kind string, request, input any) (JobInfo, error) {
	data, err := json.Marshal(request)
	if err != nil {
		return JobInfo{}, fmt.Errorf("web: request of job %s: %w", kind, err)
	}
	sum := sha256.Sum256(data)
	return j.start(ctx, accountID, kind, hex.EncodeToString(sum[:]), input)
}

func (j *Jobs) start(ctx context.Context, accountID, kind, request string, input any) (JobInfo, error) {
	k, ok := j.kinds[kind]
	if !ok {
		return JobInfo{}, fmt.Errorf("web: no job kind %q", kind)
	}
	data, err := json.Marshal(input)
	if err != nil {
		return JobInfo{}, fmt.Errorf("web: input of job %s: %w", kind, err)
	}
	by := ""
	if p := CurrentPrincipal(ctx); p != nil {
		by = p.key()
	}
	row := jobRow{ID: id.New(), Account: accountID, Kind: k.Name, State: JobQueued, Input: data, Created: time.Now().UnixMicro()}
	open, earlier, err := j.insert(ctx, row, by, request)
	if err != nil {
		return JobInfo{}, err
	}
	if open.ID != "" {
		return open.info(), nil
	}
	j.signal()
	for _, jobID := range earlier {
		if err := j.remove(ctx, accountID, jobID); err != nil {
			return JobInfo{}, err
		}
	}
	return row.info(), nil
}

func (j *Jobs) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends; jobs under way then go back to the queue.
func (j *Jobs) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range j.cfg.Workers {
		workers.Go(func() {
			for ctx.Err() == nil {
				row, ok, err := j.claim(ctx)
				if err != nil && ctx.Err() == nil {
					j.log.Warn("jobs cannot be looked for", "error", err)
				}
				if ok {
					j.signal() // there may be more, for another worker
					j.work(ctx, row)
					continue
				}
				j.wait(ctx)
			}
		})
	}
	sweep := time.NewTicker(10 * time.Minute)
	defer sweep.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-sweep.C:
			if err := errors.Join(j.Sweep(ctx), j.forgetInputs(ctx)); err != nil && ctx.Err() == nil {
				j.log.Warn("job sweep failed", "error", err)
			}
		}
	}
	workers.Wait()
	return nil
}

// wait ends when there may be work.
func (j *Jobs) wait(ctx context.Context) {
	poll := time.NewTimer(j.cfg.Poll)
	defer poll.Stop()
	select {
	case <-ctx.Done():
	case <-j.wake:
	case <-poll.C:
	}
}

// The reasons for which a job's context ends.
var (
	errLost      = errors.New("the job's lease was lost")
	errCancelled = errors.New("the job was cancelled")
)

// work runs one claimed job to one of its ends.
func (j *Jobs) work(ctx context.Context, row jobRow) {
	jobCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	job := &Job{ID: row.ID, AccountID: row.Account, Kind: row.Kind, Input: row.Input, Attempt: int(row.Attempts), Resumed: row.Progress > 0, jobs: j, owner: row.Owner}
	job.progress.Store(row.Progress)
	j.mu.Lock()
	j.running[row.ID] = func() { cancel(errCancelled) }
	j.mu.Unlock()
	var renewing sync.WaitGroup
	stop := make(chan struct{})
	renewing.Go(func() { j.renew(jobCtx, stop, job, cancel) })
	result, err := j.guarded(jobCtx, job)
	close(stop)
	renewing.Wait()
	j.mu.Lock()
	delete(j.running, row.ID)
	j.mu.Unlock()
	// Not ctx: a drain writes down what happened. The database has its own deadline.
	late := context.WithoutCancel(ctx)
	cause := context.Cause(jobCtx)
	switch {
	case errors.Is(cause, errLost), errors.Is(cause, errCancelled):
		return // the row belongs to somebody else
	case err != nil && ctx.Err() != nil:
		err = j.requeue(late, job, 0, 1)
	case err != nil && errs.KindOf(err) == errs.Unavailable && job.Attempt < j.cfg.Attempts:
		err = j.requeue(late, job, time.Duration(job.Attempt)*j.cfg.Pause, 0)
	default:
		err = j.end(late, job, result, err)
		if err == nil && j.kinds[row.Kind].Private {
			err = j.forgetInputs(late)
		}
	}
	if err != nil {
		j.log.Warn("a job's end could not be written; its lease will pass", "job", row.ID, "kind", row.Kind, "error", err)
	}
}

// guarded turns a panic into the job's failure.
func (j *Jobs) guarded(ctx context.Context, job *Job) (result any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if result, err = j.kinds[job.Kind].Run(ctx, job); err == nil && job.file != nil {
		err = job.file.Close()
	}
	return result, err
}

// renew keeps the lease and writes the progress, until stop is closed. It ends
// the job's context when the row is not its own any more, or when the lease
// has passed unrenewed (the database is away): another worker may have begun.
func (j *Jobs) renew(ctx context.Context, stop <-chan struct{}, job *Job, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(j.cfg.Lease / 3)
	defer tick.Stop()
	until := time.Now().Add(j.cfg.Lease)
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		next := time.Now().Add(j.cfg.Lease)
		try, done := context.WithTimeout(context.WithoutCancel(ctx), j.cfg.Lease/3)
		own, err := j.extend(try, job, next)
		done()
		switch {
		case err == nil && own:
			until = next
		case err == nil, time.Now().After(until):
			cancel(errLost)
			return
		}
	}
}

// Cancel ends a job that has not ended. It answers the job as it is then;
// CodeStateConflict when it was done or had failed before.
func (j *Jobs) Cancel(ctx context.Context, accountID, jobID string) (JobInfo, error) {
	n, err := j.cancel(ctx, accountID, jobID)
	if err != nil {
		return JobInfo{}, err
	}
	j.mu.Lock()
	if stop := j.running[jobID]; stop != nil && n == 1 {
		stop()
	}
	j.mu.Unlock()
	info, err := j.Get(ctx, accountID, jobID)
	if err == nil && n == 0 && info.State != JobCancelled {
		err = errs.New(errs.CodeStateConflict, "the job has ended: it is %s", info.State)
	}
	return info, err
}

// Delete cancels a job that has not ended, and removes one that has, with its
// file. It answers the job as it was left.
func (j *Jobs) Delete(ctx context.Context, accountID, jobID string) (JobInfo, error) {
	row, err := j.load(ctx, accountID, jobID)
	if err != nil {
		return JobInfo{}, err
	}
	if row.State == JobQueued || row.State == JobRunning {
		info, err := j.Cancel(ctx, accountID, jobID)
		if !errs.Is(err, errs.CodeStateConflict) {
			return info, err
		}
	}
	if err := j.remove(ctx, accountID, jobID); err != nil {
		return JobInfo{}, err
	}
	info := row.info()
	info.File = nil
	return info, nil
}

// Get is a job of the account.
func (j *Jobs) Get(ctx context.Context, accountID, jobID string) (JobInfo, error) {
	row, err := j.load(ctx, accountID, jobID)
	return row.info(), err
}
