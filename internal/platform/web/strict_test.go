package web_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func TestNoRouteAnswersAnotherSpellingOfItsPathWithARedirect(t *testing.T) {
	a := newAPI(t)
	registerThings(a.API)
	jobs.New(openDB(t), jobs.Config{}, nil).API(a.API)
	a.MountPublic("GET /assets/", http.NotFoundHandler())
	a.MountPublic("GET /sign-in", http.NotFoundHandler())
	for _, r := range a.Routes() {
		path := strings.NewReplacer("{account_id}", ours, "{", "", "}", "").Replace(r.Path)
		for _, other := range []string{"/" + path, path + "/", strings.Replace(path, "/v4/", "/v4//", 1),
			strings.Replace(path, "/v4/", "/v4/./", 1),
			strings.Replace(path, "/client/", "/client/x/../", 1), path + "/.", path + "/.."} {
			for _, headers := range [][]string{{as("root")}, {as("root"), "Accept: text/html"}} {
				w := ask(t, a, r.Method+" "+other, "", headers...)
				if strings.HasSuffix(other, "/..") && w.Code != 404 || !strings.HasSuffix(other, "/..") {
					refused(t, w, 404, errs.CodeNoRoute, "")
				}
			}
		}
	}
	refused(t, ask(t, a, "POST //sign-in", "a=b", "Accept: text/html"), 404, errs.CodeNoRoute, "")
	if w := ask(t, a, "GET //sign-in", "", "Accept: text/html"); w.Code/100 != 3 ||
		w.Header().Get("Location") != "/sign-in" {
		t.Fatalf("a page: %d %v", w.Code, w.Header())
	}
}

func TestUnknownQueryParametersAreNamedBesideThoseThatThereAre(t *testing.T) {
	a := newAPI(t)
	registerThings(a.API)
	w := ask(t, a, "GET /client/v4/accounts/"+ours+"/things?per_page=1&page=2", "", as("reader"))
	e := decode(t, w)
	if w.Code != 400 || len(e.Errors) != 2 ||
		e.Errors[0].Message != `there is no query parameter "page" here; there are action.type, cursor, limit, since` {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	w = ask(t, a, "GET /client/v4/capabilities?a=1", "")
	if e := decode(t, w); e.Errors[0].Message != `there is no query parameter "a" here; it takes none` {
		t.Fatalf("%s", w.Body)
	}
	var many strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&many, "&%s%d=1", strings.Repeat("n", 200), i)
	}
	w = ask(t, a, "GET /client/v4/accounts/"+ours+"/things?"+many.String()[1:], "", as("reader"))
	if e := decode(t, w); w.Code != 400 || len(e.Errors) != 20 || w.Body.Len() > 8<<10 {
		t.Fatalf("%d errors in %d bytes", len(e.Errors), w.Body.Len())
	}
}

func TestTheErrorsOfABodyAreTheFirstTwentyHoweverManyThereAre(t *testing.T) {
	a := newAPI(t)
	registerThings(a.API)
	var many strings.Builder
	for i := range 80_000 {
		fmt.Fprintf(&many, `,"n%05d":1`, i)
	}
	w := ask(t, a, "POST /client/v4/accounts/"+ours+"/things", `{"name":"a"`+many.String()+`}`, as("owner"))
	e := decode(t, w)
	if w.Code != 400 || len(e.Errors) != 20 || e.Errors[0].Source.Pointer != "/n00000" ||
		e.Errors[19].Source.Pointer != "/n00019" {
		t.Fatalf("%d %d errors: %.300s", w.Code, len(e.Errors), w.Body)
	}
}

func TestTimesThatClientsDoNotMeanSoAreUnderstood(t *testing.T) {
	a := newAPI(t)
	type asked struct {
		Since  web.Time `query:"since"`
		Before string   `query:"before" required:"true"`
		Text   string   `query:"text"`
	}
	web.Get(a.API, web.Op{
		Path:    "/times",
		ID:      "get-times",
		Tag:     "T",
		Summary: "S",
		Public:  true,
	}, func(_ context.Context, in *asked) (string, error) {
		if in.Since.IsZero() {
			return "open " + in.Before + in.Text, nil
		}
		return in.Since.Format(time.RFC3339Nano) + " " + in.Before + in.Text, nil
	})
	for query, want := range map[string]string{
		"since=2026-11-22T10:00:00+01:00&before=2026-11-22T10:00:00.5-01:00": "2026-11-22T09:00:00Z " +
			"2026-11-22T10:00:00.5-01:00",
		"since=2026-11-22T10:00:00%2B01:00&before=2026-11-22T10:00:00.5+01:00": "2026-11-22T09:00:00Z " +
			"2026-11-22T10:00:00.5+01:00",
		"since=0001-01-01T00:00:00Z&before=0001-01-01T00:00:00Z": "open 9999-12-31T23:59:59Z",
		"before=a+b&text=at+2026-11-22T10:00:00+01:00":           "open a bat 2026-11-22T10:00:00 01:00",
	} {
		w := ask(t, a, "GET /client/v4/times?"+query, "")
		if got := string(decode(t, w).Result); got != `"`+want+`"` {
			t.Errorf("%s: %s, want %s", query, w.Body, want)
		}
	}
}
