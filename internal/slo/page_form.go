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

// objectiveForm is the input for an objective, and the data of the template
// "objective-form".
type objectiveForm struct {
	Path, Action, Back              string
	Name, Zone, Kind, Value, SLI    string
	Target, Window, Pairs, Own      string
	Alpha, MinTotal, MinBad         string
	Zones, Kinds, Windows, PairSets [][2]string
	Existing                        *Objective // nil for a new one
	Faults                          ui.Faults

	created *Objective
}

// objectiveFields are the fields of the form that can have a fault.
var objectiveFields = []string{
	"name", "match/zone", "match/hostname", "match/origin", "match/path_class", "value", "sli", "target", "window",
	"pairs", "own", "guard/alpha", "guard/min_total", "guard/min_bad",
}

// own stands for pairs that are written out.
const ownPairs = "own"

var (
	kindChoices   = [][2]string{{kindZone, "all requests of the property"}, {kindHostname, "one hostname"}, {kindOrigin, "one origin"}, {kindPathClass, "one class of paths"}}
	windowChoices = [][2]string{{"28d", "28 days, rolling"}, {"30d", "30 days, rolling"}, {"month", "the calendar month (UTC)"}}
	pairChoices   = [][2]string{{Standard, "standard: two that page, two that open tickets"}, {StandardX2, "standard, and a ticket when half of the time is left"}, {ownPairs, "own, written below"}}
)

func parseObjectiveForm(v *page.Visit) (objectiveForm, error) {
	const limit = 4096
	return objectiveForm{
		Name:     v.Field("name", limit),
		Zone:     v.Field("match/zone", limit),
		Kind:     v.Field("kind", limit),
		Value:    v.Field("value", limit),
		SLI:      v.Field("sli", limit),
		Target:   v.Field("target", limit),
		Window:   v.Field("window", limit),
		Pairs:    v.Field("pairs", limit),
		Own:      v.Field("own", limit),
		Alpha:    v.Field("guard/alpha", limit),
		MinTotal: v.Field("guard/min_total", limit),
		MinBad:   v.Field("guard/min_bad", limit),
	}, nil
}

// parseExisting is parseObjectiveForm for the objective of the path.
func (p *pages) parseExisting(v *page.Visit) (objectiveForm, error) {
	o, err := p.Objective(v.Context(), v.Account, v.PathValue("slo_id"))
	if err != nil {
		return objectiveForm{}, err
	}
	f, err := parseObjectiveForm(v)
	f.Existing = o
	return f, err
}

// spec reads what was typed; its faults are those of fields that are no numbers.
func (f objectiveForm) spec() (ObjectiveSpec, error) {
	var faults errs.List
	number := func(text, pointer, words string) float64 {
		text = strings.TrimSpace(strings.TrimSuffix(strings.ReplaceAll(text, ",", "."), "%"))
		if text == "" {
			return 0
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			faults = append(faults, errs.At(errs.CodeWrongType, pointer, "expected %s, not %q", words, clip(text, 40)))
		}
		return v
	}
	s := ObjectiveSpec{Name: f.Name, Match: Match{Zone: f.Zone}, SLI: f.SLI, Window: f.Window, Target: number(f.Target, "/target", "a percentage such as 99.95")}
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
	s.Guard = Guard{Alpha: number(f.Alpha, "/guard/alpha", "a probability such as 0.000001"),
		MinTotal: int64(number(f.MinTotal, "/guard/min_total", "a number of requests")), MinBad: int64(number(f.MinBad, "/guard/min_bad", "a number of requests"))}
	s.Pairs = f.Pairs
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
	for series := range strings.Lines(text) {
		words := strings.Fields(strings.ReplaceAll(series, "/", " "))
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
			return nil, errs.At(errs.CodeInvalid, "/own", "expected lines such as: 1h 5m 14.4 page. This is not one: %s", clip(strings.TrimSpace(series), 60))
		}
		if list = append(list, p); len(list) > maxPairs {
			break
		}
	}
	return list, nil
}

func formOf(o *Objective) objectiveForm {
	k := o.seriesKey()
	f := objectiveForm{Name: o.Name, Zone: o.Match.Zone, Kind: k.kind, Value: k.value, SLI: o.SLI, Target: strconv.FormatFloat(o.Target, 'f', -1, 64), Window: o.Window.String()}
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
	f.Faults = faults
	f.Path = objectivesPath(v.Account)
	f.Action = f.Path
	f.Back = f.Path
	f.Kinds = kindChoices
	f.Windows = windowChoices
	f.PairSets = pairChoices
	title := "New objective"
	if f.Existing != nil {
		title = "Change " + f.Existing.Name
		f.Action = objectivePath(v.Account, f.Existing.ID)
		f.Back = f.Action
	}
	if p.cfg.Pages.Zones != nil {
		var err error
		if f.Zones, err = p.cfg.Pages.Zones(v.Context(), v.Account); err != nil {
			return err
		}
		there := f.Zone == ""
		for _, z := range f.Zones {
			there = there || z[0] == f.Zone
		}
		if !there {
			f.Zones = append(f.Zones, [2]string{f.Zone, f.Zone})
		}
		if f.Zone == "" && len(f.Zones) != 1 {
			// No default: the first property of the list could be the wrong one.
			f.Zones = slices.Insert(slices.Clone(f.Zones), 0, [2]string{"", "Choose a property"})
		}
	}
	return v.Show(page.View{Section: "objectives", Title: title, Template: "objective-form", Status: faults.Status, Data: f})
}

// everyFault adds to the faults of what was typed those of the objective that it
// makes, so that a person corrects all fields at once.
func everyFault(s ObjectiveSpec, faults error) error {
	list := errs.All(faults)
	_, err := compile(s)
	for _, one := range errs.All(err) {
		known := slices.ContainsFunc(list, func(e *errs.Error) bool {
			return e.Pointer == one.Pointer || e.Pointer == "/own" && strings.HasPrefix(one.Pointer, "/pairs")
		})
		if !known {
			list = append(list, one)
		}
	}
	return errs.List(list)
}

// formFaults moves the faults of pairs, which name a pair by its index, to the
// field in which all pairs are written.
func formFaults(err error) error {
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

// specOf reads the form; its faults are those of all fields.
func specOf(f *objectiveForm) (ObjectiveSpec, error) {
	spec, err := f.spec()
	if err != nil {
		return spec, formFaults(everyFault(spec, err))
	}
	return spec, nil
}

func (p *pages) showNew(v *page.Visit) error {
	return p.renderForm(v, &objectiveForm{
		Kind:   kindZone,
		Target: "99.9",
		Window: "28d",
		Pairs:  Standard,
		Zone:   v.Query("zone"),
	}, ui.Faults{})
}

func (p *pages) createObjective(v *page.Visit, f *objectiveForm) error {
	spec, err := specOf(f)
	if err != nil {
		return err
	}
	f.created, err = p.Create(v.Context(), v.Account, spec)
	return formFaults(err)
}

func (p *pages) objectiveCreated(v *page.Visit, f *objectiveForm) error {
	return v.Redirect(objectivePath(v.Account, f.created.ID), "created")
}

func (p *pages) showEdit(v *page.Visit) error {
	o, err := p.Objective(v.Context(), v.Account, v.PathValue("slo_id"))
	if err != nil {
		return err
	}
	f := formOf(o)
	f.Existing = o
	return p.renderForm(v, &f, ui.Faults{})
}

func (p *pages) replaceObjective(v *page.Visit, f *objectiveForm) error {
	spec, err := specOf(f)
	if err != nil {
		return err
	}
	_, err = p.Replace(v.Context(), v.Account, f.Existing.ID, spec, nil)
	return formFaults(err)
}

func (p *pages) objectiveChanged(v *page.Visit, f *objectiveForm) error {
	return v.Redirect(objectivePath(v.Account, f.Existing.ID), "changed")
}

func (p *pages) confirmDelete(v *page.Visit) (page.Confirm, error) {
	o, err := p.Objective(v.Context(), v.Account, v.PathValue("slo_id"))
	if err != nil {
		return page.Confirm{}, err
	}
	return page.Confirm{
		Section: "objectives",
		Title:   "Delete " + o.Name + "?",
		Text: "Its alerts end, no further alert is sent, and its history is deleted. The request counts of the property stay, " +
			"and the audit log keeps every change.",
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
