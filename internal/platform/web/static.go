package web

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
)

// Static is an answer that is made once: its bytes, the same compressed, and its
// entity tag. To serve it costs no more than a copy.
type Static struct {
	contentType string
	plain       []byte
	zipped      []byte // empty when it would not be smaller
	tag         string
}

// NewStatic makes the answer of these bytes, which it keeps.
func NewStatic(contentType string, b []byte) *Static {
	s := &Static{contentType: contentType, plain: b, tag: etagOf(b)}
	var buf bytes.Buffer
	zip, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression) // the level is valid
	zip.Write(b)                                              // into memory: never fails
	zip.Close()
	if buf.Len() < len(b) {
		s.zipped = buf.Bytes()
	}
	return s
}

// ServeHTTP answers GET and HEAD, with 304 where the client has the content already.
func (s *Static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", s.contentType)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", s.tag)
	h.Add("Vary", "Accept-Encoding")
	if etagMatches(r.Header.Get("If-None-Match"), s.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	b := s.plain
	if len(s.zipped) > 0 && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		b = s.zipped
	}
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		w.Write(b)
	}
}
