package slo

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// objectiveForm is the input of the form of an objective.
type objectiveForm struct {
	Name     string
	Zone     ui.Choice
	Kind     string
	Value    string
	SLI      string
	Target   string
	Window   string
	Pairs    string
	Own      []pairInput // rows of the editor, with Pairs "own"
	Alpha    string
	MinTotal string
	MinBad   string
	NoData   string

	Existing *Objective // nil for a new one; after success, the objective

	act string // of the button: "" saves
}

// objectiveFields are the fields that can have a fault, but for those of the pairs' rows.
var objectiveFields = []string{
	"name", "match", "match/zone", "match/hostname", "match/origin", "match/path_class", "value", "sli", "target",
	"window", "pairs", "guard/alpha", "guard/min_total", "guard/min_bad", "no_data",
}

// formPage is the data of the template "objective-form".
type formPage struct {
	objectiveForm
	Action      string
	PreviewPath string
	Back        string
	ZonePicker  ui.Picker
	PartPicker  ui.Picker
	Kinds       [][2]string
	Windows     [][2]string
	PairSets    [][2]string
	Severities  [][2]string
	Longs       [][2]string
	Shorts      [][2]string
	Faults      ui.Faults
	OwnPairs    bool // the rows are shown
	MoreOpen    bool // the fold has a value or a fault
	Preview     previewPart
}

// ownPairs is the choice of pairs that are written out.
const ownPairs = "own"

var (
	kindChoices = [][2]string{
		{kindZone, "all requests of the property"},
		{kindHostname, "one hostname"},
		{kindOrigin, "one origin"},
		{kindPathClass, "one class of paths"},
	}
	windowChoices = [][2]string{
		{"7d", "7 days, rolling"},
		{"14d", "14 days, rolling"},
		{"28d", "28 days, rolling"},
		{"30d", "30 days, rolling"},
		{"60d", "60 days, rolling"},
		{"90d", "90 days, rolling"},
		{"week", "the calendar week (UTC)"},
		{"month", "the calendar month (UTC)"},
		{"quarter", "the calendar quarter (UTC)"},
	}
	pairChoices = [][2]string{
		{Standard, "standard: two that page, two that open tickets"},
		{StandardX2, "standard, and a ticket when half of the time is left"},
		{ownPairs, "own pairs of windows"},
	}
	severityChoices = [][2]string{{string(Page), "page"}, {string(Ticket), "ticket"}}
)

func parseForm(v *page.Visit) (objectiveForm, error) {
	field := func(name string) string { return v.Field(name, 4096) }
	f := objectiveForm{
		Name:     field("name"),
		Kind:     cmp.Or(field("kind"), kindZone),
		Value:    field("value"),
		SLI:      field("sli"),
		Target:   field("target"),
		Window:   field("window"),
		Pairs:    field("pairs"),
		Own:      parsePairRows(v),
		Alpha:    field("guard/alpha"),
		MinTotal: field("guard/min_total"),
		MinBad:   field("guard/min_bad"),
		NoData:   field("no_data"),
		act:      v.Field("do", 32),
	}
	if zones := v.Choices("match/zone", 255); len(zones) > 0 {
		f.Zone = zones[0]
	}
	return f, nil
}

// parseChange reads the form of the objective of the path.
func (p *pages) parseChange(v *page.Visit) (objectiveForm, error) {
	f, err := parseForm(v)
	if err == nil {
		f.Existing, err = p.Objective(v.Context(), v.Account, v.PathValue("slo_id"))
	}
	return f, err
}

// spec converts the input. Its faults are those of fields that are not numbers.
func (f *objectiveForm) spec() (ObjectiveSpec, error) {
	var faults errs.List
	number := func(text, pointer, expected string) float64 {
		value, err := parseNumber(text)
		if err != nil {
			faults = append(faults, errs.At(errs.CodeWrongType, pointer, "expected %s, not %q", expected, clip(text, 40)))
		}
		return value
	}
	s := ObjectiveSpec{
		Name:   f.Name,
		Match:  Match{Zone: f.Zone.Value},
		SLI:    f.SLI,
		Target: number(f.Target, "/target", "a percentage such as 99.95"),
		Window: f.Window,
		Pairs:  f.Pairs,
		Guard: Guard{
			Alpha:    number(f.Alpha, "/guard/alpha", "a probability such as 0.000001"),
			MinTotal: int64(number(f.MinTotal, "/guard/min_total", "a number of requests")),
			MinBad:   int64(number(f.MinBad, "/guard/min_bad", "a number of requests")),
		},
		NoData: f.NoData,
	}
	switch f.Kind {
	case kindComposite:
		if f.Existing != nil { // members are changed over the API
			s.Composite = f.Existing.Composite
			s.Match = Match{}
		}
	case kindHostname:
		s.Match.Hostname = f.Value
	case kindOrigin:
		s.Match.Origin = f.Value
	case kindPathClass:
		s.Match.PathClass = f.Value
	}
	if f.Kind != kindZone && f.Kind != kindComposite && f.Value == "" {
		faults = append(faults, errs.At(errs.CodeMissingField, "/value", "name it, or choose all requests"))
	}
	if f.Pairs == ownPairs {
		list, err := f.ownPairs()
		faults = append(faults, err...)
		s.Pairs = list
	}
	return s, faults.Or()
}

// parseNumber reads a number as people write it: "99,95 %".
func parseNumber(text string) (float64, error) {
	text = strings.TrimSpace(strings.TrimRight(strings.ReplaceAll(text, ",", "."), "%× "))
	if text == "" {
		return 0, nil
	}
	return strconv.ParseFloat(text, 64)
}

// formOf is the form of an existing objective.
func formOf(o *Objective) objectiveForm {
	k := o.seriesKey()
	f := objectiveForm{
		Name:     o.Name,
		Zone:     ui.Choice{Value: o.Match.Zone},
		Kind:     k.kind,
		Value:    k.value,
		SLI:      o.SLI,
		Target:   strconv.FormatFloat(o.Target, 'f', -1, 64),
		Window:   o.Window.String(),
		Existing: o,
	}
	var ok bool
	if f.Pairs, ok = o.Pairs.(string); !ok {
		f.Pairs = ownPairs
		f.Own = pairInputs(o.rules)
	}
	if o.Guard.Alpha != DefaultAlpha {
		f.Alpha = strconv.FormatFloat(o.Guard.Alpha, 'g', -1, 64)
	}
	if o.silence() != defaultSilence || o.NoData == noDataOff {
		f.NoData = o.NoData
	}
	if o.Guard.MinTotal > 0 {
		f.MinTotal = strconv.FormatInt(o.Guard.MinTotal, 10)
	}
	if o.Guard.MinBad > 0 {
		f.MinBad = strconv.FormatInt(o.Guard.MinBad, 10)
	}
	return f
}

func (p *pages) renderForm(v *page.Visit, f *objectiveForm, faults ui.Faults) error {
	data := formPage{
		objectiveForm: *f,
		Action:        objectivesPath(v.Account),
		PreviewPath:   objectivesPath(v.Account) + "/preview",
		Back:          objectivesPath(v.Account),
		Kinds:         kindChoices,
		Windows:       withWindow(f.Window),
		PairSets:      pairChoices,
		Severities:    severityChoices,
		Longs:         windowOptions(M30, D3),
		Shorts:        windowOptions(M5, D1),
		Faults:        faults,
		OwnPairs:      f.Pairs == ownPairs,
	}
	title := "New objective"
	if f.Kind == kindComposite && f.Existing != nil && f.Existing.Composite != nil {
		data.Kinds = [][2]string{{kindComposite, f.Existing.Composite.text()}}
	}
	if f.Existing != nil {
		title = "Edit " + f.Existing.Name
		data.Action = objectivePath(v.Account, f.Existing.ID)
		data.PreviewPath = data.Action + "/preview"
		data.Back = data.Action
	}
	data.MoreOpen = f.SLI != "" || f.Alpha != "" || f.MinTotal != "" || f.MinBad != "" || f.NoData != ""
	for _, name := range []string{"sli", "guard/alpha", "guard/min_total", "guard/min_bad"} {
		data.MoreOpen = data.MoreOpen || faults.Of(name) != ""
	}
	if data.OwnPairs && len(data.Own) == 0 {
		data.Own = pairInputs(standard)
	}
	for i := range data.Own {
		data.Own[i].Error = pairFault(faults, i)
	}
	var err error
	if data.ZonePicker, err = p.zonePicker(v, f, faults); err != nil {
		return err
	}
	data.PartPicker = p.partPicker(v, f, faults)
	// The page asks for its preview; a part of it that is not the preview needs none.
	if f.act != "" && !ui.Fragment(v.Request) || ui.Target(v.Request) == "objective-preview" {
		if data.Preview, err = p.previewPart(v, f); err != nil {
			return err
		}
	}
	return v.Show(page.View{
		Section:  section,
		Title:    title,
		Template: "objective-form",
		Status:   faults.Status,
		Data:     data,
	})
}

// withWindow are the windows that the form offers, and the present one.
func withWindow(present string) [][2]string {
	known := func(choice [2]string) bool { return choice[0] == present }
	if present == "" || slices.ContainsFunc(windowChoices, known) {
		return windowChoices
	}
	return append(slices.Clone(windowChoices), [2]string{present, present})
}

func (p *pages) showNew(v *page.Visit) error {
	f := objectiveForm{
		Kind:   kindZone,
		Target: "99.9",
		Window: "28d",
		Pairs:  Standard,
		Zone:   ui.Choice{Value: page.Cut(v.Query("zone"), 255)},
	}
	if from := v.Query("from"); from != "" {
		o, err := p.Objective(v.Context(), v.Account, from)
		if err != nil {
			return err
		}
		f = formOf(o)
		f.Name = "Copy of " + o.Name
		f.Existing = nil
	}
	return p.renderForm(v, &f, ui.Faults{})
}

func (p *pages) showEdit(v *page.Visit) error {
	o, err := p.Objective(v.Context(), v.Account, v.PathValue("slo_id"))
	if err != nil {
		return err
	}
	f := formOf(o)
	return p.renderForm(v, &f, ui.Faults{})
}

// submit answers the form. Buttons that do not save show it again: with a preview, another target, or other rows.
func (p *pages) submit(parse func(*page.Visit) (objectiveForm, error)) page.Handler {
	save := page.Form[objectiveForm]{
		Parse: parse,
		Do:    p.save,
		Render: func(v *page.Visit, f *objectiveForm, faults ui.Faults) error {
			return p.renderForm(v, f, faults)
		},
		Then: func(v *page.Visit, f *objectiveForm) error {
			path := objectivePath(v.Account, f.Existing.ID)
			if f.Existing.ModifiedOn.Equal(f.Existing.CreatedOn.Time) {
				return v.Redirect(path, "created")
			}
			return v.Redirect(path, "changed")
		},
	}
	save.Fields = slices.Clone(objectiveFields)
	for i := range maxPairs + 1 {
		for _, part := range []string{"", "/long", "/short", "/factor", "/severity"} {
			save.Fields = append(save.Fields, "pairs/"+strconv.Itoa(i)+part)
		}
	}
	return func(v *page.Visit) error {
		if v.Field("do", 32) == "" {
			return save.Handle(v)
		}
		f, err := parse(v)
		if err != nil {
			return err
		}
		f.apply()
		return p.renderForm(v, &f, ui.Faults{})
	}
}

// preview answers the form while it is filled in.
func (p *pages) preview(parse func(*page.Visit) (objectiveForm, error)) page.Handler {
	return func(v *page.Visit) error {
		f, err := parse(v)
		if err != nil {
			return err
		}
		f.apply()
		return p.renderForm(v, &f, ui.Faults{})
	}
}

// apply does what a button of the form asks for.
func (f *objectiveForm) apply() {
	verb, value, _ := strings.Cut(f.act, ":")
	switch verb {
	case "target":
		f.Target = value
	case "add":
		f.Pairs = ownPairs
		if len(f.Own) < maxPairs {
			f.Own = append(f.Own, pairInput{Long: H1.String(), Short: M5.String(), Severity: string(Page)})
		}
	case "remove":
		if i, err := strconv.Atoi(value); err == nil && i >= 0 && i < len(f.Own) {
			f.Own = slices.Delete(f.Own, i, i+1)
		}
	}
}

func (p *pages) save(v *page.Visit, f *objectiveForm) error {
	spec, err := f.checked()
	if err != nil {
		return err
	}
	if f.Existing != nil {
		f.Existing, err = p.Replace(v.Context(), v.Account, f.Existing.ID, spec, nil)
		return err
	}
	f.Existing, err = p.Create(v.Context(), v.Account, spec)
	return err
}

// checked is the spec of the input. When a field is not a number, the error also has the faults of the other fields, so
// that the user can correct all of them at once.
func (f *objectiveForm) checked() (ObjectiveSpec, error) {
	spec, err := f.spec()
	if err == nil {
		return spec, nil
	}
	list := errs.All(err)
	_, err = compile(spec)
	for _, one := range errs.All(err) {
		known := slices.ContainsFunc(list, func(e *errs.Error) bool {
			return e.Pointer == one.Pointer || one.Pointer == "/pairs" && strings.HasPrefix(e.Pointer, "/pairs")
		})
		if !known {
			list = append(list, one)
		}
	}
	return spec, list
}
