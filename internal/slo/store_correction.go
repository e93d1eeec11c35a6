package slo

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// correctionDetail is the part of a correction that is stored as JSON.
type correctionDetail struct {
	Reason       string      `json:"reason"`
	Approval     string      `json:"needs_approval,omitempty"`
	GivesBack    []GivesBack `json:"gives_back"`
	RequestedBy  Member      `json:"requested_by"`
	RequestedKey string      `json:"requested_key"`
	DecidedBy    *Member     `json:"decided_by,omitempty"`

	RequestEvent  string `json:"request_event,omitempty"`
	DecisionEvent string `json:"decision_event,omitempty"`
}

var errNoCorrection = errs.New(errs.CodeNotFound, "there is no such correction in this account")

const selectCorrection = `SELECT id, account_id, zone_id, objectives, kind, state, from_at, to_at, detail, created_at,
	modified_at FROM correction `

func selectCorrections(ctx context.Context, tx *db.Tx, rest string, args ...any) (list []*Correction, err error) {
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		c := &Correction{}
		var kind, state, objectives, text string
		var from, to, created, modified int64
		err := rows.Scan(&c.ID, &c.account, &c.Zone, &objectives, &kind, &state, &from, &to, &text, &created, &modified)
		if err != nil {
			return err
		}
		var d correctionDetail
		err = errors.Join(json.Unmarshal([]byte(objectives), &c.Objectives), json.Unmarshal([]byte(text), &d))
		if err != nil {
			return fmt.Errorf("correction %s: %w", c.ID, err)
		}
		c.Kind = CorrectionKind(kind)
		c.State = CorrectionState(state)
		c.Reason = d.Reason
		c.Approval = d.Approval
		c.GivesBack = orEmpty(d.GivesBack)
		c.RequestedBy = d.RequestedBy
		c.RequestedBy.Key = d.RequestedKey
		c.DecidedBy = d.DecidedBy
		c.requestEvent = d.RequestEvent
		c.decisionEvent = d.DecisionEvent
		c.From = timeOf(from)
		c.To = timeOf(to)
		c.CreatedOn = web.TimeOf(created)
		c.ModifiedOn = web.TimeOf(modified)
		list = append(list, c)
		return nil
	}, selectCorrection+rest, args...)
	return list, err
}

func findCorrection(ctx context.Context, tx *db.Tx, accountID, correctionID string) (*Correction, error) {
	list, err := selectCorrections(ctx, tx, `WHERE account_id = $1 AND id = $2`, accountID, correctionID)
	if err == nil && len(list) == 0 {
		err = errNoCorrection
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

func writeCorrection(ctx context.Context, tx *db.Tx, c *Correction) error {
	objectives, err := json.Marshal(orEmpty(c.Objectives))
	if err != nil {
		return err
	}
	text, err := json.Marshal(correctionDetail{
		Reason:       c.Reason,
		Approval:     c.Approval,
		GivesBack:    c.GivesBack,
		RequestedBy:  c.RequestedBy,
		RequestedKey: c.RequestedBy.Key,
		DecidedBy:    c.DecidedBy,

		RequestEvent:  c.requestEvent,
		DecisionEvent: c.decisionEvent,
	})
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO correction (id, account_id, zone_id, objectives, kind, state, from_at, to_at, detail,
		created_at, modified_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, detail = excluded.detail,
		modified_at = excluded.modified_at`,
		c.ID, c.account, c.Zone, string(objectives), string(c.Kind), string(c.State), c.From.Unix(), c.To.Unix(),
		string(text), c.CreatedOn.Micros(), c.ModifiedOn.Micros())
	return err
}
