package slo_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo"
)

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

func (s *dashboard) call(token, method, path, body string, headers ...string) answer {
	s.world.t.Helper()
	r, err := http.NewRequestWithContext(s.world.t.Context(), method, s.URL+"/client/v4/accounts/"+s.acme+"/slos"+path,
		strings.NewReader(body))
	if err != nil {
		s.world.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.world.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.world.t.Fatal(err)
	}
	a := answer{Status: res.StatusCode, Header: res.Header, Text: string(text)}
	if err := json.Unmarshal(text, &a); err != nil {
		s.world.t.Fatalf("%v: %s", err, text)
	}
	return a
}

func (s *dashboard) token(permissions ...string) string {
	s.world.t.Helper()
	staff := &web.Principal{Kind: web.KindStaff, ID: "ops", Superoperator: true}
	made, err := s.Accounts.CreateToken(s.world.t.Context(), staff, s.acme, account.TokenSpec{
		Name:        "ci",
		Permissions: permissions,
	})
	if err != nil {
		s.world.t.Fatal(err)
	}
	return made.Value
}

func result[T any](t *testing.T, a answer, status int) (v T) {
	t.Helper()
	if a.Status != status {
		t.Fatalf("status %d, want %d: %s", a.Status, status, a.Text)
	}
	if err := json.Unmarshal(a.Result, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestObjectivesOverHTTP(t *testing.T) {
	s := newDashboard(t)
	write := s.token(account.SLORead, account.SLOWrite)
	read := s.token(account.SLORead)
	made := result[slo.Objective](t, s.call(write, "POST", "",
		`{"name":"checkout","match":{"zone":"shop.example"},"target":99.95}`), 200)
	if made.Match.Zone != s.shop || made.Window != slo.D28 || made.Pairs != "standard" ||
		made.Guard.Alpha != slo.DefaultAlpha {
		t.Errorf("%+v", made)
	}
	byHost := result[slo.Objective](t, s.call(write, "POST", "",
		`{"name":"host","match":{"hostname":"blog.example"},"target":99,"window":"month",`+
			`"pairs":[{"long":"1h","short":"5m","factor":10,"severity":"page"}]}`), 200)
	if byHost.Match.Zone != s.blog || byHost.Match.Hostname != "blog.example" {
		t.Errorf("%+v", byHost)
	}
	for body, pointer := range map[string]string{
		`{"name":"x","match":{"zone":"nowhere.example"},"target":99}`:                         "/match/zone",
		`{"name":"x","match":{"zone":"shop.example"},"target":99,"group_by_status":true}`:     "/group_by_status",
		`{"name":"x","match":{"zone":"shop.example"},"target":90}`:                            "/pairs",
		`{"name":"x","match":{"zone":"shop.example"}}`:                                        "/target",
		`{"name":"x","match":{"zone":"shop.example"},"target":99,"guard":{"alpha":2}}`:        "/guard/alpha",
		`{"name":"x","match":{"zone":"shop.example","color":"red"},"target":99}`:              "/match/color",
		`{"name":"x","match":{"zone":"shop.example"},"target":99,"pairs":{"long":"1h"}}`:      "/pairs",
		`{"name":"x","match":{"zone":"shop.example"},"target":99,"pairs":"standard","sli":1}`: "/sli",
	} {
		if a := s.call(write, "POST", "", body); a.Status != 400 || a.Errors[0].Source.Pointer != pointer {
			t.Errorf("%s: %d %s", body, a.Status, a.Text)
		}
	}
	if a := s.call(write, "POST", "", `{"name":"checkout","match":{"zone":"shop.example"},"target":99}`); a.Status != 409 {
		t.Errorf("the name again: %d", a.Status)
	}
	one := "/" + made.ID
	got := s.call(read, "GET", one, "")
	tag := got.Header.Get("ETag")
	body := `{"name":"cart","match":{"zone":"` + s.shop + `"},"target":99.9,"window":"30d","pairs":"standard+2x"}`
	if a := s.call(write, "PUT", one, body, "If-Match", `"stale"`); a.Status != 412 {
		t.Errorf("a stale If-Match: %d", a.Status)
	}
	put := s.call(write, "PUT", one, body, "If-Match", tag)
	if o := result[slo.Objective](t, put, 200); o.Name != "cart" || o.CreatedOn != made.CreatedOn {
		t.Errorf("%+v", o)
	}
	if again := s.call(read, "GET", one, ""); again.Header.Get("ETag") != put.Header.Get("ETag") &&
		put.Header.Get("ETag") != "" {
		t.Errorf("tags %s and %s", again.Header.Get("ETag"), put.Header.Get("ETag"))
	}
	first := s.call(read, "GET", "?limit=1", "")
	next := s.call(read, "GET", "?limit=1&cursor="+first.ResultInfo.Cursor, "")
	a := result[[]slo.Objective](t, first, 200)
	b := result[[]slo.Objective](t, next, 200)
	if len(a) != 1 || len(b) != 1 || a[0].ID == b[0].ID ||
		next.ResultInfo.Cursor != "" {
		t.Errorf("%s %s", first.Text, next.Text)
	}
	st := result[slo.Status](t, s.call(read, "GET", one+"/status", ""), 200)
	if st.State != slo.NoData || len(st.Pairs) != 5 {
		t.Errorf("%+v", st)
	}
	series := result[slo.Series](t, s.call(read, "GET", one+"/series?range=1d", ""), 200)
	if series.Step != 600 || series.Points == nil {
		t.Errorf("%+v", series)
	}
	if a := s.call(read, "GET", one+"/series?range=9d", ""); a.Status != 400 {
		t.Errorf("%d", a.Status)
	}
	if list := result[[]slo.Past](t, s.call(read, "GET", one+"/transitions", ""), 200); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	for _, a := range []answer{s.call(read, "POST", "", body), s.call(read, "PUT", one, body),
		s.call(read, "DELETE", one, ""), s.call(s.token(account.AuditRead), "GET", one, "")} {
		if a.Status != 403 {
			t.Errorf("%d %s", a.Status, a.Text)
		}
	}
	if a := s.call(write, "DELETE", one, ""); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Text)
	}
	for _, path := range []string{one, one + "/status", one + "/series", one + "/transitions"} {
		if a := s.call(read, "GET", path, ""); a.Status != 404 {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
	if len(s.recorded) != 4 || s.recorded[2].Zone != s.shop ||
		!strings.Contains(string(s.recorded[2].Before), `"checkout"`) ||
		!strings.Contains(string(s.recorded[2].After), `"cart"`) {
		t.Errorf("%+v", s.recorded)
	}
}

func TestDeletingWhatFiresEndsItsAlert(t *testing.T) {
	s := newDashboard(t)
	checkout, _ := s.furnish()
	write := s.token(account.SLORead, account.SLOWrite)
	before := s.alerts()
	if len(before) != 1 || before[0].Event != "start" {
		t.Fatalf("%+v", before)
	}
	// Without its pair the alert ends; with the same one it would go on.
	keep := `{"name":"checkout","match":{"zone":"` + s.shop + `"},"target":99.9}`
	if a := s.call(write, "PUT", "/"+checkout.ID, keep); a.Status != 200 {
		t.Fatal(a.Text)
	}
	if got := s.alerts(); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	if a := s.call(write, "DELETE", "/"+checkout.ID, ""); a.Status != 200 {
		t.Fatal(a.Text)
	}
	got := s.alerts()
	if len(got) != 2 || got[1].Event != "end" || got[1].Correlation != got[0].ID {
		t.Errorf("%+v", got)
	}
	s.f = s.another(nil)
	s.handle(count(s.shop, "after", steady(s.shop, dashboardNow, dashboardNow+10, 1, 0)[0].Counts...))
	if len(s.alerts()) != 2 {
		t.Errorf("%+v", s.alerts())
	}
}
