package slo

import (
	"math"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// Objective is a target for the requests of a zone, or of a part of it.
type Objective struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Match      Match      `json:"match"`
	SLI        string     `json:"sli,omitempty" doc:"The good/total ratio that is evaluated; availability when left out"`
	Composite  *Composite `json:"composite,omitempty" doc:"Of a composite objective, which has no match"`
	Latency    *Latency   `json:"latency,omitempty" doc:"For an objective about the time that requests take; sli names it too"`
	Target     float64    `json:"target" doc:"Percent of the requests that must be good, such as 99.95"`
	Window     Window     `json:"window" doc:"Period of the budget: 7d to 90d are rolling; week (from Monday), month and quarter are those of the calendar (UTC)"`
	Pairs      any        `json:"pairs" doc:"standard, standard+2x, or a list of window pairs"`
	Guard      Guard      `json:"guard,omitzero"`
	NoData     string     `json:"no_data" doc:"The time without a request after which an alert is sent that there is no data; off = none is sent"`
	AlertType  string     `json:"alert_type,omitempty" doc:"The objective exists for the notification policies of this alert type, and follows them"`
	CreatedOn  web.Time   `json:"created_on"`
	ModifiedOn web.Time   `json:"modified_on"`

	account    string
	allowed    share
	rules      []Pair // the fastest first
	thresholds thresholds
}

// Match selects the requests that an objective applies to: all of the zone, or those of one origin, hostname or path
// class in it.
type Match struct {
	Zone      string `json:"zone,omitempty" maxLength:"255" doc:"Id, name or alias of the property; found by the hostname or origin when left out"`
	Origin    string `json:"origin,omitempty" maxLength:"255"`
	Hostname  string `json:"hostname,omitempty" maxLength:"255"`
	PathClass string `json:"path_class,omitempty" maxLength:"255"`
}

// availability is the SLI of counts that name none. Other names are free.
const availability = "availability"

// The bounds of an objective.
const (
	minTarget  = 50
	maxTarget  = 99.999
	maxPairs   = 10
	maxFactor  = 1000
	maxNameLen = 100
)

// ObjectiveSpec describes an objective to be created, or the replacement of one.
type ObjectiveSpec struct {
	Name      string     `json:"name" minLength:"1" maxLength:"400" doc:"A noun that can begin a sentence: checkout"`
	Match     Match      `json:"match,omitzero" doc:"The requests: those of a property, or of one origin, hostname or path class in it"`
	Composite *Composite `json:"composite,omitempty" doc:"Instead of match: the objective is computed from other objectives"`
	SLI       string     `json:"sli,omitempty" maxLength:"64" doc:"Another good/total ratio than availability"`
	Latency   *Latency   `json:"latency,omitempty" doc:"Requests are good if they take at most a threshold, instead of sli"`
	Target    float64    `json:"target" doc:"Percent that must be good, 50 to 99.999"`
	Window    string     `json:"window,omitempty" doc:"Period of the budget: 7d to 90d (rolling), week, month or quarter (calendar, UTC); 28d when left out"`
	Pairs     any        `json:"pairs,omitempty" doc:"\"standard\" (when left out), \"standard+2x\", or a list of {long, short, factor, severity: page|ticket}; windows are 5m, 30m, 1h, 2h, 6h, 1d, 3d"`
	Guard     Guard      `json:"guard,omitempty" doc:"Against alerts by chance at little traffic"`
	NoData    string     `json:"no_data,omitempty" maxLength:"20" doc:"Silence after which an alert is sent that there is no data: 5m to 24h, or off; 15m when left out. At little traffic none is sent"`
}

// compile checks a spec and makes the objective of it. The error names all faults. The zone of the match is not
// resolved.
func compile(spec ObjectiveSpec) (*Objective, error) {
	o := &Objective{
		Name:   strings.TrimSpace(spec.Name),
		Match:  spec.Match,
		SLI:    strings.TrimSpace(spec.SLI),
		Target: spec.Target,
		Guard:  spec.Guard,

		Composite: spec.Composite,
	}
	c := &checker{}
	c.name(o)
	c.latency(o, spec.Latency)
	if o.Composite == nil {
		c.match(&o.Match)
	}
	c.composite(o)
	c.target(o)
	c.window(o, spec.Window)
	c.pairs(o, spec.Pairs)
	c.guard(&o.Guard)
	c.noData(o, spec.NoData)
	if len(c.faults) > 0 {
		slices.SortStableFunc(c.faults, func(a, b *errs.Error) int { return strings.Compare(a.Pointer, b.Pointer) })
		return nil, c.faults
	}
	o.thresholds = tables.of(o.allowed, o.Guard.Alpha)
	return o, nil
}

// CheckSpec checks the description of an objective, as far as that is possible without the account. The error names all
// faults.
func CheckSpec(spec ObjectiveSpec) error {
	_, err := compile(spec)
	return err
}

// checker collects the faults of a spec, subject by subject.
type checker struct {
	faults errs.List
}

func (c *checker) fault(code errs.Code, pointer, format string, args ...any) {
	c.faults = append(c.faults, errs.At(code, pointer, format, args...))
}

func (c *checker) name(o *Objective) {
	control := func(r rune) bool { return r < ' ' }
	if n := len([]rune(o.Name)); n == 0 || n > maxNameLen || strings.ContainsFunc(o.Name, control) {
		c.fault(errs.CodeInvalid, "/name", "the name must have 1 to %d characters on one line", maxNameLen)
	}
	if o.SLI == availability {
		o.SLI = ""
	}
	space := func(r rune) bool { return r <= ' ' }
	if len(o.SLI) > 64 || strings.ContainsFunc(o.SLI, space) {
		c.fault(errs.CodeInvalid, "/sli",
			"the SLI must be a name of at most 64 characters without spaces, such as latency")
	}
}

func (c *checker) match(m *Match) {
	parts := 0
	for _, f := range []struct {
		name  string
		value *string
	}{
		{"zone", &m.Zone},
		{"origin", &m.Origin},
		{"hostname", &m.Hostname},
		{"path_class", &m.PathClass},
	} {
		*f.value = strings.TrimSpace(*f.value)
		if len(*f.value) > 255 {
			c.fault(errs.CodeTooLarge, "/match/"+f.name, "%s must have at most 255 bytes", f.name)
		}
		if f.name != "zone" && *f.value != "" {
			parts++
		}
	}
	switch {
	case parts > 1:
		c.fault(errs.CodeInvalid, "/match",
			"name at most one of origin, hostname and path_class: an objective applies to one of them in a property")
	case m.Zone == "" && (parts == 0 || m.PathClass != ""):
		c.fault(errs.CodeMissingField, "/match/zone",
			"name the property whose requests are evaluated, by its id, name or alias")
	}
}

func (c *checker) target(o *Objective) {
	switch {
	case math.IsNaN(o.Target) || o.Target < minTarget || o.Target > maxTarget:
		c.fault(errs.CodeOutOfRange, "/target",
			"the target must be a percentage of %d to %v, such as 99.95", minTarget, maxTarget)
	case math.Abs(o.Target*100_000-math.Round(o.Target*100_000)) > 1e-3:
		c.fault(errs.CodeInvalid, "/target", "the target must have at most 5 decimals")
	}
	o.allowed = shareOf(o.Target)
}

func (c *checker) window(o *Objective, name string) {
	if name == "" {
		name = D28.String()
	}
	if err := o.Window.UnmarshalText([]byte(name)); err != nil || !o.Window.IsPeriod() {
		c.fault(errs.CodeInvalid, "/window",
			"the window must be %dd to %dd (rolling, whole days), week, month or quarter (calendar, UTC), not %q",
			tally.MinDays, tally.MaxDays, clip(name, 40))
		o.Window = D28
	}
}

func (c *checker) guard(g *Guard) {
	if g.Alpha == 0 {
		g.Alpha = DefaultAlpha
	}
	if math.IsNaN(g.Alpha) || g.Alpha < 1e-12 || g.Alpha > 0.1 {
		c.fault(errs.CodeOutOfRange, "/guard/alpha",
			"alpha must be a probability of 1e-12 to 0.1, such as 0.000001")
	}
	requests := func(name string, value int64) {
		if value < 0 || value > 1e9 {
			c.fault(errs.CodeOutOfRange, "/guard/"+name,
				"%s must be a number of requests, 0 to 1,000,000,000", name)
		}
	}
	requests("min_total", g.MinTotal)
	requests("min_bad", g.MinBad)
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
