package dnswatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
)

// Limits of a watch.
const (
	maxZones   = 10_000
	maxServers = 32   // of a zone
	maxWaiting = 1000 // alerts that Belfry has not stored
	atOnce     = 16   // zones that are asked at the same time
)

// Config of a watch. URL, Token, Zones and DataDir are required.
type Config struct {
	URL, Token string // of Belfry; the token has alerts:send and audit:write
	Account    string // whose zones these are
	Zones      []Zone
	DataDir    string        // for the state and the SDK's spool
	Interval   time.Duration // between two rounds; 30 s
	Timeout    time.Duration // of a question; 2 s
	Hold       time.Duration // for which a condition lasts before its alert; 1 min, negative: none
	Log        *slog.Logger
	Now        func() time.Time
}

// Watch watches zones. Run runs it.
type Watch struct {
	cfg    Config
	client *belfry.Client

	mu    sync.Mutex // guards what follows
	state watchState
	more  chan struct{} // an alert waits
}

// watchState is the content of the state file.
type watchState struct {
	Zones   map[string]*zoneState `json:"zones"`
	Waiting []belfry.Alert        `json:"waiting"` // that Belfry has not stored, in their order
}

// New reads the state and opens the SDK's spool. Close gives it back.
func New(cfg Config) (*Watch, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, err
	}
	w := &Watch{cfg: cfg, more: make(chan struct{}, 1)}
	text, err := os.ReadFile(w.file())
	if err == nil {
		err = json.Unmarshal(text, &w.state)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("the state: %w", err)
	}
	if w.state.Zones == nil {
		w.state.Zones = map[string]*zoneState{}
	}
	w.client, err = belfry.New(belfry.Config{
		URL:       cfg.URL,
		Token:     cfg.Token,
		AccountID: cfg.Account,
		SpoolDir:  filepath.Join(cfg.DataDir, "audit"),
		OnError:   func(err error) { cfg.Log.Warn("audit events wait", "error", err) },
	})
	return w, err
}

func (cfg *Config) check() error {
	if cfg.Interval <= 0 {
		cfg.Interval = 30 * time.Second
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 2 * time.Second
	}
	if cfg.Hold == 0 {
		cfg.Hold = time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if len(cfg.Zones) == 0 || len(cfg.Zones) > maxZones {
		return fmt.Errorf("there are 1 to %d zones, not %d", maxZones, len(cfg.Zones))
	}
	names := map[string]bool{}
	for _, z := range cfg.Zones {
		switch {
		case z.Name == "" || names[z.Name]:
			return fmt.Errorf("every zone has a name of its own, not %q", z.Name)
		case len(z.Primaries) == 0 || len(z.Primaries)+len(z.Secondaries) > maxServers:
			return fmt.Errorf("the zone %s has at least one primary, and at most %d servers", z.Name, maxServers)
		}
		names[z.Name] = true
		for _, server := range z.servers() {
			if _, _, err := net.SplitHostPort(server); err != nil {
				return fmt.Errorf("the servers of the zone %s are host:port, not %q", z.Name, server)
			}
		}
	}
	return nil
}

// Close delivers the audit events that wait, until ctx ends.
func (w *Watch) Close(ctx context.Context) error { return w.client.Close(ctx) }

// Run watches until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	var sending sync.WaitGroup
	sending.Go(func() { w.send(ctx) })
	defer sending.Wait()
	t := time.NewTicker(w.cfg.Interval)
	defer t.Stop()
	for {
		if err := w.Round(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// Round asks all servers once, and stores what follows.
func (w *Watch) Round(ctx context.Context) error {
	answers := w.askAll(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.state.Waiting) >= maxWaiting {
		w.cfg.Log.Warn("too many alerts wait for Belfry: this round is left out", "waiting", len(w.state.Waiting))
		return nil
	}
	for i, z := range w.cfg.Zones {
		s := w.state.Zones[z.Name]
		if s == nil {
			s = &zoneState{}
			w.state.Zones[z.Name] = s
		}
		r := round{zone: z, state: s, now: w.cfg.Now().UTC(), hold: w.cfg.Hold}
		r.observe(answers[i])
		w.state.Waiting = append(w.state.Waiting, r.alerts...)
		if r.change != nil {
			if err := w.client.Audit(ctx, changeEvent(z.Name, *r.change, r.now)); err != nil {
				return err
			}
		}
	}
	if err := w.save(); err != nil {
		return err
	}
	select {
	case w.more <- struct{}{}:
	default:
	}
	return nil
}

// changeEvent records that a zone has a new serial.
func changeEvent(zone string, c change, at time.Time) belfry.Event {
	return belfry.Event{
		ID:         idOf(zone, "update", fmt.Sprint(c.before), fmt.Sprint(c.after)),
		OccurredAt: at,
		Action:     belfry.Action{Type: "update"},
		Actor:      belfry.Actor{Type: belfry.System, ID: "dnswatch", Name: "dnswatch"},
		Interface:  belfry.SystemInterface,
		Resource:   belfry.Resource{Product: "dns", Type: "zone", ID: zone, Name: zone},
		Zone:       zone,
		Before:     map[string]any{"serial": c.before},
		After:      map[string]any{"serial": c.after},
	}
}

// askAll asks the servers of every zone, some zones at the same time.
func (w *Watch) askAll(ctx context.Context) []map[string]answer {
	all := make([]map[string]answer, len(w.cfg.Zones))
	slots := make(chan struct{}, atOnce)
	var zones sync.WaitGroup
	for i, z := range w.cfg.Zones {
		slots <- struct{}{}
		zones.Go(func() {
			defer func() { <-slots }()
			all[i] = w.askZone(ctx, z)
		})
	}
	zones.Wait()
	return all
}

func (w *Watch) askZone(ctx context.Context, z Zone) map[string]answer {
	answers := map[string]answer{}
	var mu sync.Mutex // guards answers
	var servers sync.WaitGroup
	for _, server := range z.servers() {
		servers.Go(func() {
			found, err := ask(ctx, z.Name, server, w.cfg.Timeout)
			mu.Lock()
			answers[server] = answer{found, err}
			mu.Unlock()
		})
	}
	servers.Wait()
	return answers
}

// send sends the alerts that wait, in their order, until ctx ends.
func (w *Watch) send(ctx context.Context) {
	for {
		next, ok := w.next()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-w.more:
			}
			continue
		}
		err := w.client.SendAlert(ctx, next)
		if ctx.Err() != nil {
			return
		}
		var failure *belfry.SendError
		refused := errors.As(err, &failure) &&
			(failure.HTTPStatus == http.StatusBadRequest || failure.HTTPStatus == http.StatusConflict)
		if err != nil && !refused {
			w.cfg.Log.Warn("an alert waits", "error", err)
			pause(ctx, w.cfg.Interval)
			continue
		}
		if refused {
			w.cfg.Log.Error("Belfry refuses an alert", "alert", next.ID, "type", next.Type, "error", err)
		}
		if err := w.sent(); err != nil {
			w.cfg.Log.Error("the state cannot be written", "error", err)
			pause(ctx, w.cfg.Interval)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (w *Watch) next() (belfry.Alert, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.state.Waiting) == 0 {
		return belfry.Alert{}, false
	}
	return w.state.Waiting[0], true
}

// sent removes the alert that was sent. Round only appends, so it is still the first.
func (w *Watch) sent() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Waiting = w.state.Waiting[1:]
	return w.save()
}

func (w *Watch) file() string { return filepath.Join(w.cfg.DataDir, "state.json") }

// save replaces the state file at once: a crash leaves the old one or the new one.
func (w *Watch) save() error {
	text, err := json.Marshal(w.state)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(w.cfg.DataDir, "state-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // does nothing after the rename
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), w.file())
}
