package producer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/producer"
)

// serve puts the feature's operations behind a real server. "root" is a
// superoperator, "reader" an account's token with audit:read, "writer" one
// without; other values are product teams' tokens.
func serve(t *testing.T, w *world) *httptest.Server {
	t.Helper()
	tracing, err := telemetry.NewTracing(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	a, err := web.New(web.Config{Version: "test", Key: bytes.Repeat([]byte("k"), 32)}, web.Deps{
		Log:     slog.New(slog.DiscardHandler),
		Metrics: telemetry.NewHTTPMetrics(prometheus.NewRegistry()),
		Tracing: tracing,
		Health:  telemetry.NewHealth(),
		Authenticate: func(ctx context.Context, r *http.Request) (*web.Principal, error) {
			switch value, _ := web.Bearer(r); value {
			case "root":
				return &web.Principal{Kind: web.KindStaff, ID: "bootstrap", Superoperator: true}, nil
			case "operator":
				return &web.Principal{Kind: web.KindStaff, ID: "ops", Installation: true,
					Permissions: web.Permissions{"catalog:write"}}, nil
			case "clerk":
				return &web.Principal{Kind: web.KindStaff, ID: "clerk", Installation: true,
					Permissions: web.Permissions{"accounts:read"}}, nil
			case "reader":
				return &web.Principal{Kind: web.KindToken, ID: "reader", AccountID: account,
					Permissions: web.Permissions{"audit:read"}}, nil
			case "writer":
				return &web.Principal{Kind: web.KindToken, ID: "writer", AccountID: account,
					Permissions: web.Permissions{"audit:write"}}, nil
			}
			return w.r.Authenticate(ctx, r)
		},
		Resolve: func(_ context.Context, ref string) (string, error) { return ref, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.r.API(a)
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	return s
}

// answer is the envelope of an answer.
type answer struct {
	Status int
	Header http.Header
	Text   string
	Errors []struct {
		Code    errs.Code
		Message string
		Source  struct{ Pointer string }
	}
	Result     json.RawMessage
	ResultInfo struct{ Cursor string } `json:"result_info"`
}

func call(t *testing.T, s *httptest.Server, token, method, path, contentType, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/client/v4"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{Status: res.StatusCode, Header: res.Header, Text: string(text)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(text, &a); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	return a
}

func result[T any](t *testing.T, a answer, status int) T {
	t.Helper()
	var v T
	if a.Status != status {
		t.Fatalf("status %d, want %d: %s", a.Status, status, a.Text)
	}
	if err := json.Unmarshal(a.Result, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestATeamIntegratesOverHTTP(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		s := serve(t, w)
		team := result[producer.Team](t, call(t, s, "root", "POST", "/producers", "application/json",
			`{"name":"TLS team","contact_email":"tls@example.com"}`), 201)
		token := result[producer.NewToken](t, call(t, s, "root", "POST", "/producers/"+team.ID+"/tokens", "application/json",
			`{"name":"ci","ip_allow":["127.0.0.1"]}`), 201)
		other := result[producer.Team](t, call(t, s, "root", "POST", "/producers", "application/json", `{"name":"Other"}`),
			201)
		otherToken := result[producer.NewToken](t,
			call(t, s, "root", "POST", "/producers/"+other.ID+"/tokens", "application/json", `{"name":"ci"}`), 201)
		catalog := "/producers/" + team.ID + "/catalog"

		dry := result[producer.Applied](t, call(t, s, token.Value, "PUT", catalog+"?dry_run=true", "application/yaml",
			string(read(t, "tls.yaml"))), 200)
		if !dry.DryRun || dry.Version != 0 || len(dry.Changes) != 5 {
			t.Errorf("%+v", dry)
		}
		if a := call(t, s, token.Value, "GET", catalog, "", ""); a.Status != 404 {
			t.Errorf("a catalogue after a dry run: %s", a.Text)
		}
		applied := result[producer.Applied](t,
			call(t, s, token.Value, "PUT", catalog, "application/yaml", string(read(t, "tls.yaml")), "User-Agent",
				"belfry-cli/1"), 200)
		if applied.Version != 1 {
			t.Errorf("%+v", applied)
		}
		if e := w.last(); e.Actor.Type != "token" || e.Actor.TokenID != token.ID || e.Actor.TokenName != "ci" ||
			e.Interface != "CLI" || e.Request == nil || e.Request.Method != "PUT" {
			t.Errorf("recorded %+v", e)
		}
		got := call(t, s, token.Value, "GET", catalog, "", "")
		if c := result[producer.StoredCatalogue](t, got, 200); c.Version != 1 || c.Catalog.Products[0].Product != "tls" ||
			c.AppliedBy.ID != team.ID {
			t.Errorf("%+v", c)
		}
		file := call(t, s, token.Value, "GET", catalog, "", "", "Accept", "application/yaml")
		if file.Text != string(read(t, "tls.yaml")) {
			t.Errorf("the file comes back as %q", file.Text)
		}
		tag := got.Header.Get("ETag")
		if a := call(t, s, token.Value, "PUT", catalog, "application/json", `{"version":1,"products":[{"product":"tls"}]}`,
			"If-Match", `"stale"`); a.Status != 412 {
			t.Errorf("a stale If-Match: %d %s", a.Status, a.Text)
		}
		if a := call(t, s, token.Value, "PUT", catalog, "application/json", `{"version":1,"products":[{"product":"tls"}]}`,
			"If-Match", tag); a.Status != 200 {
			t.Errorf("the present If-Match: %d %s", a.Status, a.Text)
		}
		// Operators reach every team's catalogue and refused events, if they may write catalogues.
		for _, path := range []string{catalog, catalog + "/versions", "/producers/" + team.ID + "/rejects"} {
			if a := call(t, s, "operator", "GET", path, "", ""); a.Status != 200 {
				t.Errorf("an operator at %s: %d %s", path, a.Status, a.Text)
			}
			if a := call(t, s, "clerk", "GET", path, "", ""); a.Status != 403 {
				t.Errorf("an operator without the permission at %s: %d", path, a.Status)
			}
		}
		if v := result[[]producer.Revision](t, call(t, s, "root", "GET", catalog+"/versions?limit=1", "", ""),
			200); len(v) != 1 || v[0].Version != 2 || v[0].Format != catalogue.JSON {
			t.Errorf("%+v", v)
		}

		bad := call(t, s, token.Value, "PUT", catalog, "application/yaml",
			"version: 1\nproducts:\n  - product: tls\n    titel: x\n")
		if bad.Status != 400 || bad.Errors[0].Code != errs.CodeCatalogueInvalid ||
			bad.Errors[0].Source.Pointer != "/products/0/titel" ||
			!strings.HasPrefix(bad.Errors[0].Message, "line 4, column 5: ") {
			t.Errorf("%s", bad.Text)
		}
		for name, a := range map[string]answer{
			"another team's catalogue": call(t, s, otherToken.Value, "GET", catalog, "", ""),
			"applying for another": call(t, s, otherToken.Value, "PUT", catalog, "application/yaml",
				"version: 1\nproducts: []\n"),
			"another team's rejects": call(t, s, otherToken.Value, "GET", "/producers/"+team.ID+"/rejects", "", ""),
			"another team's product": call(t, s, otherToken.Value, "PUT", "/producers/"+other.ID+"/catalog",
				"application/yaml", "version: 1\nproducts: [{product: tls}]\n"),
			"a team makes teams": call(t, s, token.Value, "POST", "/producers", "application/json", `{"name":"x"}`),
			"a team makes tokens": call(t, s, token.Value, "POST", "/producers/"+team.ID+"/tokens", "application/json",
				`{"name":"x"}`),
			"an account applies":     call(t, s, "writer", "PUT", catalog, "application/yaml", "version: 1\nproducts: []\n"),
			"an account's rejects":   call(t, s, "writer", "GET", "/accounts/"+account+"/audit/rejects", "", ""),
			"the operators' rejects": call(t, s, "reader", "GET", "/audit/rejects", "", ""),
		} {
			if a.Status != 403 {
				t.Errorf("%s: %d %s", name, a.Status, a.Text)
			}
		}
		if a := call(t, s, "root", "GET", "/producers/"+strings.Repeat("0", 32)+"/rejects", "", ""); a.Status != 404 {
			t.Errorf("an operator asks for an unknown team: %d", a.Status)
		}
		for _, path := range []string{"/producers/" + team.ID + "/rejects", "/producers/" + team.ID + "/rejects/summary"} {
			if a := call(t, s, token.Value, "GET", path, "", ""); a.Status != 200 {
				t.Errorf("%s: %d %s", path, a.Status, a.Text)
			}
		}
		for _, path := range []string{"/accounts/" + account + "/audit/rejects",
			"/accounts/" + account + "/audit/rejects/summary"} {
			if a := call(t, s, "reader", "GET", path, "", ""); a.Status != 200 {
				t.Errorf("%s: %d %s", path, a.Status, a.Text)
			}
		}
		if list := result[[]producer.Token](t, call(t, s, "root", "GET", "/producers/"+team.ID+"/tokens", "", ""),
			200); len(list) != 1 {
			t.Errorf("%+v", list)
		}
		if a := call(t, s, "root", "GET", "/producers/"+team.ID+"/tokens", "", ""); strings.Contains(a.Text, token.Value) {
			t.Error("the list shows the value")
		}
		if a := call(t, s, "root", "DELETE", "/producers/"+team.ID, "", ""); a.Status != 409 {
			t.Errorf("deleting an owner: %d %s", a.Status, a.Text)
		}
		if a := call(t, s, "root", "PATCH", "/producers/"+team.ID, "application/json", `{"name":"TLS"}`); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Text)
		}
		if a := call(t, s, "root", "DELETE", "/producers/"+team.ID+"/tokens/"+token.ID, "", ""); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Text)
		}
		if a := call(t, s, token.Value, "GET", catalog, "", ""); a.Status != 401 {
			t.Errorf("a revoked token: %d", a.Status)
		}
	})
}

func TestProductsAreShownWithTheirSentencesAndOwnersOnlyInside(t *testing.T) {
	w := newWorld(t, "")
	s := serve(t, w)
	w.apply(w.team("TLS team"), string(read(t, "full.yaml")))
	type product struct {
		producer.ShownProduct
		Resources []struct {
			Actions []struct{ Failure string }
		} `json:"resources"`
		AlertTypes []struct {
			Filters []struct{ Key string }
		} `json:"alert_types"`
	}
	inside := result[[]product](t, call(t, s, "root", "GET", "/catalog/products", "", ""), 200)
	outside := call(t, s, "reader", "GET", "/catalog/products", "", "")
	list := result[[]product](t, outside, 200)
	if len(list) != 2 || list[0].Product != "belfry" || list[1].Title != "TLS" ||
		list[1].Resources[0].Actions[0].Failure == "" || list[1].AlertTypes[0].Filters[0].Key != "zones" {
		t.Errorf("%+v", list)
	}
	if inside[1].Owner == nil || inside[1].Owner.Name != "TLS team" || strings.Contains(outside.Text, "TLS team") {
		t.Errorf("owner inside %+v", inside[1].Owner)
	}
	if strings.Contains(outside.Text, `"secret"`) || strings.Contains(outside.Text, `"personal"`) {
		t.Error("what is secret or personal is listed to accounts")
	}
}

func TestTheTeamsAreReadPageByPage(t *testing.T) {
	w := newWorld(t, "")
	s := serve(t, w)
	for _, name := range []string{"a", "b", "c"} {
		w.team(name)
	}
	seen, path := map[string]bool{}, "/producers?limit=2"
	for {
		a := call(t, s, "root", "GET", path, "", "")
		for _, team := range result[[]producer.Team](t, a, 200) {
			seen[team.Name] = true
		}
		if a.ResultInfo.Cursor == "" {
			break
		}
		path = "/producers?limit=2&cursor=" + a.ResultInfo.Cursor
	}
	if len(seen) != 3 {
		t.Errorf("seen %v", seen)
	}
}
