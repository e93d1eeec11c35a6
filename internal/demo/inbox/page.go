package inbox

import (
	"embed"
	"net/http"
	"time"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

//go:embed page_*.html
var files embed.FS

// pageServer shows the received messages.
type pageServer struct {
	inbox *Inbox
	set   *ui.Page
	mux   *http.ServeMux
}

func newPageServer(i *Inbox) (*pageServer, error) {
	u, err := ui.New(ui.Options{})
	if err != nil {
		return nil, err
	}
	p := &pageServer{inbox: i, mux: http.NewServeMux()}
	if p.set, err = u.Parse(files, "page_*.html"); err != nil {
		return nil, err
	}
	p.mux.Handle("GET /assets/", u.Assets())
	p.mux.HandleFunc("GET /{$}", p.list)
	return p, nil
}

func (p *pageServer) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

func (p *pageServer) list(w http.ResponseWriter, r *http.Request) {
	page := struct {
		Messages []Message
		Address  string
		Now      time.Time
		Back     string
	}{p.inbox.Messages(), p.inbox.SMTP(), time.Now(), p.inbox.nextStep()}
	shell := ui.Shell{Title: "Inbox", Face: ui.Customer, Account: ui.Account{Name: "Your inbox"},
		Nav: []ui.NavItem{{Label: "Messages", Href: "/", Icon: "inbox", Key: "i", Current: true}}}
	for _, beside := range []ui.NavItem{
		{Section: "The demo", Label: "Dashboard", Href: p.inbox.dashboard, Icon: "layout-dashboard"},
		{Section: "The demo", Label: "Shop", Href: p.inbox.shop, Icon: "package"},
	} {
		if beside.Href != "" {
			shell.Nav = append(shell.Nav, beside)
		}
	}
	if err := p.set.Render(w, r, shell, "inbox", page); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
