package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// client talks to a running Belfry, for the commands that do.
type client struct {
	url, token string
	http       *http.Client
}

// newClient takes the address and token from the flags or, where those are
// empty, from BELFRY_URL and BELFRY_TOKEN.
func newClient(url, token string) (*client, error) {
	if url == "" {
		url = os.Getenv("BELFRY_URL")
	}
	if token == "" {
		token = os.Getenv("BELFRY_TOKEN")
	}
	if url == "" || token == "" {
		return nil, errors.New("the server's address and a token are required: --url and --token, or BELFRY_URL and BELFRY_TOKEN")
	}
	return &client{strings.TrimSuffix(url, "/") + "/client/v4", token, &http.Client{}}, nil
}

// envelope is the v4 envelope.
type envelope struct {
	Success bool `json:"success"`
	Errors  []struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Source  struct {
			Pointer string `json:"pointer"`
		} `json:"source"`
	} `json:"errors"`
	Result     json.RawMessage `json:"result"`
	ResultInfo json.RawMessage `json:"result_info"`
}

// problem is an answer that is not a success.
type problem struct {
	Status int
	envelope
}

func (p *problem) Error() string {
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

// call sends a request and decodes the envelope. Answers that may succeed later
// (429, 5xx, no connection) are tried again for about a minute. headers are pairs.
func (c *client) call(ctx context.Context, method, path, contentType string, body []byte, headers ...string) (*envelope, error) {
	wait := 200 * time.Millisecond
	for attempt := 0; ; attempt++ {
		env, again, err := c.once(ctx, method, path, contentType, body, headers)
		if err == nil || !again || attempt == 8 || ctx.Err() != nil {
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

func (c *client) once(ctx context.Context, method, path, contentType string, body []byte, headers []string) (_ *envelope, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	res, err := c.do(ctx, method, path, contentType, body, headers...)
	if err != nil {
		return nil, true, err
	}
	defer res.Body.Close()
	var env envelope
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<20)).Decode(&env); err != nil {
		return nil, res.StatusCode >= 500, fmt.Errorf("%s answered %d with something that is not Belfry's envelope: %w", c.url, res.StatusCode, err)
	}
	if res.StatusCode >= 400 {
		return &env, res.StatusCode == 429 || res.StatusCode >= 500, &problem{res.StatusCode, env}
	}
	return &env, false, nil
}

func (c *client) do(ctx context.Context, method, path, contentType string, body []byte, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return c.http.Do(req)
}

// download copies an answer outside the envelope to w.
func (c *client) download(ctx context.Context, path string, w io.Writer) error {
	res, err := c.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 400 {
		var env envelope
		json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&env)
		return &problem{res.StatusCode, env}
	}
	_, err = io.Copy(w, res.Body)
	return err
}
