package notify

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// A policy may be about events of the audit log ("when a token is created"). The log of an account with such a policy
// is read as it grows, and events that a policy matches become notices of the type belfry_audit_event. Accounts without
// one cost nothing.
//
// What the event says about persons is stored as the alert's change, which an erasure removes, and nowhere else.

// TypeAuditEvent is the type of alerts about audit events.
const TypeAuditEvent = "belfry_audit_event"

// The filters of policies on audit events.
const (
	actionsKey       = "actions"
	productsKey      = "products"
	actorsKey        = "actors"
	resourceTypesKey = "resource_types"
)

// AuditEvent is an event of the audit log, as policies see it.
type AuditEvent struct {
	ID           string
	At           time.Time
	Action       string
	Product      string
	ResourceType string
	Zone         string // id; "" = none
	ActorID      string
	Actor        string // name
	Sentence     string
	URL          string // of its page
}

// Limits of policies on audit events.
const (
	auditEventsAtOnce = 500 // that are read
	mostAuditAlerts   = 20  // of one reading; one more alert counts the others
	mostWatched       = 10_000
)

// fromAlerts are the types of resources whose events follow from alerts: a policy on them would notify of itself.
var fromAlerts = []string{resourceAlert, resourceAlertGroup, resourceDelivery}

// errCursorMoved says that another process was first.
var errCursorMoved = errors.New("another process has read these events")

// mayWatch refuses a policy on audit events to those who may not read them.
func mayWatch(by *web.Principal, accountID string, p *Policy) error {
	if p.AlertType != TypeAuditEvent || by.Can(accountID, account.AuditRead) {
		return nil
	}
	return errs.At(errs.CodeForbidden, "/alert_type",
		"a policy on audit events needs the permission %s", account.AuditRead)
}

// watchAuditLogs reads the logs of all accounts that have a policy on audit events.
func (n *Feature) watchAuditLogs(ctx context.Context) error {
	if n.AuditEvents == nil {
		return nil
	}
	var accounts, idle []string
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		accounts, err = db.Collect(ctx, tx, db.ScanText, `SELECT DISTINCT account_id FROM policy
			WHERE alert_type = 'belfry_audit_event' AND enabled ORDER BY account_id LIMIT $1`, mostWatched)
		if err != nil {
			return err
		}
		idle, err = db.Collect(ctx, tx, db.ScanText, `SELECT account_id FROM audit_cursor c WHERE NOT EXISTS (
			SELECT 1 FROM policy p WHERE p.account_id = c.account_id AND p.alert_type = 'belfry_audit_event' AND p.enabled)
			LIMIT $1`, mostWatched)
		return err
	})
	for _, accountID := range idle {
		// A policy that is created later begins with the events that follow it.
		err = or(err, n.DB.Tx(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, `DELETE FROM audit_cursor WHERE account_id = $1`, accountID)
			return err
		}))
	}
	for _, accountID := range accounts {
		if err == nil {
			err = n.watchAuditLog(ctx, accountID)
		}
	}
	return err
}

func (n *Feature) watchAuditLog(ctx context.Context, accountID string) error {
	kind, err := n.AlertType(ctx, TypeAuditEvent)
	if err != nil || kind == nil {
		return err
	}
	var cursors []int64
	scan := func(row db.Row) (next int64, err error) {
		err = row.Scan(&next)
		return next, err
	}
	err = n.DB.View(ctx, func(tx *db.Tx) (err error) {
		cursors, err = db.Collect(ctx, tx, scan, `SELECT next FROM audit_cursor WHERE account_id = $1`, accountID)
		return err
	})
	if err != nil {
		return err
	}
	from := int64(-1)
	if len(cursors) > 0 {
		from = cursors[0]
	}
	events, next, err := n.AuditEvents(ctx, accountID, from, auditEventsAtOnce)
	if err != nil || next == from {
		return err
	}
	if from < 0 {
		return n.DB.Tx(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO audit_cursor (account_id, next) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
				accountID, next)
			return err
		})
	}
	list, err := n.auditAlerts(ctx, accountID, kind, events)
	if err != nil {
		return err
	}
	err = n.storeAlerts(ctx, list, nil, func(ctx context.Context, tx *db.Tx) error {
		moved, err := tx.Exec(ctx, `UPDATE audit_cursor SET next = $2 WHERE account_id = $1 AND next = $3`,
			accountID, next, from)
		if err == nil && moved == 0 {
			err = errCursorMoved
		}
		return err
	})
	if errors.Is(err, errCursorMoved) {
		return nil
	}
	return err
}

// auditAlerts are the alerts about the events that a policy matches: a bounded number, and one that counts the others.
func (n *Feature) auditAlerts(
	ctx context.Context, accountID string, kind *AlertType, events []AuditEvent,
) (list []*prepared, err error) {
	policies, err := n.policiesFor(ctx, []*prepared{{alert: event.Alert{Account: accountID}}})
	if err != nil {
		return nil, err
	}
	var further *prepared
	count := 0
	for i := range events {
		e := &events[i]
		if e.Product == event.Product && slices.Contains(fromAlerts, e.ResourceType) {
			continue
		}
		p, err := n.auditAlert(ctx, accountID, kind, e)
		if err != nil {
			return nil, err
		}
		attr := p.attributes()
		matched := slices.ContainsFunc(policies[accountID].list, func(policy Policy) bool {
			ok, _, _ := evaluate(&policy, attr, time.Time{}, p.at)
			return ok
		})
		switch {
		case matched && len(list) < mostAuditAlerts:
			list = append(list, p)
		case matched:
			count++
			further = p
		}
	}
	if further == nil {
		return list, nil
	}
	further.alert.ID += "-further"
	further.alert.Correlation = further.alert.ID
	further.alert.Summary = plural(count, "further audit event", "further audit events") + " within a few seconds"
	further.changes = &foundChanges{list: []Change{}}
	sum := sha256.Sum256([]byte(further.alert.ID))
	further.digest = sum[:16]
	return append(list, further), further.encodeWithoutActors()
}

// auditAlert is the alert about an event.
func (n *Feature) auditAlert(
	ctx context.Context, accountID string, kind *AlertType, e *AuditEvent,
) (*prepared, error) {
	data, err := json.Marshal(map[string]string{
		"event_id":      e.ID,
		"action":        e.Action,
		"product":       e.Product,
		"resource_type": e.ResourceType,
	})
	if err != nil {
		return nil, err
	}
	alertID := "audit-" + e.ID
	sum := sha256.Sum256([]byte(alertID))
	p := &prepared{
		alert: event.Alert{
			Account:     accountID,
			ID:          alertID,
			Type:        TypeAuditEvent,
			Event:       event.AlertNotice,
			Correlation: alertID,
			Severity:    kind.Severities[0],
			OccurredAt:  formatTime(e.At),
			Summary:     "Audit log: " + strings.ReplaceAll(e.Action+" "+e.ResourceType, "_", " "),
			Zone:        e.Zone,
			Filters: map[string][]string{
				actionsKey:       {e.Action},
				productsKey:      {e.Product},
				resourceTypesKey: {e.ResourceType},
				actorsKey:        {e.ActorID},
			},
			Data: data,
			URL:  e.URL,
		},
		kind:   kind,
		at:     e.At,
		began:  e.At,
		rated:  true,
		by:     "belfry",
		digest: sum[:16],
		status: ingest.Accepted,
		changes: &foundChanges{list: []Change{{
			EventID: e.ID,
			At:      e.At,
			Actor:   e.Actor,
			Summary: e.Sentence,
			URL:     e.URL,
		}}},
	}
	if err := n.resolveZone(ctx, p); err != nil {
		return nil, err
	}
	err = p.encodeWithoutActors()
	return p, err
}

// encodeWithoutActors writes the alert as it is stored: policies compare its actor, and an erasure would not find it.
func (p *prepared) encodeWithoutActors() error {
	actors := p.alert.Filters[actorsKey]
	delete(p.alert.Filters, actorsKey)
	err := p.encode()
	p.alert.Filters[actorsKey] = actors
	return err
}
