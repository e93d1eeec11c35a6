package notify

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/event"
)

// The events of an incident are ordered by when they occurred, at the latest when
// they arrived. Where a sender leaves occurred_at out, or two times are equal, the
// order of arrival holds.

// entry is the result of an alert: its state, the decision, and the messages.
type entry struct {
	state     string
	ended     time.Time // of an alert that has ended when it is stored
	decision  []PolicyResult
	encoded   []byte // decision as JSON; nil = it is not encoded yet
	sends     []sending
	unmatched string
}

// place applies an alert to its incident, whose row is locked. The entry is nil
// when the alert is rejected: a team may not end or repeat an incident of another
// type.
func (s *storing) place(ctx context.Context, p *prepared) (*entry, error) {
	a := &p.alert
	e := &entry{state: stateNotice}
	if a.Event == event.AlertNotice {
		return e, s.evaluatePolicies(ctx, p, e, nil)
	}
	c, err := s.correlation(ctx, p)
	if err != nil {
		return nil, err
	}
	if c.open != nil && c.open.kind != a.Type && p.kind.Team != "" {
		p.foreignCorrelation(c.open.kind)
		return nil, nil
	}
	if c.open != nil && c.open.kind != a.Type || c.last != nil && c.last.kind != a.Type {
		c = &correlation{} // an incident of another type under the same id has no bearing
	}
	starts := a.Event == event.AlertStart
	at := s.occurred(p)
	switch {
	case starts && c.open != nil:
		return e, s.repeat(ctx, p, c, e)
	case starts && c.last != nil && p.timed && at.Before(c.last.ended):
		return e, s.startAfterEnd(ctx, p, c.last, e)
	case starts:
		e.state = stateFiring
		if err := s.evaluatePolicies(ctx, p, e, nil); err != nil {
			return nil, err
		}
		s.setIncident(p, p.key, "", at)
		s.started(p)
		return e, nil
	case c.open != nil && p.timed && at.Before(c.started):
		p.rootKey = c.open.key
		e.state = stateFollowUp
		e.unmatched = "it is older than the start of " + formatTime(c.started) + ", so the alert still fires"
		return e, nil
	case c.open != nil:
		return e, s.end(ctx, p, c, e)
	}
	if foreign, err := s.opensOwn(ctx, p); err != nil || foreign != "" {
		p.foreignCorrelation(foreign)
		return nil, err
	}
	e.state = stateEnded
	e.ended = at
	e.unmatched = "an end without a start: no alert with this correlation id was firing"
	if c.last != nil && c.last.ended.After(at) {
		return e, nil
	}
	s.setIncident(p, "", p.key, time.Time{})
	return e, nil
}

// opensOwn returns the type of Belfry's own alert that is open under the
// correlation id of a team's alert; "" when there is none.
func (s *storing) opensOwn(ctx context.Context, p *prepared) (kind string, err error) {
	if p.own() {
		return "", nil
	}
	if s.touched[incidentKey{p.alert.Account, p.alert.Correlation, true}] {
		if err := s.flush(ctx); err != nil {
			return "", err
		}
	}
	err = s.tx.QueryRow(ctx, `SELECT a.type FROM cause c JOIN alert a ON a.alert_key = c.open_key
		WHERE c.account_id = $1 AND c.correlation_id = $2 AND c.own`, p.alert.Account, p.alert.Correlation).Scan(&kind)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return kind, err
}

// occurred is the time by which an alert is ordered: no later than its arrival.
func (s *storing) occurred(p *prepared) time.Time {
	if p.at.After(s.now) {
		return s.now
	}
	return p.at
}

// repeat handles a start of an incident that already fires. No policy sends twice, but
// policies that have not sent are evaluated again: the severity, the filters or the zones
// of the alert may have changed, and so may the policies.
func (s *storing) repeat(ctx context.Context, p *prepared, c *correlation, e *entry) error {
	open := c.open
	p.rootKey = open.key
	e.state = stateFollowUp
	if p.timed && s.occurred(p).Before(c.started) {
		e.unmatched = "a repeat that is older than the start of " + formatTime(c.started)
		return nil
	}
	if err := p.inherit(open); err != nil {
		return err
	}
	notified, err := s.notifiedBy(ctx, p, open.key)
	if err != nil {
		return err
	}
	asked := &entry{}
	if err := s.evaluatePolicies(ctx, p, asked, notified); err != nil {
		return err
	}
	e.sends = asked.sends
	merged := slices.Clone(open.decision)
	matched := 0
	for _, now := range asked.decision {
		if now.Matched {
			matched++
			now.Why += ", since the repeat of " + formatTime(p.at)
		}
		i := slices.IndexFunc(merged, func(before PolicyResult) bool { return before.PolicyID == now.PolicyID })
		if i < 0 {
			merged = append(merged, now)
		} else {
			merged[i] = now
		}
	}
	if matched == 0 {
		e.unmatched = "a repeat: this has been firing since " + formatTime(open.at) +
			", and every policy that matches has sent its messages"
	} else {
		open.unmatched = ""
	}
	if err := s.refresh(ctx, p, open, merged); err != nil {
		return err
	}
	s.setIncident(p, open.key, "", latest(c.started, s.occurred(p)))
	return nil
}

// inherit fills in the property and severity that a later alert of an incident
// leaves out.
func (p *prepared) inherit(open *opening) error {
	if len(p.zones) == 0 && open.zone.Name != "" {
		p.zone = open.zone
		p.zones = []Zone{open.zone}
	}
	if p.rated || p.alert.Severity == open.severity {
		return nil
	}
	p.alert.Severity = open.severity
	return p.encode()
}

// refresh updates the firing alert with the attributes of a repeat.
func (s *storing) refresh(ctx context.Context, p *prepared, open *opening, decision []PolicyResult) error {
	before, err := json.Marshal(open.decision)
	if err != nil {
		return err
	}
	after, err := json.Marshal(decision)
	if err != nil {
		return err
	}
	if bytes.Equal(before, after) && open.severity == p.alert.Severity && open.zone == p.zone {
		return nil
	}
	_, err = s.tx.Exec(ctx, `UPDATE alert SET severity = $2, zone_id = $3, zone_name = $4, environment = $5,
			decision = $6, unmatched = $7 WHERE alert_key = $1`,
		open.key, p.alert.Severity, p.zone.ID, p.zone.Name, p.zone.Environment, after, open.unmatched)
	return err
}

// notifiedBy returns the policies that have a delivery of an incident's start.
func (s *storing) notifiedBy(ctx context.Context, p *prepared, rootKey string) (map[string]bool, error) {
	list, err := s.startDeliveries(ctx, p, rootKey)
	if err != nil {
		return nil, err
	}
	policies := map[string]bool{}
	for i := range list {
		policies[outgoingOf(&list[i].Item).PolicyID] = true
	}
	return policies, nil
}

// startAfterEnd handles a start that arrives after the end of its incident. No message
// is sent: there is nothing left to do.
func (s *storing) startAfterEnd(ctx context.Context, p *prepared, last *opening, e *entry) error {
	if last.event != event.AlertEnd {
		p.rootKey = last.key
		e.state = stateFollowUp
		e.unmatched = "it arrived after the end of " + formatTime(last.ended)
		return nil
	}
	// The end had arrived without its start, which is this one.
	e.state = stateEnded
	e.ended = last.ended
	e.unmatched = "it arrived after its end, so no message was sent"
	_, err := s.tx.Exec(ctx, `UPDATE alert SET root_key = $2, state = $3, ended_at = 0 WHERE alert_key = $1`,
		last.key, p.key, stateFollowUp)
	if err != nil {
		return err
	}
	s.setIncident(p, "", p.key, time.Time{})
	s.started(p)
	s.ended(p, p.alert.ID, p.subjectTitle(), p.at, last.ended)
	return nil
}

// end ends the incident that fires.
func (s *storing) end(ctx context.Context, p *prepared, c *correlation, e *entry) error {
	open := c.open
	p.rootKey = open.key
	e.state = stateFollowUp
	if err := p.inherit(open); err != nil {
		return err
	}
	if err := s.follow(ctx, p, open, e); err != nil {
		return err
	}
	if len(e.sends) == 0 {
		e.unmatched = "no message about its start was sent"
	}
	p.root = open
	ended := latest(s.occurred(p), open.at)
	s.endings = append(s.endings, []any{open.key, stateEnded, ended.UnixMicro()})
	s.setIncident(p, "", open.key, time.Time{})
	name := subjectTitle(open.resource, p.kind.Title, cmp.Or(open.summary, p.title()))
	s.ended(p, open.id, name, open.at, ended)
	return nil
}

// started notes for the audit log that an alert started.
func (s *storing) started(p *prepared) {
	s.events = append(s.events, alertEvent{
		alertGroup: alertGroup{p.alert.Account, p.zone.ID, p.alert.Type, "start"},
		zoneName:   p.zone.Name,
		id:         p.alert.ID,
		name:       p.subjectTitle(),
		at:         p.at,
		metadata: map[string]any{
			"correlation_id": p.alert.Correlation,
			"severity":       p.alert.Severity,
			"summary":        p.title(),
		},
	})
}

// ended notes for the audit log that an alert ended.
func (s *storing) ended(p *prepared, alertID, name string, from, to time.Time) {
	s.events = append(s.events, alertEvent{
		alertGroup: alertGroup{p.alert.Account, p.zone.ID, p.alert.Type, "end"},
		zoneName:   p.zone.Name,
		id:         alertID,
		name:       name,
		at:         to,
		metadata:   map[string]any{"correlation_id": p.alert.Correlation, "lasted": durationWords(to.Sub(from))},
	})
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
