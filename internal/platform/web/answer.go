package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Message is an entry of the envelope's messages: a remark on an answer that
// succeeded ("total_count is capped at 10,000").
type Message struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Answer is returned by a handler that does not answer with a plain result: [Page],
// [Numbered], [Reply], [Stream], [Events], [Bytes]. A handler that chooses
// between several has O = Answer, and Op.Result shows the documented one.
type Answer interface {
	reply() *reply
	shape() shape
}

// reply is an answer before it is written.
type reply struct {
	status   int // 0 = the operation's
	header   http.Header
	result   any
	info     any
	messages []Message
	faults   errs.List
	list     bool // has no ETag
	send     func(ctx context.Context, x *exchange) error
}

// shape describes an answer in the OpenAPI document.
type shape struct {
	result  reflect.Type
	info    reflect.Type
	content string // of an answer outside the envelope
}

func replyOf(v any) *reply {
	if a, ok := v.(Answer); ok {
		return a.reply()
	}
	return &reply{result: v}
}

// Page is a list read with a cursor. Cursor continues it and is "" at the end
// ([Cursors.Encode]); result_info carries it as cursor and as cursors.after,
// because clients read one or the other. Number is the page's number from 1,
// where it was asked for by number ([AnyPaging]).
type Page[T any] struct {
	Items    []T
	Cursor   string
	Messages []Message

	Number  int
	PerPage int
	Total   int
}

type pageInfo struct {
	Count      int     `json:"count"`
	Cursor     string  `json:"cursor"`
	Cursors    cursors `json:"cursors"`
	Page       int     `json:"page,omitempty"`
	PerPage    int     `json:"per_page,omitempty"`
	TotalCount *int    `json:"total_count,omitempty"`
	TotalPages *int    `json:"total_pages,omitempty"`
}

type cursors struct {
	After string `json:"after"`
}

func (p Page[T]) reply() *reply {
	info := pageInfo{Count: len(p.Items), Cursor: p.Cursor, Cursors: cursors{p.Cursor}}
	if p.Number > 0 {
		pages := (p.Total + max(1, p.PerPage) - 1) / max(1, p.PerPage)
		info.Page = p.Number
		info.PerPage = p.PerPage
		info.TotalCount = &p.Total
		info.TotalPages = &pages
	}
	return &reply{result: p.Items, list: true, messages: p.Messages, info: info}
}

func (Page[T]) shape() shape {
	return shape{result: reflect.TypeFor[[]T](), info: reflect.TypeFor[pageInfo]()}
}

// Numbered is a list read by page number: page counts from 1, and past the end
// Items is empty, which is how the official pagers stop.
type Numbered[T any] struct {
	Items    []T
	Page     int
	PerPage  int
	Total    int
	Messages []Message
}

type numberedInfo struct {
	Page       int `json:"page"`
	PerPage    int `json:"per_page"`
	Count      int `json:"count"`
	TotalCount int `json:"total_count"`
	TotalPages int `json:"total_pages"`
}

func (n Numbered[T]) reply() *reply {
	per := max(1, n.PerPage)
	return &reply{result: n.Items, list: true, messages: n.Messages,
		info: numberedInfo{n.Page, n.PerPage, len(n.Items), n.Total, (n.Total + per - 1) / per}}
}

func (Numbered[T]) shape() shape {
	return shape{result: reflect.TypeFor[[]T](), info: reflect.TypeFor[numberedInfo]()}
}

// Reply adds to a result (which may be a Page) what the plain value cannot
// say. With Errors the answer's success is false, and the status, unless set,
// is that of the first error.
type Reply[T any] struct {
	Result   T
	Status   int // 0 = the operation's
	Header   http.Header
	Messages []Message
	Info     any // result_info
	Errors   errs.List
}

func (r Reply[T]) reply() *reply {
	inner := replyOf(r.Result)
	inner.status = r.Status
	inner.header = r.Header
	inner.messages = append(inner.messages, r.Messages...)
	if r.Info != nil {
		inner.info = r.Info
	}
	if inner.faults = r.Errors; len(r.Errors) > 0 && r.Status == 0 {
		inner.status = statusOf(r.Errors[0])
	}
	return inner
}

func (Reply[T]) shape() shape {
	var zero T
	if a, ok := any(zero).(Answer); ok {
		return a.shape()
	}
	return shape{result: reflect.TypeFor[T]()}
}

// None is the result of an operation that has nothing to say: null.
type None struct{}

// MarshalJSON writes null.
func (None) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// Bytes is an answer outside the envelope: a checkpoint, a tile, a file held
// in memory. Errors use the envelope all the same.
type Bytes struct {
	ContentType string
	Data        []byte
	Header      http.Header // for example Cache-Control of a tile that never changes
}

func (b Bytes) reply() *reply {
	return &reply{header: b.Header, send: func(ctx context.Context, x *exchange) error {
		h := x.w.Header()
		copyHeader(h, b.Header)
		h.Set("Content-Type", b.ContentType)
		h.Set("ETag", etagOf(b.Data))
		if x.rt.method == http.MethodGet && etagMatches(x.r.Header.Get("If-None-Match"), h.Get("ETag")) {
			x.w.WriteHeader(http.StatusNotModified)
			return nil
		}
		h.Set("Content-Length", strconv.Itoa(len(b.Data)))
		x.w.WriteHeader(x.rt.Status)
		x.w.Write(b.Data)
		return nil
	}}
}

func (b Bytes) shape() shape { return shape{content: "application/octet-stream"} }

// encoded is an answer ready to be sent, or to be kept for its Idempotency-Key.
type encoded struct {
	status int
	header http.Header
	body   []byte
}

// write sends x.out.
func (x *exchange) write(ctx context.Context) error {
	if x.out == nil {
		x.out = &reply{}
	}
	if x.out.send != nil {
		return x.out.send(ctx, x)
	}
	buf := buffer()
	defer release(buf)
	e, err := x.encode(buf)
	if err != nil {
		return err
	}
	x.send(e)
	return nil
}

// encode makes the envelope in buf.
func (x *exchange) encode(buf *bytes.Buffer) (encoded, error) {
	rp := x.out
	e := encoded{status: rp.status, header: http.Header{}}
	if e.status == 0 {
		e.status = x.rt.Status
	}
	copyHeader(e.header, rp.header)
	if len(rp.faults) > 0 {
		note(x.r.Context(), rp.faults)
		retryHeaders(e.header, rp.faults[0])
	}
	start, end, err := x.api.envelope(buf, rp)
	if err != nil {
		return e, err
	}
	e.body = buf.Bytes()
	if x.rt.method == http.MethodGet && e.status == http.StatusOK && !rp.list {
		e.header.Set("ETag", etagOf(e.body[start:end]))
	}
	return e, nil
}

// send writes an encoded answer; an ETag that the client has already answers 304.
func (x *exchange) send(e encoded) {
	h := x.w.Header()
	copyHeader(h, e.header)
	cache := "no-store"
	if tag := h.Get("ETag"); tag != "" {
		cache = "private, no-cache"
		if etagMatches(x.r.Header.Get("If-None-Match"), tag) {
			h.Set("Cache-Control", cache)
			x.w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", cache)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(e.body)))
	x.w.WriteHeader(e.status)
	x.w.Write(e.body)
}

// envelope writes the v4 envelope of rp to buf and returns the position of the result.
func (a *API) envelope(buf *bytes.Buffer, rp *reply) (start, end int, err error) {
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	value := func(v any) error {
		err := enc.Encode(v)
		buf.Truncate(max(0, buf.Len()-1)) // the encoder's line feed
		return err
	}
	if len(rp.faults) == 0 {
		buf.WriteString(`{"success":true,"errors":[]`)
	} else {
		buf.WriteString(`{"success":false,"errors":`)
		if err := value(a.shownErrors(rp.faults)); err != nil {
			return 0, 0, err
		}
	}
	buf.WriteString(`,"messages":`)
	if len(rp.messages) == 0 {
		buf.WriteString(`[]`)
	} else if err := value(rp.messages); err != nil {
		return 0, 0, err
	}
	buf.WriteString(`,"result":`)
	start = buf.Len()
	if raw, ok := rp.result.(rawJSON); ok {
		buf.Write(raw)
		if len(raw) == 0 {
			buf.WriteString("null")
		}
	} else if v := reflect.ValueOf(rp.result); v.Kind() == reflect.Slice && v.IsNil() {
		buf.WriteString(`[]`) // pagers read null as a fault
	} else if err := value(rp.result); err != nil {
		return 0, 0, errs.New(errs.CodeInternal, "an internal error; it was logged with this request's id").Because(err)
	}
	end = buf.Len()
	if rp.info != nil {
		buf.WriteString(`,"result_info":`)
		if raw, ok := rp.info.(rawJSON); ok {
			buf.Write(raw)
		} else if err := value(rp.info); err != nil {
			return 0, 0, err
		}
	}
	buf.WriteString("}\n")
	return start, end, nil
}

// shownError is an entry of the envelope's errors.
type shownError struct {
	Code             errs.Code    `json:"code"`
	Message          string       `json:"message"`
	DocumentationURL string       `json:"documentation_url"`
	Source           *errorSource `json:"source,omitempty"`
}

type errorSource struct {
	Pointer string `json:"pointer" doc:"A JSON pointer into the body (begins with /), or the name of a parameter or header."`
}

func (a *API) shownErrors(list errs.List) []shownError {
	out := make([]shownError, len(list))
	for i, e := range list {
		out[i] = shownError{
			Code:             e.Code,
			Message:          e.Message,
			DocumentationURL: a.cfg.ExternalURL + "/docs/errors/" + strconv.Itoa(int(e.Code)),
		}
		if e.Pointer != "" {
			out[i].Source = &errorSource{e.Pointer}
		}
	}
	return out
}

// statusOf is the HTTP status of an error: that of its kind, but 405 where
// only the method is wrong.
func statusOf(e *errs.Error) int {
	if e.Code == errs.CodeMethod {
		return http.StatusMethodNotAllowed
	}
	return e.Kind().Status()
}

// StatusOf is the HTTP status of answers with a code.
func StatusOf(code errs.Code) int { return statusOf(&errs.Error{Code: code}) }

// Refuse answers an error of a mounted page that is for programs. Nothing may have been
// written before.
func (a *API) Refuse(w http.ResponseWriter, r *http.Request, err error) { a.refuse(w, r, err) }

// refuse answers an error. Nothing may have been written before.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	list := errs.All(err)
	ClientGone(r.Context(), err)
	note(r.Context(), list)
	a.writeErrors(w, list)
}

// ClientGone reports whether err is the end of the request's context because its
// client went away; then the log has 499 and no error. Pages that are
// mounted ask it about what they could not show.
func ClientGone(ctx context.Context, err error) bool {
	s := stateOf(ctx)
	// The request's own context ends with the client, a deadline ends another one.
	if errors.Is(err, context.Canceled) && s.outer != nil && s.outer.Err() != nil {
		s.gone = true
	}
	return s.gone
}

func (a *API) writeErrors(w http.ResponseWriter, list errs.List) {
	first := list[0]
	h := w.Header()
	for _, name := range []string{"ETag", "Content-Encoding", "Content-Disposition"} {
		h.Del(name)
	}
	retryHeaders(h, first)
	if first.Kind() == errs.Unauthenticated {
		h.Set("WWW-Authenticate", `Bearer realm="belfry"`)
	}
	buf := buffer()
	defer release(buf)
	if _, _, err := a.envelope(buf, &reply{faults: list}); err != nil {
		buf.Reset()
		buf.WriteString(`{"success":false,"errors":[],"messages":[],"result":null}`)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(buf.Len()))
	w.WriteHeader(statusOf(first))
	w.Write(buf.Bytes())
}

// retryHeaders sets the headers by which clients decide whether to try again: the official ones retry
// every 409, 429 and 5xx unless x-should-retry says otherwise.
func retryHeaders(h http.Header, e *errs.Error) {
	after := e.RetryAfter
	switch {
	case e.Code == errs.CodeIdempotencyBusy:
		h.Set("X-Should-Retry", "true")
	case !e.Kind().Retryable():
		h.Set("X-Should-Retry", "false")
		return
	case e.Kind() == errs.Internal:
		return
	}
	h.Set("Retry-After", strconv.Itoa(max(1, int((after+time.Second-1)/time.Second))))
}

func copyHeader(to, from http.Header) {
	for name, values := range from {
		to[http.CanonicalHeaderKey(name)] = values
	}
}

var buffers sync.Pool // *bytes.Buffer

func buffer() *bytes.Buffer {
	if b, ok := buffers.Get().(*bytes.Buffer); ok {
		b.Reset()
		return b
	}
	return bytes.NewBuffer(make([]byte, 0, 4096))
}

func release(b *bytes.Buffer) {
	if b.Cap() <= maxPooled {
		buffers.Put(b)
	}
}
