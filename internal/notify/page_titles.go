package notify

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// entitle replaces the sentences of messages by what their alerts are about. A
// list of messages is about the past: the sentence of an alert says what was so
// when it was sent.
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
	err := n.DB.View(ctx, func(tx *db.Tx) error {
		alerts = nil
		rows, err := tx.Query(ctx, alertView+` WHERE account_id = $1 AND id IN (`+strings.Join(marks, ", ")+`)`, keys...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			a, err := scanAlert(rows)
			if err != nil {
				return err
			}
			alerts = append(alerts, a)
		}
		return rows.Err()
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
		titles[a.ID] = a.thing(kind)
	}
	for i := range list {
		if title := titles[list[i].AlertID]; title != "" {
			list[i].summary = title
		}
	}
	return nil
}
