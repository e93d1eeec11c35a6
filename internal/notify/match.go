package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// PolicyResult is the result of one policy for one alert.
type PolicyResult struct {
	PolicyID string `json:"policy_id"`
	Policy   string `json:"policy"` // its name then
	Matched  bool   `json:"matched"`
	Why      string `json:"why"`

	SilencedBy string `json:"silenced_by,omitempty" doc:"Id of the silence because of which it sends nothing"`
}

// attributes are the parts of an alert that policies filter on.
type attributes struct {
	kind     string
	severity string
	// severities of the type, mild to severe.
	severities []string
	zones      []Zone // all that the alert names; one that is not known has only a name
	zoneRef    string // as the alert names it
	filters    map[string][]string
	subject    string // key of what the alert is about: the interval of a policy counts per subject
	lasts      bool   // it goes on until its end: an interval delays it and does not drop it
}

// The filter keys of every type, in addition to those that it declares.
const (
	zonesKey    = "zones"
	severityKey = "severity"
	notSuffix   = ".not"
)

// values are the alert's values for a filter key.
func (s *attributes) values(key string) []string {
	if own := s.filters[key]; len(own) > 0 && key != zonesKey {
		return own
	}
	switch key {
	case zonesKey:
		list := slices.Clone(s.filters[zonesKey])
		for _, z := range s.zones {
			list = append(list, z.Name)
			if z.ID != "" {
				list = append(list, z.ID)
			}
		}
		if s.zoneRef != "" {
			list = append(list, s.zoneRef)
		}
		return list
	case severityKey:
		return []string{s.severity}
	}
	return nil
}

// among reports whether one of the alert's values is one of the policy's. Zones are
// compared by their ids, which resolved has.
func (s *attributes) among(key string, want []string, resolved map[string]string) bool {
	have := s.values(key)
	for _, w := range want {
		if id := resolved[w]; key == zonesKey && id != "" {
			if slices.ContainsFunc(s.zones, func(z Zone) bool { return z.ID == id }) {
				return true
			}
		}
		for _, h := range have {
			if h == w || key == zonesKey && strings.EqualFold(h, w) {
				return true
			}
		}
	}
	return false
}

// onTrial reports whether all known zones of the alert are test environments, and
// returns their names.
func (s *attributes) onTrial() (names []string, all bool) {
	for _, z := range s.zones {
		switch {
		case z.Environment == "test":
			names = append(names, z.Name)
		case z.ID != "":
			return nil, false
		}
	}
	return names, len(names) > 0
}

// evaluate says whether a policy matches an alert, and why. notified is when it
// last notified of the same subject. hold is the end of its interval when that delays
// the message.
func evaluate(p *Policy, s *attributes, notified, now time.Time) (matched bool, why string, hold time.Time) {
	no := func(format string, args ...any) (bool, string, time.Time) {
		return false, fmt.Sprintf(format, args...), time.Time{}
	}
	switch {
	case p.AlertType != s.kind:
		return no("it is for alerts of the type %s", p.AlertType)
	case !p.Enabled:
		return no("it is disabled")
	}
	why, named := p.mismatch(s)
	if why != "" {
		return no("%s", why)
	}
	if p.tooMild(s) {
		return no("its severity %s is below %s", s.severity, p.MinSeverity)
	}
	if names, trial := s.onTrial(); trial && !named {
		if len(names) == 1 {
			return no("%s is a test environment, and the policy does not name it", names[0])
		}
		return no("%s are test environments, and the policy names none of them", few(names))
	}
	if every := p.interval(); every > 0 && !notified.IsZero() && now.Sub(notified) < every {
		why = fmt.Sprintf("it notified of the same subject %s before, and does so at most once in %s",
			durationWords(now.Sub(notified)), p.AlertInterval)
		if !s.lasts {
			return no("%s", why)
		}
		hold = notified.Add(every)
		return true, why + "; the message is held back until then, and sent if this still fires", hold
	}
	return true, "type and filters match", time.Time{}
}

// mismatch says which filter an alert does not match; "" = it matches all. named reports that the filters choose the
// alert's zone by name.
func (p *Policy) mismatch(s *attributes) (why string, named bool) {
	for _, key := range sortedKeys(p.Filters) {
		want := p.Filters[key]
		base, not := strings.CutSuffix(key, notSuffix)
		hit := s.among(base, want, p.zones)
		switch {
		case len(want) == 0:
		case not && hit:
			return fmt.Sprintf("its filter %s excludes %s", key, valuesOf(s, base)), false
		case not:
		case !hit:
			return fmt.Sprintf("its filter %s has %s, and the alert %s", key, few(p.spoken(base, want)), having(s, base)), false
		case base == zonesKey:
			named = true
		}
	}
	return "", named
}

// spoken are a filter's values for people: zones by their names.
func (p *Policy) spoken(key string, values []string) []string {
	if key != zonesKey {
		return values
	}
	list := slices.Clone(values)
	for i, ref := range list {
		if name := p.zoneNames[ref]; name != "" {
			list[i] = name
		}
	}
	return list
}

// unknownZones are the properties that the policy names and the account does
// not have (yet). Its zones are resolved.
func (p *Policy) unknownZones() (list []string) {
	for _, key := range []string{zonesKey, zonesKey + notSuffix} {
		for _, ref := range p.Filters[key] {
			if p.zones[ref] == "" {
				list = append(list, ref)
			}
		}
	}
	return list
}

func valuesOf(s *attributes, key string) string {
	if key == actorsKey && s.kind == TypeAuditEvent {
		return "another actor" // the decision is kept when the actor is erased
	}
	if key == zonesKey && len(s.zones) > 0 {
		return few(namesOf(s.zones))
	}
	return few(s.values(key))
}

func having(s *attributes, key string) string {
	if len(s.values(key)) == 0 {
		return "has no value there"
	}
	return "has " + valuesOf(s, key)
}

func namesOf(zones []Zone) []string {
	list := make([]string, len(zones))
	for i, z := range zones {
		list[i] = z.Name
	}
	return list
}

// few is a list of values in words.
func few(list []string) string {
	const most = 4
	if len(list) > most {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", len(list)-most)
	}
	return strings.Join(list, ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// durationWords is a duration for a sentence: 43 s, 4 min 56 s, 3 h 12 min.
func durationWords(d time.Duration) string {
	d = d.Round(time.Second)
	h := int(d.Hours())
	m := int(d.Minutes()) % 60
	s := int(d.Seconds()) % 60
	switch {
	case h >= 48:
		return fmt.Sprintf("%d days", h/24)
	case h > 0 && m > 0:
		return fmt.Sprintf("%d h %d min", h, m)
	case h > 0:
		return fmt.Sprintf("%d h", h)
	case m > 0 && s > 0:
		return fmt.Sprintf("%d min %d s", m, s)
	case m > 0:
		return fmt.Sprintf("%d min", m)
	}
	return fmt.Sprintf("%d s", s)
}
