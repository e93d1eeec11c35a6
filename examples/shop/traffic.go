package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
)

// interval is the width of a count: ten seconds of the wall clock.
const interval = 10

// traffic writes the access log, and sends Belfry the number of requests and of failures of each interval. Counts that
// Belfry has not confirmed are in files, one for each interval, and are sent in order.
type traffic struct {
	log      *log.Logger
	dir      string // of what waits
	endpoint string
	token    string
	instance string // of this run: part of the keys of its reports
	began    int64  // Unix seconds
	client   *http.Client

	mu      sync.Mutex // guards what follows
	file    *os.File   // the access log
	counts  map[int64]map[string]*tally
	reports int // made by this run
	seconds [seconds]second
}

// tally counts the requests of one zone in one interval.
type tally struct{ total, bad int64 }

// second is one second of the checkout, for the page's live numbers.
type second struct {
	at         int64
	total, bad int64
}

const (
	seconds    = 40     // that are remembered
	liveWindow = 30     // that are shown
	maxWaiting = 30_000 // reports: three and a half days without Belfry
)

// count holds the requests of one interval, with the field names of the API.
type count struct {
	Zone     string `json:"zone"`
	Hostname string `json:"hostname"`
	At       int64  `json:"ts"`
	Seconds  int64  `json:"seconds"`
	Total    int64  `json:"total"`
	Bad      int64  `json:"bad"`
}

func openTraffic(cfg Config, logger *log.Logger) (*traffic, error) {
	base, err := url.Parse(cfg.URL)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("the address of Belfry, %q, is not http(s)://HOST", cfg.URL)
	}
	root := strings.TrimSuffix(strings.TrimRight(cfg.URL, "/"), "/client/v4")
	t := &traffic{
		log:      logger,
		dir:      filepath.Join(cfg.DataDir, "counts"),
		token:    cfg.Token,
		instance: belfry.NewID(),
		began:    time.Now().Unix(),
		counts:   map[int64]map[string]*tally{},
		endpoint: root + "/client/v4/accounts/" + url.PathEscape(cfg.Account) + "/traffic/counts",
		client:   &http.Client{Timeout: 10 * time.Second},
	}
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return nil, err
	}
	t.file, err = os.OpenFile(filepath.Join(cfg.DataDir, "access.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	return t, err
}

func (t *traffic) close() error {
	t.client.CloseIdleConnections()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.file.Close()
}

// watch counts and logs the requests to next.
func (t *traffic) watch(zone string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next(answer, r)
		t.served(zone, r, answer)
	}
}

// statusRecorder keeps the status and the size of an answer, for the log.
type statusRecorder struct {
	http.ResponseWriter
	status, bytes int
}

func (a *statusRecorder) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *statusRecorder) Write(b []byte) (int, error) {
	n, err := a.ResponseWriter.Write(b)
	a.bytes += n
	return n, err
}

// served takes one request into the log and the counts, both at the same
// moment, so that they always add up.
func (t *traffic) served(zone string, r *http.Request, a *statusRecorder) {
	client, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		client = "-"
	}
	bad := int64(0)
	if a.status >= 500 {
		bad = 1
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	// Apache's vhost_combined: the zone tells checkout from storefront. %q escapes
	// quotes and control characters, as Apache does.
	_, err = fmt.Fprintf(t.file, "%s:80 %s - - [%s] %q %d %d %q %q\n", zone, client,
		now.Format("02/Jan/2006:15:04:05 -0700"),
		r.Method+" "+r.URL.EscapedPath()+" "+r.Proto, a.status, a.bytes, dash(r.Referer()), dash(r.UserAgent()))
	if err != nil {
		t.log.Printf("access log: %v", err)
	}
	start := now.Unix() - now.Unix()%interval
	zones := t.counts[start]
	if zones == nil {
		zones = map[string]*tally{}
		t.counts[start] = zones
	}
	if zones[zone] == nil {
		zones[zone] = &tally{}
	}
	zones[zone].total++
	zones[zone].bad += bad
	if zone == CheckoutZone {
		s := &t.seconds[now.Unix()%seconds]
		if s.at != now.Unix() {
			*s = second{at: now.Unix()}
		}
		s.total++
		s.bad += bad
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// live is the checkout over the last 30 whole seconds, or since the start.
type live struct {
	Rate    float64 `json:"rate"`    // requests a second
	Failing float64 `json:"failing"` // share of them that failed, 0 to 1
}

func (t *traffic) live() live {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now().Unix()
	var total, bad int64
	for _, s := range &t.seconds {
		if s.at < now && s.at >= now-liveWindow {
			total, bad = total+s.total, bad+s.bad
		}
	}
	l := live{Rate: float64(total) / float64(min(liveWindow, max(1, now-t.began)))}
	if total > 0 {
		l.Failing = float64(bad) / float64(total)
	}
	return l
}

// report writes the counts of each interval into a file as soon as it has
// ended, and sends what waits, until ctx ends.
func (t *traffic) report(ctx context.Context) {
	wait := time.Duration(0)
	for {
		now := time.Now()
		next := now.Truncate(interval * time.Second).Add(interval*time.Second + 50*time.Millisecond)
		if err := t.put(now.Unix() - now.Unix()%interval); err != nil {
			t.log.Printf("counts: %v", err)
		}
		switch err := t.send(ctx); {
		case err == nil:
			wait = 0
		case ctx.Err() == nil:
			if wait == 0 {
				t.log.Printf("counts wait: %v", err)
			}
			wait = min(max(2*wait, 250*time.Millisecond), 2*time.Second)
			if again := time.Now().Add(wait); again.Before(next) {
				next = again
			}
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// hurry hands over everything at the end, the unfinished interval too.
func (t *traffic) hurry() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := t.put(1 << 62)
	if err = errors.Join(err, t.send(ctx)); err != nil {
		t.log.Printf("counts wait for the next start: %v", err)
	}
}

// put writes the intervals that began before a moment into files. A count leaves
// the memory when it is on the disk.
func (t *traffic) put(before int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for start, zones := range t.counts {
		if start >= before {
			continue
		}
		var list []count
		for zone, n := range zones {
			list = append(list, count{Zone: zone, Hostname: zone, At: start, Seconds: interval, Total: n.total, Bad: n.bad})
		}
		text, err := json.Marshal(list)
		if err != nil {
			return err
		}
		// The name sorts by time and is the report's key: the same interval may have
		// two reports, of two runs or after the clock was set back.
		name := fmt.Sprintf("%012d-%s-%d", start, t.instance, t.reports)
		if err := writeFile(filepath.Join(t.dir, name+".json"), text); err != nil {
			return err
		}
		t.reports++
		delete(t.counts, start)
	}
	return nil
}

// send sends what waits, the oldest first. It ends at the first report that
// Belfry does not take now.
func (t *traffic) send(ctx context.Context) error {
	entries, err := os.ReadDir(t.dir) // sorted
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return filepath.Ext(e.Name()) != ".json" })
	for ; len(entries) > maxWaiting; entries = entries[1:] {
		t.log.Printf("counts: more than %d reports wait; the oldest, %s, is dropped", maxWaiting, entries[0].Name())
		if err := os.Remove(filepath.Join(t.dir, entries[0].Name())); err != nil {
			return err
		}
	}
	for _, e := range entries {
		file := filepath.Join(t.dir, e.Name())
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		why, err := t.post(ctx, strings.TrimSuffix(e.Name(), ".json"), text)
		if err != nil {
			return err
		}
		if why != "" { // for people to read: it would be refused again
			t.log.Printf("Belfry refused the counts %s: %s", e.Name(), why)
			err = os.Rename(file, file+".refused")
		} else {
			err = os.Remove(file)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// post sends one report. refused says why Belfry will never take it; an error
// means that it may succeed later.
func (t *traffic) post(ctx context.Context, key string, body []byte) (refused string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.endpoint, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+t.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	res, err := t.client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var said struct {
		Errors []struct{ Message string }
		Info   struct{ Rejected int } `json:"result_info"`
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return "", fmt.Errorf("Belfry answered %d with something else than JSON", res.StatusCode)
	}
	why := fmt.Sprintf("status %d", res.StatusCode)
	if len(said.Errors) > 0 {
		why += ": " + said.Errors[0].Message
	}
	switch {
	case res.StatusCode == http.StatusOK && said.Info.Rejected == 0:
		return "", nil
	case res.StatusCode == http.StatusOK, res.StatusCode == http.StatusBadRequest, res.StatusCode == http.StatusConflict,
		res.StatusCode == http.StatusRequestEntityTooLarge:
		return why, nil
	}
	return "", errors.New(why) // busy, down, or a token that must be renewed
}
