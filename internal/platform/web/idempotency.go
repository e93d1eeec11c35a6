package web

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the table of Idempotency, for the feature database "web".
func Schema() db.Schema {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return db.Schema{Source: "web", Files: files}
}

// Idempotency keeps the answers of creating requests for 24 hours, so that a
// client that did not see an answer may send the request again.
//
// Kept are answers that succeeded; a request that failed created nothing, and
// its key may be used again. A process that is killed between the feature's
// commit and the keeping of the answer leaves a lease behind: the key answers
// 409 (CodeIdempotencyBusy) until it has passed, and then runs again. Answers
// may hold secrets that are shown once, so they are sealed.
type Idempotency struct {
	db   *db.DB
	seal cipher.AEAD
}

const (
	idempotencyKept = 24 * time.Hour
	leaseGrace      = time.Minute // past the request's own deadline
)

// NewIdempotency uses a database that has [Schema], and derives its own key
// from a key of at least 32 bytes.
func NewIdempotency(d *db.DB, key []byte) (*Idempotency, error) {
	if len(key) < 32 {
		return nil, errors.New("web: the key must have at least 32 bytes")
	}
	block, err := aes.NewCipher(derive(key, "belfry idempotency v1"))
	if err != nil {
		return nil, err
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Idempotency{db: d, seal: seal}, nil
}

// Run deletes what has expired, until ctx ends.
func (i *Idempotency) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		if err := i.Sweep(ctx); err != nil && ctx.Err() == nil {
			log.Warn("idempotency sweep failed", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Sweep deletes expired rows, a thousand a transaction.
func (i *Idempotency) Sweep(ctx context.Context) error {
	for {
		var n int64
		err := i.db.Tx(ctx, func(tx *db.Tx) (err error) {
			n, err = tx.Exec(ctx, `DELETE FROM idempotency WHERE (principal, idem_key) IN
				(SELECT principal, idem_key FROM idempotency WHERE expires < $1 LIMIT 1000)`, time.Now().UnixMicro())
			return err
		})
		if err != nil || n < 1000 {
			return err
		}
	}
}

// idempotencyLeases are the rights to answer the first request with a key. After
// the answer, the row stays claimed for as long as the answer is kept.
var idempotencyLeases = db.NewLeases(db.LeaseTable{
	Name:   "idempotency",
	Key:    []string{"principal", "idem_key"},
	Holder: "owner",
	Until:  "expires",
	Set:    []string{"hash", "answer"},
})

// claim is the right of one request to answer for a key.
type claim struct {
	principal, key, owner string
}

func (c claim) lease() db.Lease { return idempotencyLeases.Of(c.owner, c.principal, c.key) }

// begin claims the key for a request, or returns the stored answer (sealed).
func (i *Idempotency) begin(
	ctx context.Context, c claim, hash []byte, ttl time.Duration,
) (stored []byte, err error) {
	err = i.db.Tx(ctx, func(tx *db.Tx) error {
		stored = nil
		held, err := c.lease().Claim(ctx, tx, ttl, hash, nil)
		if err != nil || held {
			return err
		}

		var first []byte
		err = tx.QueryRow(ctx, `SELECT hash, answer FROM idempotency WHERE principal = $1 AND idem_key = $2`,
			c.principal, c.key).Scan(&first, &stored)
		switch {
		case err != nil:
			return err
		case subtle.ConstantTimeCompare(first, hash) == 0:
			return errs.At(errs.CodeIdempotencyReuse, idempotencyHeader,
				"the key was used for another request within 24 hours")
		case stored == nil:
			return errs.At(errs.CodeIdempotencyBusy, idempotencyHeader,
				"the first request with this key has not been answered yet").After(time.Second)
		}
		return nil
	})
	return stored, err
}

// finish stores the answer, if the key is still this request's.
func (i *Idempotency) finish(ctx context.Context, c claim, answer []byte) error {
	return i.db.Tx(ctx, func(tx *db.Tx) error {
		held, err := c.lease().Renew(ctx, tx, idempotencyKept)
		if err != nil || !held {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE idempotency SET answer = $1 WHERE principal = $2 AND idem_key = $3`,
			answer, c.principal, c.key)
		return err
	})
}

// abandon frees the key of a request that failed.
func (i *Idempotency) abandon(ctx context.Context, c claim) error {
	return i.db.Tx(ctx, func(tx *db.Tx) error {
		return c.lease().Release(ctx, tx, 0)
	})
}

// kept is an answer as it is stored.
type kept struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

func (i *Idempotency) close(c claim, e encoded) ([]byte, error) {
	data, err := json.Marshal(kept{e.status, e.header, e.body})
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, i.seal.NonceSize())
	rand.Read(nonce) // never fails (crypto/rand)
	return i.seal.Seal(nonce, nonce, data, []byte(c.principal+"\x00"+c.key)), nil
}

func (i *Idempotency) open(c claim, sealed []byte) (encoded, error) {
	n := i.seal.NonceSize()
	if len(sealed) < n {
		return encoded{}, errors.New("web: stored answer is too short")
	}
	data, err := i.seal.Open(nil, sealed[:n], sealed[n:], []byte(c.principal+"\x00"+c.key))
	if err != nil {
		return encoded{}, fmt.Errorf("web: stored answer: %w", err)
	}
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		return encoded{}, fmt.Errorf("web: stored answer: %w", err)
	}
	return encoded{k.Status, k.Header, k.Body}, nil
}

// once answers a request that carries an Idempotency-Key.
func (x *exchange) once(ctx context.Context, key string) error {
	if err := CheckIdempotencyKey(key); err != nil {
		return err
	}
	data, err := x.body.bytes()
	if err != nil {
		return err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n", x.r.Method, x.r.URL.EscapedPath(), x.query.Encode())
	h.Write(data)
	store := x.api.deps.Idempotency
	c := claim{x.principal.Key(), key, id.New()}
	stored, err := store.begin(ctx, c, h.Sum(nil), x.rt.Timeout+leaseGrace)
	if err != nil {
		return err
	}
	if stored != nil {
		e, err := store.open(c, stored)
		if err != nil {
			return err
		}
		e.header.Set("Idempotency-Replayed", "true")
		x.send(e)
		return nil
	}
	settled := false
	// Not the request's context: what happened is written down also when the
	// client has left or the time is over.
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), x.rt.Timeout+leaseGrace)
	defer cancel()
	defer func() {
		if !settled { // an error, or a panic on its way out
			if err := store.abandon(late, c); err != nil {
				x.api.deps.Log.Warn("an idempotency key stays taken until its lease ends", "error", err)
			}
		}
	}()
	x.keeping = true
	x.body.rewind()
	if err := x.handle(ctx); err != nil {
		return err
	}
	buf := buffer()
	defer release(buf)
	e, err := x.answerToKeep(buf)
	if err != nil {
		return err
	}
	if e.status < 300 { // otherwise Reply.Errors: nothing was created
		settled = true
		sealed, err := store.close(c, e)
		if err == nil {
			err = store.finish(late, c, sealed)
		}
		if err != nil {
			// The feature has committed: the caller gets the answer, and a
			// repetition within the lease a 409 rather than a second creation.
			x.api.deps.Log.Warn("an answer could not be kept for its idempotency key", "error", err)
		}
	}
	x.send(e)
	return nil
}

// answerToKeep is the answer that the handler gave, encoded.
func (x *exchange) answerToKeep(buf *bytes.Buffer) (encoded, error) {
	switch {
	case x.kept != nil:
		return *x.kept, nil
	case x.rt.raw:
		return encoded{}, fmt.Errorf("web: %s did not answer", x.rt.pattern)
	case x.out.send != nil:
		return encoded{}, fmt.Errorf("web: %s is Idempotent and answers a stream", x.rt.pattern)
	}
	return x.encode(buf)
}

const idempotencyHeader = "Idempotency-Key"

// CheckIdempotencyKey refuses keys that are not 1 to 255 visible ASCII characters.
// An empty key means that the request has none, and passes.
func CheckIdempotencyKey(key string) error {
	valid := len(key) <= 255
	for i := range len(key) {
		valid = valid && key[i] > ' ' && key[i] < 0x7f
	}
	if !valid {
		return errs.At(errs.CodeInvalid, idempotencyHeader, "an Idempotency-Key has 1 to 255 visible ASCII characters")
	}
	return nil
}
