package notify

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// previewed is the period that a dry run of a policy covers.
const previewed = 7 * 24 * time.Hour

// Preview is the result of a dry run of a policy.
type Preview struct {
	Matched  int       `json:"matched"`
	Looked   int       `json:"considered" doc:"Alerts of its type in the last 7 days, at most 10,000"`
	Sentence string    `json:"sentence"`
	Examples []Example `json:"examples" doc:"The newest, at most 20, matched or not"`
	// Messages show how an alert of the type looks in each channel.
	Messages []SampleMessage `json:"messages" doc:"How an alert of this type looks in each channel, from the sample of its catalogue"`
}

// SampleMessage is a message of a sample alert, as a channel writes it.
type SampleMessage struct {
	MechanismType string `json:"mechanism_type" enum:"webhook,email,pagerduty,inbox"`
	Subject       string `json:"subject,omitempty" doc:"Of mail"`
	Body          string `json:"body"`
}

// Example is one alert in a preview.
type Example struct {
	ID         string   `json:"id"`
	Summary    string   `json:"summary"`
	OccurredAt web.Time `json:"occurred_at"`
	Matched    bool     `json:"matched"`
	Why        string   `json:"why"`
}

// Preview evaluates a policy, which need not be stored, for the alerts of the last
// week.
func (n *Feature) Preview(ctx context.Context, accountID string, p Policy) (out Preview, err error) {
	faults, err := n.checkDraft(ctx, accountID, &p)
	if err = or(err, faults.Or()); err != nil {
		return out, err
	}
	p.account = accountID
	p.Enabled = true
	if err := n.resolveZones(ctx, &p); err != nil {
		return out, err
	}
	n.resolveRules(ctx, &p)
	kind, err := n.AlertType(ctx, p.AlertType)
	if err != nil {
		return out, err
	}
	type row struct {
		Example
		content []byte
		at      int64
		ended   int64
	}
	var rows []row
	scan := func(one db.Row) (r row, err error) {
		err = one.Scan(&r.ID, &r.Summary, &r.at, &r.ended, &r.content)
		return r, err
	}
	err = n.DB.View(ctx, func(tx *db.Tx) (err error) {
		rows, err = db.Collect(ctx, tx, scan, `SELECT id, summary, occurred_at, ended_at, content FROM alert
			WHERE account_id = $1 AND type = $2 AND state <> 'part' AND occurred_at > $3 AND event <> 'end'
			ORDER BY occurred_at DESC, alert_key DESC LIMIT $4`,
			accountID, p.AlertType, n.Now().Add(-previewed).UnixMicro(), countMost)
		return err
	})
	if err != nil {
		return out, err
	}
	notified := map[string]time.Time{} // in the order of time: the oldest first
	for _, r := range slices.Backward(rows) {
		one := prepared{kind: kind}
		if err := json.Unmarshal(r.content, &one.alert); err != nil {
			return out, err
		}
		if err := n.resolveZone(ctx, &one); err != nil {
			return out, err
		}
		s := one.attributes()
		at := time.UnixMicro(r.at)
		r.OccurredAt = timeOf(r.at)
		var hold time.Time
		r.Matched, r.Why, hold = evaluate(&p, s, notified[s.subject], at)
		if ended := time.UnixMicro(r.ended); r.Matched && !hold.IsZero() && r.ended > 0 && !ended.After(hold) {
			r.Matched = false
			r.Why = "it ended while the policy's interval held the message back"
		}
		until, dropped := p.within(s, latest(at, hold))
		if r.Matched && dropped != "" {
			r.Matched = false
			r.Why = dropped
		}
		if ended := time.UnixMicro(r.ended); r.Matched && !until.IsZero() && r.ended > 0 && !ended.After(until) {
			r.Matched = false
			r.Why = "it ended before the hours of the policy began"
		}
		if r.Matched {
			out.Matched++
			notified[s.subject] = latest(at, latest(hold, until))
		}
		out.Examples = append(out.Examples, r.Example)
		if len(out.Examples) > 20 {
			out.Examples = out.Examples[1:]
		}
	}
	slices.Reverse(out.Examples)
	if out.Examples == nil {
		out.Examples = []Example{}
	}
	if out.Messages, err = n.sampleMessages(ctx, &p); err != nil {
		return out, err
	}
	out.Looked = len(rows)
	out.Sentence = "It would have matched " + plural(out.Matched, "alert", "alerts") + " of " + itoa(out.Looked) +
		" in the last 7 days."
	return out, nil
}

// Pretty is the body; JSON with a line for each member.
func (m SampleMessage) Pretty() string { return indented(m.Body) }

// sampleMessages renders the sample of a policy's alert type in every channel.
func (n *Feature) sampleMessages(ctx context.Context, p *Policy) (list []SampleMessage, err error) {
	kind, err := n.AlertType(ctx, p.AlertType)
	if err != nil || kind == nil {
		return []SampleMessage{}, err
	}
	m := n.sampleMessage(kind, p)
	m.Zone = n.TimeZone(ctx, p.account)
	list = []SampleMessage{}
	for _, name := range []string{KindEmail, KindWebhook} {
		channel := n.channelOf(name, "")
		if channel == nil {
			continue
		}
		rendered, err := channel.Preview(m)
		if err != nil {
			return nil, err
		}
		list = append(list, SampleMessage{MechanismType: name, Subject: rendered.Subject, Body: rendered.Body})
	}
	return list, nil
}

// sampleMessage is the message of a sample alert of a type.
func (n *Feature) sampleMessage(kind *AlertType, p *Policy) *Message {
	now := n.Now()
	zone := "shop.example"
	if names := p.spoken(zonesKey, p.Filters[zonesKey]); len(names) > 0 {
		zone = names[0]
	}
	severity := "critical"
	if len(kind.Severities) > 0 {
		severity = kind.Severities[len(kind.Severities)-1]
	}
	if only := p.Filters[severityKey]; len(only) > 0 {
		severity = only[0]
	}
	m := &Message{
		ID:       "sample",
		Sent:     now,
		Account:  p.account,
		PolicyID: p.ID,
		Policy:   p.Name,
		AlertID:  "sample",
		Type:     kind.Type,
		Title:    kind.Title,
		Event:    event.AlertStart,
		Severity: severity,
		At:       now,
		Began:    now,
		Summary:  alertTitle(&event.Alert{}, kind.Title, zone),
		Data:     kind.Sample,
		URL:      n.alertURL(p.account, "sample"),
		AckURL:   n.ackURL("sample"),
	}
	m.Correlation = "sample"
	m.sanitize()
	return m
}
