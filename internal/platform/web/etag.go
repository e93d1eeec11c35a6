package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// etagOf is the entity tag of a result: a hash of its JSON, which is canonical
// as long as it is made by the same program from the same type (members in the
// order of the struct, map keys sorted).
func etagOf(result []byte) string {
	sum := sha256.Sum256(result)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// etagMatches reports whether a list of tags (If-Match, If-None-Match) holds
// the tag. Weak marks and the suffixes that proxies add when they compress are
// ignored: the tag is that of the content, not of its encoding.
func etagMatches(header, tag string) bool {
	if header == "" {
		return false
	}
	for one := range strings.SplitSeq(header, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		one = strings.Replace(one, `-gzip"`, `"`, 1)
		if one == "*" || one == tag {
			return true
		}
	}
	return false
}

// IfMatch checks the request's If-Match against present, the value that a GET
// of the object would give as its result. Call it inside the transaction that
// changes the object. Without the header it holds; otherwise the error is
// CodeStale (412).
func IfMatch(ctx context.Context, present any) error {
	x := exchangeOf(ctx)
	if x == nil {
		return nil
	}
	header := strings.Join(x.r.Header.Values("If-Match"), ",")
	if header == "" {
		return nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(present); err != nil {
		return err
	}
	if !etagMatches(header, etagOf(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))) {
		return errs.At(errs.CodeStale, "If-Match", "the object has changed since it was read")
	}
	return nil
}
