package belfry

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// poster makes the requests. It has no state and may be copied.
type poster struct {
	root    string // the API's address up to /client/v4
	token   string
	gzip    bool
	timeout time.Duration
	client  *http.Client
}

// maxAnswer bounds what is read of an answer: 10,000 results with receipts.
const maxAnswer = 64 << 20

// The paths of events and alerts, below those of an account, if there is one.
const (
	eventsPath = "/audit/events"
	alertsPath = "/alerts"
)

// send posts events or alerts, already encoded, for the account (empty: each names
// its own) and says what to do next. It never panics and never blocks longer than
// the timeout.
func (p poster) send(ctx context.Context, account, path string, events [][]byte) verdict {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	// A body of its own for each attempt: the transport may still read the last
	// one after it returned.
	body, err := p.body(events)
	if err != nil {
		return verdict{what: retry, err: err}
	}
	address := p.root + path
	if account != "" {
		address = p.root + "/accounts/" + url.PathEscape(account) + path
		if path == alertsPath {
			address = p.root + "/accounts/" + url.PathEscape(account) + "/alerting/v3" + path
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return verdict{what: hold, err: err}
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "belfry-go/"+Version)
	if p.gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return verdict{what: retry, err: err}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err == nil && len(text) > maxAnswer {
		err = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	if err != nil {
		// The events may be in the log: asking again makes them duplicates.
		return verdict{what: retry, http: answer.StatusCode, err: err}
	}
	v := decide(answer.StatusCode, answer.Header, text, len(events), time.Now())
	if v.what == settle {
		for i, r := range v.results {
			if id := eventID(events[i]); id == "" { // an alert
				continue
			} else if r.ID != "" && r.ID != id {
				return verdict{
					what: hold,
					http: v.http,
					err:  fmt.Errorf("the answer for event %d names another id than was sent", i),
				}
			} else if r.ID == "" {
				v.results[i].ID = id
			}
		}
	}
	return v
}

// body writes NDJSON: the events as they are, each with a newline.
func (p poster) body(events [][]byte) ([]byte, error) {
	size := 0
	for _, e := range events {
		size += len(e) + 1
	}
	var b bytes.Buffer
	if !p.gzip {
		b.Grow(size)
		for _, e := range events {
			b.Write(e)
			b.WriteByte('\n')
		}
		return b.Bytes(), nil
	}
	b.Grow(size/4 + 64)
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	newline := []byte{'\n'}
	for _, e := range events {
		z.Write(e) // a bytes.Buffer takes everything
		z.Write(newline)
	}
	err = z.Close()
	return b.Bytes(), err
}

// httpClient is the configured client, or one with a transport of its own,
// that does not follow redirects: an event goes to the configured address or
// nowhere.
func httpClient(configured *http.Client) *http.Client {
	var h http.Client
	if configured != nil {
		h = *configured
	} else if standard, ok := http.DefaultTransport.(*http.Transport); ok {
		h.Transport = standard.Clone()
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &h
}
