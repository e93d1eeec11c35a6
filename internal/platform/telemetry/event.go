package telemetry

import (
	"context"
	"log/slog"
	"sync"
)

// Event is the wide event of one request or message: attributes gather while
// it runs, and one line is written at its end.
type Event struct {
	mu    sync.Mutex // guards attrs: a request may have goroutines of its own
	attrs []slog.Attr
}

// maxAttrs bounds an event, so that a loop which adds to it stays harmless.
const maxAttrs = 64

type eventKey struct{}
type requestIDKey struct{}

// WithEvent returns a context that carries a new, empty event.
func WithEvent(ctx context.Context) (context.Context, *Event) {
	e := &Event{}
	return context.WithValue(ctx, eventKey{}, e), e
}

// Add puts attributes on the context's event; without an event it does nothing.
func Add(ctx context.Context, attrs ...slog.Attr) {
	if e, ok := ctx.Value(eventKey{}).(*Event); ok {
		e.Add(attrs...)
	}
}

// Add puts attributes on the event, in the order in which they are shown.
func (e *Event) Add(attrs ...slog.Attr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if room := maxAttrs - len(e.attrs); len(attrs) > room {
		attrs = attrs[:room]
	}
	e.attrs = append(e.attrs, attrs...)
}

// Write logs the event as one line.
func (e *Event) Write(ctx context.Context, log *slog.Logger, level slog.Level, message string) {
	e.mu.Lock()
	attrs := e.attrs
	e.mu.Unlock()
	log.LogAttrs(ctx, level, message, attrs...)
}

// WithRequestID returns a context that carries the request's id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID is the id of the request that ctx belongs to, or "".
func RequestID(ctx context.Context) string {
	s, _ := ctx.Value(requestIDKey{}).(string)
	return s
}
