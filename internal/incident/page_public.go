package incident

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// publicAge is how long caches may keep a public document.
const publicAge = 30 * time.Second

func (p *pages) addPublic() {
	p.Public("GET "+StatusPath, p.showStatus)
	p.Public("GET "+historyPath, p.showHistory)
	p.Public("GET "+StatusPath+"/incidents/{incident_id}", p.showPublicIncident)
	p.Public("GET "+rssPath, p.feed("application/rss+xml; charset=utf-8", p.rss))
	p.Public("GET "+atomPath, p.feed("application/atom+xml; charset=utf-8", p.atom))
	p.Public("GET "+StatusPath+".json", func(v *page.Visit) error { return p.showJSON(v, "summary") })
	p.Public("GET "+StatusPath+"/api/v2/{name...}", func(v *page.Visit) error {
		name, ok := strings.CutSuffix(v.PathValue("name"), ".json")
		if !ok {
			return errNoDocument
		}
		return p.showJSON(v, name)
	})
}

var (
	errNoPage     = errs.New(errs.CodeNotFound, "this installation has no status page")
	errNoDocument = errs.New(errs.CodeNotFound, "there is no such document")
)

// document is a public answer, which is made once for all visitors.
type document struct {
	title string
	html  template.HTML
	body  []byte
}

// publicIncident is an incident as everybody sees it: without authors.
type publicIncident struct {
	ID         string
	Name       string
	Href       string
	Icon       string
	State      ui.Status
	Impact     string
	Began      time.Time
	Ended      time.Time
	Schedule   string // of a maintenance
	Lasted     string
	Components []string
	Updates    []publicUpdate
	Postmortem []string
}

type publicUpdate struct {
	State string
	Lines []string
	At    time.Time
}

// publicOf is an incident as everybody sees it.
func publicOf(i *Incident) publicIncident {
	out := publicIncident{
		ID:     i.ID,
		Name:   i.Name,
		Href:   incidentPath(i.ID),
		Icon:   "siren",
		State:  ui.Status{Label: i.State.Words(), Tone: i.State.Tone()},
		Impact: i.Impact.Words() + " impact",
		Began:  i.StartedOn.Time,
		Ended:  i.ResolvedOn.Time,
	}
	if i.Kind == KindMaintenance {
		out.Icon = "wrench"
		out.Impact = "Maintenance"
		if !i.ScheduledUntil.IsZero() {
			out.Schedule = scheduleWords(i)
		}
	}
	if !i.Open() {
		out.Lasted = ui.Words(max(i.ResolvedOn.Sub(i.StartedOn.Time), time.Minute))
		out.Postmortem = paragraphs(i.Postmortem)
	}
	for _, c := range i.Components {
		text := c.Name
		if i.Open() && i.State != Scheduled && c.Health != Operational {
			text += " (" + lower(c.Health.Words()) + ")"
		}
		out.Components = append(out.Components, text)
	}
	for _, u := range i.Updates {
		out.Updates = append(out.Updates, publicUpdate{u.State.Words(), paragraphs(u.Message), u.At.Time})
	}
	return out
}

func publicList(list []*Incident) []publicIncident {
	out := make([]publicIncident, len(list))
	for n, i := range list {
		out[n] = publicOf(i)
	}
	return out
}

// publicGroup is a group of components.
type publicGroup struct {
	Name       string // "" = components without a group
	Components []publicComponent
}

type publicComponent struct {
	Name        string
	Description string
	Status      ui.Status
	Bars        ui.Columns
	Uptime      string
}

// frame is head and foot of all public pages.
type frame struct {
	Title     string
	Support   string
	Home      string
	History   string
	Subscribe string
	RSS, Atom string
	JSON      string
}

func frameOf(b *board) frame {
	return frame{
		Title:     b.Page.Title,
		Support:   b.Page.SupportURL,
		Home:      StatusPath,
		History:   historyPath,
		Subscribe: subscribePath,
		RSS:       rssPath,
		Atom:      atomPath,
		JSON:      StatusPath + ".json",
	}
}

// statusPage is the data of the template "status-page".
type statusPage struct {
	frame
	Description []string
	Now         overall
	Open        []publicIncident
	Planned     []publicIncident
	Groups      []publicGroup
	Recent      []publicIncident
}

// feedsOf are the feeds that browsers find.
func feedsOf(title string) []ui.Link {
	return []ui.Link{
		{Label: title + " (Atom)", Href: atomPath, Hint: "application/atom+xml"},
		{Label: title + " (RSS)", Href: rssPath, Hint: "application/rss+xml"},
	}
}

// present answers with a public page, which is rendered at most every ten seconds for all visitors. key names it.
func (p *pages) present(
	v *page.Visit, key, templateName string, build func(context.Context, *board) (title string, data any, err error),
) error {
	b, err := p.currentBoard(v)
	if err != nil {
		return err
	}
	key = fmt.Sprintf("%d %s", b.Version, key)
	doc, err := p.rendered.Get(v.Context(), key, func(ctx context.Context) (document, error) {
		title, data, err := build(ctx, b)
		if err != nil {
			return document{}, err
		}
		text, err := p.HTML(templateName, data)
		return document{title: title, html: template.HTML(text)}, err //nolint:gosec // executed by html/template just now
	})
	if err != nil {
		return err
	}
	return v.Show(page.View{
		Title:    doc.title,
		Template: "status-frame",
		Data:     struct{ Body template.HTML }{doc.html},
		Public:   true,
		MaxAge:   publicAge,
		Name:     b.Page.Title,
		Feeds:    feedsOf(b.Page.Title),
	})
}

// currentBoard is the board, where there is a public page.
func (p *pages) currentBoard(v *page.Visit) (*board, error) {
	b, err := p.board.Get(v.Context())
	if err != nil {
		return nil, err
	}
	if !p.shown(b) {
		return nil, errNoPage
	}
	return b, nil
}

func (p *pages) showStatus(v *page.Visit) error {
	return p.present(v, "status", "status-page", func(_ context.Context, b *board) (string, any, error) {
		data := statusPage{
			frame:       frameOf(b),
			Description: paragraphs(b.Page.Description),
			Now:         b.overall(),
			Open:        publicList(b.Open),
			Planned:     publicList(b.Planned),
			Recent:      publicList(b.Recent),
		}
		now := p.now()
		for _, c := range b.Components {
			if n := len(data.Groups); n == 0 || data.Groups[n-1].Name != c.Group {
				data.Groups = append(data.Groups, publicGroup{Name: c.Group})
			}
			days := history(b.outages[c.ID], c.CreatedOn.Time, now, shownDays)
			group := &data.Groups[len(data.Groups)-1]
			group.Components = append(group.Components, publicComponent{
				Name:        c.Name,
				Description: c.Description,
				Status:      ui.Status{Label: c.Health.Words(), Tone: c.Health.Tone()},
				Bars:        barsOf(c.Name, days),
				Uptime:      uptimeText(days),
			})
		}
		return "", data, nil
	})
}

// publicIncidentPage is the data of the template "status-incident-page".
type publicIncidentPage struct {
	frame
	Incident publicIncident
}

func (p *pages) showPublicIncident(v *page.Visit) error {
	incidentID := v.PathValue("incident_id")
	if len(incidentID) > 64 {
		return errs.New(errs.CodeNotFound, "there is no such incident")
	}
	return p.present(v, "incident "+incidentID, "status-incident-page",
		func(ctx context.Context, b *board) (string, any, error) {
			i, err := p.Incident(ctx, incidentID)
			if err != nil {
				return "", nil, err
			}
			return i.Name, publicIncidentPage{frameOf(b), publicOf(i)}, nil
		})
}

// historyPage is the data of the template "status-history".
type historyPage struct {
	frame
	Month     string // November 2026
	Incidents []publicIncident
	Older     string
	Newer     string
}

const monthFormat = "2006-01"

func (p *pages) showHistory(v *page.Visit) error {
	this := p.now().UTC()
	this = time.Date(this.Year(), this.Month(), 1, 0, 0, 0, 0, time.UTC)
	month, err := time.Parse(monthFormat, cmp.Or(v.Query("month"), this.Format(monthFormat)))
	if err != nil || month.After(this.AddDate(2, 0, 0)) || month.Year() < 2000 {
		return errs.New(errs.CodeNotFound, "there is no such month")
	}
	key := "history " + month.Format(monthFormat)
	return p.present(v, key, "status-history", func(ctx context.Context, b *board) (string, any, error) {
		q := Query{Since: month.UnixMicro(), Before: month.AddDate(0, 1, 0).UnixMicro()}
		list, err := p.Incidents(ctx, q, web.Keyset{}, historyMost)
		if err != nil {
			return "", nil, err
		}
		data := historyPage{
			frame:     frameOf(b),
			Month:     month.Format("January 2006"),
			Incidents: publicList(list),
			Older:     historyPath + "?month=" + month.AddDate(0, -1, 0).Format(monthFormat),
		}
		if month.Before(this) {
			data.Newer = historyPath + "?month=" + month.AddDate(0, 1, 0).Format(monthFormat)
		}
		return "History, " + data.Month, data, nil
	})
}

// feed answers with one of the feeds.
func (p *pages) feed(contentType string, encode func(*board, []*Incident) ([]byte, error)) page.Handler {
	return func(v *page.Visit) error {
		return p.plain(v, contentType, func(ctx context.Context, b *board) ([]byte, error) {
			list, err := p.latest(ctx, "")
			if err != nil {
				return nil, err
			}
			return encode(b, list)
		})
	}
}

func (p *pages) showJSON(v *page.Visit, name string) error {
	v.Writer.Header().Set("Access-Control-Allow-Origin", "*") // it is public, and programs of other sites read it
	return p.plain(v, "application/json; charset=utf-8", func(ctx context.Context, b *board) ([]byte, error) {
		doc, err := p.documentOf(ctx, b, name)
		if err != nil {
			return nil, err
		}
		if doc == nil {
			return nil, errNoDocument
		}
		return json.Marshal(doc)
	})
}

// plain answers with a public document that is no page.
func (p *pages) plain(
	v *page.Visit, contentType string, encode func(context.Context, *board) ([]byte, error),
) error {
	b, err := p.currentBoard(v)
	if err != nil {
		return err
	}
	key := fmt.Sprintf("%d %s", b.Version, v.Request.URL.Path)
	doc, err := p.rendered.Get(v.Context(), key, func(ctx context.Context) (document, error) {
		body, err := encode(ctx, b)
		return document{body: body}, err
	})
	if err != nil {
		return err
	}
	h := v.Writer.Header()
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	if ui.Cached(v.Writer, v.Request, doc.body, publicAge) {
		return nil
	}
	_, err = v.Writer.Write(doc.body)
	return err
}
