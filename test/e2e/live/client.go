package live

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"
)

// callLimit bounds one request, and how long something may take to arrive.
const callLimit = 30 * time.Second

// An Answer is an API response: the status, the headers and the envelope.
type Answer struct {
	Status int         `json:"-"`
	Header http.Header `json:"-"`
	Body   []byte      `json:"-"`

	Success    bool            `json:"success"`
	Errors     []Error         `json:"errors"`
	Messages   json.RawMessage `json:"messages"`
	Result     json.RawMessage `json:"result"`
	ResultInfo json.RawMessage `json:"result_info"`
}

// An Error is one entry of the envelope's errors.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Source  struct {
		Pointer string `json:"pointer"`
	} `json:"source"`
}

// Request is a request to the API.
type Request struct {
	Token       string // "": without a credential
	Method      string
	Path        string // below /client/v4, with the query
	ContentType string
	Body        []byte
	Headers     []string // name, value, name, value
}

// Send makes a request and reads the whole answer, without decoding its envelope.
func (s *Server) Send(t testing.TB, r Request) Answer {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), r.Method, s.URL+"/client/v4"+r.Path,
		bytes.NewReader(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	if r.Token != "" {
		request.Header.Set("Authorization", "Bearer "+r.Token)
	}
	if r.ContentType != "" {
		request.Header.Set("Content-Type", r.ContentType)
	}
	for i := 0; i+1 < len(r.Headers); i += 2 {
		request.Header.Set(r.Headers[i], r.Headers[i+1])
	}
	return s.Do(t, request)
}

// Get is Send for a GET. headers are name, value, name, value.
func (s *Server) Get(t testing.TB, token, path string, headers ...string) Answer {
	t.Helper()
	return s.Send(t, Request{Token: token, Method: "GET", Path: path, Headers: headers})
}

// Do makes a request and reads the whole answer.
func (s *Server) Do(t testing.TB, request *http.Request) Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callLimit)
	defer cancel()
	response, err := http.DefaultClient.Do(request.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	a := Answer{Status: response.StatusCode, Header: response.Header}
	if a.Body, err = io.ReadAll(response.Body); err != nil {
		t.Fatalf("%s %s: %v", request.Method, request.URL.Path, err)
	}
	return a
}

// Open decodes the envelope, which the answer must have.
func (a Answer) Open(t testing.TB) Answer {
	t.Helper()
	if err := json.Unmarshal(a.Body, &a); err != nil {
		t.Fatalf("status %d, no envelope: %v\n%.500s", a.Status, err, a.Body)
	}
	return a
}

// Call is Send for JSON: the answer must be an envelope.
func (s *Server) Call(t testing.TB, token, method, path string, body any) Answer {
	t.Helper()
	r := Request{Token: token, Method: method, Path: path}
	if body != nil {
		var err error
		if r.Body, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
		r.ContentType = "application/json"
	}
	return s.Send(t, r).Open(t)
}

// Must is Call by the operator, which has to succeed; it decodes the result.
func (s *Server) Must(t testing.TB, method, path string, body, result any) {
	t.Helper()
	a := s.Call(t, s.Token, method, path, body)
	if a.Status != http.StatusOK && a.Status != http.StatusCreated || !a.Success {
		t.Fatalf("%s %s: status %d\n%.1000s", method, path, a.Status, a.Body)
	}
	if result != nil {
		if err := json.Unmarshal(a.Result, result); err != nil {
			t.Fatalf("%s %s: %v\n%.1000s", method, path, err, a.Body)
		}
	}
}

// Eventually asks until done says yes: what travels over the bus arrives when it arrives.
func Eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(callLimit)
	defer deadline.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("after %s still not: %s", callLimit, what)
		}
	}
}

// Decode reads JSON that has to fit.
func Decode[T any](t testing.TB, text []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v\n%.1000s", err, text)
	}
	return v
}
