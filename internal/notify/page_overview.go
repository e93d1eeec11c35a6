package notify

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// AlertSummary is the summary of alerts on the overview page.
type AlertSummary struct {
	Firing   []FiringAlert // the newest first, at most 5
	Count    int           // of all that fire, up to 100
	Failed   int           // deliveries that failed in the last 24 hours, up to 10,000
	Href     string        // page of the alerts
	Failures string        // page of the deliveries

	Destinations int                  // webhooks and mail addresses
	Failing      []FailingDestination // of these, at most 5
}

// FailingDestination is a webhook that does not work.
type FailingDestination struct {
	Name, Href, Health string
	Tone               ui.Tone
}

// FiringAlert is an alert that fires.
type FiringAlert struct {
	Sentence, Href, Severity string
	Since                    time.Time
	Acked                    bool
	AckedBy                  string
	Preceded                 string // the first of the changes that preceded it; "" = none
	PrecededAt               time.Time
	PrecededHref             string
	Ack                      string // path that acknowledges it; "" = acknowledged, or the visitor may not
	Objective                string // id of the objective that it is about; "" = it is about another resource
	Recovering               bool   // the failures have stopped; set by the overview
}

// AlertSummary answers "is anything wrong?" for an account.
func (n *Feature) AlertSummary(ctx context.Context, accountID string) (AlertSummary, error) {
	g := AlertSummary{Href: AlertsPath(accountID), Failures: NotificationsPath(accountID)}
	list, _, err := n.firing(ctx, accountID, 100)
	if err != nil {
		return g, err
	}
	g.Count = len(list)
	for _, a := range list[:min(len(list), 5)] {
		kind, err := n.AlertType(ctx, a.Type)
		if err != nil {
			return g, err
		}
		one := FiringAlert{
			Sentence: a.subjectTitle(kind),
			Href:     alertPath(accountID, a.ID),
			Severity: a.Severity,
			Since:    a.OccurredAt.Time,
			Acked:    !a.AckedAt.IsZero(),
			AckedBy:  a.AckedBy,
		}
		if len(a.Changes) > 0 {
			one.Preceded = stop(a.Changes[0].Summary)
			one.PrecededAt = a.Changes[0].At
			one.PrecededHref = a.Changes[0].URL
		}
		if !one.Acked && mayAck(web.CurrentPrincipal(ctx), accountID) {
			one.Ack = one.Href + "/ack"
		}
		if r := a.Resource; r != nil && r.Product == event.Product && r.Type == "objective" {
			one.Objective = r.ID
		}
		g.Firing = append(g.Firing, one)
	}
	if g.Failed, err = n.failures(ctx, accountID); err != nil {
		return g, err
	}
	err = n.destinationHealth(ctx, accountID, &g)
	return g, err
}

// destinationHealth counts the destinations and finds the webhooks that fail.
func (n *Feature) destinationHealth(ctx context.Context, accountID string, g *AlertSummary) error {
	for _, kind := range []string{KindWebhook, KindEmail} {
		list, err := n.destinations(ctx, accountID, kind)
		if err != nil {
			return err
		}
		g.Destinations += len(list)
		for _, d := range list {
			shown := shownWebhookOf(accountID, d)
			if kind == KindWebhook && (shown.Tone == ui.Bad || shown.Tone == ui.Warn) && len(g.Failing) < 5 {
				g.Failing = append(g.Failing, FailingDestination{d.Name, shown.Href, shown.Health, shown.Tone})
			}
		}
	}
	return nil
}

// Firing is the number of an account's alerts that fire, up to 100.
func (n *Feature) Firing(ctx context.Context, accountID string) (count int, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 AS one FROM alert
			WHERE account_id = $1 AND state = $2 LIMIT 100) AS capped`, accountID, stateFiring).Scan(&count)
	})
	return count, err
}

// failures counts the deliveries that failed in the last 24 hours.
func (n *Feature) failures(ctx context.Context, accountID string) (count int, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx,
			`SELECT count(*) FROM (SELECT 1 AS one FROM delivery
			WHERE tenant = $1 AND state = 'failed' AND ended_at > $2 LIMIT $3) AS capped`,
			accountID, n.Now().Add(-24*time.Hour).UnixMicro(), countMost).Scan(&count)
	})
	return count, err
}
