package web_test

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// counter registers a creating operation that counts its calls.
func counter(a *web.API, handle func(n int) error) {
	var mu sync.Mutex
	n := 0
	web.Post(a, web.Op{
		Path:       "/tokens",
		ID:         "create-token",
		Tag:        "T",
		Summary:    "S",
		Scope:      web.ScopeSelf,
		Status:     201,
		Idempotent: true,
	},
		func(_ context.Context, _ *createInput) (thing, error) {
			mu.Lock()
			n++
			mine := n
			mu.Unlock()
			return thing{ID: fmt.Sprint(mine), Name: "hunter2"}, handle(mine)
		})
}

const tokens = "POST /client/v4/tokens"

func TestARepeatedRequestGetsTheStoredAnswerAndOnlyThatOne(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		a := newAPI(t, withIdempotency(t, d))
		counter(a.API, func(int) error { return nil })
		first := ask(t, a, tokens, `{"name":"a"}`, as("reader"), "Idempotency-Key: k")
		again := ask(t, a, tokens, `{"name":"a"}`, as("reader"), "Idempotency-Key: k")
		if first.Code != 201 || again.Code != 201 || first.Body.String() != again.Body.String() ||
			again.Header().Get("Idempotency-Replayed") != "true" {
			t.Fatalf("%s\n%s %v", first.Body, again.Body, again.Header())
		}
		// The key is the principal's own, and belongs to its request.
		if other := ask(t, a, tokens, `{"name":"a"}`, as("owner"),
			"Idempotency-Key: k"); other.Body.String() == first.Body.String() {
			t.Fatal("another principal got the answer")
		}
		w := ask(t, a, tokens, `{"name":"b"}`, as("reader"), "Idempotency-Key: k")
		refused(t, w, 409, errs.CodeIdempotencyReuse, "Idempotency-Key")
		if w.Header().Get("X-Should-Retry") != "false" {
			t.Fatal("a client would retry")
		}
		for _, bad := range []string{strings.Repeat("k", 256), "a b", "ä"} {
			refused(t, ask(t, a, tokens, `{"name":"a"}`, as("reader"), "Idempotency-Key: "+bad), 400, errs.CodeInvalid,
				"Idempotency-Key")
		}
		var answer []byte
		ctx := t.Context()
		err := d.View(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, `SELECT answer FROM idempotency WHERE principal = $1`, "token:"+ours+":reader").Scan(&answer)
		})
		if err != nil || len(answer) == 0 || strings.Contains(string(answer), "hunter2") {
			t.Fatalf("%v: a secret of the answer lies open in the database: %q", err, answer)
		}
	})
}

func TestAFailedRequestFreesItsKey(t *testing.T) {
	a := newAPI(t, withIdempotency(t, openDB(t)))
	counter(a.API, func(n int) error {
		switch n {
		case 1:
			return errs.New(errs.CodeUnavailable, "not now")
		case 2:
			panic("oh")
		}
		return nil
	})
	for i, want := range []int{503, 500, 201, 201} {
		if w := ask(t, a, tokens, `{"name":"a"}`, as("reader"), "Idempotency-Key: k"); w.Code != want {
			t.Fatalf("request %d: %d %s", i, w.Code, w.Body)
		}
	}
	refused(t, ask(t, a, tokens, `{"name":7}`, as("reader"), "Idempotency-Key: l"), 400, errs.CodeWrongType, "/name")
	if w := ask(t, a, tokens, `{"name":"a"}`, as("reader"), "Idempotency-Key: l"); w.Code != 201 {
		t.Fatalf("a key whose request was invalid is spent: %s", w.Body)
	}
}

func TestARequestUnderWayAnswersItsRepetitionBusyUntilItsLeasePasses(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		a := newAPI(t, withIdempotency(t, d))
		entered := make(chan struct{}, 2)
		leave := make(chan struct{})
		counter(a.API, func(n int) error {
			entered <- struct{}{}
			if n == 1 {
				<-leave
			}
			return nil
		})
		done := make(chan string)
		go func() {
			done <- ask(t, a, tokens, `{"name":"a"}`, as("reader"), "Idempotency-Key: k").Body.String()
		}()
		<-entered
		w := ask(t, a, tokens, `{"name":"a"}`, as("reader"), "Idempotency-Key: k")
		refused(t, w, 409, errs.CodeIdempotencyBusy, "Idempotency-Key")
		if w.Header().Get("X-Should-Retry") != "true" || w.Header().Get("Retry-After") != "1" {
			t.Fatalf("%v", w.Header())
		}
		// As if the first process had been killed long ago: another takes over,
		// and what the first one still writes does not replace the answer.
		ctx := t.Context()
		err := d.Tx(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE idempotency SET expires = $1`, time.Now().Add(-time.Second).UnixMicro())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		second := ask(t, a, tokens, `{"name":"a"}`, as("reader"), "Idempotency-Key: k").Body.String()
		close(leave)
		if first := <-done; first == second {
			t.Fatal("the second request did not run")
		}
		if third := ask(t, a, tokens, `{"name":"a"}`, as("reader"), "Idempotency-Key: k").Body.String(); third != second {
			t.Fatalf("the stored answer is %s, want %s", third, second)
		}
	})
}

func TestExpiredAnswersAreSwept(t *testing.T) {
	onBoth(t, func(t *testing.T, d *db.DB) {
		i, err := web.NewIdempotency(d, key)
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		err = d.Tx(ctx, func(tx *db.Tx) error {
			for n := range 2500 {
				expires := time.Now().Add(-time.Minute)
				if n < 3 {
					expires = time.Now().Add(time.Hour)
				}
				if _, err := tx.Exec(ctx, `INSERT INTO idempotency (principal, idem_key, hash, owner, expires)
					VALUES ($1, $2, $3, '', $4)`, "p", fmt.Sprint(n), []byte{1}, expires.UnixMicro()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := i.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		var left int
		if err := d.View(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx,
				`SELECT COUNT(*) FROM idempotency`).Scan(&left)
		}); err != nil || left != 3 {
			t.Fatalf("%d left, %v", left, err)
		}
	})
}

func TestARawRequestThatIsRepeatedGetsTheStoredAnswer(t *testing.T) {
	a := newAPI(t, withIdempotency(t, openDB(t)))
	op := web.Op{
		Path:       "/accounts/{account_id}/raw",
		ID:         "get-raw",
		Tag:        "T",
		Summary:    "S",
		Permission: "audit:write",
		Accepts:    []string{"application/json"},
		Status:     202,
	}
	handled := 0
	web.Raw(a.API, "POST", op, func(_ context.Context, _ *struct{}, x *web.Exchange) error {
		handled++
		read, err := io.ReadAll(x.Body())
		if err != nil {
			return err
		}
		if handled == 1 {
			x.Send(web.Envelope{Errors: errs.List{errs.New(errs.CodeInvalid, "none of them")}})
			return nil
		}
		whole, err := x.Bytes()
		if err != nil || string(read) != string(whole) {
			return fmt.Errorf("%q and %q: %w", read, whole, err)
		}
		x.Send(web.Envelope{Result: []byte(fmt.Sprintf(`{"n":%d,"bytes":%d}`, handled, len(read)))})
		return nil
	})
	post := func(body string, headers ...string) *httptest.ResponseRecorder {
		return ask(t, a, "POST /client/v4/accounts/"+ours+"/raw", body, append(headers, as("owner"), "Idempotency-Key: k")...)
	}
	refused(t, post(`{"a":1}`), 400, errs.CodeInvalid, "") // and its key is free again
	for i, zip := range []bool{false, false, true} {
		body, headers := `{"a":1}`, []string(nil)
		if zip {
			body = zipped(t, body)
			headers = []string{"Content-Encoding: gzip"}
		}
		w := post(body, headers...)
		if got := string(decode(t, w).Result); w.Code != 202 || got != `{"n":2,"bytes":7}` ||
			(w.Header().Get("Idempotency-Replayed") == "true") != (i > 0) {
			t.Fatalf("request %d: %d %s %v", i, w.Code, got, w.Header())
		}
	}
	refused(t, post(`{"a":2}`), 409, errs.CodeIdempotencyReuse, "Idempotency-Key")
	if handled != 2 {
		t.Fatalf("handled %d times", handled)
	}
}

func TestMembersOfTwoAccountsWithOneIDHaveKeysOfTheirOwn(t *testing.T) {
	a := newAPI(t, withIdempotency(t, openDB(t)))
	registerThings(a.API)
	for i, account := range []string{ours, foreign} {
		name := fmt.Sprint("member-of-", i)
		people[name] = web.Principal{Kind: web.KindUser, ID: "u1", AccountID: account, Permissions: web.Permissions{"*"}}
		w := ask(t, a, "POST /client/v4/accounts/"+account+"/things", `{"name":"`+name+`"}`, as(name), "Idempotency-Key: k")
		if w.Code != 201 || w.Header().Get("Idempotency-Replayed") != "" {
			t.Fatalf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
