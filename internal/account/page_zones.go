package account

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// What the API calls a zone is a property on the pages.

func (p *pages) mountProperties() {
	const base = "/accounts/{account_id}/properties"
	p.Mount("GET "+base, AccountsRead, false, p.showZones)
	p.Mount("GET "+base+"/new", AccountsWrite, false, p.showNewZone)
	p.Mount("POST "+base, AccountsWrite, false, p.createZone)
	p.Mount("GET "+base+"/{zone_id}", AccountsRead, false, p.showZone)
	p.Mount("POST "+base+"/{zone_id}", AccountsWrite, false, p.changeZone)
	p.Mount("GET "+base+"/{zone_id}/delete", AccountsWrite, false, p.askDeleteZone)
	p.Mount("POST "+base+"/{zone_id}/delete", AccountsWrite, false, p.deleteZone)
}

// environments are a select's options.
var environments = [][2]string{
	{string(Production), "production"}, {string(Staging), "staging"}, {string(Test), "test: silent unless a policy names it"},
}

// shownZone is a property in the list.
type shownZone struct {
	Zone
	Href, Changes string
}

func (p *pages) shownZone(v visit, z Zone) shownZone {
	s := shownZone{Zone: z, Href: PropertiesPath(v.account) + "/" + z.ID}
	if v.can(AuditRead) {
		s.Changes = RecordPath(v.account) + "?" + url.Values{"zone": {z.ID}}.Encode()
	}
	return s
}

func (p *pages) showZones(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	list, err := page(p.Pages.API, v.paging(), "zones "+v.account, func(z Zone) string { return z.ID },
		func(after string, limit int) ([]Zone, error) { return p.Zones(v.ctx, v.account, after, limit) })
	if err != nil {
		return err
	}
	rows := make([]shownZone, len(list.Items))
	for i, z := range list.Items {
		rows[i] = p.shownZone(v, z)
	}
	return p.show(w, v, "properties", view{section: "properties", title: "Properties", data: map[string]any{
		"Rows": rows, "Next": v.older(list.Cursor), "May": v.can(AccountsWrite), "Path": PropertiesPath(v.account),
	}})
}

// zoneForm is what was typed about a property.
type zoneForm struct {
	Path, Action, Name, Aliases, Environment string
	Environments                             [][2]string
	Zone                                     *shownZone // nil for a new one
	May                                      bool
	Faults                                   ui.Faults
}

func typedZone(r *http.Request) zoneForm {
	return zoneForm{Name: clip(r.PostFormValue("name"), 1024), Aliases: clip(r.PostFormValue("aliases"), 64<<10), Environment: r.PostFormValue("environment")}
}

// spec is the form as the directory takes it.
func (f zoneForm) spec() ZoneSpec {
	aliases, environment := ui.Entries(f.Aliases), Environment(f.Environment)
	return ZoneSpec{Name: &f.Name, Aliases: &aliases, Environment: &environment}
}

func (p *pages) renderZone(w http.ResponseWriter, v visit, f zoneForm) error {
	f.Path, f.Environments, f.May = PropertiesPath(v.account), environments, v.can(AccountsWrite)
	f.Action = f.Path
	title := "Add a property"
	if f.Zone != nil {
		f.Action, title = f.Zone.Href, f.Zone.Name
	}
	return p.show(w, v, "property", view{section: "properties", title: title, status: f.Faults.Status, data: f})
}

func (p *pages) showNewZone(w http.ResponseWriter, r *http.Request) error {
	return p.renderZone(w, accountVisit(r), zoneForm{Environment: string(Production)})
}

func (p *pages) createZone(w http.ResponseWriter, r *http.Request) error {
	v, f := accountVisit(r), typedZone(r)
	if _, err := p.CreateZone(v.ctx, v.who, v.account, f.spec()); err != nil {
		var ok bool
		if f.Faults, ok = ui.FaultsOf(err, "name", "aliases", "environment"); !ok {
			return err
		}
		return p.renderZone(w, v, f)
	}
	return goTo(w, r, PropertiesPath(v.account), "property-created")
}

// zone finds the property of the path.
func (p *pages) zone(v visit) (shownZone, error) {
	z, err := p.readZone(v.ctx, v.account, v.r.PathValue("zone_id"))
	return p.shownZone(v, z), err
}

func (p *pages) showZone(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	z, err := p.zone(v)
	if err != nil {
		return err
	}
	return p.renderZone(w, v, zoneForm{Name: z.Name, Aliases: strings.Join(z.Aliases, "\n"), Environment: string(z.Environment), Zone: &z})
}

func (p *pages) changeZone(w http.ResponseWriter, r *http.Request) error {
	v, f := accountVisit(r), typedZone(r)
	z, err := p.zone(v)
	if err != nil {
		return err
	}
	if _, err = p.UpdateZone(v.ctx, v.who, v.account, z.ID, f.spec()); err != nil {
		var ok bool
		if f.Faults, ok = ui.FaultsOf(err, "name", "aliases", "environment"); !ok {
			return err
		}
		f.Zone = &z
		return p.renderZone(w, v, f)
	}
	return goTo(w, r, z.Href, "property-changed")
}

func (p *pages) askDeleteZone(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	z, err := p.zone(v)
	if err != nil {
		return err
	}
	return p.show(w, v, "question", view{section: "properties", title: "Delete a property", data: question{
		Title: "Delete " + z.Name + "?", Text: "What was recorded keeps its name. Traffic for its hostnames makes a new property when it is seen again.",
		Action: z.Href + "/delete", Label: "Delete the property", Back: z.Href}})
}

func (p *pages) deleteZone(w http.ResponseWriter, r *http.Request) error {
	v := accountVisit(r)
	z, err := p.zone(v)
	if err != nil {
		return err
	}
	if err := p.DeleteZone(v.ctx, v.who, v.account, z.ID); err != nil {
		return err
	}
	return goTo(w, r, PropertiesPath(v.account), "property-deleted")
}
