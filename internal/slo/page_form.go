package slo

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// objectiveForm is what was typed about an objective.
type objectiveForm struct {
	Path, Action, Back              string
	Name, Zone, Kind, Value, SLI    string
	Target, Window, Pairs, Own      string
	Alpha, MinTotal, MinBad         string
	Zones, Kinds, Windows, PairSets [][2]string
	Existing                        *Objective // nil for a new one
	Faults                          ui.Faults
}

// own stands for pairs that are written out.
const ownPairs = "own"

var (
	kindChoices   = [][2]string{{kindZone, "all requests of the property"}, {kindHostname, "one hostname"}, {kindOrigin, "one origin"}, {kindPathClass, "one class of paths"}}
	windowChoices = [][2]string{{"28d", "28 days, rolling"}, {"30d", "30 days, rolling"}, {"month", "the calendar month (UTC)"}}
	pairChoices   = [][2]string{{Standard, "standard: two that page, two that open tickets"}, {StandardX2, "standard, and a ticket when half of the time is left"}, {ownPairs, "own, written below"}}
)

func typed(r *http.Request) objectiveForm {
	get := func(name string) string { return clip(strings.TrimSpace(r.PostFormValue(name)), 4096) }
	return objectiveForm{Name: get("name"), Zone: get("match/zone"), Kind: get("kind"), Value: get("value"), SLI: get("sli"),
		Target: get("target"), Window: get("window"), Pairs: get("pairs"), Own: get("own"),
		Alpha: get("guard/alpha"), MinTotal: get("guard/min_total"), MinBad: get("guard/min_bad")}
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
		faults = append(faults, errs.At(errs.CodeMissingField, "/value", "name the one that is judged, or judge all requests"))
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

func (p *pages) renderForm(w http.ResponseWriter, v visit, f objectiveForm) error {
	f.Path = objectivesPath(v.account)
	f.Action, f.Back = f.Path, f.Path
	f.Kinds, f.Windows, f.PairSets = kindChoices, windowChoices, pairChoices
	title := "New objective"
	if f.Existing != nil {
		title = "Change " + f.Existing.Name
		f.Action = objectivePath(v.account, f.Existing.ID)
		f.Back = f.Action
	}
	if p.Zones != nil {
		var err error
		if f.Zones, err = p.Zones(v.ctx, v.account); err != nil {
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
			// Nobody judges the wrong property because it was the first in the list.
			f.Zones = slices.Insert(slices.Clone(f.Zones), 0, [2]string{"", "Choose a property"})
		}
	}
	return p.show(w, v, title, "objective-form", f.Faults.Status, f)
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

// refused shows the form again with its faults.
func (p *pages) refused(w http.ResponseWriter, v visit, f objectiveForm, err error) error {
	// Faults in the pairs carry the place of the pair; on the form all belong to
	// the field in which pairs are written.
	var list errs.List
	for _, one := range errs.All(err) {
		if strings.HasPrefix(one.Pointer, "/pairs/") {
			one = &errs.Error{Code: one.Code, Message: one.Message, Pointer: "/own", Cause: one.Cause}
		}
		list = append(list, one)
	}
	err = list
	var ok bool
	f.Faults, ok = ui.FaultsOf(err, "name", "match/zone", "match/hostname", "match/origin", "match/path_class", "value", "sli", "target", "window", "pairs", "own", "guard/alpha", "guard/min_total", "guard/min_bad")
	if !ok {
		return err
	}
	return p.renderForm(w, v, f)
}

func (p *pages) showNew(w http.ResponseWriter, r *http.Request) error {
	return p.renderForm(w, visitOf(r), objectiveForm{Kind: kindZone, Target: "99.9", Window: "28d", Pairs: Standard, Zone: r.URL.Query().Get("zone")})
}

func (p *pages) create(w http.ResponseWriter, r *http.Request) error {
	v, f := visitOf(r), typed(r)
	spec, err := f.spec()
	var o *Objective
	if err != nil {
		err = everyFault(spec, err)
	} else {
		o, err = p.Create(v.ctx, v.account, spec)
	}
	if err != nil {
		return p.refused(w, v, f, err)
	}
	return goTo(w, r, objectivePath(v.account, o.ID), "created")
}

func (p *pages) showEdit(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	o, err := p.Objective(v.ctx, v.account, r.PathValue("slo_id"))
	if err != nil {
		return err
	}
	f := formOf(o)
	f.Existing = o
	return p.renderForm(w, v, f)
}

func (p *pages) replace(w http.ResponseWriter, r *http.Request) error {
	v, f := visitOf(r), typed(r)
	o, err := p.Objective(v.ctx, v.account, r.PathValue("slo_id"))
	if err != nil {
		return err
	}
	f.Existing = o
	spec, err := f.spec()
	if err != nil {
		err = everyFault(spec, err)
	} else {
		_, err = p.Replace(v.ctx, v.account, o.ID, spec, nil)
	}
	if err != nil {
		return p.refused(w, v, f, err)
	}
	return goTo(w, r, objectivePath(v.account, o.ID), "changed")
}

// question is a page that asks before something is ended.
type question struct {
	Title, Text, Action, Label, Back string
}

func (p *pages) askDelete(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	o, err := p.Objective(v.ctx, v.account, r.PathValue("slo_id"))
	if err != nil {
		return err
	}
	path := objectivePath(v.account, o.ID)
	return p.show(w, v, "Delete an objective", "question", 0, question{Title: "Delete " + o.Name + "?",
		Text:   "Its alerts end, no further alert is sent, and its history is deleted. The request counts of the property stay, and the audit log keeps every change.",
		Action: path + "/delete", Label: "Delete the objective", Back: path})
}

func (p *pages) delete(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	if err := p.Remove(v.ctx, v.account, r.PathValue("slo_id"), nil); err != nil {
		return err
	}
	return goTo(w, r, objectivesPath(v.account), "deleted")
}
