package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/test/e2e/live"
)

// public are the operations that answer without a credential, and why.
var public = map[string]string{
	"GET /audit/keys":   "whoever verifies an export needs the key and no account",
	"GET /capabilities": "limits, before there is a token",
	"GET /ips":          "receivers of webhooks have no token",
}

func TestOnlyTheListedRoutesArePublic(t *testing.T) {
	left := maps.Clone(public)
	for _, o := range operations(t) {
		if _, listed := public[o.String()]; listed != (o.Scope == "public") || listed != o.Public {
			t.Errorf("%s: on the list %v, described as public %v, scope %q", o, listed, o.Public, o.Scope)
		}
		delete(left, o.String())
		a := sendFromNewAddress(t, live.Request{Method: o.Method, Path: o.at(nil, "x")})
		if (a.Status == http.StatusUnauthorized) == (public[o.String()] != "") {
			t.Errorf("%s without a credential answers %d", o, a.Status)
		}
	}
	for o := range left {
		t.Errorf("%s is on the list and does not exist", o)
	}
}

// Invalid parts of a request. Each alone would be answered 400, 404 or 413, but only after the credential was checked.
const (
	garbageID    = "..\x00/%zz"
	garbageQuery = "?limit=banana&cursor=AAAA&since=never&before=&unknown=1&page=-1&format=exe"
	garbageBody  = `{"garbage`
	garbageType  = "text/nonsense"
)

func askGarbage(t *testing.T, token string, o operation, values map[string]string) live.Answer {
	t.Helper()
	r := live.Request{
		Token:   token,
		Method:  o.Method,
		Path:    o.at(values, garbageID) + garbageQuery,
		Headers: []string{"Idempotency-Key", "e2e", "If-Match", "nothing"},
	}
	if o.Method != "GET" {
		r.Body = []byte(garbageBody)
		r.ContentType = garbageType
		r.Headers = append(r.Headers, "Content-Encoding", "gzip")
	}
	return sendFromNewAddress(t, r)
}

// TestWithoutAValidCredentialNothingIsLookedAt sends garbage to every operation. The answer
// must be that of the credential, and the same whether the account exists or not.
func TestWithoutAValidCredentialNothingIsLookedAt(t *testing.T) {
	a := newAccount(t)
	credentials := []struct {
		name, token string
		code        int
	}{
		{"no token", "", 10000},
		{"an unknown token", strings.Repeat("x", 40), 10000},
		{"a revoked token", revokedToken(t, a), 10000},
		{"an expired token", expiredToken(t, a), 10002},
	}
	for _, o := range operations(t) {
		if public[o.String()] != "" {
			continue
		}
		for _, c := range credentials {
			refused := uniformRefusal{what: fmt.Sprintf("%s with %s", o, c.name), status: 401, code: c.code}
			refused.check(t, foreignPlaces(a.ID), func(values map[string]string) live.Answer {
				return askGarbage(t, c.token, o, values)
			})
		}
	}
}

// TestAForeignAccountIsToldNothing: a token that may do everything in its own account gets
// one answer for every other, whether that exists or not.
func TestAForeignAccountIsToldNothing(t *testing.T) {
	a, stranger := newAccount(t), newAccount(t)
	walked := 0
	for _, o := range operations(t) {
		if o.Scope != "account" {
			continue
		}
		walked++
		refused := forbidden(o, "does not reach this account")
		refused.check(t, foreignPlaces(a.ID), func(values map[string]string) live.Answer {
			return askGarbage(t, stranger.Token, o, values)
		})
	}
	if walked < 30 {
		t.Errorf("only %d operations belong to an account", walked)
	}
}

// TestAnAccountsTokenReachesNeitherInstallationNorProducers: "*" ends at the account.
func TestAnAccountsTokenReachesNeitherInstallationNorProducers(t *testing.T) {
	a := newAccount(t)
	walked := 0
	for _, o := range operations(t) {
		if o.Scope != "installation" && o.Scope != "producer" {
			continue
		}
		walked++
		places := []map[string]string{nil, {"producer_id": a.ID}}
		forbidden(o, o.Permission).check(t, places, func(values map[string]string) live.Answer {
			return askGarbage(t, a.Token, o, values)
		})
	}
	if walked < 10 {
		t.Errorf("only %d operations belong to the installation or to producers", walked)
	}
}

// TestEveryOperationAsksForItsPermission uses a token of the right account with one other
// permission.
func TestEveryOperationAsksForItsPermission(t *testing.T) {
	a := newAccount(t)
	_, mail := newToken(t, a, "mail:read", "")
	_, flags := newToken(t, a, "flags:read", "")
	for _, o := range operations(t) {
		if o.Scope != "account" || o.Permission == "any" {
			continue
		}
		token := mail
		if o.Permission == "mail:read" {
			token = flags
		}
		places := []map[string]string{{"account_id": a.ID}}
		forbidden(o, o.Permission).check(t, places, func(values map[string]string) live.Answer {
			return askGarbage(t, token, o, values)
		})
	}
}

// TestATeamIsToldNothingOfAnother asks with valid parameters: which team it is stands in
// the path, and is decided by the operation.
func TestATeamIsToldNothingOfAnother(t *testing.T) {
	one := newTeam(t, "told-one")
	other := newTeam(t, "told-other")
	walked := 0
	for _, o := range operations(t) {
		if o.Scope != "producer" || !slices.Contains(o.parameters(), "producer_id") {
			continue
		}
		walked++
		places := []map[string]string{
			{"producer_id": other.ID},
			{"producer_id": strings.Repeat("0", 32)},
		}
		forbidden(o, "").check(t, places, func(values map[string]string) live.Answer {
			return sendFromNewAddress(t, live.Request{
				Token:       one.Token,
				Method:      o.Method,
				Path:        o.at(values, strings.Repeat("0", 32)),
				ContentType: "application/json",
				Body:        []byte("{}"),
			})
		})
	}
	if walked < 3 {
		t.Errorf("only %d operations belong to a team", walked)
	}
}

// foreignPlaces are the ways to name an account that must make no difference.
func foreignPlaces(existing string) []map[string]string {
	return []map[string]string{
		{"account_id": existing},
		{"account_id": strings.Repeat("0", 32)},
		{"account_id": "ext:nobody"},
		{"account_id": "not an id"},
	}
}

// uniformRefusal is the one refusal that requests for several places must get.
type uniformRefusal struct {
	what    string
	status  int
	code    int
	message string // part of it
}

func forbidden(o operation, message string) uniformRefusal {
	return uniformRefusal{what: o.String(), status: 403, code: 10001, message: message}
}

// check asks once for each place: every answer must be the same refusal, byte for byte.
func (want uniformRefusal) check(
	t *testing.T, places []map[string]string, ask func(values map[string]string) live.Answer,
) {
	t.Helper()
	first := ""
	for _, place := range places {
		a := ask(place)
		if a.Status != want.status {
			t.Errorf("%s at %v: status %d, want %d: %.300s", want.what, place, a.Status, want.status, a.Body)
			return
		}
		if a = a.Open(t); a.Success || len(a.Errors) != 1 || a.Errors[0].Code != want.code ||
			!strings.Contains(a.Errors[0].Message, want.message) {
			t.Errorf("%s at %v: want code %d and %q: %.300s", want.what, place, want.code, want.message, a.Body)
			return
		}
		shown := show(a)
		if first == "" {
			first = shown
		}
		if shown != first {
			t.Errorf("%s: the answer tells the places apart\n%s\n%s", want.what, first, shown)
		}
	}
}

// show is all of an answer but its time.
func show(a live.Answer) string {
	a.Header.Del("Date")
	var b strings.Builder
	fmt.Fprintln(&b, a.Status)
	a.Header.Write(&b)
	b.Write(a.Body)
	return b.String()
}

func revokedToken(t *testing.T, a testAccount) string {
	t.Helper()
	id, value := newToken(t, a, "*", "")
	if got := a.server.Call(t, value, "GET", "/user/tokens/verify", nil); !got.Success {
		t.Fatalf("before it is revoked the token answers %d", got.Status)
	}
	a.server.Must(t, "DELETE", a.path("/tokens/"+id), nil, nil)
	return value
}

func expiredToken(t *testing.T, a testAccount) string {
	t.Helper()
	_, value := newToken(t, a, "*", time.Now().Add(2*time.Second).UTC().Format(time.RFC3339Nano))
	verify := live.Request{Token: value, Method: "GET", Path: "/user/tokens/verify"}
	if got := sendFromNewAddress(t, verify); got.Status != http.StatusOK {
		t.Fatalf("before it expires the token answers %d", got.Status)
	}
	live.Eventually(t, "the token expires", func() bool {
		return sendFromNewAddress(t, verify).Status == http.StatusUnauthorized
	})
	return value
}
