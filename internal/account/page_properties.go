package account

import (
	"strings"

	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
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
		Render: p.renderProperty,
		Then:   p.propertyCreated,
	}.Handle)
	p.Get(base+"/{zone_id}", AccountsRead, p.showProperty)
	p.Post(base+"/{zone_id}", AccountsWrite, page.Form[propertyForm]{
		Parse:  p.parseProperty,
		Do:     p.changeProperty,
		Fields: fields,
		Render: p.renderProperty,
		Then:   p.propertyChanged,
	}.Handle)
	p.Confirm(base+"/{zone_id}/delete", AccountsWrite, p.confirmDeleteProperty, p.deleteProperty)
}

// environments are the options of a select: value and label.
var environments = [][2]string{
	{string(Production), "production"},
	{string(Staging), "staging"},
	{string(Test), "test: no alerts unless a policy names it"},
}

// propertyView is a property with its links.
type propertyView struct {
	Zone
	Href    string
	Changes string // audit log: changes of the property
}

func newPropertyView(v *page.Visit, z Zone) propertyView {
	return propertyView{
		Zone:    z,
		Href:    PropertiesPath(v.Account) + "/" + z.ID,
		Changes: auditLink(v, "zone", z.ID),
	}
}

// propertiesPage is the data of the template "properties".
type propertiesPage struct {
	Path     string
	Rows     []propertyView
	Next     string
	CanWrite bool
}

func (p *pages) showProperties(v *page.Visit) error {
	list, err := page.ReadList(v, pageSize, zoneKey, func(after web.Keyset, limit int) ([]Zone, error) {
		return p.Zones(v.Context(), v.Account, after.ID, limit)
	})
	if err != nil {
		return err
	}
	rows := page.Map(list, func(z Zone) propertyView { return newPropertyView(v, z) })
	return v.Show(page.View{Section: "properties", Title: "Properties", Template: "properties", Data: propertiesPage{
		Path:     PropertiesPath(v.Account),
		Rows:     rows.Items,
		Next:     rows.Next,
		CanWrite: v.Can(AccountsWrite),
	}})
}

// propertyForm is the input for a property, and the data of the template
// "property".
type propertyForm struct {
	Path         string
	Action       string
	Name         string
	Aliases      string
	Environment  string
	Environments [][2]string
	Zone         *propertyView // nil for a new one
	CanWrite     bool
	Faults       ui.Faults
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

func (p *pages) renderProperty(v *page.Visit, f *propertyForm, faults ui.Faults) error {
	f.Path = PropertiesPath(v.Account)
	f.Action = f.Path
	f.Environments = environments
	f.CanWrite = v.Can(AccountsWrite)
	f.Faults = faults
	title := "Add a property"
	if f.Zone != nil {
		f.Action = f.Zone.Href
		title = f.Zone.Name
	}
	return v.Show(page.View{Section: "properties", Title: title, Template: "property", Status: faults.Status, Data: f})
}

func (p *pages) showNewProperty(v *page.Visit) error {
	return p.renderProperty(v, &propertyForm{Environment: string(Production)}, ui.Faults{})
}

func (p *pages) createProperty(v *page.Visit, f *propertyForm) error {
	_, err := p.CreateZone(v.Context(), v.Who, v.Account, f.spec())
	return err
}

func (p *pages) propertyCreated(v *page.Visit, _ *propertyForm) error {
	return v.Redirect(PropertiesPath(v.Account), "property-created")
}

// property finds the property of the path.
func (p *pages) property(v *page.Visit) (propertyView, error) {
	z, err := p.readZone(v.Context(), v.Account, v.PathValue("zone_id"))
	return newPropertyView(v, z), err
}

func (p *pages) showProperty(v *page.Visit) error {
	z, err := p.property(v)
	if err != nil {
		return err
	}
	return p.renderProperty(v, &propertyForm{
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
	return v.Redirect(f.Zone.Href, "property-changed")
}

func (p *pages) confirmDeleteProperty(v *page.Visit) (page.Confirm, error) {
	z, err := p.property(v)
	return page.Confirm{
		Section: "properties",
		Title:   "Delete " + z.Name + "?",
		Text:    "Recorded events keep its name. If traffic names one of its hostnames again, a new property is created.",
		Label:   "Delete the property",
		Back:    z.Href,
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
