package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

// Stream is a long answer that is written in parts: NDJSON, CSV, a download. The
// operation declares Op.Stream. Before the first flush, an error of Write is answered
// in the envelope; after it the connection is aborted, so that the client does not
// mistake a part for the whole.
type Stream struct {
	ContentType string // "application/x-ndjson", "text/csv; charset=utf-8"
	Filename    string // offers the answer as a download of this name
	Header      http.Header
	Write       func(ctx context.Context, w *StreamWriter) error
}

// StreamWriter is buffered; every flush to the connection renews its deadline
// (60 s), so that a stream may take as long as its reader keeps reading.
type StreamWriter struct {
	b  *bufio.Writer
	to *renewing
}

// streamBuffer is the number of bytes that are buffered before the header is sent.
const streamBuffer = 64 << 10

// Write adds bytes to the stream.
func (w *StreamWriter) Write(p []byte) (int, error) { return w.b.Write(p) }

// JSON writes v as one line (NDJSON).
func (w *StreamWriter) JSON(v any) error {
	enc := json.NewEncoder(w.b)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// Flush sends the buffer.
func (w *StreamWriter) Flush() error {
	if err := w.b.Flush(); err != nil {
		return err
	}
	return w.to.rc.Flush()
}

// renewing writes to the connection with a fresh deadline each time, until the
// stream's context ends.
type renewing struct {
	ctx    context.Context
	w      http.ResponseWriter
	rc     *http.ResponseController
	status int
	begun  bool
}

func (r *renewing) Write(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if !r.begun {
		r.begun = true
		r.w.WriteHeader(r.status)
	}
	if err := r.rc.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return r.w.Write(p)
}

func (s Stream) reply() *reply {
	return &reply{send: s.run}
}

func (s Stream) shape() shape { return shape{content: "application/x-ndjson"} }

func (s Stream) run(ctx context.Context, x *exchange) error {
	if !x.rt.Stream {
		return fmt.Errorf("web: %s answers a Stream and does not declare Op.Stream", x.rt.pattern)
	}
	h := x.w.Header()
	copyHeader(h, s.Header)
	h.Set("Content-Type", s.ContentType)
	h.Set("Cache-Control", "no-store")
	if s.Filename != "" {
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": s.Filename}))
	}
	mustBeWatched(ctx, x.rt.pattern)
	if x.r.Method == http.MethodHead {
		x.w.WriteHeader(x.rt.Status)
		return nil
	}
	to := &renewing{ctx: ctx, w: x.w, rc: http.NewResponseController(x.w), status: x.rt.Status}
	w := &StreamWriter{bufio.NewWriterSize(to, streamBuffer), to}
	err := s.Write(ctx, w)
	if err == nil {
		if w.b.Buffered() == 0 && !to.begun {
			to.begun = true
			x.w.WriteHeader(to.status)
			return nil
		}
		err = w.b.Flush()
	}
	if err == nil {
		return nil
	}
	if !to.begun {
		return err
	}
	telemetry.Add(ctx, slog.String("error", "stream cut: "+err.Error()))
	panic(http.ErrAbortHandler)
}
