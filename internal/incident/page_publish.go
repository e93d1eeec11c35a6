package incident

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const hour = time.Hour

// showPublish shows the form of an update, with what holds now, or with a template.
func (p *pages) showPublish(v *page.Visit) error {
	i, err := p.Incident(v.Context(), v.PathValue("incident_id"))
	if err != nil {
		return err
	}
	f := incidentForm{Impact: string(i.Impact), State: string(i.State), Picked: map[Health][]string{}, incident: i}
	for _, c := range i.Components {
		f.Picked[c.Health] = append(f.Picked[c.Health], c.ID)
	}
	templates, err := p.Templates(v.Context())
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(v.Query("template")); err == nil && n >= 0 && n < len(templates.Templates) {
		t := templates.Templates[n]
		f.Message = t.Message
		if slices.Contains(states[i.Kind], t.State) {
			f.State = string(t.State)
		}
	}
	return p.renderPublish(v, &f, ui.Faults{})
}

func (p *pages) renderPublish(v *page.Visit, f *incidentForm, faults ui.Faults) error {
	f.Faults = faults
	i := f.incident
	if !i.Open() {
		return errs.New(errs.CodeStateConflict, "it has ended: its updates can be corrected, and no further one is published")
	}
	list := states[i.Kind]
	if i.State == InProgress {
		list = list[1:]
	}
	data := formPage{
		incidentForm: *f,
		Title:        "Publish an update",
		Action:       consolePath(i.ID) + "/publish",
		Back:         consolePath(i.ID),
		Button:       "Publish the update",
		Maintenance:  i.Kind == KindMaintenance,
		States:       stateChoices(list),
		Impacts:      impactChoices(),
		Reach:        "Nothing is sent. Otherwise " + p.reach(i.Kind),
	}
	templates, err := p.Templates(v.Context())
	if err != nil {
		return err
	}
	for n, t := range templates.Templates {
		data.Templates = append(data.Templates, ui.Link{
			Label: t.Name,
			Href:  data.Action + "?template=" + strconv.Itoa(n),
			Hint:  cutSpace(t.Message),
		})
	}
	if data.Pickers, err = p.pickers(v, i.Kind, f); err != nil {
		return err
	}
	if f.preview && faults.Status == 0 {
		if data.Preview, err = p.previewUpdate(v.Context(), f); err != nil {
			return err
		}
	}
	return v.Show(page.View{
		Section: sectionIncidents, Title: data.Title, Template: "incident-publish", Status: faults.Status, Data: data,
	})
}

// publishForm handles the form of an update; the button "Preview" shows it again.
func (p *pages) publishForm(fields []string) page.Handler {
	form := page.Form[incidentForm]{
		Parse:  p.parseOf,
		Do:     p.publishUpdate,
		Fields: fields,
		Render: p.renderPublish,
		Then: func(v *page.Visit, f *incidentForm) error {
			return v.Redirect(consolePath(f.incident.ID), "update-published")
		},
	}
	return func(v *page.Visit) error {
		f, err := p.parseOf(v)
		if err != nil {
			return err
		}
		if !f.preview {
			return form.Handle(v)
		}
		faults := ui.Faults{}
		if _, err := p.previewUpdate(v.Context(), &f); err != nil {
			var ok bool
			if faults, ok = ui.FaultsOf(err, fields...); !ok {
				return err
			}
		}
		return p.renderPublish(v, &f, faults)
	}
}

// updateOf is the input of a form as the API takes it: the components whose status is another one now.
func (f *incidentForm) updateOf() UpdateCreate {
	in := UpdateCreate{State: State(f.State), Impact: Impact(f.Impact), Message: f.Message, Silent: f.Silent}
	wanted := f.health(f.incident.Kind)
	for _, c := range f.incident.Components {
		if !slices.ContainsFunc(wanted, func(w ComponentHealth) bool { return w.ID == c.ID }) {
			wanted = append(wanted, ComponentHealth{ID: c.ID, Health: Operational})
		}
	}
	for _, w := range wanted {
		same := func(c ComponentHealth) bool { return c.ID == w.ID && c.Health == w.Health }
		if !slices.ContainsFunc(f.incident.Components, same) {
			in.Components = append(in.Components, w)
		}
	}
	return in
}

func (p *pages) publishUpdate(v *page.Visit, f *incidentForm) error {
	_, err := p.PublishUpdate(v.Context(), f.incident.ID, f.updateOf())
	return err
}

// previewUpdate is the incident as the public page would show it after the update.
func (p *pages) previewUpdate(ctx context.Context, f *incidentForm) (*publicIncident, error) {
	shown := f.incident.copied()
	now := p.now()
	err := p.db.View(ctx, func(tx *db.Tx) error {
		pub, err := prepare(ctx, tx, shown, f.updateOf(), now)
		if err != nil {
			return err
		}
		shown.Updates = append([]Update{pub.update}, shown.Updates...)
		if shown.State.Final() {
			shown.ResolvedOn = pub.update.At
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	one := publicOf(shown)
	return &one, nil
}

// previewNew is a new incident as the public page would show it.
func (p *pages) previewNew(kind Kind, f *incidentForm) *publicIncident {
	now := web.TimeOf(p.now().UnixMicro())
	i := &Incident{
		Kind:      kind,
		Name:      f.Name,
		Impact:    Impact(f.Impact),
		State:     Scheduled,
		StartedOn: now,
		Updates:   []Update{{State: Scheduled, Message: f.Message, At: now}},
	}
	if kind == KindIncident {
		i.State = State(f.State)
		i.Updates[0].State = i.State
	}
	if started, until, err := f.times(); err == nil {
		if !started.IsZero() {
			i.StartedOn = started
		}
		i.ScheduledUntil = until
	}
	one := publicOf(i)
	return &one
}
