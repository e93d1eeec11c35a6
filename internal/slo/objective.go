package slo

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Objective is a promise about the requests of a zone, or of a part of it.
type Objective struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Match      Match    `json:"match"`
	SLI        string   `json:"sli,omitempty" doc:"The good/total ratio that is judged; availability when left out"`
	Target     float64  `json:"target" doc:"Percent of the requests that must be good, such as 99.95"`
	Window     Window   `json:"window" doc:"What the budget is for: 28d and 30d roll, month is the calendar's (UTC)" enum:"28d,30d,month"`
	Pairs      any      `json:"pairs" doc:"standard, standard+2x, or the pairs of windows that fire"`
	Guard      Guard    `json:"guard,omitzero"`
	CreatedOn  web.Time `json:"created_on"`
	ModifiedOn web.Time `json:"modified_on"`

	account    string
	allowed    share
	rules      []Pair // the fastest first
	thresholds thresholds
}

// Match says which requests an objective judges: all of the zone, or those of
// one origin, hostname or path class in it.
type Match struct {
	Zone      string `json:"zone,omitempty" doc:"Id, name or alias of the zone; found by the hostname or origin when left out" maxLength:"255"`
	Origin    string `json:"origin,omitempty" maxLength:"255"`
	Hostname  string `json:"hostname,omitempty" maxLength:"255"`
	PathClass string `json:"path_class,omitempty" maxLength:"255"`
}

// Severity is how urgent a pair is.
type Severity string

// The severities: somebody must act now, or within days.
const (
	Page   Severity = "page"
	Ticket Severity = "ticket"
)

// Pair fires when both windows burn above Factor: the long one says that it
// matters, the short one that it still goes on.
type Pair struct {
	Long     Window   `json:"long"`
	Short    Window   `json:"short"`
	Factor   float64  `json:"factor" doc:"Times faster than sustainable; thousandths count"`
	Severity Severity `json:"severity" enum:"page,ticket"`

	exact milli // of Factor, once compiled
}

func (p *Pair) factor() milli {
	if p.exact == 0 {
		return milli(math.Round(p.Factor * 1000))
	}
	return p.exact
}

// String names the pair: 1h/5m.
func (p Pair) String() string { return p.Long.String() + "/" + p.Short.String() }

// key tells the pairs of an objective apart: two may differ in their factor only.
func (p Pair) key() string { return p.String() + "@" + strconv.FormatUint(uint64(p.factor()), 10) }

// The named sets of pairs.
const (
	Standard   = "standard"
	StandardX2 = "standard+2x"
)

// standard are the workbook's pairs: 2 %, 5 %, 10 % and 10 % of a 30-day budget
// are spent when they fire.
var standard = []Pair{
	{H1, M5, 14.4, Page, 14_400},
	{H6, M30, 6, Page, 6_000},
	{D1, H2, 3, Ticket, 3_000},
	{D3, H6, 1, Ticket, 1_000},
}

// standardX2 adds what standard says a day and a half late: a budget that will
// be gone in half of its time.
var standardX2 = slices.Concat(standard[:3], []Pair{{D1, H2, 2, Ticket, 2_000}}, standard[3:])

// SLI names are free; this is the one of requests that are counted without one.
const availability = "availability"

// The bounds of an objective.
const (
	minTarget  = 50
	maxTarget  = 99.999
	maxPairs   = 10
	maxFactor  = 1000
	maxNameLen = 100
)

// Spec is an objective as it is asked for.
type Spec struct {
	Name   string
	Match  Match
	SLI    string
	Target float64
	Window string
	Pairs  any
	Guard  Guard
}

// compile checks a spec and makes the objective of it. Every fault is named at
// once. The match is not resolved: its zone is taken as it is.
func compile(spec Spec) (*Objective, error) {
	var faults errs.List
	fault := func(code errs.Code, pointer, format string, args ...any) {
		faults = append(faults, errs.At(code, pointer, format, args...))
	}
	o := &Objective{Name: strings.TrimSpace(spec.Name), Match: spec.Match, SLI: strings.TrimSpace(spec.SLI), Target: spec.Target, Guard: spec.Guard}
	if n := len([]rune(o.Name)); n == 0 || n > maxNameLen || strings.ContainsFunc(o.Name, func(r rune) bool { return r < ' ' }) {
		fault(errs.CodeInvalid, "/name", "the name must have 1 to %d characters on one line", maxNameLen)
	}
	if o.SLI == availability {
		o.SLI = ""
	}
	if len(o.SLI) > 64 || strings.ContainsFunc(o.SLI, func(r rune) bool { return r <= ' ' }) {
		fault(errs.CodeInvalid, "/sli", "the SLI must be a name of at most 64 characters without spaces, such as latency")
	}
	checkMatch(&o.Match, fault)
	switch {
	case math.IsNaN(o.Target) || o.Target < minTarget || o.Target > maxTarget:
		fault(errs.CodeOutOfRange, "/target", "the target must be a percentage of %d to %v, such as 99.95", minTarget, maxTarget)
	case math.Abs(o.Target*100_000-math.Round(o.Target*100_000)) > 1e-3:
		fault(errs.CodeInvalid, "/target", "the target must have at most 5 decimals")
	}
	o.allowed = shareOf(o.Target)
	if spec.Window == "" {
		spec.Window = D28.String()
	}
	if err := o.Window.UnmarshalText([]byte(spec.Window)); err != nil || o.Window < D28 {
		fault(errs.CodeInvalid, "/window", "the window must be 28d, 30d or month, not %q", clip(spec.Window, 40))
		o.Window = D28
	}
	var err error
	if o.Pairs, o.rules, err = pairsOf(spec.Pairs); err != nil {
		faults = append(faults, errs.All(err)...)
	} else if len(faults) == 0 {
		for i, p := range o.rules {
			if uint64(p.factor())*uint64(o.allowed) >= 1000*uint64(whole) {
				at := "/pairs"
				if _, named := o.Pairs.(string); !named {
					at = fmt.Sprintf("/pairs/%d/factor", i)
				}
				fault(errs.CodeOutOfRange, at, "%v times the %v %% that may fail at a target of %v %% is %.4g %% of all requests: the pair %s could never fire; raise the target or choose a smaller factor",
					p.Factor, trimFloat(100*o.allowed.ratio()), o.Target, 100*p.Factor*o.allowed.ratio(), p)
			}
		}
	}
	if o.Guard.Alpha == 0 {
		o.Guard.Alpha = DefaultAlpha
	}
	if g := o.Guard; math.IsNaN(g.Alpha) || g.Alpha < 1e-12 || g.Alpha > 0.1 {
		fault(errs.CodeOutOfRange, "/guard/alpha", "alpha must be a probability of 1e-12 to 0.1, such as 0.000001")
	}
	for name, v := range map[string]int64{"min_total": o.Guard.MinTotal, "min_bad": o.Guard.MinBad} {
		if v < 0 || v > 1e9 {
			fault(errs.CodeOutOfRange, "/guard/"+name, "%s must be a number of requests, 0 to 1,000,000,000", name)
		}
	}
	if len(faults) > 0 {
		slices.SortStableFunc(faults, func(a, b *errs.Error) int { return strings.Compare(a.Pointer, b.Pointer) })
		return nil, faults
	}
	// Fastest first, whatever order they were given in.
	slices.SortStableFunc(o.rules, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(b.factor(), a.factor()), cmp.Compare(a.Long, b.Long), cmp.Compare(a.Short, b.Short))
	})
	for i := range o.rules {
		o.rules[i].exact = o.rules[i].factor()
	}
	o.thresholds = thresholdsOf(o.allowed, o.Guard.Alpha)
	return o, nil
}

func checkMatch(m *Match, fault func(errs.Code, string, string, ...any)) {
	parts := 0
	for name, v := range map[string]*string{"zone": &m.Zone, "origin": &m.Origin, "hostname": &m.Hostname, "path_class": &m.PathClass} {
		*v = strings.TrimSpace(*v)
		if len(*v) > 255 {
			fault(errs.CodeTooLarge, "/match/"+name, "%s must have at most 255 bytes", name)
		}
		if name != "zone" && *v != "" {
			parts++
		}
	}
	switch {
	case parts > 1:
		fault(errs.CodeInvalid, "/match", "name at most one of origin, hostname and path_class: an objective judges one of them in a zone")
	case m.Zone == "" && (parts == 0 || m.PathClass != ""):
		fault(errs.CodeMissingField, "/match/zone", "name the zone whose requests are judged, by its id, name or alias")
	}
}

// pairsOf reads the pairs: a name, a list, or nothing, which is standard.
func pairsOf(v any) (shown any, rules []Pair, err error) {
	switch v := v.(type) {
	case nil:
		return Standard, slices.Clone(standard), nil
	case string:
		switch v {
		case Standard, "":
			return Standard, slices.Clone(standard), nil
		case StandardX2:
			return StandardX2, slices.Clone(standardX2), nil
		}
		return nil, nil, errs.At(errs.CodeInvalid, "/pairs", "there are the pairs %q and %q, or a list of {long, short, factor, severity}", Standard, StandardX2)
	case []Pair:
		rules = slices.Clone(v)
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return nil, nil, err
		}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&rules); err != nil {
			return nil, nil, errs.At(errs.CodeInvalid, "/pairs", "expected %q, %q, or a list of {\"long\":\"1h\",\"short\":\"5m\",\"factor\":14.4,\"severity\":\"page\"}: %v", Standard, StandardX2, strings.TrimPrefix(err.Error(), "json: "))
		}
	}
	if len(rules) == 0 || len(rules) > maxPairs {
		return nil, nil, errs.At(errs.CodeInvalid, "/pairs", "name 1 to %d pairs", maxPairs)
	}
	var faults errs.List
	seen := map[string]bool{}
	for i, p := range rules {
		at := fmt.Sprintf("/pairs/%d", i)
		switch {
		case p.Long >= D28:
			faults = append(faults, errs.At(errs.CodeInvalid, at+"/long", "the long window must be one of 30m, 1h, 2h, 6h, 1d, 3d"))
		case p.Short >= p.Long:
			faults = append(faults, errs.At(errs.CodeInvalid, at+"/short", "the short window must be shorter than the long one, %s", p.Long))
		}
		if math.IsNaN(p.Factor) || p.Factor < 0.1 || p.Factor > maxFactor {
			faults = append(faults, errs.At(errs.CodeOutOfRange, at+"/factor", "the factor must be 0.1 to %d", maxFactor))
		}
		if p.Severity != Page && p.Severity != Ticket {
			faults = append(faults, errs.At(errs.CodeInvalid, at+"/severity", "the severity must be page or ticket"))
		}
		if seen[p.key()] {
			faults = append(faults, errs.At(errs.CodeInvalid, at, "the pair %s is there twice", p))
		}
		seen[p.key()] = true
	}
	return rules, rules, faults.Or()
}

func trimFloat(f float64) float64 { return math.Round(f*1e6) / 1e6 }

// clip shortens s to at most n bytes at a character's boundary.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
