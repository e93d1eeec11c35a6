package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Check says whether a part can do its work now; the error's text is the
// reason shown to operators (no secrets in it).
type Check func(context.Context) error

// CheckResult is one check as /readyz shows it.
type CheckResult struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// Readiness is the body of /readyz.
type Readiness struct {
	Ready  bool          `json:"ready"`
	Checks []CheckResult `json:"checks,omitempty"`
}

// checkTime is the longest a check may take: an unanswered question is a no.
const checkTime = 2 * time.Second

// Health is the registry of readiness checks. Alive (/healthz) means that the
// process answers; ready (/readyz) that every check holds and it is not
// draining.
type Health struct {
	mu       sync.Mutex // guards the fields below
	checks   map[string]*check
	draining bool
}

// check remembers a run that outlived its time, so that a part which hangs is
// asked once, not once a probe.
type check struct {
	ask     Check
	mu      sync.Mutex
	running chan struct{} // closed when the run ends; nil when none runs
	result  error         // of the last run that ended
}

// NewHealth makes an empty registry: ready.
func NewHealth() *Health { return &Health{checks: map[string]*check{}} }

// Add registers a check under its name; a name is registered once, at the
// start, and a second one panics.
func (h *Health) Add(name string, ask Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.checks[name]; ok {
		panic("health: two checks named " + name)
	}
	h.checks[name] = &check{ask: ask}
}

// Drain makes the process not ready from now on: load balancers stop sending.
func (h *Health) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

// Ready asks all checks at once and gives their answers, sorted by name.
func (h *Health) Ready(ctx context.Context) Readiness {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	h.mu.Lock()
	r := Readiness{Ready: !h.draining, Checks: []CheckResult{}}
	if h.draining {
		r.Checks = append(r.Checks, CheckResult{Name: "draining", Reason: "the server is stopping"})
	}
	list := make(map[string]*check, len(h.checks))
	for name, c := range h.checks {
		list[name] = c
	}
	h.mu.Unlock()
	results := make(chan CheckResult, len(list))
	for name, c := range list {
		go func() {
			res := CheckResult{Name: name, OK: true}
			if err := c.run(ctx); err != nil {
				res.OK, res.Reason = false, err.Error()
			}
			results <- res
		}()
	}
	for range list {
		res := <-results
		r.Ready = r.Ready && res.OK
		r.Checks = append(r.Checks, res)
	}
	slices.SortFunc(r.Checks, func(a, b CheckResult) int { return strings.Compare(a.Name, b.Name) })
	return r
}

// run joins the run under way or starts one, and waits for it until ctx ends.
func (c *check) run(ctx context.Context) error {
	c.mu.Lock()
	done := c.running
	if done == nil {
		done = make(chan struct{})
		c.running = done
		// Not ctx itself: another probe may have joined this run.
		runCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTime)
		go func() {
			defer cancel()
			err := c.ask(runCtx)
			c.mu.Lock()
			c.result, c.running = err, nil
			c.mu.Unlock()
			close(done)
		}()
	}
	c.mu.Unlock()
	select {
	case <-done:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.result
	case <-ctx.Done():
		return errors.New("no answer within " + checkTime.String())
	}
}

// ServeAlive answers /healthz.
func (h *Health) ServeAlive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write([]byte("{\"alive\":true}\n"))
}

// ServeReady answers /readyz: 200, or 503. The checks and their reasons, which
// may name accounts, are in the answer with reasons only.
func (h *Health) ServeReady(w http.ResponseWriter, r *http.Request, reasons bool) {
	ready := h.Ready(r.Context())
	if !reasons {
		ready.Checks = nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ready.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	json.NewEncoder(w).Encode(ready)
}
