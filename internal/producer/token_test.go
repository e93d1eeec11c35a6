package producer_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/producer"
)

func request(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/client/v4/x", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func TestATokenReachesItsTeamUntilItIsRevoked(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		team := w.team("tls")
		token, err := w.r.CreateToken(w.staff(), team, producer.TokenCreate{Name: "ci"})
		if err != nil || !strings.HasPrefix(token.Value, producer.TokenPrefix) {
			t.Fatal(token, err)
		}
		p, err := w.r.Authenticate(t.Context(), request(token.Value))
		if err != nil || p.Kind != web.KindProducer || p.ID != team || p.Name != "tls" ||
			!p.Permissions.Has("audit:write") || p.Permissions.Has("audit:read") || p.Superoperator || p.Installation ||
			p.AccountID != "" {
			t.Fatalf("%+v %v", p, err)
		}
		last := "0"
		if strings.HasSuffix(token.Value, "0") {
			last = "1"
		}
		mistyped := token.Value[:len(token.Value)-1] + last
		for _, bad := range []string{mistyped, "blf_x", "", producer.TokenPrefix} {
			if _, err := w.r.Authenticate(t.Context(), request(bad)); !errs.Is(err, errs.CodeAuthentication) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		elsewhere := w.another()
		if _, err := elsewhere.Authenticate(t.Context(), request(token.Value)); err != nil {
			t.Fatal(err)
		}
		if err := w.r.RevokeToken(w.staff(), team, token.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.r.Authenticate(t.Context(), request(token.Value)); !errs.Is(err, errs.CodeAuthentication) {
			t.Errorf("a revoked token: %v", err)
		}
		w.Pass(6 * time.Second)
		if _, err := elsewhere.Authenticate(t.Context(), request(token.Value)); !errs.Is(err, errs.CodeAuthentication) {
			t.Errorf("a revoked token in another process, six seconds later: %v", err)
		}
		for _, e := range w.recorded {
			if strings.Contains(string(e.After), token.Value) {
				t.Error("the record holds the token's value")
			}
		}
	})
}

func TestATokenEndsAndIsBoundToNetworks(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		team := w.team("tls")
		token, err := w.r.CreateToken(w.staff(), team,
			producer.TokenCreate{Name: "ci", ExpiresOn: web.Time{Time: w.Now().Add(time.Hour)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.r.Authenticate(t.Context(), request(token.Value)); err != nil {
			t.Fatal(err)
		}
		w.Pass(time.Hour)
		if _, err := w.r.Authenticate(t.Context(), request(token.Value)); !errs.Is(err, errs.CodeTokenExpired) {
			t.Error(err)
		}
		if _, err := w.r.CreateToken(w.staff(), team,
			producer.TokenCreate{Name: "ci", ExpiresOn: web.Time{Time: w.Now()}}); !errs.Is(err, errs.CodeOutOfRange) {
			t.Error(err)
		}
		bound, err := w.r.CreateToken(w.staff(), team,
			producer.TokenCreate{Name: "bound", IPAllow: []string{"192.0.2.7", "2001:db8::1/32"}})
		if err != nil || bound.IPAllow[0] != "192.0.2.7/32" || bound.IPAllow[1] != "2001:db8::/32" {
			t.Fatal(bound, err)
		}
		if _, err := w.r.Authenticate(t.Context(), request(bound.Value)); !errs.Is(err, errs.CodeTokenAddress) {
			t.Errorf("from an unknown address: %v", err)
		}
		if _, err := w.r.CreateToken(w.staff(), team,
			producer.TokenCreate{Name: "x", IPAllow: []string{"everywhere"}}); !errs.Is(err, errs.CodeInvalid) {
			t.Error(err)
		}
	})
}

func TestTheLastUseIsWrittenAtMostOnceAMinute(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		team := w.team("tls")
		token, err := w.r.CreateToken(w.staff(), team, producer.TokenCreate{Name: "ci"})
		if err != nil {
			t.Fatal(err)
		}
		use := func() time.Time {
			t.Helper()
			if _, err := w.r.Authenticate(t.Context(), request(token.Value)); err != nil {
				t.Fatal(err)
			}
			// Run writes what is left when it ends.
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { w.r.Run(ctx) })
			stop()
			running.Wait()
			list, err := w.r.Tokens(t.Context(), team)
			if err != nil {
				t.Fatal(err)
			}
			return list[0].LastUsedOn.Time
		}
		first := w.Now()
		if got := use(); !got.Equal(first) {
			t.Fatalf("last used %v, want %v", got, first)
		}
		w.Pass(59 * time.Second)
		if got := use(); !got.Equal(first) {
			t.Errorf("written again after 59 s: %v", got)
		}
		w.Pass(time.Second)
		if got := use(); !got.Equal(w.Now()) {
			t.Errorf("not written after a minute: %v", got)
		}
	})
}
