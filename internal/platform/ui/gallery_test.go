package ui_test

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// gallery serves every component with the data of an audit log.
func gallery(t *testing.T) *httptest.Server {
	t.Helper()
	u := newUI(t)
	page, err := u.Parse(os.DirFS("testdata"), "gallery*.html")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", u.Assets())
	show := func(path, name string, shell ui.Shell, data func(*http.Request) any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			shell.Title = name
			if err := page.Render(w, r, shell, name, data(r)); err != nil {
				t.Error(err)
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	show("/record", "record", galleryShell(ui.Customer, "/record"), galleryData)
	show("/objective", "objective", galleryShell(ui.Customer, "/objective"), galleryData)
	show("/parts", "parts", galleryShell(ui.Operator, "/parts"), galleryData)
	show("/sign-in", "signin", ui.Shell{Face: ui.Plain}, galleryData)
	show("/hub", "hub", galleryShell(ui.Customer, ""), func(*http.Request) any { return hubData() })
	show("/picker", "picker-page", galleryShell(ui.Customer, ""), pickerData)
	show("/list", "list-page", galleryShell(ui.Customer, ""), listData)
	show("/charts", "charts-page", galleryShell(ui.Customer, ""), func(*http.Request) any { return chartsData() })
	mux.HandleFunc("GET /find", find(t))
	mux.HandleFunc("POST /list/acts", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		fmt.Fprintf(w, `<!doctype html><p id="sent">%s</p>`, template.HTMLEscapeString(r.PostForm.Encode()))
	})
	mux.HandleFunc("GET /problem", func(w http.ResponseWriter, r *http.Request) {
		err := errs.New(errs.CodeNotFound, "no event 0192f7c4 in this account")
		if err := u.Problem(w, r, galleryShell(ui.Customer, ""), err, "req_7d1e"); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		row, err := page.HTML("row", map[string]any{
			"ID":       "live-1",
			"Actor":    "Jo",
			"Sentence": "Jo arrived live",
			"Action":   "live.row",
			"At":       time.Now(),
		})
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, "event: row\ndata: %s\n\n", row)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	s := httptest.NewServer(mux)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func galleryShell(face ui.Face, at string) ui.Shell {
	nav := []ui.NavItem{
		{Label: "Overview", Href: "/", Icon: "house", Key: "o"},
		{Label: "Firing now", Href: "/firing", Icon: "bell-ring", Key: "f", Count: 1, Tone: ui.Bad},
		{Label: "Audit log", Href: "/record", Icon: "scroll-text", Key: "a"},
		{Label: "Objectives", Href: "/objective", Icon: "target", Key: "s", Count: 1, Tone: ui.Warn},
		{Label: "Policies", Href: "/policies", Icon: "list-filter", Key: "p", Section: "Notifications"},
		{Label: "Destinations", Href: "/destinations", Icon: "webhook", Key: "d", Section: "Notifications"},
		{Label: "Deliveries", Href: "/deliveries", Icon: "send", Key: "h", Section: "Notifications", Count: 12480},
		{Label: "Members", Href: "/members", Icon: "users", Section: "Account"},
		{Label: "API tokens", Href: "/tokens", Icon: "key", Section: "Account"},
	}
	if face == ui.Operator {
		nav = []ui.NavItem{
			{Label: "Health", Href: "/health", Icon: "activity", Key: "h"},
			{Label: "Components", Href: "/parts", Icon: "blocks", Key: "c"},
			{Label: "Producers", Href: "/producers", Icon: "package", Section: "Integrations"},
			{Label: "Rejected events", Href: "/rejects", Icon: "octagon-alert", Section: "Integrations", Count: 14},
			{Label: "Topics", Href: "/topics", Icon: "route", Section: "Bus"},
			{Label: "Dead letters", Href: "/dead", Icon: "mail-x", Section: "Bus", Count: 3, Tone: ui.Bad},
			{Label: "Flags", Href: "/flags", Icon: "flag", Section: "Release"},
			{Label: "Mail queue", Href: "/mail", Icon: "mail", Section: "Email"},
			{Label: "Accounts", Href: "/accounts", Icon: "building-2", Section: "Installation"},
		}
	}
	for i := range nav {
		nav[i].Current = nav[i].Href == at
	}
	other := ui.Link{Label: "Operators' console", Href: "/parts", Icon: "square-terminal"}
	if face == ui.Operator {
		other = ui.Link{Label: "Customers' pages", Href: "/record", Icon: "users"}
	}
	return ui.Shell{
		Face:  face,
		Nav:   nav,
		Other: other,
		Account: ui.Account{
			ID:   "a1",
			Name: "Acme production",
			Others: []ui.Link{
				{Label: "Acme production", Href: "/record", Current: true},
				{Label: "Acme staging", Href: "/record?a=2"},
			},
		},
		User: ui.User{Name: "Ana Lima", Email: "ana@acme.dev", SignOut: "/sign-out"},
	}
}

type galleryRow struct {
	ID, Href, Actor, Kind, Action, Note string
	Sentence                            ui.Sentence
	At                                  time.Time
	Tone                                ui.Tone
	Current, Low                        bool
	Fold                                []map[string]any
}

var galleryNow = time.Date(2026, 11, 22, 17, 59, 0, 0, time.UTC)

func galleryRows() []galleryRow {
	who := func(name, id string) ui.Part { return ui.Part{Text: name, Strong: true, Key: "actor", Value: id} }
	on := func(name string) ui.Part { return ui.Part{Text: name, Strong: true, Key: "resource", Value: name} }
	text := func(s string) ui.Part { return ui.Part{Text: s} }
	code := func(s string) ui.Part { return ui.Part{Text: s, Code: true} }
	ana := who("Ana Lima", "ana@acme.dev")
	wei := who("Li Wei", "li.wei@acme.dev")
	jo := who("Jo Park", "jo@acme.dev")
	var fold []map[string]any
	for _, z := range []string{"shop.example", "blog.example", "api.example"} {
		fold = append(fold, map[string]any{
			"Actor":    "terraform",
			"Kind":     "token",
			"Action":   "dns_record.update",
			"At":       galleryNow.Add(-9 * time.Minute),
			"Sentence": ui.Sentence{text("Pointed "), on(z), text(" at "), code("203.0.113.40")},
		})
	}
	rows := []galleryRow{
		{
			Actor:  "Ana Lima",
			Kind:   "user",
			Action: "zone_setting.update",
			Sentence: ui.Sentence{ana, text(" lowered the minimum TLS version of "), on("shop.example"), text(" from "),
				code("1.2"), text(" to "), code("1.0")},
			Note: "Old terminals in two stores (PR 214)",
		},
		{
			Actor:    "Li Wei",
			Kind:     "user",
			Action:   "webhook.delete",
			Sentence: ui.Sentence{wei, text(" deleted the webhook "), on("hooks.acme.dev/old")},
		},
		{
			Actor:    "ci-deploy",
			Kind:     "token",
			Action:   "flag.update",
			Sentence: ui.Sentence{who("ci-deploy", "t1"), text(" ramped "), on("checkout-v2"), text(" to 25% of customers")},
		},
		{
			Actor:    "Jo Park",
			Kind:     "user",
			Action:   "session.create",
			Tone:     ui.Bad,
			Sentence: ui.Sentence{jo, text(" failed to sign in: wrong passkey")},
		},
		{
			Actor:    "terraform",
			Kind:     "token",
			Action:   "terraform.apply",
			Sentence: ui.Sentence{who("terraform", "t2"), text(" changed 40 things in 3 zones for "), wei},
			Fold:     fold,
		},
		{
			Actor:    "Support",
			Kind:     "staff",
			Action:   "member.read",
			Low:      true,
			Sentence: ui.Sentence{who("Support (Belfry)", "s1"), text(" opened the data of "), on("sam@acme.dev")},
			Note:     "Ticket 8812: cannot sign in",
		},
		{
			Actor:    "Datadog",
			Kind:     "integration",
			Action:   "api_token.create",
			Sentence: ui.Sentence{who("Datadog", "i1"), text(", installed by Ana Lima, created the token "), on("metrics-read")},
		},
		{
			Actor:    "belfry",
			Kind:     "system",
			Action:   "slo.alert_start",
			Sentence: ui.Sentence{text("The budget of "), on("checkout availability"), text(" burns 14.6 times too fast")},
		},
		{
			Actor:    "Jo Park",
			Kind:     "user",
			Action:   "member.create",
			Sentence: ui.Sentence{jo, text(" invited "), on("sam@acme.dev"), text(" as "), code("editor")},
		},
		{
			Actor:    "Ana Lima",
			Kind:     "user",
			Action:   "notification_policy.update",
			Sentence: ui.Sentence{ana, text(" turned on the digest of "), on("SSL expiring")},
		},
	}
	for i := range rows {
		rows[i].ID = fmt.Sprintf("e%d", i)
		rows[i].Href = fmt.Sprintf("/record?event=%d", i)
		rows[i].At = galleryNow.Add(-time.Duration(i*i) * 97 * time.Minute)
	}
	return rows
}

func galleryData(r *http.Request) any {
	rows := galleryRows()
	open := r.URL.Query().Has("event")
	rows[0].Current = open
	next := ""
	if r.URL.Query().Get("paged") == "1" {
		next = "/record?paged=2"
	}
	for i := range rows {
		rows[i].ID += r.URL.Query().Get("paged")
	}
	xs := []int64{}
	budget := []*float64{}
	even := []*float64{}
	for i := range 337 {
		left := 100 - float64(i)*0.08 - 18/(1+math.Exp(-float64(i-180)/2)) - 26/(1+math.Exp(-float64(i-300)/3))
		line := 100 - float64(i)/3.36
		xs = append(xs, galleryNow.Unix()-int64(336-i)*7200)
		budget = append(budget, &left)
		even = append(even, &line)
	}
	zero, full := 0.0, 100.0
	return map[string]any{
		"Now":   galleryNow,
		"Rows":  rows,
		"First": rows[0].Sentence,
		"Open":  open,
		"Next":  next,
		"Query": r.URL.Query().Get("q"),
		"Keep":  ui.KeepQuery(r.URL, "q"),
		"Chips": ui.Chips(r.URL, ui.FilterKey{
			Key:   "actor",
			Label: "Actor",
			Icon:  "user",
		}, ui.FilterKey{Key: "action", Label: "Action", Icon: "zap"}),
		"Range": ui.ParseRange(r.URL, galleryNow, "30d"),
		"Exports": []ui.Link{
			{Label: "CSV", Icon: "file-text", Href: "/export.csv"},
			{Label: "NDJSON with proof", Icon: "shield-check", Href: "/export.ndjson", Hint: "provable"},
			{Label: "Stop the export", Icon: "ban", Href: "/stop", Post: true, Danger: true},
		},
		"Changes": []ui.Change{
			{Path: "min_tls_version", Op: "changed", Old: `"1.2"`, New: `"1.0"`},
			{Path: "ciphers[2]", Op: "added", New: `"AES128-SHA"`},
		},
		"Before": json.RawMessage(`{"name":"shop.example","min_tls_version":"1.2",` +
			`"ciphers":["CHACHA20","AES128"],"hsts":true}`),
		"After": json.RawMessage(`{"name":"shop.example","min_tls_version":"1.0",` +
			`"ciphers":["CHACHA20","AES128","AES128-SHA"],"hsts":true,"max_age":31536000,"note":null}`),
		"Spark": []float64{99.99, 99.98, 99.99, 99.97, 99.95, 99.96, 99.4, 99.3, 99.93},
		"Tabs": []ui.Link{
			{Label: "Budget", Href: "/objective", Current: true},
			{Label: "Burn rate", Href: "/objective?t=burn"},
			{Label: "Alerts", Href: "/objective?t=alerts", Count: 3},
		},
		"Chart": ui.Chart{
			Label:   "Error budget remaining over 28 days",
			Summary: "28.2% is left; 44% went in two steps.",
			Unit:    "%",
			X:       xs,
			Min:     &zero,
			Max:     &full,
			Series: []ui.ChartSeries{
				{Name: "Left", Tone: ui.Accent, Fill: true, Y: budget},
				{Name: "Even spend", Dash: true, Y: even},
			},
			Marks: []ui.ChartMark{
				{At: xs[298], Label: "Ana lowered the payment timeout", Href: "/record?event=0", Tone: ui.Warn},
			},
		},
		"Empty": ui.Chart{Label: "Burn rate", Empty: "No request was counted in the last hour."},
		"Windows": []map[string]any{
			{"Pair": "1 h and 5 min", "Severity": "page", "Long": "14.6", "Short": "21.0", "Factor": "14.4", "Firing": true},
			{"Pair": "6 h and 30 min", "Severity": "page", "Long": "3.1", "Short": "14.2", "Factor": "6", "Firing": false},
			{"Pair": "3 days and 6 h", "Severity": "ticket", "Long": "0.9", "Short": "3.1", "Factor": "1", "Firing": false}},
		"Options": []any{[]any{"page", "Page"}, []any{"ticket", "Ticket"}, []any{"info", "Information"}},
		"Curl": "curl -H \"Authorization: Bearer $TOKEN\" \\\n  -d '{\"action\":{\"type\":\"order.refund\"}, ...}' " +
			"\\\n  https://belfry.example/client/v4/accounts/a1/audit/events",
	}
}
