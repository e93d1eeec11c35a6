package notify

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// ZoneAlert is an alert about a zone, for the zone's page.
type ZoneAlert struct {
	Title    string
	Href     string
	State    string // firing, ended, notice
	Severity string
	At       time.Time
	EndedAt  time.Time // zero unless it has ended
	AckedBy  string
}

// ZoneAlerts lists the incidents and notices about a zone, the newest first.
func (n *Feature) ZoneAlerts(ctx context.Context, accountID, zoneID string, limit int) ([]ZoneAlert, error) {
	var list []Alert
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		list, err = db.Collect(ctx, tx, scanAlert, alertView+`
			WHERE account_id = $1 AND zone_id = $2 AND `+ofZone+` AND state <> 'part'
			ORDER BY occurred_at DESC, alert_key DESC LIMIT $3`, accountID, zoneID, limit)
		return err
	})
	out := make([]ZoneAlert, 0, len(list))
	for i := range list {
		a := &list[i]
		kind, err := n.AlertType(ctx, a.Type)
		if err != nil {
			return nil, err
		}
		out = append(out, ZoneAlert{
			Title:    a.subjectTitle(kind),
			Href:     alertPath(accountID, a.ID),
			State:    a.State,
			Severity: a.Severity,
			At:       a.OccurredAt.Time,
			EndedAt:  a.EndedAt.Time,
			AckedBy:  a.AckedBy,
		})
	}
	return out, err
}
