package shop

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/mail"
	"net/url"
	"strings"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
)

//go:embed page.html static
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"ago": func(t time.Time) string {
		switch d := time.Since(t); {
		case d < time.Minute:
			return fmt.Sprintf("%d s ago", int(d.Seconds()))
		case d < time.Hour:
			return fmt.Sprintf("%d min ago", int(d.Minutes()))
		default:
			return t.Format("2 Jan 15:04")
		}
	},
	"percent": func(f float64) string { return fmt.Sprintf("%.1f", 100*f) },
	"rate":    func(f float64) string { return fmt.Sprintf("%.1f", f) },
}).ParseFS(files, "page.html"))

// product is one thing to buy.
type product struct {
	ID, Name, About, Price, Shape string
}

var products = []product{
	{"teapot", "Teapot", "Stoneware, celadon glaze, 0.9 litres", "68", "teapot"},
	{"bowl", "Ramen bowl", "Thrown by hand, holds a proper portion", "34", "bowl"},
	{"vase", "Bud vase", "For one flower and its reasons", "29", "vase"},
	{"mug", "Morning mug", "Fits two fingers, survives the dishwasher", "22", "mug"},
}

// page holds the parts that every page shows.
type page struct {
	Title, Tab string
	Banner     string
	Button     string
	Shipping   string
	Live       live
	Products   []product
	Paid       *paid // after a checkout
	Settings   []shown
	Changes    []shownChange
	Timeout    time.Duration
	Belfry     string // address of the account's pages in Belfry
	Back       string // address of the next step, where someone leads through the shop
	User       string
	Email      string
	Note       string // what became of a form
	Failed     bool   // Note is about a failure
}

// paid is how a checkout ended.
type paid struct {
	Status int
	Took   time.Duration
}

// shown is a setting with its present value.
type shown struct {
	setting
	Value string
}

// shownChange is a change with what can be done about it.
type shownChange struct {
	change
	What   setting
	Action string
	Undo   bool // its former value is not the present one
	Undone bool // a later change took it back
}

// handler is the shop: the watched storefront and checkout, and the pages of
// the people who run it.
func (s *shop) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /static/", http.FileServerFS(files))
	mux.HandleFunc("GET /{$}", s.traffic.watch(StorefrontZone, s.storefront))
	mux.HandleFunc("GET /products/{id}", s.traffic.watch(StorefrontZone, s.storefront))
	mux.HandleFunc("POST /checkout", s.traffic.watch(CheckoutZone, s.checkout))
	mux.HandleFunc("GET /cart", s.traffic.watch(CheckoutZone, s.checkout))
	mux.HandleFunc("GET /settings", s.settingsPage)
	mux.HandleFunc("POST /settings/{id}", s.change)
	mux.HandleFunc("POST /changes/{id}/undo", s.undo)
	mux.HandleFunc("GET /live", s.live)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	protected := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		protected.ServeHTTP(w, r)
	})
}

func (s *shop) show(w http.ResponseWriter, status int, p page) {
	p.Banner = s.settings.value("banner")
	p.Button = s.settings.value("checkout_button")
	p.Shipping = s.settings.value("free_shipping")
	p.Live = s.traffic.live()
	p.Timeout = s.settings.paymentTimeout()
	p.Belfry = s.belfry
	p.Back = s.back
	p.User = UserName
	p.Email = UserEmail
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "page", p); err != nil {
		s.log.Printf("page: %v", err)
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

func (s *shop) storefront(w http.ResponseWriter, r *http.Request) {
	p := page{Title: "Kiln & Kettle", Tab: "shop", Products: products}
	if id := r.PathValue("id"); id != "" {
		p.Products = nil
		for _, one := range products {
			if one.ID == id {
				p.Products = []product{one}
				p.Title = one.Name
			}
		}
		if p.Products == nil {
			http.NotFound(w, r)
			return
		}
	}
	s.show(w, http.StatusOK, p)
}

// checkout takes the money; the cart asks the provider for its prices. People
// get a page, programs JSON.
func (s *shop) checkout(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	status := s.provider.pay(r.Context(), s.settings.paymentTimeout())
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.show(w, status, page{
			Title:    "Checkout",
			Tab:      "shop",
			Products: products,
			Paid:     &paid{status, time.Since(began).Round(time.Millisecond)},
		})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if status == http.StatusOK {
		fmt.Fprintln(w, `{"status":"paid"}`)
		return
	}
	fmt.Fprintln(w, `{"status":"failed","error":"the payment provider did not answer in time"}`)
}

func (s *shop) live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(s.traffic.live()) // the visitor may have left
}

func (s *shop) settingsPage(w http.ResponseWriter, r *http.Request) {
	s.showSettings(w, http.StatusOK, notes[r.URL.Query().Get("done")], false)
}

// notes are the messages after a redirect, by key.
var notes = map[string]string{
	"changed": "Changed, and recorded.",
	"undone":  "Undone, and recorded.",
	"same":    "Nothing to change: that is its value already.",
}

func (s *shop) showSettings(w http.ResponseWriter, status int, note string, failed bool) {
	p := page{Title: "Settings", Tab: "settings", Note: note, Failed: failed}
	for _, one := range catalog {
		p.Settings = append(p.Settings, shown{one, s.settings.value(one.ID)})
	}
	undone := map[string]bool{}
	for _, c := range s.settings.history() {
		what, ok := settingOf(c.Setting)
		if !ok {
			continue // of an older version of the shop
		}
		if c.Undoes != "" {
			undone[c.Undoes] = true
		}
		p.Changes = append(p.Changes, shownChange{
			change: c,
			What:   what,
			Action: c.action(),
			Undo:   !undone[c.ID] && s.settings.value(c.Setting) != c.Before,
			Undone: undone[c.ID],
		})
	}
	s.show(w, status, p)
}

// change is the form of one setting.
func (s *shop) change(w http.ResponseWriter, r *http.Request) {
	what, ok := settingOf(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	c := change{ID: belfry.NewID(), At: time.Now(), Setting: what.ID}
	var err error
	if c.After, err = what.parse(r.PostFormValue("value")); err == nil {
		err = c.explain(r)
	}
	if err != nil {
		s.showSettings(w, http.StatusBadRequest, err.Error(), true)
		return
	}
	s.apply(w, r, c, "changed")
}

// explain reads who changes and why.
func (c *change) explain(r *http.Request) (err error) {
	if c.Reason, err = line("the reason", r.PostFormValue("reason"), 500); err != nil {
		return err
	}
	if c.Reason == "" {
		return errors.New("a reason is required: whoever is woken by this change will want to know it")
	}
	if c.Link, err = line("the link", r.PostFormValue("link"), 500); err != nil {
		return err
	}
	if u, err := url.Parse(c.Link); c.Link != "" &&
		(err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return errors.New("the link is an address such as https://git.example/shop/pull/214")
	}
	if c.Name, err = line("the name", or(r.PostFormValue("name"), UserName), 100); err != nil {
		return err
	}
	if c.Email, err = line("the address", or(r.PostFormValue("email"), UserEmail), 200); err != nil {
		return err
	}
	if a, err := mail.ParseAddress(c.Email); err != nil || a.Address != c.Email {
		return errors.New("the mail address is one such as sam@shop.example")
	}
	return nil
}

func or(s, otherwise string) string {
	if strings.TrimSpace(s) == "" {
		return otherwise
	}
	return s
}

// undo sets the value that was there before a change.
func (s *shop) undo(w http.ResponseWriter, r *http.Request) {
	for _, c := range s.settings.history() {
		if c.ID != r.PathValue("id") {
			continue
		}
		s.apply(w, r, change{
			ID:      belfry.NewID(),
			At:      time.Now(),
			Setting: c.Setting,
			After:   c.Before,
			Name:    or(r.PostFormValue("name"), c.Name),
			Email:   or(r.PostFormValue("email"), c.Email),
			Reason:  clip("Undo: "+c.Reason, 500),
			Link:    c.Link,
			Undoes:  c.ID,
		}, "undone")
		return
	}
	http.NotFound(w, r)
}

func clip(s string, most int) string {
	if list := []rune(s); len(list) > most {
		return string(list[:most])
	}
	return s
}

// apply makes a change, in the record first.
func (s *shop) apply(w http.ResponseWriter, r *http.Request, c change, done string) {
	ctx := s.audit.ContextWithRequest(r.Context(), r)
	err := s.settings.set(c, func(c change) error { return s.audit.Audit(ctx, c.event()) })
	switch {
	case errors.Is(err, errUnchanged):
		done = "same"
	case err != nil:
		s.log.Printf("change of %s: %v", c.Setting, err)
		s.showSettings(w, http.StatusServiceUnavailable, "Not changed, since it could not be recorded: "+err.Error(), true)
		return
	}
	http.Redirect(w, r, "/settings?done="+done, http.StatusSeeOther)
}

// event is the change as Belfry records it. This is the whole integration.
func (c change) event() belfry.Event {
	what, _ := settingOf(c.Setting)
	e := belfry.Event{
		ID: c.ID, OccurredAt: c.At,
		Action:    belfry.Action{Type: c.action(), Result: belfry.Success},
		Actor:     belfry.Actor{Type: belfry.User, ID: c.Email, Name: c.Name, Email: c.Email},
		Interface: belfry.UI,
		Resource:  belfry.Resource{Product: "shop", Type: "setting", ID: what.ID, Name: what.Name},
		Zone:      what.Zone,
		Before:    what.content(c.Before),
		After:     what.content(c.After),
		Reason:    &belfry.Reason{Text: c.Reason, URL: c.Link},
	}
	if c.Undoes != "" {
		e.Metadata = map[string]any{"undoes": c.Undoes}
	}
	return e
}
