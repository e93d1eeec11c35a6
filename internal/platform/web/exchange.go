package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

// exchange is one request to a registered operation. It belongs to the
// goroutine that serves the request.
type exchange struct {
	api       *API
	rt        *route
	w         http.ResponseWriter
	r         *http.Request // with the request's context, before authorisation
	principal *Principal
	query     url.Values
	body      *body

	keeping bool     // Send keeps the answer of a Raw handler instead of writing it
	kept    *encoded // the kept answer

	out *reply // result of the handler
	err error  // or its error
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// serve answers a registered operation.
func (a *API) serve(rt *route, w http.ResponseWriter, r *http.Request) {
	stateOf(r.Context()).route = rt.pattern
	x := &exchange{api: a, rt: rt, w: w, r: r}
	defer func() {
		if x.body != nil {
			x.body.close()
		}
	}()
	if err := x.run(); err != nil {
		if res, ok := w.(*response); ok && res.status != 0 { // a Raw handler failed half-way
			note(r.Context(), errs.All(err))
			panic(http.ErrAbortHandler)
		}
		a.refuse(w, r, err)
	}
}

// run processes a request step by step. An error means that nothing was written yet.
func (x *exchange) run() error {
	ctx, err := x.authorise(x.r.Context())
	if err != nil {
		return err
	}
	inPool, holders := x.opens(ctx)
	ctx, end, err := x.api.lifetime(ctx, x.w, inPool, holders, x.rt.Timeout)
	if err != nil {
		return err
	}
	defer end()
	if s := streamOf(ctx); s != nil {
		s.watched = x.rt.Public
		if !x.rt.Public {
			stop, err := x.api.Watch(ctx, x.principal, "", x.readmit)
			if err != nil {
				return err
			}
			defer stop()
		}
	}
	if err := x.parseQuery(); err != nil {
		return err
	}
	if x.body, err = openBody(x.r, x.rt.MaxBody, x.rt.Accepts, x.rt.Coding); err != nil {
		return err
	}
	if key := x.r.Header.Get(idempotencyHeader); key != "" && x.rt.Idempotent && x.api.deps.Idempotency != nil {
		return x.once(ctx, key)
	}
	if err := x.handle(ctx); err != nil {
		return err
	}
	if x.rt.raw {
		return nil
	}
	return x.write(ctx)
}

// handle reads the parameters, calls the feature and leaves its reply in x.out.
func (x *exchange) handle(ctx context.Context) error {
	ctx = context.WithValue(ctx, exchangeKey{}, x)
	u := *x.r.URL
	u.RawQuery = x.query.Encode() // without the empty values
	x.rt.call(&reading{x: x, ctx: ctx, url: u})
	return x.err
}

// opens returns the pool in which the exchange needs a slot for its stream, and the
// holders of the slot; no pool = it does not stream.
func (x *exchange) opens(ctx context.Context) (p *pool, holders []holder) {
	switch {
	case !x.rt.Stream:
		return nil, nil
	case x.rt.live:
		p = x.api.streams
	default:
		p = x.api.downloads
	}
	if x.principal == nil {
		return p, []holder{p.ofAddress(ClientAddr(ctx))}
	}
	holders = []holder{p.ofPrincipal(x.principal)}
	if a, ok := ctx.Value(accountKey{}).(AccountRef); ok && a.ID != "" {
		holders = append(holders, p.ofAccount(a.ID))
	}
	return p, holders
}

const eventStream = "text/event-stream"

// lifetime sets the deadline of a request, or (with a pool) makes it a stream: without
// a deadline, with a slot of the streams instead of the requests, ended by the drain.
func (a *API) lifetime(
	ctx context.Context, w http.ResponseWriter, p *pool, holders []holder, timeout time.Duration,
) (context.Context, func(), error) {
	rc := http.NewResponseController(w)
	if p == nil {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		rc.SetWriteDeadline(time.Now().Add(timeout + writeGrace)) // recorders of tests have none
		return ctx, cancel, nil
	}
	taken, err := p.enter(holders...)
	if err != nil {
		a.deps.Metrics.Refused("busy")
		return nil, nil, err
	}
	s := stateOf(ctx)
	s.stream = true
	s.place.release()
	s.place = taken
	a.deps.Metrics.Streams(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(a.drain, cancel)
	ctx = context.WithValue(ctx, streamKey{}, &openStream{place: taken, end: cancel})
	rc.SetWriteDeadline(time.Now().Add(streamWrite))
	return ctx, func() {
		stop()
		cancel()
		a.deps.Metrics.Streams(-1)
		taken.release()
	}, nil
}

const (
	writeGrace  = 15 * time.Second // for sending the answer after the handler's deadline
	streamWrite = 60 * time.Second // for one flush of a stream
)

// note adds an error to the request's log line: the code of errors of the caller (4xx),
// the full text of errors of the server.
func note(ctx context.Context, list errs.List) {
	e := list[0]
	attrs := []slog.Attr{slog.Int("code", int(e.Code))}
	if e.Pointer != "" {
		attrs = append(attrs, slog.String("field", e.Pointer))
	}
	if e.Cause != nil || e.Kind() == errs.Internal || e.Kind() == errs.Unavailable {
		attrs = append(attrs, slog.String("error", e.Error()))
	}
	telemetry.Add(ctx, attrs...)
}
