package incident

import (
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) addForms() {
	const one = ConsolePath + "/{incident_id}"
	fields := []string{
		"name", "impact", "status", "message", "started_at", "scheduled_for", "scheduled_until", "postmortem",
	}
	fields = append(fields, pickerNames()...)
	p.Get(ConsolePath+"/new", permissionWrite, p.showNew(KindIncident))
	p.Post(ConsolePath+"/new", permissionWrite, p.declareForm(KindIncident, fields))
	p.Get(ConsolePath+"/new-maintenance", permissionWrite, p.showNew(KindMaintenance))
	p.Post(ConsolePath+"/new-maintenance", permissionWrite, p.declareForm(KindMaintenance, fields))
	p.Get(one+"/publish", permissionWrite, p.showPublish)
	p.Post(one+"/publish", permissionWrite, p.publishForm(fields))
	p.Get(one+"/edit", permissionWrite, p.showEdit)
	p.Post(one+"/edit", permissionWrite, page.Form[incidentForm]{
		Parse:  p.parseOf,
		Do:     p.editIncident,
		Fields: fields,
		Render: p.renderEdit,
		Then: func(v *page.Visit, f *incidentForm) error {
			return v.Redirect(consolePath(f.incident.ID), "incident-changed")
		},
	}.Handle)
	p.Get(one+"/updates/{update_id}", permissionWrite, p.showMessage)
	p.Post(one+"/updates/{update_id}", permissionWrite, page.Form[incidentForm]{
		Parse:  p.parseOf,
		Do:     p.editMessage,
		Fields: fields,
		Render: p.renderMessage,
		Then: func(v *page.Visit, f *incidentForm) error {
			return v.Redirect(consolePath(f.incident.ID), "message-corrected")
		},
	}.Handle)
	p.addCorrections(one)
}

// incidentForm is the input of the forms of incidents.
type incidentForm struct {
	Name       string
	Impact     string
	State      string
	Message    string
	Started    string
	Until      string
	Automatic  bool
	Silent     bool
	Postmortem string
	Picked     map[Health][]string // ids of components
	Faults     ui.Faults

	incident *Incident // of the path, or the new one
	preview  bool
}

// pickedHealths are the statuses for which forms have a picker of components.
var pickedHealths = map[Kind][]Health{
	KindIncident:    {Degraded, PartialOutage, MajorOutage},
	KindMaintenance: {Maintained},
}

const pickerPrefix = "components."

func pickerNames() (names []string) {
	for _, h := range healths {
		names = append(names, pickerPrefix+string(h))
	}
	return names
}

func parseIncidentForm(v *page.Visit) incidentForm {
	f := incidentForm{
		Name:       v.Field("name", 1024),
		Impact:     v.Field("impact", 32),
		State:      v.Field("status", 32),
		Message:    v.Field("message", maxMessage*4),
		Started:    v.Field("started_at", 64),
		Until:      v.Field("scheduled_until", 64),
		Automatic:  v.Field("automatic", 8) != "",
		Silent:     v.Field("silent", 8) != "",
		Postmortem: v.Field("postmortem", maxPostmortem*4),
		Picked:     map[Health][]string{},
		preview:    v.Field("act", 16) == "preview",
	}
	for _, h := range healths {
		f.Picked[h] = v.Values(pickerPrefix+string(h), 64)
	}
	return f
}

// parseOf reads a form about the incident of the path.
func (p *pages) parseOf(v *page.Visit) (incidentForm, error) {
	f := parseIncidentForm(v)
	var err error
	f.incident, err = p.Incident(v.Context(), v.PathValue("incident_id"))
	return f, err
}

// times reads the fields of times.
func (f *incidentForm) times() (started, until web.Time, err error) {
	var faults errs.List
	read := func(text, pointer string) web.Time {
		t, ok := parseField(text)
		if !ok {
			faults = append(faults, errs.At(errs.CodeInvalid, pointer, "expected a date and a time, such as 2026-11-28 10:30"))
		}
		return web.Time{Time: t}
	}
	started = read(f.Started, "/started_at")
	until = read(f.Until, "/scheduled_until")
	return started, until, faults.Or()
}

// health are the statuses that the pickers choose, the worst where a component is chosen twice.
func (f *incidentForm) health(kind Kind) (list []ComponentHealth) {
	for _, h := range slices.Backward(pickedHealths[kind]) {
		for _, componentID := range f.Picked[h] {
			if !slices.ContainsFunc(list, func(c ComponentHealth) bool { return c.ID == componentID }) {
				list = append(list, ComponentHealth{ID: componentID, Health: h})
			}
		}
	}
	return list
}

// formPage is the data of the forms of incidents.
type formPage struct {
	incidentForm
	Title       string
	Action      string
	Back        string
	Button      string
	Maintenance bool
	States      [][2]string
	Impacts     [][2]string
	Pickers     []ui.Picker
	Templates   []ui.Link
	Preview     *publicIncident
	Reach       string // who gets a message
	Final       bool   // it has ended
	Schedule    bool   // the times can be changed
	From        bool   // the start can be changed
}

func stateChoices(list []State) (out [][2]string) {
	for _, s := range list {
		out = append(out, [2]string{string(s), s.Words()})
	}
	return out
}

func impactChoices() (out [][2]string) {
	for _, i := range impacts {
		out = append(out, [2]string{string(i), i.Words()})
	}
	return out
}

// pickers are the fields for the components of a kind of incident.
func (p *pages) pickers(v *page.Visit, kind Kind, f *incidentForm) ([]ui.Picker, error) {
	b, err := p.board.Get(v.Context())
	if err != nil {
		return nil, err
	}
	var options []ui.Choice
	for _, c := range b.Components {
		options = append(options, ui.Choice{Value: c.ID, Label: c.Name, Detail: c.Group})
	}
	if options == nil {
		return nil, nil // the page says how to add one
	}
	var list []ui.Picker
	for _, h := range pickedHealths[kind] {
		one := ui.Picker{
			Name:        pickerPrefix + string(h),
			Label:       h.Words(),
			Placeholder: "Components",
			Multiple:    true,
			Options:     options,
			Error:       f.Faults.Of(pickerPrefix + string(h)),
		}
		for _, c := range options {
			if slices.Contains(f.Picked[h], c.Value) {
				one.Selected = append(one.Selected, c)
			}
		}
		list = append(list, one)
	}
	return list, nil
}

// reach names the receivers of an update.
func (p *pages) reach(kind Kind) string {
	alertType := IncidentAlert
	if kind == KindMaintenance {
		alertType = MaintenanceAlert
	}
	text := "every account with a policy on " + alertType + " gets an alert"
	if !p.cfg.PageOff {
		text += ", and every subscriber of the status page a message"
	}
	return text + "."
}

func (p *pages) showNew(kind Kind) page.Handler {
	return func(v *page.Visit) error {
		f := incidentForm{Impact: string(ImpactMinor), State: string(states[kind][0]), Automatic: true}
		if kind == KindMaintenance {
			start := p.now().UTC().Truncate(hour).Add(25 * hour)
			f.Started = fieldOf(start)
			f.Until = fieldOf(start.Add(2 * hour))
		}
		return p.renderNew(kind)(v, &f, ui.Faults{})
	}
}

func (p *pages) renderNew(kind Kind) func(*page.Visit, *incidentForm, ui.Faults) error {
	return func(v *page.Visit, f *incidentForm, faults ui.Faults) error {
		f.Faults = faults
		data := formPage{
			incidentForm: *f,
			Title:        "Declare an incident",
			Action:       ConsolePath + "/new",
			Back:         ConsolePath,
			Button:       "Declare the incident",
			Maintenance:  kind == KindMaintenance,
			States:       stateChoices(states[kind]),
			Impacts:      impactChoices(),
			Reach:        "Nothing is sent. Otherwise " + p.reach(kind),
		}
		if data.Maintenance {
			data.Title = "Schedule a maintenance"
			data.Action = ConsolePath + "/new-maintenance"
			data.Button = "Schedule"
		}
		var err error
		if data.Pickers, err = p.pickers(v, kind, f); err != nil {
			return err
		}
		if f.preview {
			data.Preview = p.previewNew(kind, f)
		}
		return v.Show(page.View{
			Section: sectionIncidents, Title: data.Title, Template: "incident-new", Status: faults.Status, Data: data,
		})
	}
}

// declareForm handles the form of a new incident; the button "Preview" shows it again.
func (p *pages) declareForm(kind Kind, fields []string) page.Handler {
	form := page.Form[incidentForm]{
		Parse: func(v *page.Visit) (incidentForm, error) { return parseIncidentForm(v), nil },
		Do: func(v *page.Visit, f *incidentForm) error {
			if kind == KindMaintenance {
				return p.schedule(v, f)
			}
			return p.declare(v, f)
		},
		Fields: fields,
		Render: p.renderNew(kind),
		Then: func(v *page.Visit, f *incidentForm) error {
			if kind == KindMaintenance {
				return v.Redirect(consolePath(f.incident.ID), "maintenance-scheduled")
			}
			return v.Redirect(consolePath(f.incident.ID), "incident-declared")
		},
	}
	return func(v *page.Visit) error {
		if f := parseIncidentForm(v); f.preview {
			return p.renderNew(kind)(v, &f, ui.Faults{})
		}
		return form.Handle(v)
	}
}

func (p *pages) declare(v *page.Visit, f *incidentForm) (err error) {
	started, _, err := f.times()
	if err != nil {
		return err
	}
	f.incident, err = p.DeclareIncident(v.Context(), IncidentCreate{
		Name:       f.Name,
		Impact:     Impact(f.Impact),
		State:      State(f.State),
		Message:    f.Message,
		Components: f.health(KindIncident),
		StartedOn:  started,
		Silent:     f.Silent,
	})
	return err
}

func (p *pages) schedule(v *page.Visit, f *incidentForm) (err error) {
	from, until, err := f.times()
	if err != nil {
		return err
	}
	f.incident, err = p.ScheduleMaintenance(v.Context(), MaintenanceCreate{
		Name:       f.Name,
		Impact:     Impact(f.Impact),
		Message:    f.Message,
		Components: f.Picked[Maintained],
		From:       from,
		Until:      until,
		Automatic:  &f.Automatic,
		Silent:     f.Silent,
	})
	return pointing(err, "/scheduled_for", "/started_at")
}

// pointing moves the faults of a field to the field of the form with another name.
func pointing(err error, from, to string) error {
	if err == nil {
		return nil
	}
	list := errs.All(err)
	for n, one := range list {
		if one.Pointer == from {
			moved := *one
			moved.Pointer = to
			list[n] = &moved
		}
	}
	return list.Or()
}

// showEdit shows the form of what is changed without an update.
func (p *pages) showEdit(v *page.Visit) error {
	i, err := p.Incident(v.Context(), v.PathValue("incident_id"))
	if err != nil {
		return err
	}
	return p.renderEdit(v, &incidentForm{
		Name:       i.Name,
		Impact:     string(i.Impact),
		Started:    fieldOf(i.StartedOn.Time),
		Until:      fieldOf(i.ScheduledUntil.Time),
		Automatic:  i.Automatic,
		Postmortem: i.Postmortem,
		incident:   i,
	}, ui.Faults{})
}

func (p *pages) renderEdit(v *page.Visit, f *incidentForm, faults ui.Faults) error {
	f.Faults = faults
	i := f.incident
	data := formPage{
		incidentForm: *f,
		Title:        "Edit " + i.Name,
		Action:       consolePath(i.ID) + "/edit",
		Back:         consolePath(i.ID),
		Button:       "Save",
		Impacts:      impactChoices(),
		Final:        !i.Open(),
		Schedule:     i.Kind == KindMaintenance && i.Open(),
		From:         i.State == Scheduled,
		Reach:        "A new schedule is announced: " + p.reach(i.Kind),
	}
	return v.Show(page.View{
		Section: sectionIncidents, Title: data.Title, Template: "incident-edit", Status: faults.Status, Data: data,
	})
}

func (p *pages) editIncident(v *page.Visit, f *incidentForm) (err error) {
	i := f.incident
	impact := Impact(f.Impact)
	in := IncidentChange{Name: &f.Name, Impact: &impact}
	if !i.Open() {
		in.Postmortem = &f.Postmortem
	}
	if i.Kind == KindMaintenance && i.Open() {
		started, until, err := f.times()
		if err != nil {
			return err
		}
		in.Automatic = &f.Automatic
		// A field has no seconds: what was not touched stays.
		if fieldOf(i.StartedOn.Time) != f.Started && i.State == Scheduled {
			in.From = started
		}
		if fieldOf(i.ScheduledUntil.Time) != f.Until {
			in.Until = until
		}
	}
	_, err = p.ChangeIncident(v.Context(), i.ID, in)
	return pointing(err, "/scheduled_for", "/started_at")
}

// showMessage shows the form that corrects the message of an update.
func (p *pages) showMessage(v *page.Visit) error {
	i, err := p.Incident(v.Context(), v.PathValue("incident_id"))
	if err != nil {
		return err
	}
	n := slices.IndexFunc(i.Updates, func(u Update) bool { return u.ID == v.PathValue("update_id") })
	if n < 0 {
		return errs.New(errs.CodeNotFound, "the incident has no such update")
	}
	return p.renderMessage(v, &incidentForm{Message: i.Updates[n].Message, incident: i}, ui.Faults{})
}

func (p *pages) renderMessage(v *page.Visit, f *incidentForm, faults ui.Faults) error {
	f.Faults = faults
	back := consolePath(f.incident.ID)
	return v.Show(page.View{
		Section: sectionIncidents, Title: "Correct the message", Template: "incident-message", Status: faults.Status,
		Data: formPage{
			incidentForm: *f,
			Title:        "Correct the message",
			Action:       back + "/updates/" + v.PathValue("update_id"),
			Back:         back,
		},
	})
}

func (p *pages) editMessage(v *page.Visit, f *incidentForm) error {
	_, err := p.CorrectUpdate(v.Context(), f.incident.ID, v.PathValue("update_id"), MessageUpdate{f.Message})
	return err
}

// cutSpace shortens a line for a menu.
func cutSpace(s string) string { return cut(strings.Join(strings.Fields(s), " "), 80) }
