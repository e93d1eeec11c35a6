package notify

import (
	"context"
	"maps"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

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
	if err := n.applyWebhook(ctx, spec, &d); err != nil {
		return NewWebhook{}, err
	}
	key := newKey()
	if spec.Key != nil {
		key.Key = *spec.Key
	}
	d.secrets.Keys = []signingKey{key}
	if err := n.mustReach(ctx, &d); err != nil {
		return NewWebhook{}, err
	}
	d.LastSuccess = moment(n.Now())
	return NewWebhook{d.shown(), key.Key}, n.storeNew(ctx, by, &d)
}

// storeNew stores a new destination.
func (n *Feature) storeNew(ctx context.Context, by *web.Principal, d *Destination) error {
	return n.Change(ctx, func(tx *db.Tx) error {
		count := 0
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM destination
			WHERE account_id = $1 AND kind = $2`, d.account, d.Kind).Scan(&count); err != nil {
			return err
		}
		if count >= maxWebhooks {
			return errs.New(errs.CodeLimit, "the account has %d destinations of this kind, which is the most it may have", count)
		}
		if err := n.insertDestination(ctx, tx, d, ""); err != nil {
			return err
		}
		return n.record(ctx, tx, by,
			event.NewAudit(d.account, "create", resourceDestination, d.ID, d.Name).Changed(nil, d.clean()))
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
	if err := n.applyWebhook(ctx, spec, &d); err != nil {
		return d, err
	}
	now := n.Now()
	d.Modified = moment(now)
	if !d.sendsLike(&old) {
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
	return d.shown(), err
}

// sendsLike reports whether requests to d are the same as those to another.
func (d *Destination) sendsLike(other *Destination) bool {
	return d.address() == other.address() && d.Type == other.Type && d.secrets.Shared == other.secrets.Shared &&
		maps.Equal(d.secrets.Headers, other.secrets.Headers) && d.settings.Body == other.settings.Body
}

// RotateSecret makes new keys for a webhook; the old ones sign for 24 hours more.
func (n *Feature) RotateSecret(
	ctx context.Context, by *web.Principal, account, destinationID string,
) (NewWebhook, error) {
	d, err := n.Destination(ctx, account, destinationID)
	if err != nil {
		return NewWebhook{}, err
	}
	now := n.Now()
	key := newKey()
	keys := []signingKey{key}
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
	return NewWebhook{d.shown(), key.Key}, n.changeDestination(ctx, &d, func(tx *db.Tx) error {
		return n.record(ctx, tx, by,
			event.NewAudit(account, "rotate", resourceDestination, d.ID, d.Name))
	})
}
