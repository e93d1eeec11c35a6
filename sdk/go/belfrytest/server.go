package belfrytest

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
	"github.com/belfryhq/belfry/sdk/go/internal/rawjson"
	"github.com/belfryhq/belfry/sdk/go/internal/rules"
)

// Stored is an event as a Server took it.
type Stored struct {
	AccountID string
	Seq       uint64 // in its account, from 0
	ID        string
	JSON      json.RawMessage // as it arrived
}

// Event decodes the stored JSON.
func (s Stored) Event() (e belfry.Event, err error) {
	err = json.Unmarshal(s.JSON, &e)
	return e, err
}

// Failure is how a Server answers instead of doing its work.
type Failure struct {
	Times  int               // how many requests; 0 means 1, negative all from now on
	Status int               // 0: the connection is cut without an answer
	Header map[string]string // such as Retry-After
	Body   string            // empty: an envelope without result
	// AfterCommit stores the events first, as when an answer is lost.
	AfterCommit bool
	// Hang, if not nil, keeps the request waiting until it is closed or the
	// client goes away, before anything else.
	Hang <-chan struct{}
}

// Options of a Server; zero values mean the limits of a real one.
type Options struct {
	Token     string // that requests must carry; empty: TestToken
	MaxEvents int    // in a request, else 413; default 10,000
	MaxBytes  int    // of a request before gzip, else 413; default 8 MiB
	// Check may reject an event that breaks no rule, as a catalogue would.
	Check func(belfry.Event) []belfry.FieldError
}

// TestToken is the token of a Server whose Options name none.
const TestToken = "test-token"

// Server speaks the audit part of Belfry's API over memory: both endpoints,
// one event, arrays and NDJSON, gzip, and the result for each event. It is an
// http.Handler; NewServer also listens on the loopback address. The zero Server
// has the default Options.
type Server struct {
	opt Options
	url string

	mu       sync.Mutex // guards the rest
	stored   []Stored
	byID     map[[2]string]int // account and id -> index in stored
	next     map[string]uint64 // account -> seq
	failures []Failure
	requests int
}

// NewServer starts a server that ends with the test.
func NewServer(t testing.TB, opt Options) *Server {
	t.Helper()
	s := &Server{opt: opt}
	h := httptest.NewServer(s)
	s.url = h.URL
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
	})
	return s
}

// URL is for belfry.Config.
func (s *Server) URL() string { return s.url }

// Fail makes the next requests fail; several calls queue up.
func (s *Server) Fail(f Failure) {
	if f.Times == 0 {
		f.Times = 1
	}
	s.mu.Lock()
	s.failures = append(s.failures, f)
	s.mu.Unlock()
}

// Recover cancels the failures that were announced.
func (s *Server) Recover() {
	s.mu.Lock()
	s.failures = nil
	s.mu.Unlock()
}

// Requests is how many there were, failed ones too.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Events are the stored events of all accounts in the order of arrival.
func (s *Server) Events() []Stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Stored(nil), s.stored...)
}

// ServeHTTP answers as the API does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, failing := s.nextFailure()
	if failing && f.Hang != nil {
		select {
		case <-f.Hang:
		case <-r.Context().Done():
		}
	}
	if failing && !f.AfterCommit {
		f.answer(w)
		return
	}
	a := s.handle(r)
	if failing {
		f.answer(w)
		return
	}
	a.write(w)
}

func (s *Server) nextFailure() (Failure, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if len(s.failures) == 0 {
		return Failure{}, false
	}
	f := s.failures[0]
	if s.failures[0].Times--; s.failures[0].Times == 0 {
		s.failures = s.failures[1:]
	}
	return f, true
}

func (f Failure) answer(w http.ResponseWriter) {
	if f.Status == 0 {
		panic(http.ErrAbortHandler)
	}
	for k, v := range f.Header {
		w.Header().Set(k, v)
	}
	if f.Body == "" {
		refusal(f.Status, 1000, "", "a failure that the test asked for").write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Status)
	io.WriteString(w, f.Body)
}

// envelope is an answer of the API, with its status.
type envelope struct {
	status   int
	Success  bool                `json:"success"`
	Errors   []belfry.FieldError `json:"errors"`
	Messages []string            `json:"messages"`
	Result   []belfry.Result     `json:"result"`
	Info     map[string]int      `json:"result_info,omitempty"`
}

func (a envelope) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	if a.status == http.StatusConflict {
		w.Header().Set("X-Should-Retry", "false")
	}
	w.WriteHeader(a.status)
	json.NewEncoder(w).Encode(a)
}

func refusal(status, code int, pointer, message string) envelope {
	return envelope{
		status: status, Messages: []string{},
		Errors: []belfry.FieldError{{Code: code, Message: message, Source: belfry.Source{Pointer: pointer}}},
	}
}

const apiRoot = "/client/v4/"

func (s *Server) handle(r *http.Request) envelope {
	path, ok := strings.CutPrefix(r.URL.Path, apiRoot)
	account, inAccount := strings.CutPrefix(path, "accounts/")
	account, events := strings.CutSuffix(account, "/audit/events")
	switch {
	case !ok || !(inAccount && events && !strings.Contains(account, "/") || path == "audit/events"):
		return refusal(http.StatusNotFound, 7003, "", "no such route")
	case r.Method != http.MethodPost:
		return refusal(http.StatusMethodNotAllowed, 7001, "", "method not allowed")
	case r.Header.Get("Authorization") != "Bearer "+cmp.Or(s.opt.Token, TestToken):
		return refusal(http.StatusUnauthorized, 10000, "", "authentication error")
	}
	if !inAccount {
		account = ""
	}
	texts, refused := s.read(r)
	if refused != nil {
		return *refused
	}
	return s.append(account, texts)
}

// read is the body's events, each as its own text.
func (s *Server) read(r *http.Request) ([][]byte, *envelope) {
	no := func(status, code int, message string) ([][]byte, *envelope) {
		a := refusal(status, code, "", message)
		return nil, &a
	}
	maxBytes := cmp.Or(s.opt.MaxBytes, 8<<20)
	maxEvents := cmp.Or(s.opt.MaxEvents, 10_000)
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return no(http.StatusBadRequest, 1107, "the body is not gzip")
		}
		body = z
	}
	text, err := io.ReadAll(io.LimitReader(body, int64(maxBytes)+1))
	switch {
	case err != nil:
		return no(http.StatusBadRequest, 1107, "the body could not be read: "+err.Error())
	case len(text) > maxBytes:
		return no(http.StatusRequestEntityTooLarge, 1106, "the body is too large")
	}
	texts, err := split(text)
	switch {
	case err != nil:
		return no(http.StatusBadRequest, 1101, err.Error())
	case len(texts) == 0:
		return no(http.StatusBadRequest, 1100, "the body has no event")
	case len(texts) > maxEvents:
		return no(http.StatusRequestEntityTooLarge, 1106, "too many events")
	}
	return texts, nil
}

// split reads an array, or else lines; one event is one line.
func split(text []byte) (texts [][]byte, err error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(trimmed, &list); err != nil {
			return nil, err
		}
		for _, e := range list {
			texts = append(texts, e)
		}
		return texts, nil
	}
	if json.Valid(text) {
		return [][]byte{text}, nil
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
			texts = append(texts, bytes.Clone(line))
		}
	}
	return texts, lines.Err()
}

func (s *Server) append(account string, texts [][]byte) envelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := envelope{status: http.StatusOK, Success: true, Messages: []string{}, Errors: []belfry.FieldError{}}
	counts := map[belfry.Status]int{}
	for i, text := range texts {
		r := s.one(account, text)
		r.Index = i
		counts[r.Status]++
		a.Result = append(a.Result, r)
		a.Errors = append(a.Errors, r.Errors...)
	}
	a.Info = map[string]int{
		"accepted": counts[belfry.StatusAccepted], "duplicate": counts[belfry.StatusDuplicate],
		"conflict": counts[belfry.StatusConflict], "rejected": counts[belfry.StatusRejected],
	}
	if counts[belfry.StatusAccepted]+counts[belfry.StatusDuplicate] == 0 {
		a.Success = false
		a.status = http.StatusBadRequest
		if counts[belfry.StatusConflict] == len(texts) {
			a.status = http.StatusConflict
		}
	}
	return a
}

// one stores an event, or says why not. The caller holds mu.
func (s *Server) one(account string, text []byte) belfry.Result {
	var doc rawjson.Doc
	problems := rules.Check(&doc, text, rules.Options{Now: time.Now(), Producer: account == ""})
	reject := func(errs []belfry.FieldError) belfry.Result {
		return belfry.Result{ID: memberText(&doc, "id"), Status: belfry.StatusRejected, Errors: errs}
	}
	if len(problems) > 0 {
		var errs []belfry.FieldError
		for _, p := range problems {
			errs = append(errs, belfry.FieldError{Code: p.Code, Message: p.Message, Source: belfry.Source{Pointer: p.Pointer}})
		}
		return reject(errs)
	}
	if account == "" {
		account = memberText(&doc, "account_id")
	}
	id := memberText(&doc, "id")
	if id == "" {
		id = belfry.NewID()
	}
	if at, known := s.byID[[2]string{account, id}]; known {
		old := s.stored[at]
		if !bytes.Equal(canonical(old.JSON), doc.AppendCanonical(nil, 0)) {
			return belfry.Result{
				ID:     id,
				Status: belfry.StatusConflict,
				Errors: []belfry.FieldError{
					{Code: 12000, Message: "another event has this id", Source: belfry.Source{Pointer: "/id"}},
				},
			}
		}
		return belfry.Result{ID: id, Status: belfry.StatusDuplicate, Seq: &old.Seq}
	}
	stored := Stored{AccountID: account, Seq: s.next[account], ID: id, JSON: bytes.Clone(text)}
	if s.opt.Check != nil {
		e, err := stored.Event()
		if err != nil {
			return reject([]belfry.FieldError{{Code: rules.CodeWrongType, Message: err.Error()}})
		}
		if errs := s.opt.Check(e); len(errs) > 0 {
			return reject(errs)
		}
	}
	if s.byID == nil {
		s.byID = make(map[[2]string]int)
		s.next = make(map[string]uint64)
	}
	s.next[account]++
	s.byID[[2]string{account, id}] = len(s.stored)
	s.stored = append(s.stored, stored)
	return belfry.Result{ID: id, Status: belfry.StatusAccepted, Seq: &stored.Seq}
}

func canonical(text []byte) []byte {
	var doc rawjson.Doc
	if doc.Parse(text, rules.MaxDepth) != nil {
		return text
	}
	return doc.AppendCanonical(nil, 0)
}

// memberText is a string member of the event, "" when it is not there.
func memberText(doc *rawjson.Doc, name string) string {
	if len(doc.Nodes) == 0 || doc.Nodes[0].Next == 0 {
		return "" // the text was not read to its end
	}
	if i := doc.Member(0, name); i >= 0 && doc.Nodes[i].Kind == '"' {
		return doc.Text(i)
	}
	return ""
}

// RoundTrip serves a request in memory, so that a client needs no network.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	cut := func() (cut bool) {
		defer func() {
			if p := recover(); p == http.ErrAbortHandler {
				cut = true
			} else if p != nil {
				panic(p)
			}
		}()
		s.ServeHTTP(w, r)
		return false
	}()
	if r.Body != nil {
		r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if cut {
		return nil, errors.New("connection cut")
	}
	answer := w.Result()
	answer.Request = r
	return answer, nil
}
