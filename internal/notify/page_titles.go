package notify

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// entitle replaces the summaries of messages by the subjects of their alerts: a
// summary describes the state when the message was sent, and a list shows the past.
func (n *Feature) entitle(ctx context.Context, account string, list []Delivery) error {
	var marks []string
	keys := []any{account}
	for _, d := range list {
		if d.AlertID != "" && !slices.Contains(keys[1:], any(d.AlertID)) {
			keys = append(keys, d.AlertID)
			marks = append(marks, "$"+strconv.Itoa(len(keys)))
		}
	}
	if len(marks) == 0 {
		return nil
	}
	var alerts []Alert
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		alerts, err = db.Collect(ctx, tx, scanAlert,
			alertView+` WHERE account_id = $1 AND id IN (`+strings.Join(marks, ", ")+`)`, keys...)
		return err
	})
	if err != nil {
		return err
	}
	titles := map[string]string{}
	for _, a := range alerts {
		if a.Resource == nil {
			continue // the summary is all that is known
		}
		kind, err := n.AlertType(ctx, a.Type)
		if err != nil {
			return err
		}
		titles[a.ID] = a.subjectTitle(kind)
	}
	for i := range list {
		if title := titles[list[i].AlertID]; title != "" {
			list[i].summary = title
		}
	}
	return nil
}
