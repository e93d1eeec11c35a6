package notify

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// A policy with a digest makes no messages for its alerts. They are collected, in the transaction that stores them,
// and one message for each destination is made when they are due.

var digestItemColumns = []string{
	"policy_id",
	"alert_key",
	"account_id",
	"due_at",
}

var escalationColumns = []string{
	"alert_key",
	"policy_id",
	"step",
	"account_id",
	"due_at",
}

// collect gathers what an alert adds to digests and escalations.
func (s *storing) collect(p *prepared, e *entry) {
	for _, x := range e.sends {
		if !x.digest.IsZero() {
			s.digested = append(s.digested, []any{
				x.policyID,
				p.rootKey,
				p.alert.Account,
				x.digest.UnixMicro(),
			})
		}
		for step, due := range x.steps {
			s.escalated = append(s.escalated, []any{
				p.rootKey,
				x.policyID,
				step,
				p.alert.Account,
				due.UnixMicro(),
			})
		}
	}
}

// writeRules writes what was gathered for digests and escalations.
func (s *storing) writeRules(ctx context.Context) error {
	digested := s.digested
	escalated := s.escalated
	s.digested = nil
	s.escalated = nil
	err := s.tx.Insert(ctx, "digest_item", digestItemColumns, "ON CONFLICT DO NOTHING", digested)
	if err != nil {
		return err
	}
	return s.tx.Insert(ctx, "escalation", escalationColumns, "ON CONFLICT DO NOTHING", escalated)
}

const (
	digestsAtOnce = 50
	mostDigested  = 100 // alerts that a digest lists; it counts the others

	// digestPayload begins the payload of a digest's deliveries; its id follows.
	digestPayload = "digest:"
)

// eventDigest is the event of a delivery of a digest.
const eventDigest = event.AlertEvent("digest")

// sendDigests makes the digests that are due.
func (n *Feature) sendDigests(ctx context.Context) error {
	type waiting struct{ policy, account string }
	scan := func(row db.Row) (w waiting, err error) {
		err = row.Scan(&w.policy, &w.account)
		return w, err
	}
	now := n.Now()
	var list []waiting
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		list, err = db.Collect(ctx, tx, scan, `SELECT DISTINCT policy_id, account_id FROM digest_item
			WHERE due_at <= $1 LIMIT $2`, now.UnixMicro(), digestsAtOnce)
		return err
	})
	for _, w := range list {
		var items []*delivery.Item
		err = n.DB.Tx(ctx, func(tx *db.Tx) (err error) {
			items, err = n.makeDigest(ctx, tx, w.account, w.policy, now)
			return err
		})
		if err != nil {
			return err
		}
		n.queue.Offer(items)
	}
	return err
}

// makeDigest makes the deliveries of a policy's digest. Another process that was first has deleted the rows.
func (n *Feature) makeDigest(
	ctx context.Context, tx *db.Tx, accountID, policyID string, now time.Time,
) ([]*delivery.Item, error) {
	keys, err := db.Collect(ctx, tx, db.ScanText, `DELETE FROM digest_item WHERE policy_id = $1 AND due_at <= $2
		RETURNING alert_key`, policyID, now.UnixMicro())
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	policies, err := db.Collect(ctx, tx, scanPolicy, selectPolicy+` AND id = $2`, accountID, policyID)
	if err != nil || len(policies) == 0 || !policies[0].Enabled {
		return nil, err
	}
	p := &policies[0]
	slices.Sort(keys)
	listed, err := json.Marshal(keys[:min(len(keys), mostDigested)])
	if err != nil {
		return nil, err
	}
	digestID := n.ids.next(now)
	_, err = tx.Exec(ctx, `INSERT INTO digest (id, account_id, alert_type, alert_keys, total) VALUES ($1, $2, $3, $4, $5)`,
		digestID, accountID, p.AlertType, string(listed), len(keys))
	if err != nil {
		return nil, err
	}
	targets, err := n.newStoring(tx).targets(ctx, p)
	if err != nil {
		return nil, err
	}
	items := make([]*delivery.Item, len(targets))
	for i, t := range targets {
		items[i] = n.policyItem(p, t, eventDigest)
		items[i].Payload = digestPayload + digestID
	}
	return items, n.queue.Insert(ctx, tx, items)
}

// fillDigest adds the alerts of a digest to a message, as they are now.
func (n *Feature) fillDigest(ctx context.Context, m *Message, digestID string) error {
	var keys string
	var total int
	var alerts []Alert
	err := n.DB.View(ctx, func(tx *db.Tx) error {
		err := tx.QueryRow(ctx, `SELECT alert_type, alert_keys, total FROM digest WHERE id = $1`, digestID).
			Scan(&m.Type, &keys, &total)
		if err != nil {
			return err
		}
		var list []string
		if err := json.Unmarshal([]byte(keys), &list); err != nil {
			return err
		}
		args := []any{m.Account}
		alerts, err = db.Collect(ctx, tx, scanAlert, alertView+` WHERE account_id = $1 AND alert_key IN (`+
			db.Parameters(&args, list)+`) ORDER BY occurred_at, alert_key`, args...)
		return err
	})
	if err != nil {
		return err
	}
	m.Title = m.Type
	kind, err := n.AlertType(ctx, m.Type)
	if err == nil && kind != nil {
		m.Title = kind.Title
	}
	firing := 0
	lines := []digestLine{}
	for i := range alerts {
		a := &alerts[i]
		if a.State == stateFiring {
			firing++
		}
		if m.Severity == "" || a.State == stateFiring {
			m.Severity = a.Severity
		}
		m.Digest = append(m.Digest, Change{
			EventID: a.ID,
			At:      a.OccurredAt.Time,
			Summary: timeText(a.OccurredAt.Time, m.Zone) + ": " + a.subjectTitle(kind) + " (" + a.State + ")",
			URL:     n.alertURL(m.Account, a.ID),
		})
		lines = append(lines, digestLine{a.ID, a.Summary, a.State, a.Severity, formatTime(a.OccurredAt.Time),
			n.alertURL(m.Account, a.ID)})
	}
	m.Event = event.AlertNotice
	m.DigestMore = total - len(alerts)
	m.Correlation = digestID
	m.AlertID = digestID
	m.Summary = plural(total, "alert", "alerts") + " of the type " + m.Title + ", " + itoa(firing) + " of them firing now"
	m.Subject = m.Summary
	m.URL = n.URL + AlertsPath(m.Account) + "?type=" + m.Type
	m.Data, err = json.Marshal(map[string]any{"total": total, "firing": firing, "alerts": lines})
	return err
}

// digestLine is an alert in the data of a digest.
type digestLine struct {
	ID         string `json:"id"`
	Summary    string `json:"summary"`
	State      string `json:"state"`
	Severity   string `json:"severity"`
	OccurredAt string `json:"occurred_at"`
	URL        string `json:"url"`
}

// digestOf is the id of the digest that a delivery sends; "" = it sends an alert.
func digestOf(it *delivery.Item) string {
	digestID, ok := strings.CutPrefix(it.Payload, digestPayload)
	if !ok {
		return ""
	}
	return digestID
}

// pruneDigests deletes digests that were made before a time.
func (n *Feature) pruneDigests(ctx context.Context, oldest string) error {
	return n.DB.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM digest WHERE id IN (SELECT id FROM digest WHERE id < $1 LIMIT $2)`,
			oldest, pruneBatch)
		return err
	})
}
