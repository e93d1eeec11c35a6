package belfry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
	"github.com/belfryhq/belfry/sdk/go/belfrytest"
)

func sample(n int) belfry.Event {
	return belfry.Event{
		Action:   belfry.Action{Type: "update"},
		Actor:    belfry.Actor{Type: belfry.User, ID: fmt.Sprintf("u-%d", n), Email: "ana@example.com"},
		Resource: belfry.Resource{Product: "dns", Type: "record", ID: fmt.Sprintf("r-%d", n)},
		Before:   map[string]any{"ttl": 300, "token": "s3cret-before"},
		After:    map[string]any{"ttl": 60, "token": "s3cret-after"},
	}
}

// start makes a client of srv with short waits.
func start(t testing.TB, srv *belfrytest.Server, dir string, change ...func(*belfry.Config)) *belfry.Client {
	t.Helper()
	cfg := belfry.Config{
		URL: srv.URL(), Token: belfrytest.TestToken, AccountID: belfrytest.AccountID, SpoolDir: dir,
		Linger: -1, RetryMin: time.Millisecond, RetryMax: 20 * time.Millisecond, HoldOff: 2 * time.Millisecond,
	}
	for _, c := range change {
		c(&cfg)
	}
	c, err := belfry.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		c.Close(ctx)
	})
	return c
}

func flush(t testing.TB, c *belfry.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func closed(t testing.TB, c *belfry.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

func audit(t testing.TB, c *belfry.Client, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := c.Audit(context.Background(), sample(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// actors are the numbers of the samples that the server has, in order.
func actors(t testing.TB, srv *belfrytest.Server) (list []string) {
	t.Helper()
	for _, s := range srv.Events() {
		e, err := s.Event()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e.Actor.ID)
	}
	return list
}

func numbers(from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprintf("u-%d", i))
	}
	return list
}

func equal(a, b []string) bool { return strings.Join(a, " ") == strings.Join(b, " ") }

func TestAnAuditedEventReachesTheServerFilledIn(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{})
	c := start(t, srv, t.TempDir())
	before := time.Now().Truncate(time.Microsecond)
	audit(t, c, 0, 3)
	closed(t, c)
	if got := actors(t, srv); !equal(got, numbers(0, 3)) {
		t.Fatalf("the server has %q", got)
	}
	last := ""
	for _, s := range srv.Events() {
		e, _ := s.Event()
		if !regexp.MustCompile(`^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$`).MatchString(e.ID) || e.ID <= last {
			t.Errorf("id %q after %q is no ascending UUIDv7", e.ID, last)
		}
		last = e.ID
		if e.OccurredAt.Before(before) || e.OccurredAt.After(time.Now()) {
			t.Errorf("occurred_at %v", e.OccurredAt)
		}
		if !regexp.MustCompile(`"occurred_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"`).Match(s.JSON) {
			t.Errorf("occurred_at has not six digits: %s", s.JSON)
		}
	}
	if st := c.Stats(); st.Audited != 3 || st.Accepted != 3 || st.Pending != 0 || st.LastError != nil {
		t.Errorf("stats %+v", st)
	}
}

func TestALostAnswerMakesDuplicatesAndNotTwoEvents(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{})
	srv.Fail(belfrytest.Failure{AfterCommit: true})
	srv.Fail(belfrytest.Failure{AfterCommit: true, Status: http.StatusBadGateway, Body: "<html>"})
	c := start(t, srv, t.TempDir(), func(cfg *belfry.Config) { cfg.Linger = time.Hour })
	audit(t, c, 0, 5)
	flush(t, c)
	if got := actors(t, srv); !equal(got, numbers(0, 5)) {
		t.Errorf("the server has %q", got)
	}
	if st := c.Stats(); st.Duplicates != 5 || st.Accepted != 0 || st.Failures != 2 || st.Requests != 3 {
		t.Errorf("stats %+v", st)
	}
}

func Test413HalvesUntilTheRequestsFit(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{MaxEvents: 3})
	c := start(t, srv, t.TempDir(), func(cfg *belfry.Config) { cfg.Linger = time.Hour })
	audit(t, c, 0, 40)
	flush(t, c)
	if got := actors(t, srv); !equal(got, numbers(0, 40)) {
		t.Errorf("the server has %q", got)
	}
	if st := c.Stats(); st.Failures != 0 || st.Accepted != 40 {
		t.Errorf("stats %+v", st)
	}
}

func TestAnEventTooLargeForTheServerIsPutAsideAlone(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{MaxBytes: 2000})
	dir := t.TempDir()
	var rejects collect
	c := start(t, srv, dir, func(cfg *belfry.Config) { cfg.Linger = time.Hour; cfg.OnReject = rejects.add })
	audit(t, c, 0, 3)
	big := sample(99)
	big.Metadata = map[string]any{"pad": strings.Repeat("x", 3000)}
	if err := c.Audit(t.Context(), big); err != nil {
		t.Fatal(err)
	}
	audit(t, c, 3, 6)
	flush(t, c)
	if got := actors(t, srv); !equal(got, numbers(0, 6)) {
		t.Errorf("the server has %q", got)
	}
	if got := rejects.all(); len(got) != 1 || got[0].Status != belfry.StatusRefused || got[0].HTTPStatus != 413 ||
		!strings.Contains(string(got[0].Event), "u-99") {
		t.Errorf("rejected %+v", got)
	}
}

// collect keeps what OnReject is told.
type collect struct {
	mu   sync.Mutex
	list []belfry.Rejected
}

func (c *collect) add(r belfry.Rejected) {
	c.mu.Lock()
	c.list = append(c.list, r)
	c.mu.Unlock()
}

func (c *collect) all() []belfry.Rejected {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]belfry.Rejected(nil), c.list...)
}

func TestRejectedAndConflictingEventsGoToTheirFileAndCallback(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{
		Check: func(e belfry.Event) []belfry.FieldError {
			if e.Actor.ID == "u-1" {
				return []belfry.FieldError{
					{Code: 12002, Message: "not in the <catalogue>", Source: belfry.Source{Pointer: "/action/type"}},
				}
			}
			return nil
		},
	})
	dir := t.TempDir()
	var rejects collect
	c := start(t, srv, dir, func(cfg *belfry.Config) { cfg.OnReject = rejects.add })
	audit(t, c, 0, 3)
	for i := range 2 {
		e := sample(10 + i)
		e.ID = "the-same"
		if err := c.Audit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, c)
	if got := actors(t, srv); !equal(got, []string{"u-0", "u-2", "u-10"}) {
		t.Errorf("the server has %q", got)
	}
	text, err := os.ReadFile(filepath.Join(dir, "rejected.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	told := rejects.all()
	if len(lines) != 2 || len(told) != 2 {
		t.Fatalf("%d lines, %d calls: %s", len(lines), len(told), text)
	}
	for i, want := range []struct {
		status  belfry.Status
		actor   string
		pointer string
	}{{belfry.StatusRejected, "u-1", "/action/type"}, {belfry.StatusConflict, "u-11", "/id"}} {
		var r belfry.Rejected
		if err := json.Unmarshal([]byte(lines[i]), &r); err != nil {
			t.Fatal(err)
		}
		for _, r := range []belfry.Rejected{r, told[i]} {
			var e belfry.Event
			if err := json.Unmarshal(r.Event, &e); err != nil {
				t.Fatal(err)
			}
			if r.Status != want.status || e.Actor.ID != want.actor || r.ID != e.ID || r.AccountID != belfrytest.AccountID ||
				len(r.Errors) != 1 || r.Errors[0].Source.Pointer != want.pointer {
				t.Errorf("%d: %+v", i, r)
			}
		}
	}
	if st := c.Stats(); st.Rejected != 1 || st.Conflicts != 1 || st.RejectedBytes != int64(len(text)) {
		t.Errorf("stats %+v", st)
	}
}

// refuser answers 400 without a result list to requests that hold a text.
type refuser struct {
	next http.RoundTripper
	text string
}

func (r refuser) RoundTrip(q *http.Request) (*http.Response, error) {
	body, err := q.GetBody()
	if err != nil {
		return nil, err
	}
	b := make([]byte, 1<<20)
	n := 0
	for err == nil {
		var k int
		k, err = body.Read(b[n:])
		n += k
	}
	if strings.Contains(string(b[:n]), r.text) {
		q.Body.Close()
		return &http.Response{StatusCode: 400, Header: http.Header{}, Body: http.NoBody, Request: q}, nil
	}
	return r.next.RoundTrip(q)
}

func TestARequestRefusedAsAWholeIsSplitUntilTheEventIsFound(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{})
	var rejects collect
	c := start(t, srv, t.TempDir(), func(cfg *belfry.Config) {
		cfg.Linger = time.Hour
		cfg.NoGzip = true
		cfg.OnReject = rejects.add
		cfg.HTTPClient = &http.Client{Transport: refuser{http.DefaultTransport, `"u-13"`}}
	})
	audit(t, c, 0, 30)
	flush(t, c)
	if got := actors(t, srv); !equal(got, append(numbers(0, 13), numbers(14, 30)...)) {
		t.Errorf("the server has %q", got)
	}
	if got := rejects.all(); len(got) != 1 || got[0].Status != belfry.StatusRefused || got[0].HTTPStatus != 400 {
		t.Errorf("rejected %+v", got)
	}
}

func TestAFullSpoolSaysSoAndLosesNothing(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{})
	srv.Fail(belfrytest.Failure{Times: -1, Status: 503})
	c := start(t, srv, t.TempDir(), func(cfg *belfry.Config) { cfg.MaxSpoolBytes = 5000 })
	taken := 0
	for ; ; taken++ {
		if err := c.Audit(t.Context(), sample(taken)); errors.Is(err, belfry.ErrSpoolFull) {
			break
		} else if err != nil || taken > 100 {
			t.Fatalf("after %d events: %v", taken, err)
		}
	}
	if st := c.Stats(); st.SpoolFull != 1 || st.Pending != int64(taken) || st.PendingBytes > 5000 {
		t.Errorf("stats %+v", st)
	}
	srv.Recover()
	flush(t, c)
	if got := actors(t, srv); !equal(got, numbers(0, taken)) {
		t.Errorf("the server has %q, want %d events", got, taken)
	}
	audit(t, c, taken, taken+1)
}

func TestRejectedEventsCountAgainstTheSpoolUntilTheirFileIsTakenAway(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{
		Check: func(belfry.Event) []belfry.FieldError { return []belfry.FieldError{{Code: 1}} },
	})
	dir := t.TempDir()
	c := start(t, srv, dir, func(cfg *belfry.Config) { cfg.MaxSpoolBytes = 3000 })
	var err error
	for n := 0; err == nil; n++ {
		if n > 100 {
			t.Fatal("rejected events fill the disk without an end")
		}
		err = c.Audit(t.Context(), sample(n))
		flush(t, c)
	}
	if !errors.Is(err, belfry.ErrSpoolFull) {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "rejected.ndjson")); err != nil {
		t.Fatal(err)
	}
	audit(t, c, 0, 1)
}

func TestARestartDeliversWhatWasLeftToTheAccountItWasFor(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{})
	srv.Fail(belfrytest.Failure{Times: -1, Status: 503})
	dir := t.TempDir()
	a := start(t, srv, dir)
	audit(t, a, 0, 10)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := a.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "10 events stay") {
		t.Errorf("Close: %v", err)
	}
	if err := a.Audit(t.Context(), sample(0)); !errors.Is(err, belfry.ErrClosed) {
		t.Errorf("Audit after Close: %v", err)
	}
	srv.Recover()
	b := start(t, srv, dir, func(cfg *belfry.Config) { cfg.AccountID = "ext:other" })
	audit(t, b, 10, 12)
	closed(t, b)
	if got := actors(t, srv); !equal(got, numbers(0, 12)) {
		t.Errorf("the server has %q", got)
	}
	for i, s := range srv.Events() {
		want := belfrytest.AccountID
		if i >= 10 {
			want = "ext:other"
		}
		if s.AccountID != want {
			t.Errorf("event %d is in account %s, want %s", i, s.AccountID, want)
		}
	}
}

func TestAProducerNamesTheAccountOfEachEvent(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{})
	c := start(t, srv, t.TempDir(), func(cfg *belfry.Config) { cfg.AccountID = "" })
	var invalid *belfry.ValidationError
	if err := c.Audit(t.Context(), sample(0)); !errors.As(err, &invalid) ||
		invalid.Errors[0].Source.Pointer != "/account_id" {
		t.Errorf("without account_id: %v", err)
	}
	for i, account := range []string{"ext:a", "ext:b"} {
		e := sample(i)
		e.AccountID = account
		if err := c.Audit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, c)
	if got := srv.Events(); len(got) != 2 || got[0].AccountID != "ext:a" || got[1].AccountID != "ext:b" {
		t.Errorf("the server has %+v", got)
	}
	own := start(t, srv, t.TempDir())
	e := sample(0)
	e.AccountID = "ext:other"
	if err := own.Audit(t.Context(), e); !errors.As(err, &invalid) || invalid.Errors[0].Source.Pointer != "/account_id" {
		t.Errorf("another account than the client's: %v", err)
	}
}

func TestRedactedValuesNeverTouchTheDisk(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{Check: func(e belfry.Event) []belfry.FieldError {
		return []belfry.FieldError{{Code: 1, Message: "no"}}
	}})
	srv.Fail(belfrytest.Failure{Status: 503})
	dir := t.TempDir()
	c := start(t, srv, dir, func(cfg *belfry.Config) { cfg.Redact = []string{"TOKEN"} })
	audit(t, c, 0, 2)
	look := func() (all string) {
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			all += string(text)
		}
		return all
	}
	spooled := look()
	flush(t, c)
	rejected := look()
	for _, disk := range []string{spooled, rejected} {
		if strings.Contains(disk, "s3cret") || !strings.Contains(disk, belfry.Redacted) {
			t.Errorf("on disk: %q", disk)
		}
	}
}

func TestASpoolDirectoryBelongsToOneClient(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{})
	dir := t.TempDir()
	start(t, srv, dir)
	_, err := belfry.New(belfry.Config{URL: srv.URL(), Token: "t", SpoolDir: dir})
	if !errors.Is(err, belfry.ErrSpoolLocked) || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
}

func TestNewNamesEveryFaultOfTheConfiguration(t *testing.T) {
	_, err := belfry.New(belfry.Config{URL: "ftp://x", BatchEvents: 10_001, Redact: []string{"/actor/email"}, Linger: -1})
	for _, field := range []string{"URL", "Token", "SpoolDir", "BatchEvents", "Redact"} {
		if err == nil || !strings.Contains(err.Error(), "Config."+field) {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
}

func TestAuditSyncAnswersEachEventInOrder(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{MaxEvents: 2})
	srv.Fail(belfrytest.Failure{AfterCommit: true})
	c := start(t, srv, t.TempDir())
	events := []belfry.Event{sample(0), sample(1), {}, sample(3), sample(4), sample(5)}
	events[0].ID = "a"
	events[4].ID = "a"
	events[5].ID = "b"
	got, err := c.AuditSync(t.Context(), events...)
	if err != nil {
		t.Fatal(err)
	}
	want := []belfry.Status{"accepted", "accepted", "rejected", "accepted", "conflict", "accepted"}
	for i, r := range got {
		if r.Index != i || r.Status != want[i] || r.ID == "" || (r.Seq != nil) != (r.Status == belfry.StatusAccepted) {
			t.Errorf("result %d: %+v, want %s", i, r, want[i])
		}
	}
	if len(got[2].Errors) < 5 {
		t.Errorf("an empty event has more faults than %v", got[2].Errors)
	}
}

func TestAuditSyncWithoutAnAnswerTellsTheIDsToTryAgainWith(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{})
	srv.Fail(belfrytest.Failure{Times: -1, AfterCommit: true})
	c := start(t, srv, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // when the server has stored the event, which the second attempt shows
		for srv.Requests() < 2 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	e := sample(0)
	e.OccurredAt = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	got, err := c.AuditSync(ctx, e)
	if !errors.Is(err, context.Canceled) || len(got) != 1 || got[0].Status != belfry.StatusUnknown || got[0].ID == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	srv.Recover()
	e.ID = got[0].ID
	got, err = c.AuditSync(t.Context(), e)
	if err != nil || got[0].Status != belfry.StatusDuplicate {
		t.Errorf("%+v, %v", got, err)
	}
	srv.Fail(belfrytest.Failure{Status: 403})
	var refused *belfry.SendError
	if _, err = c.AuditSync(t.Context(), sample(1)); !errors.As(err, &refused) || refused.HTTPStatus != 403 {
		t.Error(err)
	}
}

func TestConcurrentCallersAreAllDelivered(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{})
	c := start(t, srv, t.TempDir(), func(cfg *belfry.Config) { cfg.SegmentBytes = 20_000; cfg.BatchEvents = 37 })
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 40 {
				if err := c.Audit(context.Background(), sample(w*1000+i)); err != nil {
					t.Error(err)
				}
				c.Stats()
			}
		})
	}
	wg.Wait()
	closed(t, c)
	seen := map[string]bool{}
	for _, a := range actors(t, srv) {
		seen[a] = true
	}
	if len(seen) != 640 || len(srv.Events()) != 640 {
		t.Errorf("%d events, %d different, want 640", len(srv.Events()), len(seen))
	}
}

func TestNoGoroutineIsLeftAfterClose(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	srv := belfrytest.NewServer(t, belfrytest.Options{})
	for _, f := range []belfrytest.Failure{{}, {Status: 503}, {Status: 401}, {Hang: hang, Times: 2}} {
		srv.Recover()
		srv.Fail(f)
		c := start(t, srv, t.TempDir(), func(cfg *belfry.Config) {
			cfg.HoldOff = time.Hour
			cfg.RetryMin = time.Hour
			cfg.RetryMax = time.Hour
		})
		audit(t, c, 0, 3)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		c.Close(ctx)
		cancel()
	}
	// Close waits until they signalled their end, which is their last statement:
	// the scheduler may still have to take them away. The transport's own are
	// not counted.
	ours := regexp.MustCompile(`sdk/go\.\(\*|sdk/go/internal/spool\.`)
	for deadline := time.Now().Add(10 * time.Second); ours.MatchString(stacks()); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("still running:\n%s", stacks())
		}
	}
}

func stacks() string {
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}
