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
func serve(t *testing.T, w *world) *apiClient {
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
	return &apiClient{t, s}
}

// apiClient calls the API of a test's server.
type apiClient struct {
	t      *testing.T
	server *httptest.Server
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

func (c *apiClient) get(token, path string, headers ...string) answer {
	c.t.Helper()
	return c.send(token, "GET", path, "", "", headers...)
}

// send makes one request. headers are name, value, name, value.
func (c *apiClient) send(token, method, path, contentType, body string, headers ...string) answer {
	t := c.t
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.server.URL+"/client/v4"+path, strings.NewReader(body))
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
	res, err := c.server.Client().Do(req)
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
		team := result[producer.Team](t, s.send("root", "POST", "/producers", "application/json",
			`{"name":"TLS team","contact_email":"tls@example.com"}`), 201)
		token := result[producer.NewToken](t, s.send("root", "POST", "/producers/"+team.ID+"/tokens", "application/json",
			`{"name":"ci","ip_allow":["127.0.0.1"]}`), 201)
		other := result[producer.Team](t,
			s.send("root", "POST", "/producers", "application/json", `{"name":"Other"}`), 201)
		otherToken := result[producer.NewToken](t,
			s.send("root", "POST", "/producers/"+other.ID+"/tokens", "application/json", `{"name":"ci"}`), 201)
		catalog := "/producers/" + team.ID + "/catalog"

		dry := result[producer.Applied](t, s.send(token.Value, "PUT", catalog+"?dry_run=true", "application/yaml",
			string(read(t, "tls.yaml"))), 200)
		if !dry.DryRun || dry.Version != 0 || len(dry.Changes) != 5 {
			t.Errorf("%+v", dry)
		}
		if a := s.get(token.Value, catalog); a.Status != 404 {
			t.Errorf("a catalogue after a dry run: %s", a.Text)
		}
		applied := result[producer.Applied](t,
			s.send(token.Value, "PUT", catalog, "application/yaml", string(read(t, "tls.yaml")), "User-Agent",
				"belfry-cli/1"), 200)
		if applied.Version != 1 {
			t.Errorf("%+v", applied)
		}
		if e := w.last(); e.Actor.Type != "token" || e.Actor.TokenID != token.ID || e.Actor.TokenName != "ci" ||
			e.Interface != "CLI" || e.Request == nil || e.Request.Method != "PUT" {
			t.Errorf("recorded %+v", e)
		}
		got := s.get(token.Value, catalog)
		if c := result[producer.StoredCatalogue](t, got, 200); c.Version != 1 || c.Catalog.Products[0].Product != "tls" ||
			c.AppliedBy.ID != team.ID {
			t.Errorf("%+v", c)
		}
		file := s.get(token.Value, catalog, "Accept", "application/yaml")
		if file.Text != string(read(t, "tls.yaml")) {
			t.Errorf("the file comes back as %q", file.Text)
		}
		tag := got.Header.Get("ETag")
		if a := s.send(token.Value, "PUT", catalog, "application/json", `{"version":1,"products":[{"product":"tls"}]}`,
			"If-Match", `"stale"`); a.Status != 412 {
			t.Errorf("a stale If-Match: %d %s", a.Status, a.Text)
		}
		if a := s.send(token.Value, "PUT", catalog, "application/json", `{"version":1,"products":[{"product":"tls"}]}`,
			"If-Match", tag); a.Status != 200 {
			t.Errorf("the present If-Match: %d %s", a.Status, a.Text)
		}
		// Operators reach every team's catalogue and refused events, if they may write catalogues.
		for _, path := range []string{catalog, catalog + "/versions", "/producers/" + team.ID + "/rejects"} {
			if a := s.get("operator", path); a.Status != 200 {
				t.Errorf("an operator at %s: %d %s", path, a.Status, a.Text)
			}
			if a := s.get("clerk", path); a.Status != 403 {
				t.Errorf("an operator without the permission at %s: %d", path, a.Status)
			}
		}
		v := result[[]producer.Revision](t, s.get("root", catalog+"/versions?limit=1"), 200)
		if len(v) != 1 || v[0].Version != 2 || v[0].Format != catalogue.JSON {
			t.Errorf("%+v", v)
		}

		bad := s.send(token.Value, "PUT", catalog, "application/yaml",
			"version: 1\nproducts:\n  - product: tls\n    titel: x\n")
		if bad.Status != 400 || bad.Errors[0].Code != errs.CodeCatalogueInvalid ||
			bad.Errors[0].Source.Pointer != "/products/0/titel" ||
			!strings.HasPrefix(bad.Errors[0].Message, "line 4, column 5: ") {
			t.Errorf("%s", bad.Text)
		}
		for name, a := range map[string]answer{
			"another team's catalogue": s.get(otherToken.Value, catalog),
			"applying for another": s.send(otherToken.Value, "PUT", catalog, "application/yaml",
				"version: 1\nproducts: []\n"),
			"another team's rejects": s.get(otherToken.Value, "/producers/"+team.ID+"/rejects"),
			"another team's product": s.send(otherToken.Value, "PUT", "/producers/"+other.ID+"/catalog",
				"application/yaml", "version: 1\nproducts: [{product: tls}]\n"),
			"a team makes teams": s.send(token.Value, "POST", "/producers", "application/json", `{"name":"x"}`),
			"a team makes tokens": s.send(token.Value, "POST", "/producers/"+team.ID+"/tokens", "application/json",
				`{"name":"x"}`),
			"an account applies":     s.send("writer", "PUT", catalog, "application/yaml", "version: 1\nproducts: []\n"),
			"an account's rejects":   s.get("writer", "/accounts/"+account+"/audit/rejects"),
			"the operators' rejects": s.get("reader", "/audit/rejects"),
		} {
			if a.Status != 403 {
				t.Errorf("%s: %d %s", name, a.Status, a.Text)
			}
		}
		if a := s.get("root", "/producers/"+strings.Repeat("0", 32)+"/rejects"); a.Status != 404 {
			t.Errorf("an operator asks for an unknown team: %d", a.Status)
		}
		for _, path := range []string{"/producers/" + team.ID + "/rejects", "/producers/" + team.ID + "/rejects/summary"} {
			if a := s.get(token.Value, path); a.Status != 200 {
				t.Errorf("%s: %d %s", path, a.Status, a.Text)
			}
		}
		for _, path := range []string{"/accounts/" + account + "/audit/rejects",
			"/accounts/" + account + "/audit/rejects/summary"} {
			if a := s.get("reader", path); a.Status != 200 {
				t.Errorf("%s: %d %s", path, a.Status, a.Text)
			}
		}
		list := result[[]producer.Token](t, s.get("root", "/producers/"+team.ID+"/tokens"), 200)
		if len(list) != 1 {
			t.Errorf("%+v", list)
		}
		if a := s.get("root", "/producers/"+team.ID+"/tokens"); strings.Contains(a.Text, token.Value) {
			t.Error("the list shows the value")
		}
		if a := s.send("root", "DELETE", "/producers/"+team.ID, "", ""); a.Status != 409 {
			t.Errorf("deleting an owner: %d %s", a.Status, a.Text)
		}
		if a := s.send("root", "PATCH", "/producers/"+team.ID, "application/json", `{"name":"TLS"}`); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Text)
		}
		if a := s.send("root", "DELETE", "/producers/"+team.ID+"/tokens/"+token.ID, "", ""); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Text)
		}
		if a := s.get(token.Value, catalog); a.Status != 401 {
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
	inside := result[[]product](t, s.get("root", "/catalog/products"), 200)
	outside := s.get("reader", "/catalog/products")
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
		a := s.get("root", path)
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
