package notify

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/ingest"
)

// When a silence ends, the alerts that it silenced and that still fire are evaluated again, as if their sender had
// repeated them: an outage that began during a deployment and outlasts it reaches people then.

const (
	endedSilences = 20   // handled at once
	mostResumed   = 2000 // alerts of one silence; the newest ones
)

// resumeSilenced handles the silences that have ended.
func (n *Feature) resumeSilenced(ctx context.Context) error {
	var ended []Silence
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		ended, err = db.Collect(ctx, tx, scanSilence, `SELECT `+silenceColumns+` FROM silence
			WHERE resumed_at = 0 AND ends_at <= $1 ORDER BY ends_at LIMIT $2`, n.Now().UnixMicro(), endedSilences)
		return err
	})
	for i := range ended {
		if err = n.resume(ctx, &ended[i]); err != nil {
			return err
		}
	}
	return err
}

func (n *Feature) resume(ctx context.Context, s *Silence) error {
	list, err := n.silencedAlerts(ctx, s)
	if err != nil {
		return err
	}
	// A process that was second finds the ids stored already.
	return n.storeAlerts(ctx, list, nil, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE silence SET resumed_at = $2 WHERE id = $1`, s.ID, n.Now().UnixMicro())
		return err
	})
}

// silencedAlerts are repeats of the firing alerts that a silence silenced.
func (n *Feature) silencedAlerts(ctx context.Context, s *Silence) (list []*prepared, err error) {
	type row struct {
		key               string
		began             int64
		content, decision []byte
	}
	scan := func(one db.Row) (r row, err error) {
		err = one.Scan(&r.key, &r.began, &r.content, &r.decision)
		return r, err
	}
	var rows []row
	err = n.DB.View(ctx, func(tx *db.Tx) (err error) {
		rows, err = db.Collect(ctx, tx, scan, `SELECT alert_key, began_at, content, decision FROM alert
			WHERE account_id = $1 AND state = 'firing' ORDER BY occurred_at DESC, alert_key DESC LIMIT $2`,
			s.account, mostResumed)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		var decision []PolicyResult
		if err := json.Unmarshal(r.decision, &decision); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(decision, func(c PolicyResult) bool { return c.SilencedBy == s.ID }) {
			continue
		}
		p := &prepared{status: ingest.Accepted, rated: true, by: "belfry", began: time.UnixMicro(r.began).UTC()}
		if err := json.Unmarshal(r.content, &p.alert); err != nil {
			return nil, err
		}
		if p.kind, err = n.AlertType(ctx, p.alert.Type); err != nil {
			return nil, err
		}
		if p.kind == nil {
			continue // no catalogue has the type any more, so no policy matches
		}
		if err := n.repeatNow(ctx, p, "silence-"+s.ID+"-"+r.key); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// repeatNow makes a stored alert a repeat of itself, under another id.
func (n *Feature) repeatNow(ctx context.Context, p *prepared, alertID string) error {
	p.alert.ID = alertID
	p.alert.Event = event.AlertStart
	p.at = n.Now().UTC()
	p.alert.OccurredAt = formatTime(p.at)
	if err := n.resolveZone(ctx, p); err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(alertID)) // the time differs when it is made twice
	p.digest = sum[:16]
	return p.encode()
}
