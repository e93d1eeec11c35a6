package account

import (
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// Pages call a zone a property.

func (p *pages) addProperties() {
	const base = "/accounts/{account_id}/properties"
	fields := []string{"name", "aliases", "environment"}
	p.Get(base, AccountsRead, p.showProperties)
	p.Get(base+"/new", AccountsWrite, p.showNewProperty)
	p.Post(base, AccountsWrite, page.Form[propertyForm]{
		Parse:  p.parseNewProperty,
		Do:     p.createProperty,
		Fields: fields,
		Render: p.renderPropertyForm,
		Then:   p.propertyCreated,
	}.Handle)
	p.Post(base+"/chosen", AccountsWrite, p.changeProperties)
	p.Get(base+"/{zone_id}", AccountsRead, p.showProperty)
	p.Get(base+"/{zone_id}/edit", AccountsWrite, p.showPropertyForm)
	p.Post(base+"/{zone_id}", AccountsWrite, page.Form[propertyForm]{
		Parse:  p.parseProperty,
		Do:     p.changeProperty,
		Fields: fields,
		Render: p.renderPropertyForm,
		Then:   p.propertyChanged,
	}.Handle)
	p.Post(base+"/{zone_id}/confirm", AccountsWrite, p.confirmProperty)
	p.Confirm(base+"/{zone_id}/delete", AccountsWrite, p.confirmDeleteProperty, p.deleteProperty)
}

func propertyPath(accountID, zoneID string) string { return PropertiesPath(accountID) + "/" + zoneID }

// environments are the options of a select: value and label.
var environments = [][2]string{
	{string(Production), "production"},
	{string(Staging), "staging"},
	{string(Test), "test: no alerts unless a policy names it"},
}

// propertyRow is a property in the list.
type propertyRow struct {
	Zone
	Href       string
	Objectives int           // number of its objectives
	Worst      ZoneObjective // the first of them
}

// propertiesPage is the data of the template "properties".
type propertiesPage struct {
	Path      string
	Rows      []propertyRow
	Next      string
	Total     int // of the account
	Shown     int // that pass the filters
	CanWrite  bool
	Watched   bool // the visitor may see objectives
	Filters   ui.Filters
	Selection ui.Selection
}

// propertySorts are the orders of the list.
var propertySorts = []ui.Choice{
	{Value: "name", Label: "By name"},
	{Value: "newest", Label: "Newest first"},
	{Value: "objectives", Label: "Worst objective first"},
}

func (p *pages) showProperties(v *page.Visit) error {
	u := v.Request.URL
	data := propertiesPage{Path: PropertiesPath(v.Account), CanWrite: v.Can(AccountsWrite)}
	zones, err := p.allZones(v.Context(), v.Account)
	if err != nil {
		return err
	}
	data.Total = len(zones)
	objectives, err := p.objectivesByZone(v)
	if err != nil {
		return err
	}
	data.Watched = objectives != nil

	rows, err := p.filterProperties(v, zones, objectives)
	if err != nil {
		return err
	}
	data.Shown = len(rows)
	sort := ui.SortOf(u, propertySorts...)
	list, err := page.SortedList(v, pageSize, rows, func(r propertyRow) (key, id string) {
		switch {
		case sort == "newest":
			return page.NewestFirst(r.CreatedOn.Time), r.ID
		case sort == "objectives" && r.Objectives > 0:
			return r.Worst.order(), r.ID
		case sort == "objectives":
			return "z" + page.ByName(r.Name), r.ID
		}
		return page.ByName(r.Name), r.ID
	})
	if err != nil {
		return err
	}
	data.Rows = list.Items
	data.Next = list.Next
	if err := p.fillAliases(v.Context(), data.Rows); err != nil {
		return err
	}
	data.Filters = propertyFilters(v, data.Watched)
	if err := v.Views("properties", &data.Filters); err != nil {
		return err
	}
	data.Selection = propertySelection(data.Path)
	return v.Show(page.View{Section: "properties", Title: "Properties", Template: "properties", Data: data})
}

// filterProperties returns the rows of the zones that pass the filters of the URL.
func (p *pages) filterProperties(
	v *page.Visit, zones []Zone, objectives map[string][]ZoneObjective,
) ([]propertyRow, error) {
	found := map[string]bool{}
	query := strings.TrimSpace(v.Query("q"))
	if query != "" {
		matches, err := p.findZones(v.Context(), v.Account, query, searchedZones)
		if err != nil {
			return nil, err
		}
		for _, m := range matches {
			found[m.ID] = true
		}
	}
	rows := []propertyRow{}
	for _, z := range zones {
		r := propertyRow{Zone: z, Href: propertyPath(v.Account, z.ID)}
		if list := objectives[z.ID]; len(list) > 0 {
			r.Objectives = len(list)
			r.Worst = list[0]
		}
		has := "no"
		if r.Objectives > 0 {
			has = "yes"
		}
		known := "confirmed"
		if !z.Verified {
			known = "traffic"
		}
		if (query == "" || found[z.ID]) && v.Passes("environment", string(z.Environment)) &&
			v.Passes("objective", has) && v.Passes("source", known) {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func propertyFilters(v *page.Visit, watched bool) ui.Filters {
	keys := []ui.FilterKey{
		{Key: "environment", Label: "Environment", Icon: "server", Only: true, Options: []ui.Choice{
			{Value: string(Production)}, {Value: string(Staging)}, {Value: string(Test)},
		}},
		{Key: "source", Label: "Added", Icon: "globe", Only: true, Options: []ui.Choice{
			{Value: "confirmed", Label: "by a person"}, {Value: "traffic", Label: "by traffic only"},
		}},
	}
	if watched {
		keys = append(keys, ui.FilterKey{
			Key: "objective", Label: "Objective", Icon: "target", Only: true, Options: []ui.Choice{
				{Value: "yes", Label: "has one"}, {Value: "no", Label: "has none"},
			},
		})
	}
	u := v.Request.URL
	f := ui.NewFilters(u, "Search properties", keys...)
	f.Sort = ui.Sorts(u, propertySorts...)
	columns := []ui.ListColumn{{Key: "environment", Label: "Environment"}}
	if watched {
		columns = append(columns, ui.ListColumn{Key: "objectives", Label: "Objectives"})
	}
	columns = append(columns,
		ui.ListColumn{Key: "aliases", Label: "Also known as"},
		ui.ListColumn{Key: "added", Label: "Added"})
	f.Display = &ui.Display{Name: "properties", Columns: columns}
	return f
}

func propertySelection(path string) ui.Selection {
	return ui.Selection{
		Form:   "chosen",
		Action: path + "/chosen",
		Noun:   "properties",
		Acts: []ui.BulkAct{
			{Label: "Set production", Value: string(Production)},
			{Label: "Set staging", Value: string(Staging)},
			{Label: "Set test", Value: string(Test)},
			{Label: "Delete", Icon: "trash-2", Value: "delete", Danger: true},
		},
	}
}

// changeProperties acts on the chosen properties: it sets their environment, or deletes them after a question.
func (p *pages) changeProperties(v *page.Visit) error {
	ids := v.Values("id", 64)
	act := v.Field("act", 16)
	path := PropertiesPath(v.Account)
	if len(ids) == 0 || len(ids) > pageSize {
		return v.Redirect(path, "nothing-chosen")
	}
	if act == "delete" && !v.Confirmed() {
		return p.askDeleteProperties(v, ids)
	}
	for _, zoneID := range ids {
		var err error
		if act == "delete" {
			err = p.DeleteZone(v.Context(), v.Who, v.Account, zoneID)
		} else {
			environment := Environment(act)
			_, err = p.UpdateZone(v.Context(), v.Who, v.Account, zoneID, ZoneSpec{Environment: &environment})
		}
		if err != nil && !errs.Is(err, errs.CodeNotFound) { // another request deleted it
			return err
		}
	}
	if act == "delete" {
		return v.Redirect(path, "properties-deleted")
	}
	return v.Redirect(path, "properties-changed")
}

func (p *pages) askDeleteProperties(v *page.Visit, ids []string) error {
	ask := page.Chosen{
		Section: "properties",
		Title:   "Delete " + counted(len(ids), "property", "properties") + "?",
		Text:    deletedPropertyText,
		Label:   "Delete the properties",
		Back:    PropertiesPath(v.Account),
		Act:     "delete",
		Danger:  true,
	}
	objectives, err := p.objectivesByZone(v)
	if err != nil {
		return err
	}
	for _, zoneID := range ids {
		z, err := p.readZone(v.Context(), v.Account, zoneID)
		if err != nil {
			return err
		}
		item := page.ChosenItem{ID: z.ID, Name: z.Name}
		if n := len(objectives[z.ID]); n > 0 {
			item.Note = counted(n, "objective", "objectives") + " will have no more data"
		}
		ask.Items = append(ask.Items, item)
	}
	return v.AskChosen(ask)
}

const deletedPropertyText = "Recorded events keep the name. Objectives and policies that name the property stay, but match " +
	"no more traffic. If traffic names one of the hostnames again, a new property is created."

// propertyForm is the input for a property, and the data of the template "property-form".
type propertyForm struct {
	Path         string // of the page to which Cancel leads
	Action       string
	Name         string
	Aliases      string
	Environment  string
	Environments [][2]string
	Zone         *Zone // nil for a new one
	Faults       ui.Faults

	created Zone
}

func (p *pages) parseNewProperty(v *page.Visit) (propertyForm, error) {
	return propertyForm{
		Name:        v.Field("name", 1024),
		Aliases:     v.Field("aliases", 64<<10),
		Environment: v.Field("environment", 64),
	}, nil
}

// parseProperty is parseNewProperty for the property of the path.
func (p *pages) parseProperty(v *page.Visit) (propertyForm, error) {
	z, err := p.property(v)
	if err != nil {
		return propertyForm{}, err
	}
	f, err := p.parseNewProperty(v)
	f.Zone = &z
	return f, err
}

// spec converts the input.
func (f *propertyForm) spec() ZoneSpec {
	aliases := ui.Entries(f.Aliases)
	environment := Environment(f.Environment)
	return ZoneSpec{Name: &f.Name, Aliases: &aliases, Environment: &environment}
}

func (p *pages) renderPropertyForm(v *page.Visit, f *propertyForm, faults ui.Faults) error {
	f.Path = PropertiesPath(v.Account)
	f.Action = f.Path
	f.Environments = environments
	f.Faults = faults
	title := "Add a property"
	if f.Zone != nil {
		f.Path = propertyPath(v.Account, f.Zone.ID)
		f.Action = f.Path
		title = "Edit " + f.Zone.Name
	}
	return v.Show(page.View{
		Section:  "properties",
		Title:    title,
		Template: "property-form",
		Status:   faults.Status,
		Data:     f,
	})
}

func (p *pages) showNewProperty(v *page.Visit) error {
	return p.renderPropertyForm(v, &propertyForm{Environment: string(Production), Name: v.Query("name")}, ui.Faults{})
}

func (p *pages) createProperty(v *page.Visit, f *propertyForm) (err error) {
	f.created, err = p.CreateZone(v.Context(), v.Who, v.Account, f.spec())
	return err
}

func (p *pages) propertyCreated(v *page.Visit, f *propertyForm) error {
	return v.Redirect(propertyPath(v.Account, f.created.ID), "property-created")
}

// property finds the property of the path.
func (p *pages) property(v *page.Visit) (Zone, error) {
	return p.readZone(v.Context(), v.Account, v.PathValue("zone_id"))
}

func (p *pages) showPropertyForm(v *page.Visit) error {
	z, err := p.property(v)
	if err != nil {
		return err
	}
	return p.renderPropertyForm(v, &propertyForm{
		Name:        z.Name,
		Aliases:     strings.Join(z.Aliases, "\n"),
		Environment: string(z.Environment),
		Zone:        &z,
	}, ui.Faults{})
}

func (p *pages) changeProperty(v *page.Visit, f *propertyForm) error {
	_, err := p.UpdateZone(v.Context(), v.Who, v.Account, f.Zone.ID, f.spec())
	return err
}

func (p *pages) propertyChanged(v *page.Visit, f *propertyForm) error {
	return v.Redirect(propertyPath(v.Account, f.Zone.ID), "property-changed")
}

// confirmProperty confirms a property that is known from traffic only.
func (p *pages) confirmProperty(v *page.Visit) error {
	z, err := p.property(v)
	if err != nil {
		return err
	}
	if _, err := p.UpdateZone(v.Context(), v.Who, v.Account, z.ID, ZoneSpec{}); err != nil {
		return err
	}
	return v.Redirect(propertyPath(v.Account, z.ID), "property-confirmed")
}

func (p *pages) confirmDeleteProperty(v *page.Visit) (page.Confirm, error) {
	z, err := p.property(v)
	return page.Confirm{
		Section: "properties",
		Title:   "Delete " + z.Name + "?",
		Text:    deletedPropertyText,
		Label:   "Delete the property",
		Back:    propertyPath(v.Account, z.ID),
		Danger:  true,
	}, err
}

func (p *pages) deleteProperty(v *page.Visit) error {
	z, err := p.property(v)
	if err != nil {
		return err
	}
	if err := p.DeleteZone(v.Context(), v.Who, v.Account, z.ID); err != nil {
		return err
	}
	return v.Redirect(PropertiesPath(v.Account), "property-deleted")
}
