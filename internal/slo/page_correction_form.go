package slo

import (
	"cmp"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// correctionForm is the input of the form of a correction.
type correctionForm struct {
	Kind       string
	Target     string // targetObjectives or targetZone
	Objectives []ui.Choice
	Zone       []ui.Choice
	From, To   string // in the zone of the account
	Reason     string

	zone *time.Location
	act  string // of the button: "" requests the correction
	made *Correction
}

// What a correction applies to.
const (
	targetObjectives = "objectives"
	targetZone       = "zone"
)

// correctionFormPage is the data of the template "correction-form".
type correctionFormPage struct {
	correctionForm
	Path        string
	Back        string
	PreviewPath string
	Kinds       [][2]string
	Targets     [][2]string
	TargetField ui.Picker
	IsReset     bool
	ZoneName    string // of the times
	Faults      ui.Faults
	Preview     correctionPreview
}

// correctionPreview is the preview beside the form.
type correctionPreview struct {
	Tried    bool
	Faults   []string
	Approval string
	Rows     []budgetRow
	Ahead    bool // the time has not begun: nothing is counted yet
	Empty    bool // no objective has counts
}

// budgetRow is the budget of an objective before and after a correction.
type budgetRow struct {
	Name   string
	Failed string // "1,200 of 40,000"
	Before string
	After  string
	Bar    float64
	Tone   ui.Tone
}

var correctionKinds = [][2]string{
	{string(Maintenance), "planned maintenance"},
	{string(Incident), "incident"},
	{string(Reset), "reset of the budget: everything until now"},
}

var correctionTargets = [][2]string{
	{targetObjectives, "some objectives"},
	{targetZone, "all objectives of a property"},
}

// fieldTime is the format of a native time field.
const fieldTime = "2006-01-02T15:04"

func (p *pages) showNewCorrection(v *page.Visit) error {
	f := correctionForm{
		Kind:   cmp.Or(page.Cut(v.Query("kind"), 20), string(Maintenance)),
		Target: targetObjectives,
		zone:   p.cfg.TimeZone(v.Context(), v.Account),
	}
	if id := page.Cut(v.Query("objective"), 64); id != "" {
		o, err := p.Objective(v.Context(), v.Account, id)
		if err != nil {
			return err
		}
		f.Objectives = []ui.Choice{{Value: o.ID, Label: o.Name, Icon: "target"}}
	}
	if id := page.Cut(v.Query("zone"), 255); id != "" {
		zoneID, name, err := p.cfg.Zone(v.Context(), v.Account, id)
		if err != nil {
			return err
		}
		f.Target = targetZone
		f.Zone = []ui.Choice{{Value: zoneID, Label: name, Icon: "globe"}}
	}
	// Maintenance begins with the next hour; an incident was in the last one.
	now := p.now().In(f.zone)
	from := now.Truncate(time.Hour).Add(time.Hour)
	if f.Kind == string(Incident) {
		from = now.Truncate(time.Minute).Add(-time.Hour)
	}
	f.From = from.Format(fieldTime)
	f.To = from.Add(time.Hour).Format(fieldTime)
	return p.renderCorrection(v, &f, ui.Faults{})
}

func (p *pages) parseCorrection(v *page.Visit) (correctionForm, error) {
	return correctionForm{
		Kind:       v.Field("kind", 20),
		Target:     cmp.Or(v.Field("target", 20), targetObjectives),
		Objectives: v.Choices("objectives", 64),
		Zone:       v.Choices("zone", 255),
		From:       v.Field("from", 40),
		To:         v.Field("to", 40),
		Reason:     v.Field("reason", 4096),
		zone:       p.cfg.TimeZone(v.Context(), v.Account),
		act:        v.Field("do", 20),
	}, nil
}

// request converts the input. Its faults are those of times that cannot be read.
func (f *correctionForm) request() (in CorrectionCreate, faults errs.List) {
	in.Kind = CorrectionKind(f.Kind)
	in.Reason = f.Reason
	if f.Target == targetZone {
		if len(f.Zone) > 0 {
			in.Zone = f.Zone[0].Value
		} else {
			faults = append(faults, errs.At(errs.CodeMissingField, "/zone", "choose a property"))
		}
	} else {
		for _, choice := range f.Objectives {
			in.Objectives = append(in.Objectives, choice.Value)
		}
		if len(in.Objectives) == 0 {
			faults = append(faults, errs.At(errs.CodeMissingField, "/objectives", "choose at least one objective"))
		}
	}
	if in.Kind == Reset {
		return in, faults
	}
	read := func(field, text string) web.Time {
		if text == "" {
			return web.Time{}
		}
		for _, layout := range []string{fieldTime, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02"} {
			if at, err := time.ParseInLocation(layout, text, f.zone); err == nil {
				return web.TimeOf(at.UnixMicro())
			}
		}
		faults = append(faults, errs.At(errs.CodeInvalid, "/"+field, "expected a time such as 2026-11-28 14:05, not %q",
			clip(text, 40)))
		return web.Time{}
	}
	in.From = read("from", f.From)
	in.To = read("to", f.To)
	return in, faults
}

// faulty adds the faults that the request has besides those of the input, so that all can be corrected at once.
func (p *pages) faulty(in CorrectionCreate, faults errs.List) error {
	known := map[string]bool{}
	for _, one := range faults {
		known[one.Pointer] = true
	}
	_, err := in.check(p.now())
	for _, one := range errs.All(err) {
		if !known[one.Pointer] {
			faults = append(faults, one)
		}
	}
	return faults.Or()
}

func (p *pages) requestCorrection(v *page.Visit, f *correctionForm) error {
	in, faults := f.request()
	if len(faults) > 0 {
		return p.faulty(in, faults)
	}
	var err error
	f.made, err = p.Correct(v.Context(), v.Account, in)
	return err
}

func (p *pages) correctionRequested(v *page.Visit, f *correctionForm) error {
	path := correctionPath(v.Account, f.made.ID)
	if f.made.State == Pending {
		return v.Redirect(path, "correction-pending")
	}
	return v.Redirect(path, "correction-active")
}

// submitCorrection answers the form. The button "Preview" shows it again, for browsers without scripts.
func (p *pages) submitCorrection(v *page.Visit) error {
	if v.Field("do", 20) != "" {
		return p.previewCorrection(v)
	}
	return page.Form[correctionForm]{
		Parse:  p.parseCorrection,
		Do:     p.requestCorrection,
		Fields: []string{"kind", "objectives", "zone", "from", "to", "reason"},
		Render: p.renderCorrection,
		Then:   p.correctionRequested,
	}.Handle(v)
}

func (p *pages) previewCorrection(v *page.Visit) error {
	f, err := p.parseCorrection(v)
	if err != nil {
		return err
	}
	f.act = cmp.Or(f.act, "preview")
	return p.renderCorrection(v, &f, ui.Faults{})
}

func (p *pages) renderCorrection(v *page.Visit, f *correctionForm, faults ui.Faults) error {
	data := correctionFormPage{
		correctionForm: *f,
		Path:           correctionsPath(v.Account),
		Back:           correctionsPath(v.Account),
		PreviewPath:    correctionsPath(v.Account) + "/preview",
		Kinds:          correctionKinds,
		Targets:        correctionTargets,
		IsReset:        f.Kind == string(Reset),
		ZoneName:       f.zone.String(),
		Faults:         faults,
	}
	if f.Target == targetObjectives && len(f.Objectives) == 1 {
		data.Back = objectivePath(v.Account, f.Objectives[0].Value)
	}
	names := p.objectiveNames(v)
	for i, choice := range f.Objectives {
		if choice.Label == "" { // without scripts the form has the id only
			name, err := names(choice.Value)
			if err != nil {
				return err
			}
			f.Objectives[i].Label = name
		}
	}
	find := account.AccountPath(v.Account) + "/find"
	data.TargetField = ui.Picker{
		Name: "objectives", Label: "Objectives", Kind: "objective", Source: find, Multiple: true, Required: true,
		Placeholder: "Choose objectives", Selected: f.Objectives, Error: faults.Of("objectives"),
	}
	if f.Target == targetZone {
		data.TargetField = ui.Picker{
			Name: "zone", Label: "Property", Kind: "zone", Source: find, Required: true, AllowOther: true,
			Placeholder: "Choose a property", Selected: f.Zone, Error: faults.Of("zone"),
			Hint: "Objectives of the property that are created later are corrected too.",
		}
	}
	// The page asks for its preview; the other parts need none.
	if f.act != "" && !ui.Fragment(v.Request) || ui.Target(v.Request) == "correction-preview" {
		var err error
		if data.Preview, err = p.correctionPreview(v, f); err != nil {
			return err
		}
	}
	title := "New correction"
	if data.IsReset {
		title = "Reset the budget"
	}
	return v.Show(page.View{
		Section:  section,
		Title:    title,
		Template: "correction-form",
		Status:   faults.Status,
		Data:     data,
	})
}

// correctionPreview computes what the input would change.
func (p *pages) correctionPreview(v *page.Visit, f *correctionForm) (correctionPreview, error) {
	part := correctionPreview{Tried: true}
	in, faults := f.request()
	var preview CorrectionPreview
	err := faults.Or()
	if err == nil {
		preview, err = p.PreviewCorrection(v.Context(), v.Account, in)
	}
	if err != nil {
		if kind := errs.KindOf(err); kind != errs.Invalid && kind != errs.NotFound {
			return part, err
		}
		for _, one := range errs.All(err) {
			part.Faults = append(part.Faults, ui.FullSentence(one.Message))
		}
		return part, nil
	}
	part.Approval = preview.Approval
	part.Ahead = in.From.After(p.now())
	part.Empty = len(preview.Objectives) == 0
	for _, one := range preview.Objectives {
		row := budgetRow{
			Name:   one.Objective,
			Failed: grouped(one.Bad) + " of " + grouped(one.Total),
			Before: leftText(one.Before),
			After:  leftText(one.After),
			Bar:    100 * min(1, max(0, one.After)),
			Tone:   ui.Good,
		}
		if one.After < 0.25 {
			row.Tone = ui.Warn
		}
		if one.After <= 0 {
			row.Tone = ui.Bad
		}
		part.Rows = append(part.Rows, row)
	}
	return part, nil
}

// FromLabel and ToLabel name the zone of the times.
func (d correctionFormPage) FromLabel() string { return "From (" + zoneWords(d.ZoneName) + ")" }

// ToLabel is the label of the field for the end.
func (d correctionFormPage) ToLabel() string { return "To (" + zoneWords(d.ZoneName) + ")" }

// zoneWords is the name of a time zone for people.
func zoneWords(name string) string { return strings.ReplaceAll(name, "_", " ") }
