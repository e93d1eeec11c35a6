package page_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

var templates = fstest.MapFS{
	"page_notes.html": {
		Data: []byte(`
{{define "notes"}}<h1>Notes</h1>{{template "form-error" (dict "Text" (.Form.Faults.Of ""))}}
<form method="post">
{{template "field" (dict "Label" "Text" "Name" "text" "Value" .Form.Text "Error" (.Form.Faults.Of "text"))}}
</form>
<ol id="rows">{{template "notes#rows" .}}</ol>{{end}}
{{define "notes#rows"}}{{range .Notes.Items}}<li>note {{.}}</li>{{end}}
{{with .Notes.Next}}<a href="{{.}}">more</a>{{end}}{{end}}
{{define "note-created"}}<p>The secret is {{.Secret}}.</p>{{end}}
{{define "plain"}}<p>Anyone may read this.</p>{{end}}`),
	},
}

// notesFeature is a feature with pages, as the package comment describes one.
type notesFeature struct {
	*page.Set
	count int
	asked []string // what act got
}

type notesPage struct {
	Notes page.List[int]
	Form  noteForm
}

type noteForm struct {
	Text   string
	Faults ui.Faults

	kinds  []string
	secret string
}

type notePage struct{ Secret string }

func (n *notesFeature) show(v *page.Visit) error { return n.render(v, &noteForm{}, ui.Faults{}) }

func (n *notesFeature) render(v *page.Visit, f *noteForm, faults ui.Faults) error {
	list, err := page.ReadList(v, 3, func(i int) web.Keyset {
		return web.Keyset{At: int64(i)}
	}, func(after web.Keyset, limit int) (list []int, err error) {
		for i := int(after.At) + 1; i <= n.count && len(list) < limit; i++ {
			list = append(list, i)
		}
		return list, nil
	})
	if err != nil {
		return err
	}
	f.Faults = faults
	return v.Show(page.View{
		Section:  "notes",
		Title:    "Notes",
		Template: "notes",
		Status:   faults.Status,
		Data:     notesPage{list, *f},
	})
}

func (n *notesFeature) create(_ *page.Visit, f *noteForm) error {
	switch f.Text {
	case "":
		return errs.At(errs.CodeMissingField, "/text", "text is required")
	case "taken":
		return errs.New(errs.CodeStateConflict, "there is such a note")
	case "slow down":
		return errs.New(errs.CodeRateLimited, "too many notes").After(90 * time.Second)
	case "gone":
		return errs.New(errs.CodeNotFound, "there is no such notebook")
	case "broken":
		return io.ErrUnexpectedEOF
	}
	f.secret = strings.Join(append(f.kinds, f.Text), "-")
	return nil
}

// newNotes registers the pages.
func newNotes(t *testing.T, kit *page.Kit) *notesFeature {
	t.Helper()
	set, err := kit.Parse(templates, page.Flashes{"note-deleted": "Note deleted."})
	if err != nil {
		t.Fatal(err)
	}
	n := &notesFeature{Set: set, count: 7}
	const base = "/accounts/{account_id}/notes"
	n.Get(base, "notes:read", n.show)
	n.Post(base, "notes:write", page.Form[noteForm]{
		Parse: func(v *page.Visit) (noteForm, error) {
			return noteForm{Text: v.Field("text", 12), kinds: v.Fields("kind")}, nil
		},
		Do:     n.create,
		Fields: []string{"text"},
		Render: n.render,
		Then: func(v *page.Visit, f *noteForm) error {
			return v.Show(page.View{Section: "notes", Title: "Note", Template: "note-created", Data: notePage{f.secret}})
		},
	}.Handle)
	n.Confirm(base+"/{note_id}/delete", "notes:write", func(v *page.Visit) (page.Confirm, error) {
		if v.PathValue("note_id") == "0" {
			return page.Confirm{}, errs.New(errs.CodeNotFound, "there is no such note")
		}
		return page.Confirm{
			Section: "notes",
			Title:   "Delete <the> note?",
			Text:    "For good.",
			Label:   "Delete",
			Back:    "/back",
			Danger:  true,
		}, nil
	}, func(v *page.Visit) error {
		n.asked = append(n.asked, v.Account+" "+v.PathValue("note_id")+" by "+v.Who.ID)
		return v.Redirect("/accounts/"+v.Account+"/notes", "note-deleted")
	})
	n.Get(base+"/typo", "notes:read", func(v *page.Visit) error { return v.Redirect("/", "no-such-key") })
	n.Get("/mine", "", func(v *page.Visit) error {
		return v.Show(page.View{Title: v.Who.ID, Template: "plain", Data: struct{}{}, Modules: []string{"js/app.js"}})
	})
	n.Get("/console/notes", "notes:read", n.show)
	n.Public("GET /public", func(v *page.Visit) error {
		return v.Show(page.View{Title: "Public", Template: "plain", Data: struct{}{}})
	})
	n.Stream(base+"/live", "notes:read", func(v *page.Visit) error {
		_, err := io.WriteString(v.Writer, "live in "+v.Account)
		return err
	})
	return n
}

const acme = "0192f7c417d170008000000000000001"

// site is a server with the pages.
type site struct {
	t       *testing.T
	url     string
	kit     *page.Kit
	notes   *notesFeature
	denied  []string
	visited []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t}
	people := map[string]*web.Principal{
		"ana": {Kind: web.KindUser, ID: "ana", AccountID: acme, Permissions: web.Permissions{"notes:read", "notes:write"}},
		"bo":  {Kind: web.KindUser, ID: "bo", AccountID: acme, Permissions: web.Permissions{"notes:read"}},
		"eve": {Kind: web.KindUser, ID: "eve", AccountID: "other", Permissions: web.Permissions{"*"}},
		"op":  {Kind: web.KindStaff, ID: "op", Superoperator: true},
	}
	api, err := web.New(web.Config{Version: "test", Key: bytes.Repeat([]byte("k"), 32)}, web.Deps{
		Log:     slog.New(slog.DiscardHandler),
		Metrics: telemetry.NewHTTPMetrics(prometheus.NewRegistry()),
		Tracing: telemetry.TracingOf(noop.NewTracerProvider()),
		Health:  telemetry.NewHealth(),
		Authenticate: func(_ context.Context, r *http.Request) (*web.Principal, error) {
			return people[r.Header.Get("Who")], nil
		},
		Resolve: resolve,
	})
	if err != nil {
		t.Fatal(err)
	}
	u, err := ui.New(ui.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.kit, err = page.New(page.Config{
		UI:      u,
		API:     api,
		URL:     "http://belfry.test/",
		Resolve: resolve,
		Denied: func(_ context.Context, p *web.Principal, route, account string) {
			s.denied = append(s.denied, p.ID+" "+route+" "+account)
		},
		SignIn: func(next string) string { return "/sign-in?next=" + url.QueryEscape(next) },
		Shell: func(_ *http.Request, who *web.Principal, account, section string) ui.Shell {
			if who == nil {
				return ui.Shell{Face: ui.Plain}
			}
			return ui.Shell{
				Account: ui.Account{ID: account, Name: "account <" + account + ">"},
				Nav:     []ui.NavItem{{Label: "section " + section}},
			}
		},
		Visited: func(_ http.ResponseWriter, r *http.Request, account string) {
			s.visited = append(s.visited, web.CurrentPrincipal(r.Context()).ID+" "+account)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.notes = newNotes(t, s.kit)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func resolve(_ context.Context, ref string) (string, error) {
	if ref == acme || ref == "ext:acme" {
		return acme, nil
	}
	if ref == "slow" {
		return "", errs.New(errs.CodeUnavailable, "the database does not answer")
	}
	return "", errs.New(errs.CodeNotFound, "there is no such account")
}

// answer is the response to a request.
type answer struct {
	t        *testing.T
	status   int
	location string
	header   http.Header
	body     string
}

func (s *site) do(client *http.Client, method, who, path, body string, headers ...string) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Who", who)
	r.Header.Set("Accept", "text/html")
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{s.t, res.StatusCode, res.Header.Get("Location"), res.Header, string(b)}
}

func browser(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (s *site) get(who, path string, headers ...string) answer {
	s.t.Helper()
	return s.do(browser(s.t), "GET", who, path, "", headers...)
}

func (g answer) is(status int, words ...string) answer {
	g.t.Helper()
	if g.status != status {
		g.t.Errorf("status %d instead of %d: %s", g.status, status, g.body)
	}
	for _, w := range words {
		if !strings.Contains(g.body, w) {
			g.t.Errorf("the page lacks %q: %s", w, g.body)
		}
	}
	return g
}

func TestAccess(t *testing.T) {
	s := newSite(t)
	notes := "/accounts/" + acme + "/notes"
	t.Run("a member with the permission sees the page in its frame", func(t *testing.T) {
		s.get("bo", notes).is(200, "<title>Notes", "note 1", "section notes", "account &lt;"+acme+"&gt;")
		s.get("bo", "/accounts/ext:acme/notes").is(200, "account &lt;"+acme+"&gt;")
	})
	t.Run("a browser without a session signs in first", func(t *testing.T) {
		if to := s.get("", notes+"?a=b").is(303).location; to != "/sign-in?next="+url.QueryEscape(notes+"?a=b") {
			t.Error(to)
		}
		s.get("", notes, "HX-Request", "true").is(401)
		s.do(browser(t), "POST", "", notes, "text=x").is(401)
	})
	t.Run("a foreign account looks like one that does not exist", func(t *testing.T) {
		s.denied = nil
		foreign := s.get("eve", notes).is(404, "you are not a member of it")
		s.get("eve", "/accounts/none/notes").is(404, "you are not a member of it")
		if strings.Contains(foreign.body, "account &lt;"+acme) {
			t.Error("the page of a foreign account has its navigation")
		}
		want := "eve GET /accounts/{account_id}/notes " + acme + "\neve GET /accounts/{account_id}/notes "
		if list := strings.Join(s.denied, "\n"); list != want {
			t.Errorf("denied: %q", list)
		}
	})
	t.Run("a member without the permission stays in the account's navigation", func(t *testing.T) {
		s.denied = nil
		s.do(browser(t), "POST", "bo", notes, "text=x").is(403, "Your role in this account", "account &lt;"+acme+"&gt;")
		if len(s.denied) != 1 || s.denied[0] != "bo POST /accounts/{account_id}/notes "+acme {
			t.Error(s.denied)
		}
	})
	t.Run("a page of the installation is for operators", func(t *testing.T) {
		s.get("op", "/console/notes").is(200)
		s.get("ana", "/console/notes").is(403, "for the operators")
	})
	t.Run("other pages", func(t *testing.T) {
		s.get("eve", "/mine").is(200, "<title>eve", "js/app.js")
		s.get("", "/public").is(200, "Anyone may read this.", `data-face="plain"`)
		s.get("ana", "/accounts/slow/notes").is(503)
		s.get("ana", "/accounts/"+acme+"/none").is(404, "There is no such page", "account &lt;"+acme+"&gt;")
		s.get("eve", "/accounts/"+acme+"/none").is(404, "account &lt;&gt;")
		s.get("", "/none").is(404, `data-face="plain"`)
	})
	t.Run("a stream", func(t *testing.T) {
		s.get("bo", notes+"/live").is(200, "live in "+acme)
		s.get("eve", notes+"/live").is(404)
	})
	t.Run("the application learns of visits that are let in", func(t *testing.T) {
		s.visited = nil
		s.get("ana", notes)
		s.get("eve", notes)
		s.get("eve", "/mine")
		if list := strings.Join(s.visited, ", "); list != "ana "+acme+", eve " {
			t.Error(list)
		}
	})
	if !s.kit.Has("GET /mine") || !s.kit.Has("GET /public") || s.kit.Has("GET /none") ||
		s.kit.URL() != "http://belfry.test" || s.notes.URL() != s.kit.URL() {
		t.Error("the kit does not know its pages or its URL")
	}
}

func TestForm(t *testing.T) {
	s := newSite(t)
	send := func(text string) answer {
		t.Helper()
		return s.do(browser(t), "POST", "ana", "/accounts/"+acme+"/notes",
			url.Values{"text": {text}, "kind": {"a", "b"}}.Encode())
	}
	t.Run("success", func(t *testing.T) { send("  <hi>  ").is(200, "The secret is a-b-&lt;hi&gt;.") })
	t.Run("a fault of a field", func(t *testing.T) { send("").is(400, `aria-invalid="true"`, "Text is required.") })
	t.Run("a fault of the form keeps the input", func(t *testing.T) {
		send("taken").is(409, `value="taken"`, `role="alert"`, "There is such a note.")
	})
	t.Run("a fault that asks to wait", func(t *testing.T) {
		if wait := send("slow down").is(429, "Too many notes.").header.Get("Retry-After"); wait != "90" {
			t.Errorf("Retry-After: %q", wait)
		}
	})
	t.Run("an error that the form cannot correct has its own page", func(t *testing.T) {
		send("gone").is(404, "There is no such notebook")
		if strings.Contains(send("broken").is(500).body, "EOF") {
			t.Error("the page shows the text of an internal error")
		}
	})
	t.Run("input is cut at the end of a character", func(t *testing.T) {
		send("1234567890é").is(200, "a-b-1234567890é.")
	})
	t.Run("input is cut before a character that does not fit", func(t *testing.T) {
		send("12345678901é").is(200, "a-b-12345678901.")
	})
}

func TestConfirm(t *testing.T) {
	s := newSite(t)
	path := "/accounts/" + acme + "/notes/7/delete"
	client := browser(t)
	s.do(client, "GET", "ana", path, "").
		is(200, "Delete &lt;the&gt; note?", "For good.", `action="`+path+`"`, `class="button danger"`, `href="/back"`)
	s.do(client, "GET", "ana", "/accounts/"+acme+"/notes/0/delete", "").is(404)
	s.do(client, "GET", "bo", path, "").is(403)
	s.do(client, "POST", "bo", path, "").is(403)
	if len(s.notes.asked) != 0 {
		t.Fatalf("a page that asks has acted: %v", s.notes.asked)
	}
	to := s.do(client, "POST", "ana", path, "").is(303).location
	if len(s.notes.asked) != 1 || s.notes.asked[0] != acme+" 7 by ana" {
		t.Errorf("acted: %v", s.notes.asked)
	}
	s.do(client, "GET", "ana", to, "").is(200, "Note deleted.")
	if strings.Contains(s.do(client, "GET", "ana", to, "").body, "Note deleted.") {
		t.Error("a reload shows the flash message again")
	}
	s.get("ana", "/accounts/"+acme+"/notes/typo").is(500)
}

func TestList(t *testing.T) {
	s := newSite(t)
	path := "/accounts/" + acme + "/notes?state=new"
	var found []string
	for range 10 {
		body := s.get("ana", path, "HX-Request", "true", "HX-Target", "ol#rows").is(200).body
		if strings.Contains(body, "<h1>") {
			t.Fatal("the fragment has the rest of the page")
		}
		for i := range 9 {
			if strings.Contains(body, "<li>note "+strconv.Itoa(i)+"</li>") {
				found = append(found, strconv.Itoa(i))
			}
		}
		_, rest, more := strings.Cut(body, `<a href="`)
		if !more {
			break
		}
		next, _, _ := strings.Cut(rest, `"`)
		path = strings.ReplaceAll(next, "&amp;", "&")
		if !strings.Contains(path, "state=new") {
			t.Fatalf("the next part loses a parameter: %s", path)
		}
	}
	if got := strings.Join(found, ""); got != "1234567" {
		t.Errorf("the list has %s", got)
	}
	_, cursor, _ := strings.Cut(path, "cursor=")
	s.get("op", "/console/notes?cursor="+cursor).is(400)
	s.get("ana", "/accounts/"+acme+"/notes?cursor=x").is(400)
}

func TestNewRequiresItsParts(t *testing.T) {
	if _, err := page.New(page.Config{}); err == nil {
		t.Error("a kit without its parts was made")
	}
	if _, err := newSite(t).kit.Parse(templates, page.Flashes{"No Key": "x"}); err == nil {
		t.Error("a flash key that the cookie cannot carry was accepted")
	}
}
