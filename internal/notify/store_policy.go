package notify

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const policyColumns = `id, account_id, name, description, enabled, alert_type, filters, mechanisms,
	alert_interval, created_at, modified_at, rules`

const selectPolicy = `SELECT ` + policyColumns + ` FROM policy WHERE account_id = $1`

func policiesOf(ctx context.Context, tx *db.Tx, account string) ([]Policy, error) {
	return db.Collect(ctx, tx, scanPolicy, selectPolicy+` ORDER BY id LIMIT 1000`, account)
}

// maxEnabled is the number of policies of one alert type that are read at once.
const maxEnabled = 10_000

// EnabledPolicies lists the enabled policies of an alert type in all accounts, at most 10,000.
func (n *Feature) EnabledPolicies(ctx context.Context, alertType string) (list []Policy, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		list, err = db.Collect(ctx, tx, scanPolicy, `SELECT `+policyColumns+` FROM policy
			WHERE alert_type = $1 AND enabled = $2 ORDER BY account_id, id LIMIT $3`, alertType, true, maxEnabled)
		return err
	})
	return list, err
}

// Account is the account of the policy.
func (p *Policy) Account() string { return p.account }

func scanPolicy(row db.Row) (p Policy, err error) {
	var filters, mechanisms, rest string
	var created, modified int64
	err = row.Scan(
		&p.ID,
		&p.account,
		&p.Name,
		&p.Description,
		&p.Enabled,
		&p.AlertType,
		&filters,
		&mechanisms,
		&p.AlertInterval,
		&created,
		&modified,
		&rest,
	)
	if err != nil {
		return p, err
	}
	p.Created = web.TimeOf(created)
	p.Modified = web.TimeOf(modified)
	err = errors.Join(json.Unmarshal([]byte(filters), &p.Filters), json.Unmarshal([]byte(mechanisms), &p.Mechanisms),
		p.decodeRules(rest))
	return p, err
}

func policyValues(p *Policy) ([]any, error) {
	if p.Filters == nil {
		p.Filters = map[string][]string{}
	}
	filters, err := json.Marshal(p.Filters)
	if err != nil {
		return nil, err
	}
	mechanisms, err := json.Marshal(p.Mechanisms)
	if err != nil {
		return nil, err
	}
	rest, err := p.encodeRules()
	return []any{
		p.ID,
		p.account,
		p.Name,
		p.Description,
		p.Enabled,
		p.AlertType,
		string(filters),
		string(mechanisms),
		p.AlertInterval,
		p.Created.Micros(),
		p.Modified.Micros(),
		rest,
	}, err
}

func insertPolicy(ctx context.Context, tx *db.Tx, p *Policy) error {
	values, err := policyValues(p)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx,
		`INSERT INTO policy (`+policyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, values...)
	return err
}

func updatePolicy(ctx context.Context, tx *db.Tx, p *Policy) (bool, error) {
	values, err := policyValues(p)
	if err != nil {
		return false, err
	}
	changed, err := tx.Exec(ctx,
		`UPDATE policy
			SET name = $3, description = $4, enabled = $5, alert_type = $6, filters = $7,
				mechanisms = $8, alert_interval = $9, created_at = $10, modified_at = $11, rules = $12
			WHERE id = $1 AND account_id = $2`, values...)
	return changed > 0, err
}
