package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// evaluatePolicies evaluates the policies of the alert's type, except those in
// notified, and writes into e what is sent and why not.
func (s *storing) evaluatePolicies(ctx context.Context, p *prepared, e *entry, notified map[string]bool) error {
	attr := p.attributes()
	key := p.alert.Account + attr.key()
	if d := s.decided[key]; d != nil && notified == nil {
		e.decide(d)
		return nil
	}
	once := notified == nil // the decision depends on nothing but the attributes
	for i := range s.policies[p.alert.Account].list {
		policy := &s.policies[p.alert.Account].list[i]
		if policy.AlertType != p.alert.Type || notified[policy.ID] {
			continue
		}
		once = once && policy.AlertInterval == ""
		considered, sends, err := s.consider(ctx, p, policy, attr)
		if err != nil {
			return err
		}
		e.decision = append(e.decision, considered)
		e.sends = append(e.sends, sends...)
	}
	switch {
	case len(e.decision) == 0:
		e.unmatched = fmt.Sprintf("the account has no policy for alerts of the type %s", p.alert.Type)
	case !slices.ContainsFunc(e.decision, func(c PolicyResult) bool { return c.Matched }):
		e.unmatched = fmt.Sprintf("no policy matched: %s %s", quoted(e.decision[0].Policy), e.decision[0].Why)
		if len(e.decision) > 1 {
			e.unmatched = fmt.Sprintf("none of %d policies matched", len(e.decision))
		}
	}
	if !once {
		return nil
	}
	encoded, err := json.Marshal(e.decision)
	if err != nil {
		return err
	}
	s.decided[key] = &decided{
		policies:  slices.Clip(e.decision),
		encoded:   encoded,
		sends:     slices.Clip(e.sends),
		unmatched: e.unmatched,
	}
	e.decide(s.decided[key])
	return nil
}

// decided is the decision on all alerts of a transaction with the same attributes. It
// is never changed.
type decided struct {
	policies  []PolicyResult
	encoded   []byte // policies as JSON
	sends     []sending
	unmatched string
}

func (e *entry) decide(d *decided) {
	e.decision = d.policies
	e.encoded = d.encoded
	e.sends = d.sends
	e.unmatched = d.unmatched
}

// key is equal for alerts on which policies without an interval decide alike.
func (s *attributes) key() string {
	var b strings.Builder
	write := func(text string) {
		b.WriteString(strconv.Itoa(len(text)))
		b.WriteByte(':')
		b.WriteString(text)
	}
	write(s.kind)
	write(s.severity)
	write(s.zoneRef)
	b.WriteString(strconv.Itoa(len(s.zones)))
	for _, z := range s.zones {
		write(z.ID)
		write(z.Name)
		write(z.Environment)
	}
	for _, key := range sortedKeys(s.filters) {
		write(key)
		b.WriteString(strconv.Itoa(len(s.filters[key])))
		for _, value := range s.filters[key] {
			write(value)
		}
	}
	return b.String()
}

// consider evaluates one policy.
func (s *storing) consider(ctx context.Context, p *prepared, policy *Policy, attr *attributes) (
	c PolicyResult, sends []sending, err error,
) {
	var last time.Time
	if policy.AlertInterval != "" {
		if last, err = s.lastNotified(ctx, policy.ID, attr.subject); err != nil {
			return c, nil, err
		}
	}
	c = PolicyResult{PolicyID: policy.ID, Policy: policy.Name}
	var hold time.Time
	c.Matched, c.Why, hold = evaluate(policy, attr, last, p.at)
	refuse := func(why string) (PolicyResult, []sending, error) {
		c.Matched = false
		c.Why = why
		return c, nil, nil
	}
	if !c.Matched {
		return c, nil, nil
	}
	if silence, why := silencedBy(s.policies[p.alert.Account].silences, policy, attr, s.now); silence != "" {
		c.SilencedBy = silence
		return refuse(why)
	}
	until, dropped := policy.within(attr, latest(s.now, hold))
	if dropped != "" {
		return refuse(dropped)
	}
	if !until.IsZero() {
		hold = until
		c.Why = "its hours are " + policy.Schedule.words(policy.scheduleZone) + "; the message is held back until they begin"
	}
	if policy.Digest != nil {
		due := policy.Digest.due(latest(s.now, hold), policy.digestZone)
		c.Why = "it is collected for the message of " + formatTime(due)
		return c, []sending{{policyID: policy.ID, digest: due}}, nil
	}
	targets, err := s.targets(ctx, policy)
	if err != nil {
		return c, nil, err
	}
	if len(targets) == 0 {
		return refuse("it has no destination")
	}
	held := hold.After(s.now)
	if policy.AlertInterval != "" && !held {
		// A held message counts when it is sent: its alert may end before.
		at := latest(p.at, hold).UnixMicro()
		if err := markNotified(ctx, s.tx, map[told]int64{{policy.ID, attr.subject}: at}); err != nil {
			return c, nil, err
		}
	}
	for _, t := range targets {
		x := sending{policyID: policy.ID, policy: policy.Name, target: t}
		if held {
			x.hold = hold
			x.why = "held back until " + formatTime(hold) + ": " + c.Why
		}
		if held && policy.AlertInterval != "" {
			x.heldFor = attr.subject
		}
		sends = append(sends, x)
	}
	if len(policy.Escalation) > 0 && attr.lasts {
		sends = append(sends, sending{policyID: policy.ID, steps: policy.dueSteps(latest(s.now, hold))})
	}
	return c, sends, nil
}
