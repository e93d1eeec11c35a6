package crash_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// callLimit bounds one request. The server's own limits are shorter.
const callLimit = 45 * time.Second

// A client calls one of several Belfry processes that serve the same installation. It is
// safe for concurrent use.
type client struct {
	token string
	urls  []string
	http  *http.Client
}

func newClient(token string, processes ...*process) *client {
	c := &client{token: token, http: &http.Client{Timeout: callLimit}}
	for _, p := range processes {
		c.urls = append(c.urls, p.url)
	}
	return c
}

// at is the same client for one process only.
func (c *client) at(p *process) *client { return &client{c.token, []string{p.url}, c.http} }

// answer is a whole response; its error says that there was none.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send makes one request to any of the processes.
func (c *client) send(ctx context.Context, method, path, contentType string, body []byte) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.urls[rand.IntN(len(c.urls))]+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode, header: response.Header}
	a.body, err = io.ReadAll(response.Body)
	return a, err
}

// get reads something that has no envelope.
func (c *client) get(ctx context.Context, path string) ([]byte, error) {
	a, err := c.send(ctx, "GET", path, "", nil)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("GET %s: status %d: %.500s", path, a.status, a.body)
	}
	return a.body, err
}

// resultOf reads the result of an envelope that must be a success.
func resultOf[T any](a answer) (T, error) {
	var envelope struct {
		Success bool
		Result  T
	}
	if err := json.Unmarshal(a.body, &envelope); err != nil {
		return envelope.Result, fmt.Errorf("status %d, no envelope: %w: %.300s", a.status, err, a.body)
	}
	if !envelope.Success {
		return envelope.Result, fmt.Errorf("status %d: %.500s", a.status, a.body)
	}
	return envelope.Result, nil
}

// newAccounts creates accounts and gives their ids.
func newAccounts(t *testing.T, c *client, n int) []string {
	t.Helper()
	var list []string
	for i := range n {
		a, err := c.send(t.Context(), "POST", "/client/v4/accounts", "application/json",
			fmt.Appendf(nil, `{"name":"Account %d"}`, i))
		if err != nil {
			t.Fatal(err)
		}
		made, err := resultOf[struct{ ID string }](a)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, made.ID)
	}
	return list
}

// verifierKey is the key that the installation publishes.
func verifierKey(t *testing.T, c *client) string {
	t.Helper()
	a, err := c.send(t.Context(), "GET", "/client/v4/audit/keys", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := resultOf[[]struct{ Vkey string }](a)
	if err != nil || len(keys) == 0 {
		t.Fatalf("keys: %v, %v", keys, err)
	}
	return keys[0].Vkey
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready  bool
	Checks []struct {
		Name   string
		OK     bool
		Reason string
	}
}

// reasons are those of the checks that fail.
func (r readiness) reasons() string {
	var list []string
	for _, check := range r.Checks {
		if !check.OK {
			list = append(list, check.Name+": "+check.Reason)
		}
	}
	return strings.Join(list, "; ")
}

func (c *client) readiness(t *testing.T) (r readiness, status int) {
	t.Helper()
	a, err := c.send(t.Context(), "GET", "/readyz", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(a.body, &r); err != nil {
		t.Fatalf("/readyz: %v: %s", err, a.body)
	}
	return r, a.status
}
