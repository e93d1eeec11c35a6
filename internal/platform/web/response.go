package web

import (
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// response records what is sent and compresses it when the client accepts gzip
// and the content is worth it. It belongs to the goroutine of the request.
type response struct {
	http.ResponseWriter
	accepts bool // gzip
	status  int  // 0 until the header is written
	bytes   int64
	gz      *gzip.Writer
}

// minGzip is the size below which an answer of known length is not compressed: it fits
// into one packet either way.
const minGzip = 1400

func newResponse(w http.ResponseWriter, r *http.Request) *response {
	return &response{
		ResponseWriter: w,
		accepts:        r.Method != http.MethodHead && acceptsGzip(r.Header.Get("Accept-Encoding")),
	}
}

// acceptsGzip reads Accept-Encoding (RFC 9110, 12.5.3): gzip or *, not with q=0.
func acceptsGzip(header string) bool {
	for one := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(one), ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name != "gzip" && name != "*" {
			continue
		}
		if q, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q="); ok {
			if v, err := strconv.ParseFloat(q, 64); err != nil || v == 0 {
				return false
			}
		}
		return true
	}
	return false
}

// Unwrap lets [http.ResponseController] reach the connection.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// WriteHeader decides about compression and sends the header.
func (r *response) WriteHeader(status int) {
	if status >= 100 && status < 200 {
		r.ResponseWriter.WriteHeader(status)
		return
	}
	if r.status != 0 {
		return
	}
	r.status = status
	h := r.Header()
	if status != http.StatusNoContent && status != http.StatusNotModified && status != http.StatusPartialContent &&
		compressible(h) {
		h.Add("Vary", "Accept-Encoding")
		if r.accepts {
			h.Del("Content-Length")
			h.Set("Content-Encoding", "gzip")
			r.gz, _ = gzipWriters.Get().(*gzip.Writer)
			if r.gz == nil {
				r.gz, _ = gzip.NewWriterLevel(nil, 5) // the level is valid
			}
			r.gz.Reset(counting{r})
		}
	}
	r.ResponseWriter.WriteHeader(status)
}

// compressible excludes event streams (each event must be sent at once) and content
// that is compressed or random already.
func compressible(h http.Header) bool {
	if h.Get("Content-Encoding") != "" {
		return false
	}
	if n := h.Get("Content-Length"); n != "" {
		if v, err := strconv.Atoi(n); err == nil && v < minGzip {
			return false
		}
	}
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	switch media = strings.TrimSpace(media); media {
	case "application/json", "application/x-ndjson", "application/yaml", "application/javascript", "image/svg+xml":
		return true
	case "text/event-stream":
		return false
	}
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+json")
}

// Write sends a part of the body.
func (r *response) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	if r.gz != nil {
		return r.gz.Write(p)
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// FlushError sends the buffer (for [http.ResponseController]).
func (r *response) FlushError() error {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	if r.gz != nil {
		if err := r.gz.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(r.ResponseWriter).Flush()
}

// finish ends the gzip stream. It is not called for an aborted answer: the
// client must see that it was cut.
func (r *response) finish() {
	if r.gz == nil {
		return
	}
	r.gz.Close() // the connection's fault, if any, is the client's to see
	r.gz.Reset(nil)
	gzipWriters.Put(r.gz)
	r.gz = nil
}

// counting is the connection below gzip.
type counting struct{ r *response }

func (c counting) Write(p []byte) (int, error) {
	n, err := c.r.ResponseWriter.Write(p)
	c.r.bytes += int64(n)
	return n, err
}

var gzipWriters sync.Pool // *gzip.Writer; no state between requests
