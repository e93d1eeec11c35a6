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
)

// Severity is the urgency of a pair.
type Severity string

// The severities: act now, or within days.
const (
	Page   Severity = "page"
	Ticket Severity = "ticket"
)

// Pair fires when both windows burn above Factor: the long window shows that the burn matters, the short one that it
// continues.
type Pair struct {
	Long     Window   `json:"long"`
	Short    Window   `json:"short"`
	Factor   float64  `json:"factor" doc:"Times faster than sustainable; thousandths count"`
	Severity Severity `json:"severity" enum:"page,ticket"`

	exact milli // Factor, once compiled
}

func (p *Pair) factor() milli {
	if p.exact == 0 {
		return milli(math.Round(p.Factor * 1000))
	}
	return p.exact
}

// String names the pair: 1h/5m.
func (p Pair) String() string { return p.Long.String() + "/" + p.Short.String() }

// key identifies a pair within its objective: two pairs may differ in their factor only.
func (p Pair) key() string { return p.String() + "@" + strconv.FormatUint(uint64(p.factor()), 10) }

// The named sets of pairs.
const (
	Standard   = "standard"
	StandardX2 = "standard+2x"
)

// standard lists the workbook's pairs: when they fire, 2 %, 5 %, 10 % and 10 % of a 30-day budget are spent.
var standard = []Pair{
	{H1, M5, 14.4, Page, 14_400},
	{H6, M30, 6, Page, 6_000},
	{D1, H2, 3, Ticket, 3_000},
	{D3, H6, 1, Ticket, 1_000},
}

// standardX2 adds a ticket for a burn that would exhaust the budget in half of its period. Without this pair, standard
// reports such a burn only after a day and a half.
var standardX2 = slices.Concat(standard[:3], []Pair{{D1, H2, 2, Ticket, 2_000}}, standard[3:])

// StandardPairs returns the pairs that are named standard.
func StandardPairs() []Pair { return slices.Clone(standard) }

// PairsOf reads the pairs of an objective: a name or a list.
func PairsOf(given any) ([]Pair, error) {
	_, rules, err := pairsOf(given)
	return rules, err
}

// pairs reads the pairs and refuses those that could never fire.
func (c *checker) pairs(o *Objective, given any) {
	var err error
	o.Pairs, o.rules, err = pairsOf(given)
	if err != nil {
		c.faults = append(c.faults, errs.All(err)...)
		return
	}
	if len(c.faults) > 0 {
		return // the target may be wrong
	}
	for i, p := range o.rules {
		if uint64(p.factor())*uint64(o.allowed) < 1000*uint64(whole) {
			continue
		}
		at := "/pairs"
		if _, named := o.Pairs.(string); !named {
			at = fmt.Sprintf("/pairs/%d/factor", i)
		}
		c.fault(errs.CodeOutOfRange, at,
			"%v times the %v %% that may fail at a target of %v %% is %.4g %% of all requests: "+
				"the pair %s could never fire; raise the target or choose a smaller factor",
			p.Factor, trimFloat(100*o.allowed.ratio()), o.Target, 100*p.Factor*o.allowed.ratio(), p)
	}
	// The fastest first, in whatever order they were given.
	slices.SortStableFunc(o.rules, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(b.factor(), a.factor()), cmp.Compare(a.Long, b.Long), cmp.Compare(a.Short, b.Short))
	})
	for i := range o.rules {
		o.rules[i].exact = o.rules[i].factor()
	}
}

// pairsOf reads the pairs: a name, a list, or nothing, which means standard. shown is the value for answers.
func pairsOf(given any) (shown any, rules []Pair, err error) {
	switch v := given.(type) {
	case nil:
		return Standard, slices.Clone(standard), nil
	case string:
		return namedPairs(v)
	case []Pair:
		rules = slices.Clone(v)
	default:
		if rules, err = decodePairs(v); err != nil {
			return nil, nil, err
		}
	}
	return rules, rules, checkPairs(rules)
}

func namedPairs(name string) (shown any, rules []Pair, err error) {
	switch name {
	case Standard, "":
		return Standard, slices.Clone(standard), nil
	case StandardX2:
		return StandardX2, slices.Clone(standardX2), nil
	}
	return nil, nil, errs.At(errs.CodeInvalid, "/pairs",
		"there are the pairs %q and %q, or a list of {long, short, factor, severity}", Standard, StandardX2)
}

// decodePairs reads a list of pairs from a decoded JSON value.
func decodePairs(v any) (rules []Pair, err error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rules); err != nil {
		return nil, errs.At(errs.CodeInvalid, "/pairs",
			`expected %q, %q, or a list of {"long":"1h","short":"5m","factor":14.4,"severity":"page"}: %v`,
			Standard, StandardX2, strings.TrimPrefix(err.Error(), "json: "))
	}
	return rules, nil
}

func checkPairs(rules []Pair) error {
	if len(rules) == 0 || len(rules) > maxPairs {
		return errs.At(errs.CodeInvalid, "/pairs", "name 1 to %d pairs", maxPairs)
	}
	var faults errs.List
	fault := func(code errs.Code, pointer, format string, args ...any) {
		faults = append(faults, errs.At(code, pointer, format, args...))
	}
	seen := map[string]bool{}
	for i, p := range rules {
		at := fmt.Sprintf("/pairs/%d", i)
		switch {
		case p.Long.IsPeriod():
			fault(errs.CodeInvalid, at+"/long", "the long window must be one of 30m, 1h, 2h, 6h, 1d, 3d")
		case p.Short >= p.Long:
			fault(errs.CodeInvalid, at+"/short", "the short window must be shorter than the long one, %s", p.Long)
		}
		if math.IsNaN(p.Factor) || p.Factor < 0.1 || p.Factor > maxFactor {
			fault(errs.CodeOutOfRange, at+"/factor", "the factor must be 0.1 to %d", maxFactor)
		}
		if p.Severity != Page && p.Severity != Ticket {
			fault(errs.CodeInvalid, at+"/severity", "the severity must be page or ticket")
		}
		if seen[p.key()] {
			fault(errs.CodeInvalid, at, "the pair %s is listed twice", p)
		}
		seen[p.key()] = true
	}
	return faults.Or()
}
