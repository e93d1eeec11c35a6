package notify

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// rules are the parts of a policy that are stored as JSON.
type rules struct {
	MinSeverity string           `json:"min_severity,omitempty"`
	Schedule    *Schedule        `json:"schedule,omitempty"`
	Digest      *Digest          `json:"digest,omitempty"`
	Escalation  []EscalationStep `json:"escalation,omitempty"`
}

func (p *Policy) encodeRules() (string, error) {
	b, err := json.Marshal(rules{p.MinSeverity, p.Schedule, p.Digest, p.Escalation})
	return string(b), err
}

func (p *Policy) decodeRules(text string) error {
	if text == "{}" {
		return nil
	}
	var r rules
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return err
	}
	p.MinSeverity = r.MinSeverity
	p.Schedule = r.Schedule
	p.Digest = r.Digest
	p.Escalation = r.Escalation
	return nil
}

// settle drops rules that say nothing: an empty object removes one.
func (p *Policy) settle() {
	if p.Schedule != nil && len(p.Schedule.Hours) == 0 && p.Schedule.Outside == "" {
		p.Schedule = nil
	}
	if p.Digest != nil && *p.Digest == (Digest{}) {
		p.Digest = nil
	}
}

// every are the mechanisms of the policy and of its escalation.
func (p *Policy) every() Mechanisms {
	all := p.Mechanisms
	for _, step := range p.Escalation {
		all.Email = slices.Concat(all.Email, step.Mechanisms.Email)
		all.Webhooks = slices.Concat(all.Webhooks, step.Mechanisms.Webhooks)
		all.PagerDuty = slices.Concat(all.PagerDuty, step.Mechanisms.PagerDuty)
		all.Inbox = slices.Concat(all.Inbox, step.Mechanisms.Inbox)
	}
	return all
}

// checkRules returns the faults of a policy's rules. kind is its type; nil = it is not known.
func (n *Feature) checkRules(
	ctx context.Context, accountID string, p *Policy, kind *AlertType, fault func(errs.Code, string, string, ...any),
) error {
	severity := func(at, name string) {
		if kind != nil && !slices.Contains(kind.Severities, name) {
			fault(errs.CodeInvalid, at, "alerts of the type %s have no severity %s; they have %s",
				kind.Type, quoted(name), few(kind.Severities))
		}
	}
	if p.MinSeverity != "" {
		severity("/min_severity", p.MinSeverity)
	}
	if p.Schedule != nil {
		checkSchedule(p.Schedule, fault)
		for i, name := range p.Schedule.Except {
			severity("/schedule/except/"+itoa(i), name)
		}
	}
	if p.Digest != nil {
		checkDigest(p, fault)
	}
	return n.checkEscalation(ctx, accountID, p, fault)
}

func checkSchedule(s *Schedule, fault func(errs.Code, string, string, ...any)) {
	if !account.ValidTimeZone(s.TimeZone) {
		fault(errs.CodeInvalid, "/schedule/time_zone", "%s", zoneFault)
	}
	if s.Outside != outsideDrop && s.Outside != outsideHold {
		fault(errs.CodeInvalid, "/schedule/outside", "outside is drop or hold")
	}
	if len(s.Hours) == 0 {
		fault(errs.CodeMissingField, "/schedule/hours",
			"hours needs at least one range, such as {\"days\":[\"mon\"],\"from\":\"09:00\",\"to\":\"17:00\"}")
	}
	for i, h := range s.Hours {
		at := "/schedule/hours/" + itoa(i)
		if len(h.Days) == 0 {
			fault(errs.CodeMissingField, at+"/days", "days needs at least one of mon, tue, wed, thu, fri, sat, sun")
		}
		for _, day := range h.Days {
			if !slices.Contains(weekdays, day) {
				fault(errs.CodeInvalid, at+"/days", "%s is not a day; days are mon, tue, wed, thu, fri, sat, sun", quoted(day))
			}
		}
		if minutes, ok := clock(h.From); !ok || minutes == minutesOfDay {
			fault(errs.CodeInvalid, at+"/from", "from is a time such as 09:00")
		}
		if _, ok := clock(h.To); !ok {
			fault(errs.CodeInvalid, at+"/to", "to is a time such as 17:30, up to 24:00")
		}
	}
}

const zoneFault = "time_zone is UTC or a name of the IANA database, such as Europe/Berlin; leave it out for the account's"

func checkDigest(p *Policy, fault func(errs.Code, string, string, ...any)) {
	d := p.Digest
	if (d.Every == "") == (d.At == "") {
		fault(errs.CodeInvalid, "/digest", "a digest has either every or at")
		return
	}
	if d.Every != "" {
		every, err := parseInterval(d.Every)
		if err != nil || every < shortestDigest || every > longestDigest {
			fault(errs.CodeInvalid, "/digest/every", "every is a time between 5m and 24h, such as 15m or 1h")
		}
	}
	if minutes, ok := clock(d.At); d.At != "" && (!ok || minutes == minutesOfDay) {
		fault(errs.CodeInvalid, "/digest/at", "at is a time such as 08:00")
	}
	if !account.ValidTimeZone(d.TimeZone) {
		fault(errs.CodeInvalid, "/digest/time_zone", "%s", zoneFault)
	}
	if len(p.Mechanisms.PagerDuty) > 0 {
		fault(errs.CodeInvalid, "/digest", "a digest cannot be sent to PagerDuty, which opens an incident for each alert")
	}
	if len(p.Mechanisms.Inbox) > 0 {
		fault(errs.CodeInvalid, "/digest", "a digest cannot be sent to an inbox, which has an entry for each alert")
	}
	if len(p.Escalation) > 0 {
		fault(errs.CodeInvalid, "/digest", "a policy with a digest has no escalation: a digest cannot be acknowledged")
	}
	if p.AlertInterval != "" {
		fault(errs.CodeInvalid, "/digest", "a policy with a digest has no alert_interval: the digest is the interval")
	}
}

func (n *Feature) checkEscalation(
	ctx context.Context, accountID string, p *Policy, fault func(errs.Code, string, string, ...any),
) error {
	if len(p.Escalation) > maxSteps {
		fault(errs.CodeOutOfRange, "/escalation", "an escalation has at most %d steps", maxSteps)
		return nil
	}
	seen := map[string]bool{}
	p.Mechanisms.note(seen)
	var before time.Duration
	for i, step := range p.Escalation {
		at := "/escalation/" + itoa(i)
		after, err := parseInterval(step.After)
		switch {
		case err != nil || after < shortestEscape || after > longestStep:
			fault(errs.CodeInvalid, at+"/after", "after is a time between 1m and 7d, such as 10m")
		case after <= before:
			fault(errs.CodeInvalid, at+"/after", "each step comes later than the one before it")
		}
		before = max(before, after)
		if step.Mechanisms.none() {
			fault(errs.CodeMissingField, at+"/mechanisms", "mechanisms needs at least one email, webhook, pagerduty or inbox")
		}
		below := func(code errs.Code, pointer, format string, args ...any) { fault(code, at+pointer, format, args...) }
		if err := n.checkMechanisms(ctx, accountID, &step.Mechanisms, seen, below); err != nil {
			return err
		}
	}
	return nil
}

// note adds the destinations to those that are seen.
func (m *Mechanisms) note(seen map[string]bool) {
	for _, e := range m.Email {
		seen[foldAddress(e.ID)] = true
	}
	for _, h := range slices.Concat(m.hooks(), m.Inbox) {
		seen[h.ID] = true
	}
	for _, one := range m.Inbox {
		seen[KindInbox+" "+one.ID] = true
	}
}

// zoneOf is the time zone that a rule names; the account's when it names none.
func (n *Feature) zoneOf(ctx context.Context, accountID, name string) *time.Location {
	if name != "" {
		if zone, err := time.LoadLocation(name); err == nil {
			return zone
		}
	}
	return n.TimeZone(ctx, accountID)
}

// resolveRules finds the time zones of a policy's rules.
func (n *Feature) resolveRules(ctx context.Context, p *Policy) {
	if p.Schedule != nil {
		p.scheduleZone = n.zoneOf(ctx, p.account, p.Schedule.TimeZone)
	}
	if p.Digest != nil {
		p.digestZone = n.zoneOf(ctx, p.account, p.Digest.TimeZone)
	}
}

// tooMild reports whether an alert is milder than the policy wants.
func (p *Policy) tooMild(s *attributes) bool {
	least := slices.Index(s.severities, p.MinSeverity)
	return p.MinSeverity != "" && slices.Index(s.severities, s.severity) < least
}

// within applies the schedule to a message that is sent at a time: until is when it is sent, dropped why it is not.
func (p *Policy) within(s *attributes, at time.Time) (until time.Time, dropped string) {
	if p.Schedule == nil {
		return time.Time{}, ""
	}
	return p.Schedule.allows(s.severity, at, p.scheduleZone)
}

// sentence describes the rules for people; "" = there are none.
func (p *Policy) ruleSentence() string {
	var list []string
	if p.MinSeverity != "" {
		list = append(list, "from "+p.MinSeverity+" up")
	}
	if s := p.Schedule; s != nil {
		word := "others are dropped"
		if s.Outside == outsideHold {
			word = "others wait for the next hours"
		}
		list = append(list, s.words(p.scheduleZone)+"; "+word)
	}
	if d := p.Digest; d != nil {
		if d.At != "" {
			list = append(list, "one message a day at "+d.At)
		} else {
			list = append(list, "one message every "+d.Every)
		}
	}
	for _, step := range p.Escalation {
		count := len(step.Mechanisms.Email) + len(step.Mechanisms.hooks()) + len(step.Mechanisms.Inbox)
		list = append(list, "after "+step.After+" without acknowledgement to "+
			plural(count, "further destination", "further destinations"))
	}
	return strings.Join(list, "; ")
}
