package notify

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Destination reads a webhook; CodeNotFound when the account has none with the id.
func (n *Feature) Destination(ctx context.Context, account, destinationID string) (Destination, error) {
	return n.destinationOf(ctx, account, KindWebhook, destinationID)
}

// destinationOf reads a destination of a kind.
func (n *Feature) destinationOf(ctx context.Context, account, kind, destinationID string) (Destination, error) {
	d, err := n.destinationByID(ctx, account, destinationID)
	if err == nil && d.Kind != kind {
		return Destination{}, noDestination()
	}
	return d, err
}

// destinationByID reads a destination of any kind.
func (n *Feature) destinationByID(ctx context.Context, account, destinationID string) (d Destination, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		d, err = n.scanDestination(tx.QueryRow(ctx, selectDestination+` WHERE account_id = $1 AND id = $2`,
			account, destinationID))
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

// ensureMail makes the destinations of the addresses and inboxes that a policy names.
func (n *Feature) ensureMail(ctx context.Context, tx *db.Tx, account string, m Mechanisms, now time.Time) error {
	if err := n.ensureInboxes(ctx, tx, account, m.Inbox); err != nil {
		return err
	}
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
	"settings",
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
		d.settings.encode(),
	}
}

func (s destinationSettings) encode() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings are always encoded
	}
	return string(b)
}

var selectDestination = `SELECT ` + strings.Join(destinationColumns, ", ") + ` FROM destination`

func sealPurpose(d *Destination) string { return "notification destination " + d.ID }

func (n *Feature) scanDestination(row db.Row) (d Destination, err error) {
	var sealed []byte
	var stateAt, unused, success, failure, created, modified int64
	var settings string
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
		&settings,
	)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal([]byte(settings), &d.settings); err != nil {
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
	if err := json.Unmarshal(open, &d.secrets); err != nil {
		return d, err
	}
	if d.Kind == KindWebhook && d.secrets.URL == "" {
		d.setAddress(d.URL) // one that an older version stored is hidden too
	}
	return d.shown(), nil
}

func (n *Feature) sealSecrets(d *Destination) ([]byte, error) {
	if d.Kind == KindEmail || d.Kind == KindInbox {
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
				last_success = $10, modified_at = $11, settings = $12
			WHERE account_id = $1 AND id = $2`,
			d.account, d.ID, d.Name, d.URL, d.Type, sealed,
			d.State, d.StateReason, micros(d.StateAt), micros(d.LastSuccess), micros(d.Modified), d.settings.encode())
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

// sealURLs seals the URLs that an older version stored as they are, and that are
// secrets by themselves.
func (n *Feature) sealURLs(ctx context.Context) error {
	var list []Destination
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		list, err = db.Collect(ctx, tx, n.scanDestination, selectDestination+`
			WHERE kind = $1 AND type <> $2 AND address NOT LIKE $3 ORDER BY id LIMIT 1000`,
			KindWebhook, TypeGeneric, "%"+hiddenPath+"%")
		return err
	})
	if err != nil {
		return err
	}
	for i := range list {
		d := &list[i]
		if d.secrets.URL == "" {
			continue
		}
		d.Modified = moment(n.Now())
		if err := n.changeDestination(ctx, d, func(*db.Tx) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}
