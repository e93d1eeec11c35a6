// Package client is the HTTP client of Belfry's public API for commands and the demo: envelope, errors, retries.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Client sends requests with one token. Safe for concurrent use.
type Client struct {
	HTTP  *http.Client
	Agent string // User-Agent; empty = that of Go

	base  string // of the API, with /client/v4
	token string
}

// New returns a Client of the server at url: "https://belfry.example", or the API's base with /client/v4, as the
// official clients have it. It follows no redirect, because that would send the token and the body to an address that
// the user did not name.
func New(url, token string) *Client {
	base := strings.TrimSuffix(strings.TrimRight(url, "/"), apiPath)
	return &Client{
		HTTP: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		base:  strings.TrimRight(base, "/") + apiPath,
		token: token,
	}
}

const apiPath = "/client/v4"

// URL returns the API's base: the server's address with /client/v4.
func (c *Client) URL() string { return c.base }

// Envelope is the v4 envelope.
type Envelope struct {
	Success    bool            `json:"success"`
	Errors     []Fault         `json:"errors"`
	Result     json.RawMessage `json:"result"`
	ResultInfo json.RawMessage `json:"result_info"`
}

// Fault is one error in the envelope.
type Fault struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Source  struct {
		Pointer string `json:"pointer"`
	} `json:"source"`
}

// Problem is a response with an error status.
type Problem struct {
	Status int
	Envelope
}

func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the server answered %d", p.Status)
	for _, e := range p.Errors {
		fmt.Fprintf(&b, "; %d", e.Code)
		if e.Source.Pointer != "" {
			b.WriteString(" " + e.Source.Pointer)
		}
		b.WriteString(": " + e.Message)
	}
	return b.String()
}

// Request is one call. Path is below /client/v4.
type Request struct {
	Method, Path string
	ContentType  string // of Body
	Body         []byte
	Key          string // Idempotency-Key: a repeat does nothing twice; empty = none
}

// Limits of one call.
const (
	callTime  = time.Minute
	callTries = 9
	maxAnswer = 64 << 20
	maxFault  = 1 << 20
)

// Call sends a request and decodes the envelope. Requests that may succeed later (429, 5xx, no connection) are repeated
// for about a minute. Its error is a *[Problem] if the server responded with one.
func (c *Client) Call(ctx context.Context, r Request) (*Envelope, error) {
	wait := 200 * time.Millisecond
	for try := 1; ; try++ {
		env, again, err := c.once(ctx, r)
		if err == nil || !again || try == callTries || ctx.Err() != nil {
			return env, err
		}
		select {
		case <-time.After(wait):
			wait *= 2
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// JSON sends in as the body (nil = none) and decodes the result into out (nil = the result is discarded).
func (c *Client) JSON(ctx context.Context, method, path string, in, out any) error {
	r := Request{Method: method, Path: path}
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return err
		}
		r.ContentType = "application/json"
		r.Body = body
	}
	env, err := c.Call(ctx, r)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(env.Result, out)
}

func (c *Client) once(ctx context.Context, r Request) (_ *Envelope, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	res, err := c.Do(ctx, r)
	if err != nil {
		return nil, true, err
	}
	defer res.Body.Close()
	if err := redirected(res); err != nil {
		return nil, false, err
	}
	var env Envelope
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&env); err != nil {
		return nil, res.StatusCode >= 500,
			fmt.Errorf("%s answered %d with something that is not Belfry's envelope: %w", c.base, res.StatusCode, err)
	}
	if res.StatusCode >= 400 {
		return &env, res.StatusCode == 429 || res.StatusCode >= 500, &Problem{res.StatusCode, env}
	}
	return &env, false, nil
}

// Do sends a request once; the caller closes the response's body.
func (c *Client) Do(ctx context.Context, r Request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, c.base+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if c.Agent != "" {
		req.Header.Set("User-Agent", c.Agent)
	}
	if r.ContentType != "" {
		req.Header.Set("Content-Type", r.ContentType)
	}
	if r.Key != "" {
		req.Header.Set("Idempotency-Key", r.Key)
	}
	return c.HTTP.Do(req)
}

// redirected returns the error of a response that redirects to another address.
func redirected(res *http.Response) error {
	if res.StatusCode < 300 || res.StatusCode > 399 {
		return nil
	}
	return fmt.Errorf("%s answered %d and names the address %q: no redirect is followed with a token; give the "+
		"server's own address",
		res.Request.URL.Redacted(), res.StatusCode, res.Header.Get("Location"))
}

// Download copies the body of a response without an envelope to w.
func (c *Client) Download(ctx context.Context, path string, w io.Writer) error {
	res, err := c.Do(ctx, Request{Method: http.MethodGet, Path: path})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := redirected(res); err != nil {
		return err
	}
	if res.StatusCode >= 400 {
		var env Envelope
		// Without an envelope only the status is known.
		_ = json.NewDecoder(io.LimitReader(res.Body, maxFault)).Decode(&env)
		return &Problem{res.StatusCode, env}
	}
	_, err = io.Copy(w, res.Body)
	return err
}
