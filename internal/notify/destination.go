package notify

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// The kinds of destinations: the mechanisms of the compatible API.
const (
	KindWebhook   = "webhook"
	KindEmail     = "email"
	KindPagerDuty = "pagerduty"
)

// Destination is a webhook or a mailbox. Its JSON is the Cloudflare v4
// API's webhook with the state added; secrets are never in it.
type Destination struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	URL         string   `json:"url"`
	Type        string   `json:"type" doc:"Derived from the URL: datadog, discord, feishu, gchat, generic, msteams, opsgenie, slack, splunk"`
	CreatedAt   web.Time `json:"created_at"`
	LastSuccess web.Time `json:"last_success,omitzero"`
	LastFailure web.Time `json:"last_failure,omitzero"`
	State       string   `json:"state" enum:"ok,broken,disabled"`
	StateReason string   `json:"state_reason,omitempty"`

	Kind     string   `json:"-"`
	StateAt  web.Time `json:"-"`
	Modified web.Time `json:"-"`

	account string
	secrets secrets
}

// CreateWebhook stores a webhook after a test message reached it.
func (n *Feature) CreateWebhook(
	ctx context.Context, by *web.Principal, account string, spec WebhookSpec,
) (NewWebhook, error) {
	now := n.Now()
	d := Destination{
		ID:        n.ids.next(now),
		Kind:      KindWebhook,
		State:     delivery.DestinationOK,
		account:   account,
		CreatedAt: moment(now),
		Modified:  moment(now),
		StateAt:   moment(now),
	}
	if err := spec.apply(&d); err != nil {
		return NewWebhook{}, err
	}
	key := newKey()
	if spec.Key != nil {
		key = *spec.Key
	}
	d.secrets.Keys = []signingKey{{Key: key}}
	if err := n.mustReach(ctx, &d); err != nil {
		return NewWebhook{}, err
	}
	d.LastSuccess = moment(n.Now())
	return NewWebhook{d, key}, n.Change(ctx, func(tx *db.Tx) error {
		count := 0
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM destination
			WHERE account_id = $1 AND kind = $2`, account, KindWebhook).Scan(&count); err != nil {
			return err
		}
		if count >= maxWebhooks {
			return errs.New(errs.CodeLimit, "the account has %d webhooks, which is the most it may have", count)
		}
		if err := n.insertDestination(ctx, tx, &d, ""); err != nil {
			return err
		}
		return n.record(ctx, tx, by,
			event.NewAudit(account, "create", resourceDestination, d.ID, d.Name).Changed(nil, d.clean()))
	})
}

// UpdateWebhook changes a webhook; a new URL or secret is tested first.
func (n *Feature) UpdateWebhook(
	ctx context.Context, by *web.Principal, account, destinationID string, spec WebhookSpec,
) (Destination, error) {
	old, err := n.Destination(ctx, account, destinationID)
	if err != nil {
		return old, err
	}
	d := old
	if err := spec.apply(&d); err != nil {
		return d, err
	}
	now := n.Now()
	d.Modified = moment(now)
	if d.URL != old.URL || d.secrets.Shared != old.secrets.Shared {
		if err := n.mustReach(ctx, &d); err != nil {
			return d, err
		}
		d.LastSuccess = d.Modified
		d.State = delivery.DestinationOK
		d.StateReason = ""
	}
	err = n.changeDestination(ctx, &d, func(tx *db.Tx) error {
		return n.record(ctx, tx, by,
			event.NewAudit(account, "update", resourceDestination, d.ID, d.Name).Changed(old.clean(), d.clean()))
	})
	return d, err
}

// RotateSecret makes a new key for a webhook; the old one signs for 24 hours more.
func (n *Feature) RotateSecret(
	ctx context.Context, by *web.Principal, account, destinationID string,
) (NewWebhook, error) {
	d, err := n.Destination(ctx, account, destinationID)
	if err != nil {
		return NewWebhook{}, err
	}
	now := n.Now()
	key := newKey()
	keys := []signingKey{{Key: key}}
	for _, k := range d.secrets.Keys {
		if k.Until == 0 {
			k.Until = now.Add(overlap).UnixMicro()
		}
		if now.UnixMicro() < k.Until && len(keys) < 4 {
			keys = append(keys, k)
		}
	}
	d.secrets.Keys = keys
	d.Modified = moment(now)
	return NewWebhook{d, key}, n.changeDestination(ctx, &d, func(tx *db.Tx) error {
		return n.record(ctx, tx, by,
			event.NewAudit(account, "rotate", resourceDestination, d.ID, d.Name))
	})
}

// EnableDestination enables a destination again, after a test message.
func (n *Feature) EnableDestination(
	ctx context.Context, by *web.Principal, account, destinationID string,
) (Destination, error) {
	d, err := n.Destination(ctx, account, destinationID)
	if err != nil {
		return d, err
	}
	if err := n.mustReach(ctx, &d); err != nil {
		return d, err
	}
	now := moment(n.Now())
	d.State = delivery.DestinationOK
	d.StateReason = ""
	d.StateAt = now
	d.LastSuccess = now
	d.Modified = now
	err = n.changeDestination(ctx, &d, func(tx *db.Tx) error {
		return n.record(ctx, tx, by,
			event.NewAudit(account, "enable", resourceDestination, d.ID, d.Name))
	})
	return d, err
}

// pausedBy begins the reason of a destination that a member has paused.
const pausedBy = "paused by "

// PauseWebhook stops sending to a webhook until it is enabled. Messages of this
// time are not sent; a replay sends them later.
func (n *Feature) PauseWebhook(
	ctx context.Context, by *web.Principal, account, destinationID string,
) (Destination, error) {
	d, err := n.Destination(ctx, account, destinationID)
	if err != nil || d.State == delivery.DestinationDisabled {
		return d, err
	}
	now := moment(n.Now())
	d.State = delivery.DestinationDisabled
	d.StateReason = pausedBy + cut(cmp.Or(by.Name, by.Email, by.ID), 200)
	d.StateAt = now
	d.Modified = now
	err = n.changeDestination(ctx, &d, func(tx *db.Tx) error {
		return n.record(ctx, tx, by,
			event.NewAudit(account, "pause", resourceDestination, d.ID, d.Name))
	})
	return d, err
}

// paused reports whether a member has paused the destination.
func (d *Destination) paused() bool {
	return d.State == delivery.DestinationDisabled && strings.HasPrefix(d.StateReason, pausedBy)
}

// DeleteWebhook removes a webhook that no policy names.
func (n *Feature) DeleteWebhook(ctx context.Context, by *web.Principal, account, destinationID string) error {
	d, err := n.Destination(ctx, account, destinationID)
	if err != nil {
		return err
	}
	err = n.Change(ctx, func(tx *db.Tx) error {
		list, err := policiesOf(ctx, tx, account)
		if err != nil {
			return err
		}
		for _, p := range list {
			for _, w := range p.Mechanisms.Webhooks {
				if w.ID == destinationID {
					return errs.New(errs.CodeStateConflict, "the policy %s sends to this webhook; take it out of the policy first",
						quoted(p.Name))
				}
			}
		}
		changed, err := tx.Exec(ctx, `DELETE FROM destination WHERE account_id = $1 AND id = $2 AND kind = $3`,
			account, destinationID, KindWebhook)
		if err != nil || changed == 0 {
			return or(err, noDestination())
		}
		return n.record(ctx, tx, by,
			event.NewAudit(account, "delete", resourceDestination, d.ID, d.Name).Changed(d.clean(), nil))
	})
	if err == nil {
		n.destinationCache.Evict(destinationID)
	}
	return err
}

// clean is a destination as the record shows it.
func (d *Destination) clean() map[string]any {
	return map[string]any{"name": d.Name, "url": d.URL, "type": d.Type, "has_secret": d.secrets.Shared != ""}
}

// mustReach sends a test message and wants a 2xx.
func (n *Feature) mustReach(ctx context.Context, d *Destination) error {
	r, status, err := n.sendTest(ctx, d)
	switch {
	case err != nil:
		return err
	case arrived(r, status), r.Fault == delivery.Kept:
		return nil
	case r.Error != "":
		return errs.At(errs.CodeInvalid, "/url", "a test message did not arrive: %s", r.Error)
	}
	what := fmt.Sprintf("a test message was answered with status %d; a webhook must answer 2xx", r.Status)
	if r.Status >= 300 && r.Status < 400 {
		what += ", and " + delivery.Redirect(r)
	}
	return errs.At(errs.CodeInvalid, "/url", "%s", what)
}

// Destination reads one; CodeNotFound when the account has none with the id.
func (n *Feature) Destination(ctx context.Context, account, destinationID string) (d Destination, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		d, err = n.scanDestination(tx.QueryRow(ctx,
			selectDestination+`
			WHERE account_id = $1 AND id = $2 AND kind = $3`, account, destinationID, KindWebhook))
		if errors.Is(err, sql.ErrNoRows) {
			err = noDestination()
		}
		return err
	})
	return d, err
}

// Webhooks are all of an account, in the order in which they were made.
func (n *Feature) Webhooks(ctx context.Context, account string) ([]Destination, error) {
	return n.destinations(ctx, account, KindWebhook)
}

func (n *Feature) destinations(ctx context.Context, account, kind string) (list []Destination, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		list, err = db.Collect(ctx, tx, n.scanDestination,
			selectDestination+` WHERE account_id = $1 AND kind = $2 ORDER BY id LIMIT 1000`, account, kind)
		return err
	})
	return list, err
}

func noDestination() *errs.Error { return errs.New(errs.CodeNotFound, "there is no such destination") }

// foldAddress is the form of a mail address by which a destination is found: a
// policy shows the address as it was written.
func foldAddress(s string) string { return strings.ToLower(s) }

// ensureMail makes the destinations of the addresses that a policy names.
func (n *Feature) ensureMail(ctx context.Context, tx *db.Tx, account string, m Mechanisms, now time.Time) error {
	for _, e := range m.Email {
		address := foldAddress(e.ID)
		d := Destination{
			ID:        n.ids.next(now),
			Kind:      KindEmail,
			Name:      address,
			URL:       address,
			Type:      KindEmail,
			State:     delivery.DestinationOK,
			account:   account,
			CreatedAt: moment(now),
			Modified:  moment(now),
			StateAt:   moment(now),
		}
		if err := n.insertDestination(ctx, tx, &d, `ON CONFLICT DO NOTHING`); err != nil {
			return err
		}
	}
	return nil
}

var destinationColumns = []string{
	"id",
	"account_id",
	"kind",
	"name",
	"address",
	"type",
	"secrets",
	"state",
	"state_why",
	"state_at",
	"paused_until", // not used any more: the delivery engine stores pauses
	"last_success",
	"last_failure",
	"created_at",
	"modified_at",
}

// row is a destination in the order of destinationColumns.
func (d *Destination) row(sealed []byte) []any {
	return []any{
		d.ID,
		d.account,
		d.Kind,
		d.Name,
		d.URL,
		d.Type,
		sealed,
		d.State,
		d.StateReason,
		micros(d.StateAt),
		0,
		micros(d.LastSuccess),
		micros(d.LastFailure),
		micros(d.CreatedAt),
		micros(d.Modified),
	}
}

var selectDestination = `SELECT ` + strings.Join(destinationColumns, ", ") + ` FROM destination`

func sealPurpose(d *Destination) string { return "notification destination " + d.ID }

func (n *Feature) scanDestination(row db.Row) (d Destination, err error) {
	var sealed []byte
	var stateAt, unused, success, failure, created, modified int64
	err = row.Scan(
		&d.ID,
		&d.account,
		&d.Kind,
		&d.Name,
		&d.URL,
		&d.Type,
		&sealed,
		&d.State,
		&d.StateReason,
		&stateAt,
		&unused,
		&success,
		&failure,
		&created,
		&modified,
	)
	if err != nil {
		return d, err
	}
	d.StateAt = timeOf(stateAt)
	d.LastSuccess = timeOf(success)
	d.LastFailure = timeOf(failure)
	d.CreatedAt = timeOf(created)
	d.Modified = timeOf(modified)
	if len(sealed) == 0 {
		return d, nil
	}
	open, err := n.Box.Open(sealed, sealPurpose(&d))
	if err != nil {
		return d, err
	}
	err = json.Unmarshal(open, &d.secrets)
	return d, err
}

func (n *Feature) sealSecrets(d *Destination) ([]byte, error) {
	if d.Kind == KindEmail {
		return []byte{}, nil
	}
	plain, err := json.Marshal(d.secrets)
	if err != nil {
		return nil, err
	}
	return n.Box.Seal(plain, sealPurpose(d)), nil
}

func (n *Feature) insertDestination(ctx context.Context, tx *db.Tx, d *Destination, conflict string) error {
	sealed, err := n.sealSecrets(d)
	if err != nil {
		return err
	}
	return tx.Insert(ctx, "destination", destinationColumns, conflict, [][]any{d.row(sealed)})
}

// changeDestination stores a changed destination, with fn in the same transaction.
func (n *Feature) changeDestination(ctx context.Context, d *Destination, fn func(*db.Tx) error) error {
	sealed, err := n.sealSecrets(d)
	if err != nil {
		return err
	}
	works := d.LastSuccess == d.Modified // a test message has just arrived
	err = n.Change(ctx, func(tx *db.Tx) error {
		changed, err := tx.Exec(ctx, `UPDATE destination
			SET name = $3, address = $4, type = $5, secrets = $6, state = $7, state_why = $8, state_at = $9,
				last_success = $10, modified_at = $11
			WHERE account_id = $1 AND id = $2`,
			d.account, d.ID, d.Name, d.URL, d.Type, sealed,
			d.State, d.StateReason, micros(d.StateAt), micros(d.LastSuccess), micros(d.Modified))
		if err != nil || changed == 0 {
			return or(err, noDestination())
		}
		if works {
			if err := n.queue.EndPause(ctx, tx, d.ID); err != nil {
				return err
			}
		}
		return fn(tx)
	})
	if err == nil {
		n.destinationCache.Evict(d.ID)
		if works {
			n.queue.Resume(d.ID)
		}
	}
	return err
}
