package web

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Cursors makes and reads the cursors of lists: opaque to clients, made of a
// small JSON value and a MAC (HMAC-SHA-256, 16 bytes), so that a list never
// starts at a place that it did not give out itself.
type Cursors struct{ key []byte }

// NewCursors derives the cursors' key from a key of at least 32 bytes.
func NewCursors(key []byte) *Cursors { return &Cursors{derive(key, "belfry cursor v1")} }

const (
	cursorMAC = 16
	maxCursor = 2048
)

// Encode makes the cursor of a list. list names it with everything that the
// cursor depends on (route, account, sort order): a cursor of another list is
// refused. v is a small struct.
func (c *Cursors) Encode(list string, v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic("web: cursor: " + err.Error()) // a struct that cannot be JSON is a defect
	}
	return base64.RawURLEncoding.EncodeToString(append(c.mac(list, data), data...))
}

// Decode reads the cursor into v (a pointer). Anything that Encode did not make
// for the same list is CodeBadCursor.
func (c *Cursors) Decode(list, cursor string, v any) error {
	bad := errs.At(errs.CodeBadCursor, "cursor", "the cursor does not belong to this list")
	if len(cursor) > maxCursor {
		return bad
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(data) < cursorMAC {
		return bad
	}
	mac, data := data[:cursorMAC], data[cursorMAC:]
	if !hmac.Equal(mac, c.mac(list, data)) {
		return bad
	}
	if err := json.Unmarshal(data, v); err != nil {
		return bad // made by an older version with another struct
	}
	return nil
}

func (c *Cursors) mac(list string, data []byte) []byte {
	name := sha256.Sum256([]byte(list)) // of fixed length: no two (list, data) read the same
	h := hmac.New(sha256.New, c.key)
	h.Write(name[:])
	h.Write(data)
	return h.Sum(nil)[:cursorMAC]
}

// derive makes the key of one purpose (RFC 5869).
func derive(key []byte, purpose string) []byte {
	out, err := hkdf.Key(sha256.New, key, nil, purpose, 32)
	if err != nil {
		panic("web: derive key: " + err.Error()) // only for lengths that are not asked for
	}
	return out
}
