package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/bench/internal/load"
	"github.com/belfryhq/belfry/bench/internal/process"
)

// call makes one request below /client/v4 and reads the whole answer into into, which may be nil. It is the operators'
// request; where an account publishes by itself, the account's.
func (s *measuredServer) call(
	ctx context.Context, method, path string, body []byte, into *bytes.Buffer,
) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.URL+"/client/v4"+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	token := s.Token
	if rest, ok := strings.CutPrefix(path, "/accounts/"); ok && method == "POST" {
		account, _, _ := strings.Cut(rest, "/")
		token = s.b.state.Tokens[account]
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/x-ndjson")
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		r.Header.Set("Content-Encoding", "gzip")
	}

	answer, err := process.Client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	if into == nil {
		into = &bytes.Buffer{}
	}
	into.Reset()
	_, err = io.Copy(into, answer.Body)
	return answer.StatusCode, into.Bytes(), err
}

// request is one prepared request of a row and the number of events in it.
type request struct {
	path   string
	body   []byte
	events int
}

// publish sends the requests from so many callers at once until all are sent or the row's time is over. It returns the
// number of events that were accepted and each request's time. Anything but complete acceptance is an error.
func (s *measuredServer) publish(ctx context.Context, callers int, requests []request) (int, []time.Duration, error) {
	deadline := time.Now().Add(s.b.limit)
	var accepted atomic.Int64
	times := make([][]time.Duration, callers)
	answers := make([]bytes.Buffer, callers)
	err := load.Flood(ctx, callers, len(requests), func(ctx context.Context, caller, i int) error {
		if time.Now().After(deadline) {
			return nil
		}
		q := requests[i]
		begin := time.Now()
		status, text, err := s.call(ctx, "POST", q.path, q.body, &answers[caller])
		if err != nil {
			return err
		}
		if status != 200 || !bytes.Contains(text, fmt.Appendf(nil, `"accepted":%d,`, q.events)) {
			return fmt.Errorf("status %d: %.600s", status, text)
		}
		times[caller] = append(times[caller], time.Since(begin))
		accepted.Add(int64(q.events))
		return nil
	})
	return int(accepted.Load()), slices.Concat(times...), err
}
