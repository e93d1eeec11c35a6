package incident

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) addComponents() {
	const one = PagePath + "/components/{component_id}"
	fields := []string{"name", "description", "group", "location", "position"}
	p.Get(PagePath+"/components/new", permissionWrite, p.showNewComponent)
	p.Post(PagePath+"/components/new", permissionWrite, page.Form[componentForm]{
		Parse:  parseComponent,
		Do:     p.addComponent,
		Fields: fields,
		Render: p.renderComponentForm,
		Then: func(v *page.Visit, f *componentForm) error {
			return v.Redirect(PagePath, "component-added")
		},
	}.Handle)
	p.Get(one, permissionRead, p.showComponent)
	p.Get(one+"/edit", permissionWrite, p.showEditComponent)
	p.Post(one+"/edit", permissionWrite, page.Form[componentForm]{
		Parse:  p.parseComponentOf,
		Do:     p.editComponent,
		Fields: fields,
		Render: p.renderComponentForm,
		Then: func(v *page.Visit, f *componentForm) error {
			return v.Redirect(componentPath(f.component.ID), "component-changed")
		},
	}.Handle)
	p.Confirm(one+"/delete", permissionWrite, p.confirmDelete, func(v *page.Visit) error {
		if err := p.DeleteComponent(v.Context(), v.PathValue("component_id")); err != nil {
			return err
		}
		return v.Redirect(PagePath, "component-removed")
	})
}

// componentForm is the input for a component.
type componentForm struct {
	Name        string
	Description string
	Group       string
	Location    string
	Position    string

	component *Component // nil = a new one
}

// componentFormPage is the data of the template "component-form".
type componentFormPage struct {
	componentForm
	Faults ui.Faults
	Title  string
	Action string
	Back   string
	Button string
}

func parseComponent(v *page.Visit) (componentForm, error) {
	return componentForm{
		Name:        v.Field("name", 1024),
		Description: v.Field("description", 4096),
		Group:       v.Field("group", 1024),
		Location:    v.Field("location", 64),
		Position:    v.Field("position", 16),
	}, nil
}

func (p *pages) parseComponentOf(v *page.Visit) (componentForm, error) {
	f, err := parseComponent(v)
	if err != nil {
		return f, err
	}
	c, err := p.Component(v.Context(), v.PathValue("component_id"))
	f.component = &c
	return f, err
}

func (p *pages) showNewComponent(v *page.Visit) error {
	return p.renderComponentForm(v, &componentForm{}, ui.Faults{})
}

func (p *pages) showEditComponent(v *page.Visit) error {
	c, err := p.Component(v.Context(), v.PathValue("component_id"))
	if err != nil {
		return err
	}
	return p.renderComponentForm(v, &componentForm{
		Name:        c.Name,
		Description: c.Description,
		Group:       c.Group,
		Location:    c.Location,
		Position:    strconv.FormatInt(c.Position, 10),
		component:   &c,
	}, ui.Faults{})
}

func (p *pages) renderComponentForm(v *page.Visit, f *componentForm, faults ui.Faults) error {
	data := componentFormPage{
		componentForm: *f,
		Faults:        faults,
		Title:         "Add a component",
		Action:        PagePath + "/components/new",
		Back:          PagePath,
		Button:        "Add the component",
	}
	if f.component != nil {
		data.Title = "Edit " + f.component.Name
		data.Back = componentPath(f.component.ID)
		data.Action = data.Back + "/edit"
		data.Button = "Save"
	}
	return v.Show(page.View{
		Section: sectionStatus, Title: data.Title, Template: "component-form", Status: faults.Status, Data: data,
	})
}

// position reads the field; a text that is no number is 0, which is after the others.
func (f *componentForm) position() int64 {
	n, err := strconv.ParseInt(f.Position, 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func (p *pages) addComponent(v *page.Visit, f *componentForm) error {
	_, err := p.CreateComponent(v.Context(), ComponentCreate{
		Name:        f.Name,
		Description: f.Description,
		Group:       f.Group,
		Location:    f.Location,
		Position:    f.position(),
	})
	return err
}

func (p *pages) editComponent(v *page.Visit, f *componentForm) error {
	in := ComponentUpdate{Name: &f.Name, Description: &f.Description, Group: &f.Group, Location: &f.Location}
	if position := f.position(); position > 0 {
		in.Position = &position
	}
	_, err := p.UpdateComponent(v.Context(), f.component.ID, in)
	return err
}

func (p *pages) confirmDelete(v *page.Visit) (page.Confirm, error) {
	c, err := p.Component(v.Context(), v.PathValue("component_id"))
	return page.Confirm{
		Section: sectionStatus,
		Title:   "Remove " + c.Name + "?",
		Text: "The status page does not show it any more, and policies that name it get no further alert about it. " +
			"Incidents of the past keep its name.",
		Label:  "Remove the component",
		Back:   componentPath(c.ID),
		Danger: true,
	}, err
}

// componentPage is the data of the template "component".
type componentPage struct {
	Hub      ui.Hub
	Bars     ui.Columns
	Uptime   string
	Rows     []incidentRow
	All      string
	Activity *ui.Activity
}

func (p *pages) showComponent(v *page.Visit) error {
	ctx := v.Context()
	c, err := p.Component(ctx, v.PathValue("component_id"))
	if err != nil {
		return err
	}
	b, err := p.board.Get(ctx)
	if err != nil {
		return err
	}
	list, err := p.Incidents(ctx, Query{Component: c.ID}, web.Keyset{}, hubRows)
	if err != nil {
		return err
	}
	days := history(b.outages[c.ID], c.CreatedOn.Time, p.now(), shownDays)
	out := componentPage{
		Bars:   barsOf(c.Name, days),
		Uptime: uptimeText(days),
		All:    ConsolePath + "?component=" + c.ID,
	}
	for _, i := range list {
		out.Rows = append(out.Rows, rowOf(i))
	}
	href := componentPath(c.ID)
	out.Hub = ui.Hub{
		Back:   ui.Link{Label: "Status page", Href: PagePath},
		Icon:   "boxes",
		Title:  c.Name,
		Status: ui.Status{Label: c.Health.Words(), Tone: c.Health.Tone()},
		Properties: []ui.PropertyGroup{{Properties: []ui.Property{
			{Label: "Id", Copy: c.ID, Text: c.ID[:8] + "…" + c.ID[len(c.ID)-4:]},
			{Label: "Group", Text: c.Group},
			{Label: "Location", Text: c.Location, Mono: true},
			{Label: "Position", Text: strconv.FormatInt(c.Position, 10)},
			{Label: "Added", At: c.CreatedOn.Time},
			{Label: "Changed", At: c.ModifiedOn.Time},
		}}},
	}
	if c.Description != "" {
		out.Hub.Subtitle = ui.Sentence{{Text: cutSpace(c.Description)}}
	}
	if canWrite(v) {
		out.Hub.Actions = []ui.Link{{Label: "Edit", Href: href + "/edit", Icon: "pencil", Key: "e"}}
		out.Hub.More = []ui.Link{{Label: "Remove the component", Href: href + "/delete", Icon: "trash-2", Danger: true}}
	}
	if out.Activity, err = p.activityOf(v, "status_component", c.ID); err != nil {
		return err
	}
	return v.Show(page.View{Section: sectionStatus, Title: c.Name, Template: "component", Data: out})
}

// barsOf draws the days of a component.
func barsOf(name string, days []day) ui.Columns {
	bars := ui.Columns{
		Label: name + ", status by day, last 90 days",
		From:  "90 days ago",
		To:    "today",
		Said:  uptimeText(days),
	}
	for _, d := range days {
		column := ui.Column{Title: d.Date.Format("2 January 2006") + ": " + d.words()}
		switch {
		case !d.Known:
		case d.Worst == MajorOutage:
			column.Bad = 1
		case d.Worst == PartialOutage || d.Worst == Degraded:
			column.Warn = 1
		case d.Worst == Maintained:
			column.Count = 1
		default:
			column.Good = 1
		}
		bars.Columns = append(bars.Columns, column)
	}
	return bars
}

// words describe a day.
func (d day) words() string {
	switch {
	case !d.Known:
		return "no data"
	case d.Worst == Operational:
		return "operational"
	case d.Down > 0:
		return fmt.Sprintf("%s, down for %s", lower(d.Worst.Words()), ui.Words(max(d.Down, time.Minute)))
	}
	return lower(d.Worst.Words())
}

// percent is a share with two decimals, rounded down: only what was never down has 100%.
func percent(share float64) string {
	if share >= 1 {
		return "100%"
	}
	return strconv.FormatFloat(math.Floor(share*1e4)/100, 'f', 2, 64) + "%"
}

// uptimeText is the uptime of the known days; "" when there are none.
func uptimeText(days []day) string {
	known := false
	for _, d := range days {
		known = known || d.Known
	}
	if !known {
		return ""
	}
	return percent(uptime(days)) + " uptime"
}
