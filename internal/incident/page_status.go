package incident

import (
	"strings"

	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addStatus() {
	const subscribers = PagePath + "/subscribers"
	p.Get(PagePath, permissionRead, p.showConsoleStatus)
	p.Get(PagePath+"/edit", permissionWrite, p.showTexts)
	p.Post(PagePath+"/edit", permissionWrite, page.Form[textsForm]{
		Parse:  parseTexts,
		Do:     p.saveTexts,
		Fields: []string{"title", "description", "support_url"},
		Render: p.renderTexts,
		Then:   func(v *page.Visit, _ *textsForm) error { return v.Redirect(PagePath, "page-changed") },
	}.Handle)
	p.Get(PagePath+"/templates", permissionWrite, p.showTemplates)
	p.Post(PagePath+"/templates", permissionWrite, page.Form[templatesForm]{
		Parse:  parseTemplates,
		Do:     p.saveTemplates,
		Render: p.renderTemplates,
		Then:   func(v *page.Visit, _ *templatesForm) error { return v.Redirect(PagePath, "templates-changed") },
	}.Handle)
	p.Get(subscribers, permissionRead, p.showSubscribers)
	p.Confirm(subscribers+"/{subscriber_id}/delete", permissionWrite, func(*page.Visit) (page.Confirm, error) {
		return page.Confirm{
			Section: sectionStatus,
			Title:   "End the subscription?",
			Text:    "The subscriber gets no further message. The address is deleted.",
			Label:   "End the subscription",
			Back:    subscribers,
			Danger:  true,
		}, nil
	}, func(v *page.Visit) error {
		if err := p.RemoveSubscriber(v.Context(), v.PathValue("subscriber_id")); err != nil {
			return err
		}
		return v.Redirect(subscribers, "subscriber-removed")
	})
}

// consoleStatusPage is the data of the template "console-status".
type consoleStatusPage struct {
	Title       string
	Now         overall
	Off         bool // BELFRY_STATUS_PAGE=off
	Public      string
	CanWrite    bool
	Groups      []consoleGroup
	Templates   []UpdateTemplate
	Subscribers []Subscriber
	Mail        bool
}

type consoleGroup struct {
	Name string
	Rows []componentRow
}

type componentRow struct {
	Component
	Href   string
	Status ui.Status
	Bars   ui.Columns
	Uptime string
}

func (p *pages) showConsoleStatus(v *page.Visit) error {
	ctx := v.Context()
	b, err := p.board.Get(ctx)
	if err != nil {
		return err
	}
	out := consoleStatusPage{
		Title:    b.Page.Title,
		Now:      b.overall(),
		Off:      p.cfg.PageOff,
		CanWrite: canWrite(v),
		Mail:     p.cfg.SendMail != nil,
	}
	if p.shown(b) {
		out.Public = StatusPath
	}
	for _, c := range b.Components {
		if n := len(out.Groups); n == 0 || out.Groups[n-1].Name != c.Group {
			out.Groups = append(out.Groups, consoleGroup{Name: c.Group})
		}
		days := history(b.outages[c.ID], c.CreatedOn.Time, p.now(), shownDays)
		group := &out.Groups[len(out.Groups)-1]
		group.Rows = append(group.Rows, componentRow{
			Component: c,
			Href:      componentPath(c.ID),
			Status:    ui.Status{Label: c.Health.Words(), Tone: c.Health.Tone()},
			Bars:      barsOf(c.Name, days),
			Uptime:    uptimeText(days),
		})
	}
	templates, err := p.Templates(ctx)
	if err != nil {
		return err
	}
	out.Templates = templates.Templates
	if out.Subscribers, err = p.Subscribers(ctx, "", hubRows); err != nil {
		return err
	}
	return v.Show(page.View{Section: sectionStatus, Title: "Status page", Template: "console-status", Data: out})
}

// textsForm is the input for the texts of the page.
type textsForm struct{ StatusPage }

// textsPage is the data of the template "console-texts".
type textsPage struct {
	textsForm
	Faults ui.Faults
	Action string
	Back   string
}

func parseTexts(v *page.Visit) (textsForm, error) {
	return textsForm{StatusPage{
		Title:       v.Field("title", 1024),
		Description: v.Field("description", 8192),
		SupportURL:  v.Field("support_url", 1024),
	}}, nil
}

func (p *pages) showTexts(v *page.Visit) error {
	texts, err := p.Page(v.Context())
	if err != nil {
		return err
	}
	return p.renderTexts(v, &textsForm{texts}, ui.Faults{})
}

func (p *pages) renderTexts(v *page.Visit, f *textsForm, faults ui.Faults) error {
	return v.Show(page.View{
		Section: sectionStatus, Title: "Texts of the status page", Template: "console-texts", Status: faults.Status,
		Data: textsPage{*f, faults, PagePath + "/edit", PagePath},
	})
}

func (p *pages) saveTexts(v *page.Visit, f *textsForm) error {
	_, err := p.ReplacePage(v.Context(), f.StatusPage)
	return err
}

// freeRows are the empty rows of the form of templates.
const freeRows = 2

// templatesForm is the input for the templates of updates. A row without name and message is left out.
type templatesForm struct{ Rows []UpdateTemplate }

// templatesPage is the data of the template "console-templates".
type templatesPage struct {
	Rows   []templateRow
	Faults ui.Faults
	Action string
	Back   string
	States [][2]string
}

type templateRow struct {
	UpdateTemplate
	N int
}

func parseTemplates(v *page.Visit) (templatesForm, error) {
	var f templatesForm
	names := v.Fields("name")
	messages := v.Fields("message")
	chosen := v.Fields("status")
	for n, name := range names {
		if n >= maxTemplates || n >= len(messages) || n >= len(chosen) {
			break
		}
		t := UpdateTemplate{Name: page.Cut(name, 1024), State: State(page.Cut(chosen[n], 32))}
		t.Message = page.Cut(messages[n], maxMessage*4)
		if strings.TrimSpace(t.Name+t.Message) != "" {
			f.Rows = append(f.Rows, t)
		}
	}
	return f, nil
}

func (p *pages) showTemplates(v *page.Visit) error {
	templates, err := p.Templates(v.Context())
	if err != nil {
		return err
	}
	return p.renderTemplates(v, &templatesForm{templates.Templates}, ui.Faults{})
}

func (p *pages) renderTemplates(v *page.Visit, f *templatesForm, faults ui.Faults) error {
	data := templatesPage{Faults: faults, Action: PagePath + "/templates", Back: PagePath}
	data.States = append([][2]string{{"", "unchanged"}}, stateChoices(states[KindIncident])...)
	data.States = append(data.States, stateChoices(states[KindMaintenance])...)
	for n, t := range append(f.Rows[:len(f.Rows):len(f.Rows)], make([]UpdateTemplate, freeRows)...) {
		data.Rows = append(data.Rows, templateRow{t, n})
	}
	return v.Show(page.View{
		Section: sectionStatus, Title: "Templates of updates", Template: "console-templates", Status: faults.Status,
		Data: data,
	})
}

func (p *pages) saveTemplates(v *page.Visit, f *templatesForm) error {
	_, err := p.ReplaceTemplates(v.Context(), UpdateTemplates{f.Rows})
	return err
}

// subscribersPage is the data of the template "console-subscribers".
type subscribersPage struct {
	Back     string
	CanWrite bool
	Rows     []Subscriber
	Next     string
	Delete   string // path of all
}

func (p *pages) showSubscribers(v *page.Visit) error {
	key := func(s Subscriber) string { return s.ID }
	list, err := page.ReadList(v, listRows, key, func(after string, limit int) ([]Subscriber, error) {
		return p.Subscribers(v.Context(), after, limit)
	})
	if err != nil {
		return err
	}
	return v.Show(page.View{
		Section: sectionStatus, Title: "Subscribers", Template: "console-subscribers",
		Data: subscribersPage{
			Back:     PagePath,
			CanWrite: canWrite(v),
			Rows:     list.Items,
			Next:     list.Next,
			Delete:   PagePath + "/subscribers/",
		},
	})
}
