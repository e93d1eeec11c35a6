package slo

import (
	"fmt"
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
	Zone     string
	Kind     string
	Value    string
	SLI      string
	Target   string
	Window   string
	Pairs    string
	Own      string // pairs as lines of text, with Pairs "own"
	Alpha    string
	MinTotal string
	MinBad   string

	Existing *Objective // nil for a new one; after success, the objective
}

// objectiveFields are the fields that can have a fault.
var objectiveFields = []string{
	"name", "match/zone", "match/hostname", "match/origin", "match/path_class", "value", "sli", "target", "window",
	"pairs", "own", "guard/alpha", "guard/min_total", "guard/min_bad",
}

// formPage is the data of the template "objective-form".
type formPage struct {
	objectiveForm
	Action   string
	Back     string
	Zones    [][2]string
	Kinds    [][2]string
	Windows  [][2]string
	PairSets [][2]string
	Faults   ui.Faults
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
		{"28d", "28 days, rolling"},
		{"30d", "30 days, rolling"},
		{"month", "the calendar month (UTC)"},
	}
	pairChoices = [][2]string{
		{Standard, "standard: two that page, two that open tickets"},
		{StandardX2, "standard, and a ticket when half of the time is left"},
		{ownPairs, "own, written below"},
	}
)

func parseForm(v *page.Visit) (objectiveForm, error) {
	field := func(name string) string { return v.Field(name, 4096) }
	return objectiveForm{
		Name:     field("name"),
		Zone:     field("match/zone"),
		Kind:     field("kind"),
		Value:    field("value"),
		SLI:      field("sli"),
		Target:   field("target"),
		Window:   field("window"),
		Pairs:    field("pairs"),
		Own:      field("own"),
		Alpha:    field("guard/alpha"),
		MinTotal: field("guard/min_total"),
		MinBad:   field("guard/min_bad"),
	}, nil
}

// spec converts the input. Its faults are those of fields that are not numbers.
func (f *objectiveForm) spec() (ObjectiveSpec, error) {
	var faults errs.List
	number := func(text, pointer, expected string) float64 {
		text = strings.TrimSpace(strings.TrimSuffix(strings.ReplaceAll(text, ",", "."), "%"))
		if text == "" {
			return 0
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			faults = append(faults, errs.At(errs.CodeWrongType, pointer, "expected %s, not %q", expected, clip(text, 40)))
		}
		return v
	}
	s := ObjectiveSpec{
		Name:   f.Name,
		Match:  Match{Zone: f.Zone},
		SLI:    f.SLI,
		Target: number(f.Target, "/target", "a percentage such as 99.95"),
		Window: f.Window,
		Pairs:  f.Pairs,
		Guard: Guard{
			Alpha:    number(f.Alpha, "/guard/alpha", "a probability such as 0.000001"),
			MinTotal: int64(number(f.MinTotal, "/guard/min_total", "a number of requests")),
			MinBad:   int64(number(f.MinBad, "/guard/min_bad", "a number of requests")),
		},
	}
	switch f.Kind {
	case kindHostname:
		s.Match.Hostname = f.Value
	case kindOrigin:
		s.Match.Origin = f.Value
	case kindPathClass:
		s.Match.PathClass = f.Value
	}
	if f.Kind != kindZone && f.Kind != "" && f.Value == "" {
		faults = append(faults, errs.At(errs.CodeMissingField, "/value", "name it, or choose all requests"))
	}
	if f.Pairs == ownPairs {
		list, err := parsePairs(f.Own)
		if err != nil {
			faults = append(faults, err)
		}
		s.Pairs = list
	}
	return s, faults.Or()
}

// parsePairs reads one pair a line: LONG SHORT FACTOR SEVERITY.
func parsePairs(text string) ([]Pair, *errs.Error) {
	list := []Pair{}
	for line := range strings.Lines(text) {
		words := strings.Fields(strings.ReplaceAll(line, "/", " "))
		if len(words) == 0 {
			continue
		}
		var p Pair
		var err error
		if len(words) == 4 {
			p.Severity = Severity(words[3])
			if p.Factor, err = strconv.ParseFloat(strings.TrimSuffix(words[2], "×"), 64); err == nil {
				if err = p.Long.UnmarshalText([]byte(words[0])); err == nil {
					err = p.Short.UnmarshalText([]byte(words[1]))
				}
			}
		}
		if len(words) != 4 || err != nil {
			return nil, errs.At(errs.CodeInvalid, "/own",
				"expected lines such as: 1h 5m 14.4 page. This is not one: %s", clip(strings.TrimSpace(line), 60))
		}
		if list = append(list, p); len(list) > maxPairs {
			break
		}
	}
	return list, nil
}

// formOf is the form of an existing objective.
func formOf(o *Objective) objectiveForm {
	k := o.seriesKey()
	f := objectiveForm{
		Name:     o.Name,
		Zone:     o.Match.Zone,
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
		for _, p := range o.rules {
			f.Own += fmt.Sprintf("%s %s %v %s\n", p.Long, p.Short, p.Factor, p.Severity)
		}
	}
	if o.Guard.Alpha != DefaultAlpha {
		f.Alpha = strconv.FormatFloat(o.Guard.Alpha, 'g', -1, 64)
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
		Back:          objectivesPath(v.Account),
		Kinds:         kindChoices,
		Windows:       windowChoices,
		PairSets:      pairChoices,
		Faults:        faults,
	}
	title := "New objective"
	if f.Existing != nil {
		title = "Change " + f.Existing.Name
		data.Action = objectivePath(v.Account, f.Existing.ID)
		data.Back = data.Action
	}
	var err error
	if data.Zones, err = p.zoneChoices(v, f.Zone); err != nil {
		return err
	}
	return v.Show(page.View{
		Section:  section,
		Title:    title,
		Template: "objective-form",
		Status:   faults.Status,
		Data:     data,
	})
}

// zoneChoices are the properties that the form offers, with the present one; none when names are typed.
func (p *pages) zoneChoices(v *page.Visit, present string) ([][2]string, error) {
	if p.cfg.Zones == nil {
		return nil, nil
	}
	zones, err := p.cfg.Zones(v.Context(), v.Account)
	if err != nil {
		return nil, err
	}
	var list [][2]string
	for _, z := range zones {
		list = append(list, [2]string{z.ID, z.Name})
	}
	known := slices.ContainsFunc(zones, func(z ZoneName) bool { return z.ID == present })
	switch {
	case present == "" && len(list) != 1:
		// Without this entry, the first property would be chosen by accident.
		list = slices.Insert(list, 0, [2]string{"", "Choose a property"})
	case present != "" && !known:
		list = append(list, [2]string{present, present})
	}
	return list, nil
}

func (p *pages) showNew(v *page.Visit) error {
	f := objectiveForm{Kind: kindZone, Target: "99.9", Window: "28d", Pairs: Standard, Zone: v.Query("zone")}
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

func (p *pages) createForm() page.Form[objectiveForm] {
	return page.Form[objectiveForm]{
		Parse:  parseForm,
		Fields: objectiveFields,
		Render: p.renderForm,
		Do: func(v *page.Visit, f *objectiveForm) error {
			spec, err := f.checked()
			if err != nil {
				return err
			}
			o, err := p.Create(v.Context(), v.Account, spec)
			if err != nil {
				return onForm(err)
			}
			f.Existing = o
			return nil
		},
		Then: func(v *page.Visit, f *objectiveForm) error {
			return v.Redirect(objectivePath(v.Account, f.Existing.ID), "created")
		},
	}
}

func (p *pages) replaceForm() page.Form[objectiveForm] {
	return page.Form[objectiveForm]{
		Parse: func(v *page.Visit) (objectiveForm, error) {
			f, err := parseForm(v)
			if err == nil {
				f.Existing, err = p.Objective(v.Context(), v.Account, v.PathValue("slo_id"))
			}
			return f, err
		},
		Fields: objectiveFields,
		Render: p.renderForm,
		Do: func(v *page.Visit, f *objectiveForm) error {
			spec, err := f.checked()
			if err != nil {
				return err
			}
			_, err = p.Replace(v.Context(), v.Account, f.Existing.ID, spec, nil)
			return onForm(err)
		},
		Then: func(v *page.Visit, f *objectiveForm) error {
			return v.Redirect(objectivePath(v.Account, f.Existing.ID), "changed")
		},
	}
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
			return e.Pointer == one.Pointer || e.Pointer == "/own" && strings.HasPrefix(one.Pointer, "/pairs")
		})
		if !known {
			list = append(list, one)
		}
	}
	return spec, onForm(list)
}

// onForm moves the faults of single pairs to the field in which the pairs are written.
func onForm(err error) error {
	if err == nil {
		return nil
	}
	var list errs.List
	for _, one := range errs.All(err) {
		if strings.HasPrefix(one.Pointer, "/pairs/") {
			one = &errs.Error{Code: one.Code, Message: one.Message, Pointer: "/own", Cause: one.Cause}
		}
		list = append(list, one)
	}
	return list
}

func (p *pages) confirmDelete(v *page.Visit) (page.Confirm, error) {
	o, err := p.Objective(v.Context(), v.Account, v.PathValue("slo_id"))
	if err != nil {
		return page.Confirm{}, err
	}
	return page.Confirm{
		Section: section,
		Title:   "Delete " + o.Name + "?",
		Text: "Its alerts end, no further alert is sent, and its history is deleted. " +
			"The request counts of the property stay, and the audit log keeps every change.",
		Label:  "Delete the objective",
		Back:   objectivePath(v.Account, o.ID),
		Danger: true,
	}, nil
}

func (p *pages) delete(v *page.Visit) error {
	if err := p.Remove(v.Context(), v.Account, v.PathValue("slo_id"), nil); err != nil {
		return err
	}
	return v.Redirect(objectivesPath(v.Account), "deleted")
}
