package incident

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// The audiences of a broadcast.
const (
	toAccounts    = "accounts"
	toSubscribers = "subscribers"
)

// Limits of a broadcast: recipients in one transaction, and messages that may wait to be sent before the next page.
const (
	recipientsPerPage = 200
	waitingMost       = 2000
)

// broadcast is an update on its way to an audience.
type broadcast struct {
	ID       string
	Incident string
	Audience string
	Content  []byte
	After    string
}

// announcement is the content of a broadcast to subscribers. It is stored, so that all of them get the same text.
type announcement struct {
	Incident Incident `json:"incident"` // without its other updates
	Update   Update   `json:"update"`
	Title    string   `json:"title"` // of the status page
}

// announce stores the broadcasts of an update.
func (f *Feature) announce(ctx context.Context, tx *db.Tx, p publication, u Update) error {
	known, err := componentsByID(ctx, tx)
	if err != nil {
		return err
	}
	var locations []string
	for _, c := range p.incident.Components {
		if code := known[c.ID].Location; code != "" {
			locations = append(locations, code)
		}
	}
	slices.Sort(locations)
	locations = slices.Compact(locations)
	if err := f.insertBroadcast(ctx, tx, p.incident, u, toAccounts, f.alertOf(p, u, locations)); err != nil {
		return err
	}
	if f.cfg.PageOff {
		return nil
	}
	page, err := loadPage(ctx, tx)
	if err != nil {
		return err
	}
	shown := *p.incident
	shown.Updates = nil
	shown.CreatedBy = ""
	u.Author = ""
	return f.insertBroadcast(ctx, tx, p.incident, u, toSubscribers, announcement{shown, u, page.Title})
}

func (f *Feature) insertBroadcast(
	ctx context.Context, tx *db.Tx, i *Incident, u Update, audience string, content any,
) error {
	encoded, err := json.Marshal(content)
	if err != nil {
		return err
	}
	now := f.now()
	_, err = tx.Exec(ctx, `INSERT INTO broadcast
		(id, incident_id, update_id, audience, content, after, sent, created_at, done_at)
		VALUES ($1, $2, $3, $4, $5, '', 0, $6, 0)`, id.At(now), i.ID, u.ID, audience, encoded, now.UnixMicro())
	return err
}

// sendBroadcasts serves the recipients of all broadcasts, page by page, until they are done or too many messages wait.
// Broadcasts to one audience are served one after the other, so that each recipient gets updates in their order.
func (f *Feature) sendBroadcasts(ctx context.Context) error {
	for _, audience := range []string{toAccounts, toSubscribers} {
		for ctx.Err() == nil {
			more, err := f.sendPage(ctx, audience)
			if err != nil {
				return err
			}
			if !more {
				break
			}
		}
	}
	return nil
}

// sendPage serves one page of the oldest broadcast to an audience. more is false when there is none, or when it is to
// go on later.
func (f *Feature) sendPage(ctx context.Context, audience string) (more bool, err error) {
	var b broadcast
	var waiting int
	err = f.db.View(ctx, func(tx *db.Tx) error {
		err := tx.QueryRow(ctx, `SELECT id, incident_id, audience, content, after FROM broadcast
			WHERE done_at = 0 AND audience = $1 ORDER BY id LIMIT 1`, audience).
			Scan(&b.ID, &b.Incident, &b.Audience, &b.Content, &b.After)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, waitingOf(audience), waitingMost).Scan(&waiting)
	})
	if noRows(err) {
		return false, nil
	}
	if err != nil || waiting >= waitingMost {
		return false, err
	}
	if audience == toAccounts {
		return true, f.alertAccounts(ctx, b)
	}
	return true, f.mailSubscribers(ctx, b)
}

// waitingOf counts the messages to an audience that are not sent yet, up to a limit.
func waitingOf(audience string) string {
	if audience == toAccounts {
		return `SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT $1) w`
	}
	return `SELECT count(*) FROM (SELECT 1 FROM delivery WHERE state = 'waiting' LIMIT $1) w`
}

// alertAccounts writes the alerts of the next accounts to the outbox. The ids of the alerts are those of the update, so
// a repeated alert is known where it arrives.
func (f *Feature) alertAccounts(ctx context.Context, b broadcast) error {
	var a event.Alert
	if err := json.Unmarshal(b.Content, &a); err != nil {
		return err
	}
	accounts, next, err := f.cfg.Accounts(ctx, a.Type, b.After, recipientsPerPage)
	if err != nil {
		return err
	}
	err = f.cfg.Change(ctx, func(tx *db.Tx) error {
		moved, err := f.move(ctx, tx, b, next, len(accounts))
		if err != nil || !moved {
			return err
		}
		msgs := make([]bus.Message, len(accounts))
		for n, accountID := range accounts {
			a.Account = accountID
			value, err := json.Marshal(a)
			if err != nil {
				return err
			}
			msgs[n] = bus.Message{Topic: event.TopicAlerts, Key: []byte(accountID), Value: value}
		}
		return bus.Enqueue(ctx, tx, msgs...)
	})
	if err == nil {
		f.metrics.announced.WithLabelValues(toAccounts).Add(float64(len(accounts)))
	}
	return err
}

// move stores that the recipients up to next are served; next "" ends the broadcast. It reports false when another
// process has served them.
func (f *Feature) move(ctx context.Context, tx *db.Tx, b broadcast, next string, served int) (bool, error) {
	done := int64(0)
	if next == "" {
		done = f.now().UnixMicro()
	}
	n, err := tx.Exec(ctx, `UPDATE broadcast SET after = $3, sent = sent + $4, done_at = $5
		WHERE id = $1 AND after = $2 AND done_at = 0`, b.ID, b.After, next, served, done)
	return n == 1, err
}

// mailSubscribers stores the deliveries to the next subscribers.
func (f *Feature) mailSubscribers(ctx context.Context, b broadcast) error {
	var items []*delivery.Item
	err := f.db.Tx(ctx, func(tx *db.Tx) error {
		items = nil
		list, err := db.Collect(ctx, tx, func(row db.Row) (one struct{ id, kind string }, err error) {
			err = row.Scan(&one.id, &one.kind)
			return one, err
		}, `SELECT id, kind FROM subscriber WHERE confirmed_at > 0 AND id > $1 ORDER BY id LIMIT $2`,
			b.After, recipientsPerPage)
		if err != nil {
			return err
		}
		next := ""
		if len(list) == recipientsPerPage {
			next = list[len(list)-1].id
		}
		moved, err := f.move(ctx, tx, b, next, len(list))
		if err != nil || !moved {
			return err
		}
		for _, one := range list {
			items = append(items, &delivery.Item{
				Tenant:      one.kind,
				Destination: one.id,
				Kind:        one.kind,
				Lane:        b.Incident,
				Subject:     b.Incident,
				Payload:     b.ID,
			})
		}
		return f.queue.Insert(ctx, tx, items)
	})
	if err != nil {
		return err
	}
	f.queue.Offer(items)
	f.metrics.announced.WithLabelValues(toSubscribers).Add(float64(len(items)))
	return nil
}

// Broadcast is the progress of an update towards its audience.
type Broadcast struct {
	Audience string
	Update   string
	Sent     int64 // recipients that were served
	Done     bool
}

// broadcastsOf reads the broadcasts of an incident, the newest first.
func broadcastsOf(ctx context.Context, tx *db.Tx, incidentID string, limit int) ([]Broadcast, error) {
	return db.Collect(ctx, tx, func(row db.Row) (b Broadcast, err error) {
		var done int64
		err = row.Scan(&b.Audience, &b.Update, &b.Sent, &done)
		b.Done = done > 0
		return b, err
	}, `SELECT audience, update_id, sent, done_at FROM broadcast WHERE incident_id = $1 ORDER BY id DESC LIMIT $2`,
		incidentID, limit)
}
