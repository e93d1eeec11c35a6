package notify

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// Belfry records when an alert starts, ends, and is delivered first. A storm of
// alerts must not become a storm of audit events, so these are gathered: the
// first few of a group in a window are recorded one by one, and the further ones
// are counted in the group's row, in the transaction in which they happen. When
// the window ends, the row becomes one audit event and is deleted, in one
// transaction: a process that dies loses no count and repeats none, and of
// several processes one records it.

const (
	gatherWindow = time.Minute
	gatherSingly = 5  // events of a group that a window records one by one
	gatherIDs    = 20 // alerts that a gathered event names
	gatherEnds   = 500
)

// alertGroup is the alerts of one type and property to which the same happened.
type alertGroup struct{ account, zone, alertType, action string }

func (g alertGroup) compare(h alertGroup) int {
	return cmp.Or(cmp.Compare(g.account, h.account), cmp.Compare(g.zone, h.zone),
		cmp.Compare(g.alertType, h.alertType), cmp.Compare(g.action, h.action))
}

// alertEvent is an event of one alert, for the audit log; Belfry is the actor.
type alertEvent struct {
	alertGroup
	zoneName, id, name string
	at                 time.Time
	metadata           map[string]any
}

func (x *alertEvent) audit() event.Audit {
	e := feature.By(event.NewAudit(x.account, x.action, resourceAlert, x.id, cut(x.name, 200)), feature.Belfry())
	e.OccurredAt = formatTime(x.at)
	e.Zone = x.zone
	e.Metadata = x.metadata
	e.Metadata["alert_type"] = x.alertType
	return e
}

// firstDeliveries notes which alerts had their first delivery, for the audit log too.
func (n *Feature) firstDeliveries(
	ctx context.Context, tx *db.Tx, list []*delivery.Outcome,
) (first []alertEvent, err error) {
	now := n.Now()
	rows := make([][]any, len(list))
	for i, o := range list {
		rows[i] = []any{o.Item.Subject, now.UnixMicro()}
	}
	notified := map[string]bool{}
	err = tx.Join(ctx, []string{"alert_key", "at"}, rows, `INSERT INTO notified (alert_key, at)
		SELECT alert_key, at FROM input WHERE TRUE ON CONFLICT (alert_key) DO NOTHING RETURNING alert_key`,
		func(row db.Row) error {
			key, err := db.ScanText(row)
			notified[key] = true
			return err
		})
	for _, o := range list {
		if notified[o.Item.Subject] {
			delete(notified, o.Item.Subject) // the others of the batch are not the first
			first = append(first, firstDelivery(o, now))
		}
	}
	return first, err
}

func firstDelivery(o *delivery.Outcome, now time.Time) alertEvent {
	it := o.Item
	m := o.Message.(*Message)
	return alertEvent{
		alertGroup: alertGroup{it.Tenant, m.root.zone.ID, m.root.kind, "deliver"},
		zoneName:   m.root.zone.Name,
		id:         m.root.id,
		name:       cmp.Or(m.Subject, m.root.summary),
		at:         now,
		metadata: map[string]any{
			"destination":    cmp.Or(m.Name, it.Destination),
			"policy":         m.Policy,
			"delivery_id":    it.ID,
			"correlation_id": it.Lane,
		},
	}
}

// recordAlerts records or gathers the events of a transaction, and reports
// whether it recorded any. It locks rows in the order of their groups, so it is
// the last of its transaction that waits for another.
func (n *Feature) recordAlerts(ctx context.Context, tx *db.Tx, list []alertEvent) (recorded bool, err error) {
	groups := map[alertGroup][]*alertEvent{}
	var order []alertGroup
	for i := range list {
		g := list[i].alertGroup
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], &list[i])
	}
	slices.SortFunc(order, alertGroup.compare)
	counted := map[*alertEvent]bool{}
	for _, g := range order {
		further, err := n.gather(ctx, tx, groups[g])
		if err != nil {
			return false, err
		}
		for _, x := range further {
			counted[x] = true
		}
	}
	var events []event.Audit
	for i := range list { // in the order in which they happened
		if !counted[&list[i]] {
			events = append(events, list[i].audit())
		}
	}
	if len(events) == 0 {
		return false, nil
	}
	return true, n.Record(ctx, tx, events...)
}

// gather counts the events of one group, and returns the events that are not
// recorded one by one.
func (n *Feature) gather(ctx context.Context, tx *db.Tx, list []*alertEvent) (further []*alertEvent, err error) {
	g := list[0].alertGroup
	var count, gathered, from, to int64
	var text string
	err = tx.QueryRow(ctx, `INSERT INTO gathered (account_id, zone_id, alert_type, action, zone_name, until_at, n,
			further, alert_ids, last_id, from_at, to_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, '[]', '', 0, 0)
		ON CONFLICT (account_id, zone_id, alert_type, action) DO UPDATE SET n = gathered.n + excluded.n
		RETURNING n, further, alert_ids, from_at, to_at`,
		g.account, g.zone, g.alertType, g.action, list[0].zoneName, n.Now().Add(gatherWindow).UnixMicro(), len(list)).
		Scan(&count, &gathered, &text, &from, &to)
	if err != nil {
		return nil, err
	}
	singly := max(0, gatherSingly-(int(count)-len(list)))
	if singly >= len(list) {
		return nil, nil
	}
	further = list[singly:]
	var ids []string
	if err := json.Unmarshal([]byte(text), &ids); err != nil {
		return nil, err
	}
	for i, x := range further {
		if len(ids) < gatherIDs {
			ids = append(ids, x.id)
		}
		at := x.at.UnixMicro()
		if gathered == 0 && i == 0 {
			from, to = at, at
		}
		from, to = min(from, at), max(to, at)
	}
	names, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `UPDATE gathered SET further = further + $5, alert_ids = $6, last_id = $7,
			from_at = $8, to_at = $9
		WHERE account_id = $1 AND zone_id = $2 AND alert_type = $3 AND action = $4`,
		g.account, g.zone, g.alertType, g.action, len(further), string(names), further[len(further)-1].id, from, to)
	return further, err
}

// recordGathered records the groups whose window has ended.
func (n *Feature) recordGathered(ctx context.Context) error {
	for {
		now := n.Now().UnixMicro()
		ended, err := n.endedGroups(ctx, now)
		if err != nil || len(ended) == 0 {
			return err
		}
		titles := map[string]string{}
		for _, g := range ended {
			kind, err := n.AlertType(ctx, g.alertType)
			if err != nil {
				return err
			}
			titles[g.alertType] = g.alertType // of a type that is no longer declared
			if kind != nil {
				titles[g.alertType] = cmp.Or(kind.Title, g.alertType)
			}
		}
		err = n.Change(ctx, func(tx *db.Tx) error {
			for _, g := range ended {
				if err := n.endGroup(ctx, tx, g, titles[g.alertType], now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(ended) < gatherEnds {
			return err
		}
	}
}

func (n *Feature) endedGroups(ctx context.Context, now int64) (list []alertGroup, err error) {
	scan := func(row db.Row) (g alertGroup, err error) {
		err = row.Scan(&g.account, &g.zone, &g.alertType, &g.action)
		return g, err
	}
	err = n.DB.View(ctx, func(tx *db.Tx) (err error) {
		list, err = db.Collect(ctx, tx, scan, `SELECT account_id, zone_id, alert_type, action FROM gathered
			WHERE until_at <= $1 ORDER BY until_at LIMIT $2`, now, gatherEnds)
		return err
	})
	slices.SortFunc(list, alertGroup.compare)
	return list, err
}

// endGroup deletes a group's row and records its further events as one. Without the
// row, another process was first.
func (n *Feature) endGroup(ctx context.Context, tx *db.Tx, g alertGroup, title string, now int64) error {
	var zoneName, text, last string
	var further, from, to int64
	err := tx.QueryRow(ctx, `DELETE FROM gathered
		WHERE account_id = $1 AND zone_id = $2 AND alert_type = $3 AND action = $4 AND until_at <= $5
		RETURNING zone_name, further, alert_ids, last_id, from_at, to_at`, g.account, g.zone, g.alertType, g.action, now).
		Scan(&zoneName, &further, &text, &last, &from, &to)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil || further == 0 {
		return err
	}
	var ids []string
	if err := json.Unmarshal([]byte(text), &ids); err != nil {
		return err
	}
	name := title
	resourceID := g.alertType
	if zoneName != "" {
		name += " on " + zoneName
		resourceID += "/" + g.zone
	}
	e := feature.By(event.NewAudit(g.account, g.action, resourceAlertGroup, resourceID, cut(name, 200)), feature.Belfry())
	e.OccurredAt = formatTime(time.UnixMicro(to).UTC())
	e.Zone = g.zone
	e.Metadata = map[string]any{
		"alert_type":  g.alertType,
		"count":       further,
		"alerts":      plural(int(further), "further alert", "further alerts"),
		"first_alert": ids[0],
		"last_alert":  last,
		"alert_ids":   ids,
		"from":        formatTime(time.UnixMicro(from).UTC()),
		"to":          formatTime(time.UnixMicro(to).UTC()),
	}
	return n.Record(ctx, tx, e)
}
