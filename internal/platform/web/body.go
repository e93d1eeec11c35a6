package web

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// body reads a request's body: limited in size before and after decompression,
// limited in time, decompressed. Its errors are of type [errs.Error].
type body struct {
	r         io.Reader
	left      int64 // bytes that may still come out
	max       int64
	gz        *gzip.Reader // to give back
	buf       []byte       // result of bytes, from the pool
	mediaType string
	gone      error // first failure; all later reads give it again
}

var errBomb = errors.New("over the limit")

// openBody prepares the body of an operation that takes one of types, and decodes coding
// itself.
func openBody(r *http.Request, limit int64, types []string, coding string) (*body, error) {
	b := &body{r: http.NoBody, left: limit, max: limit}
	if r.Body == nil || r.Body == http.NoBody {
		return b, nil
	}
	if err := b.takes(r.Header.Get("Content-Type"), types); err != nil {
		return nil, err
	}
	if r.ContentLength > limit {
		return nil, b.tooLarge()
	}
	// Compressed data has the same limit: data that expands to nothing costs time, too.
	wire := &capped{r: r.Body, left: limit}
	switch enc := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); enc {
	case "", "identity", coding:
		b.r = wire
	case "gzip", "x-gzip":
		gz, _ := gzipReaders.Get().(*gzip.Reader)
		var err error
		if gz == nil {
			gz, err = gzip.NewReader(wire)
		} else {
			err = gz.Reset(wire)
		}
		if err != nil {
			return nil, b.describe(err, true)
		}
		b.r, b.gz = gz, gz
	default:
		return nil, errs.At(errs.CodeBadEncoding, "Content-Encoding",
			"Content-Encoding %q is not supported: send gzip or none", clip(enc))
	}
	return b, nil
}

func (b *body) takes(header string, types []string) error {
	media, _, err := mime.ParseMediaType(header)
	if err != nil && header != "" && media == "" {
		return errs.At(errs.CodeMediaType, "Content-Type", "Content-Type %q is not a media type", clip(header))
	}
	b.mediaType = media
	if header == "" || len(types) == 0 || slices.Contains(types, media) {
		return nil
	}
	if _, suffix, ok := strings.Cut(media, "+"); ok && suffix == "json" && slices.Contains(types, "application/json") {
		return nil
	}
	hint := ""
	if media == "application/x-www-form-urlencoded" {
		hint = "; curl sends a form unless -H 'Content-Type: ...' names another type, and needs --data-binary to keep " +
			"line breaks"
	}
	return errs.At(errs.CodeMediaType, "Content-Type", "Content-Type is %q; this takes %s%s",
		clip(media), strings.Join(types, ", "), hint)
}

// Read gives decompressed bytes; past the limit it fails with CodeTooLarge.
func (b *body) Read(p []byte) (int, error) {
	if b.gone != nil {
		return 0, b.gone
	}
	if b.left <= 0 { // is there one more byte?
		var one [1]byte
		n, err := io.ReadFull(b.r, one[:])
		if n > 0 {
			err = errBomb
		}
		b.gone = b.describe(err, b.gz != nil)
		return 0, b.gone
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if err != nil {
		b.gone = b.describe(err, b.gz != nil)
	}
	return n, b.gone
}

// describe keeps io.EOF and gives every other failure its code.
func (b *body) describe(err error, compressed bool) error {
	var big *http.MaxBytesError
	switch {
	case errors.Is(err, io.EOF):
		if compressed && b.gz == nil {
			return errs.New(errs.CodeBadEncoding, "the body is not gzip: it is empty")
		}
		return io.EOF
	case errors.Is(err, errBomb), errors.As(err, &big):
		return b.tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errs.New(errs.CodeSlowBody, "the body did not arrive in time").Because(err)
	case compressed && (errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) ||
		errors.Is(err, io.ErrUnexpectedEOF) || isFlate(err)):
		return errs.New(errs.CodeBadEncoding, "the body is not whole gzip: %v", err)
	default:
		return errs.New(errs.CodeInvalid, "the body could not be read").Because(err)
	}
}

func (b *body) tooLarge() error {
	return errs.New(errs.CodeTooLarge, "the body is larger than %d bytes", b.max)
}

// bytes reads all of the body, once; the slice is valid until close.
func (b *body) bytes() ([]byte, error) {
	if b.buf != nil {
		return b.buf, nil
	}
	buf, _ := bodyBuffers.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
		*buf = make([]byte, 0, 64<<10)
	}
	data := (*buf)[:0]
	for {
		if len(data) == cap(data) {
			data = slices.Grow(data, max(64<<10, cap(data)))
		}
		n, err := b.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if errors.Is(err, io.EOF) {
			b.buf = data
			return data, nil
		}
		if err != nil {
			*buf = data
			bodyBuffers.Put(buf)
			return nil, err
		}
	}
}

// rewind makes the bytes readable again.
func (b *body) rewind() {
	b.r = bytes.NewReader(b.buf)
	b.left = int64(len(b.buf))
	b.gone = nil
}

// close gives the buffers back. Nothing of the body may be used afterwards.
func (b *body) close() {
	if b.gz != nil {
		gzipReaders.Put(b.gz)
		b.gz = nil
	}
	if b.buf != nil && cap(b.buf) <= maxPooled {
		buf := b.buf
		bodyBuffers.Put(&buf)
	}
	b.buf, b.r = nil, http.NoBody
}

// maxPooled keeps one large request from pinning its memory for ever.
const maxPooled = 16 << 20

// The pools hold no state between requests.
var (
	gzipReaders sync.Pool // *gzip.Reader
	bodyBuffers sync.Pool // *[]byte
)

// capped is io.LimitReader with an error of its own.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		var one [1]byte
		if n, err := io.ReadFull(c.r, one[:]); n == 0 {
			return 0, err
		}
		return 0, errBomb
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	return n, err
}

// timed is the wire's body: its deadline holds until the end of the body, not
// longer. (net/http reads ahead after a body; a deadline left behind would
// cancel the handler's context.)
type timed struct {
	io.ReadCloser
	reset func()
}

func (t *timed) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		t.reset()
	}
	return n, err
}

const (
	smallBody      = 16 << 10        // a body of at most this is read before the request takes a place
	publicBodyTime = 5 * time.Second // for the body of a request to a public route
)

// readSmallBody gives the body its deadline, and reads it when it is small: a
// client that sends slowly must not hold a place among the requests meanwhile.
// Bodies of public routes must be small. A larger body is read by the handler,
// in the name of a principal, who has only so many places.
func (a *API) readSmallBody(w http.ResponseWriter, r *http.Request, public bool) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	within := a.cfg.BodyTimeout
	if public {
		within = min(within, publicBodyTime)
	}
	withBodyDeadline(w, r, within)
	b := body{max: smallBody}
	switch {
	case public && r.ContentLength > smallBody:
		return b.tooLarge()
	case !public && (r.ContentLength < 0 || r.ContentLength > smallBody):
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, smallBody+1))
	if err != nil {
		return b.describe(err, false)
	}
	if len(data) > smallBody {
		return b.tooLarge()
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	return nil
}

func withBodyDeadline(w http.ResponseWriter, r *http.Request, d time.Duration) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(d)) == nil {
		r.Body = &timed{r.Body, func() { rc.SetReadDeadline(time.Time{}) }}
	}
}

func isFlate(err error) bool {
	var corrupt flate.CorruptInputError
	var internal flate.InternalError
	return errors.As(err, &corrupt) || errors.As(err, &internal)
}

// clip shortens the caller's text before an error message repeats it.
func clip(s string) string { return strict.Clip(s, 64) }
