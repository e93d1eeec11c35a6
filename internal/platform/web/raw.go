package web

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Exchange has the request and the answer of a [Raw] handler. It is valid until the
// handler returns.
type Exchange struct{ x *exchange }

// Header is the request's.
func (e *Exchange) Header() http.Header { return e.x.r.Header }

// MediaType is the body's, without parameters, lower case; "" when none was sent.
func (e *Exchange) MediaType() string { return e.x.body.mediaType }

// Body reads the decompressed body, limited in size and time; its errors are of type
// [errs.Error] and can be returned unchanged.
func (e *Exchange) Body() io.Reader { return e.x.body }

// Bytes reads the whole body at once. The slice is valid until the handler
// returns: its memory is used again.
func (e *Exchange) Bytes() ([]byte, error) { return e.x.body.bytes() }

// Writer is for answers outside of the envelope. A POST that takes
// Idempotency-Key answers by [Exchange.Send], whose answer can be kept.
func (e *Exchange) Writer() http.ResponseWriter {
	if e.x.rt.Idempotent {
		panic("web: " + e.x.rt.pattern + ": an answer that is written cannot be kept for its Idempotency-Key")
	}
	return e.x.w
}

// Envelope is an answer whose result the handler has encoded itself.
type Envelope struct {
	Status int       // 0 = the operation's, or that of the first error
	Result []byte    // JSON; empty = null
	Info   []byte    // JSON of result_info; empty = none
	Errors errs.List // success is false when there is one
}

// Send writes the envelope.
func (e *Exchange) Send(env Envelope) {
	x := e.x
	one := encoded{status: env.Status, header: http.Header{}}
	if one.status == 0 {
		one.status = x.rt.Status
		if len(env.Errors) > 0 {
			one.status = statusOf(env.Errors[0])
		}
	}
	if len(env.Errors) > 0 {
		note(x.r.Context(), env.Errors)
		retryHeaders(one.header, env.Errors[0])
	}
	rp := &reply{faults: env.Errors, result: rawJSON(env.Result)}
	if len(env.Info) > 0 {
		rp.info = rawJSON(env.Info)
	}
	buf := buffer()
	defer release(buf)
	buf.Grow(len(env.Result) + len(env.Info) + 128)
	if _, _, err := x.api.envelope(buf, rp); err != nil {
		x.api.refuse(x.w, x.r, err)
		return
	}
	one.body = buf.Bytes()
	if x.keeping {
		one.body = bytes.Clone(one.body)
		x.kept = &one
		return
	}
	x.send(one)
}

// rawJSON is JSON that is written unchecked.
type rawJSON []byte

// Accepts reports whether the request asks for a content type by name (not by
// */*): "text/csv". Official clients always ask for application/json.
func Accepts(ctx context.Context, mediaType string) bool {
	x := exchangeOf(ctx)
	if x == nil {
		return false
	}
	for one := range strings.SplitSeq(strings.Join(x.r.Header.Values("Accept"), ","), ",") {
		media, _, _ := strings.Cut(one, ";")
		if strings.EqualFold(strings.TrimSpace(media), mediaType) {
			return true
		}
	}
	return false
}

// Request is the HTTP request, for its method, path and user agent in Belfry's own
// audit events; nil outside of operations and mounted pages. The body belongs to web,
// or to the page.
func Request(ctx context.Context) *http.Request {
	if x := exchangeOf(ctx); x != nil {
		return x.r
	}
	r, _ := ctx.Value(mountedKey{}).(*http.Request)
	return r
}

// mountedKey finds the request of a page that is mounted outside the API.
type mountedKey struct{}
