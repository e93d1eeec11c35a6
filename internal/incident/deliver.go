package incident

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/outbound"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// payloadConfirm is the payload of a delivery that asks for a confirmation; others name a broadcast.
const payloadConfirm = "confirm"

func (f *Feature) deliveryConfig() delivery.Config {
	return delivery.Config{
		DB:         f.db,
		Name:       Manifest.Name,
		Compose:    f.compose,
		Send:       f.send,
		Record:     f.recordOutcomes,
		Log:        f.log,
		Registerer: f.cfg.Registerer,
		Kinds:      []string{ByEmail, ByWebhook},
		Now:        f.now,
		Limits:     f.cfg.Limits,
	}
}

// hook is a webhook that is ready to be sent.
type hook struct {
	id      string
	address string
	key     string
	body    []byte
	secrets []string
}

// compose makes the message of an attempt. A subscription that has ended gets none.
func (f *Feature) compose(ctx context.Context, it *delivery.Item) (delivery.Message, *delivery.Verdict, error) {
	var s Subscriber
	var secrets subscriberSecrets
	var sealed []byte
	err := f.db.View(ctx, func(tx *db.Tx) error {
		var created, confirmed int64
		err := tx.QueryRow(ctx, `SELECT id, kind, created_at, confirmed_at, secrets FROM subscriber WHERE id = $1`,
			it.Destination).Scan(&s.ID, &s.Kind, &created, &confirmed, &sealed)
		s.Confirmed = confirmed > 0
		s.CreatedOn = web.TimeOf(created)
		return err
	})
	if noRows(err) {
		return nil, notSent("the subscription has ended"), nil
	}
	if err != nil {
		return nil, nil, err
	}
	plain, err := f.cfg.Box.Open(sealed, sealPurpose)
	if err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(plain, &secrets); err != nil {
		return nil, nil, err
	}
	if it.Payload == payloadConfirm {
		title, err := f.pageTitle(ctx)
		return f.confirmationMail(it.ID, s, secrets.Address, title), nil, err
	}
	if !s.Confirmed {
		return nil, notSent("the subscription is not confirmed"), nil
	}
	a, err := f.contents.Get(ctx, it.Payload, func(ctx context.Context) (announcement, error) {
		return f.loadAnnouncement(ctx, it.Payload)
	})
	if noRows(err) {
		return nil, notSent("the update is too old"), nil
	}
	if err != nil {
		return nil, nil, err
	}
	if s.Kind == ByEmail {
		return f.updateMail(it.ID, s.ID, secrets.Address, a), nil, nil
	}
	h, err := f.updateHook(it.ID, s.ID, secrets, a)
	return h, nil, err
}

func notSent(why string) *delivery.Verdict {
	return &delivery.Verdict{State: delivery.StateNotSent, Why: why}
}

func (f *Feature) loadAnnouncement(ctx context.Context, broadcastID string) (a announcement, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		var content []byte
		if err := tx.QueryRow(ctx, `SELECT content FROM broadcast WHERE id = $1`, broadcastID).Scan(&content); err != nil {
			return err
		}
		return json.Unmarshal(content, &a)
	})
	return a, err
}

// send makes one attempt.
func (f *Feature) send(ctx context.Context, _ *delivery.Item, m delivery.Message) delivery.Result {
	switch m := m.(type) {
	case Mail:
		if f.cfg.SendMail == nil {
			return delivery.Result{Fault: delivery.Permanent, Error: "BELFRY_SMTP_URL is not set"}
		}
		return f.cfg.SendMail(ctx, m)
	case hook:
		return f.post(ctx, m)
	}
	return delivery.Result{Fault: delivery.Permanent, Error: "a message of an unknown kind"}
}

func (f *Feature) post(ctx context.Context, h hook) delivery.Result {
	now := f.now()
	signature, err := outbound.Sign([]string{h.key}, h.id, now, h.body)
	if err != nil {
		return delivery.Result{Fault: delivery.Permanent, Error: err.Error()}
	}
	return f.cfg.Post(ctx, outbound.Request{
		URL:     h.address,
		Body:    h.body,
		Header:  outbound.SignatureHeader(h.id, now, signature),
		Secrets: append(outbound.URLSecrets(h.address), h.secrets...),
	})
}

// testWebhook sends the message that a receiver must accept before it is subscribed.
func (f *Feature) testWebhook(ctx context.Context, subscriberID string, s subscriberSecrets) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	title, err := f.pageTitle(ctx)
	if err != nil {
		return err
	}
	h, err := f.testHook(id.New(), subscriberID, s, title)
	if err != nil {
		return err
	}
	r := f.post(ctx, h)
	switch {
	case r.Fault != delivery.NoFault:
		return errs.At(errs.CodeInvalid, "/url", "the test message was not delivered: %s", r.Error)
	case r.Status < 200 || r.Status > 299:
		return errs.At(errs.CodeInvalid, "/url", "the receiver answered the test message with %d, not with 2xx", r.Status)
	}
	return nil
}

// goneMailbox are SMTP codes that say that a mailbox does not exist (RFC 5321, 4.2.3).
var goneMailbox = []int{550, 551, 553}

// recordOutcomes ends the subscriptions of receivers that are gone.
func (f *Feature) recordOutcomes(ctx context.Context, tx *db.Tx, list []*delivery.Outcome) (func(), error) {
	for _, o := range list {
		gone := o.Verdict.Mark == delivery.DestinationDisabled ||
			o.Item.Kind == ByEmail && o.Verdict.State == delivery.StateFailed && slices.Contains(goneMailbox, o.Result.Status)
		if !gone {
			continue
		}
		if _, err := tx.Exec(ctx, `DELETE FROM subscriber WHERE id = $1`, o.Item.Destination); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// pageTitle is the name of the status page.
func (f *Feature) pageTitle(ctx context.Context) (string, error) {
	b, err := f.board.Get(ctx)
	if err != nil {
		return "", err
	}
	return b.Page.Title, nil
}

// The public documents are made once for all visitors.
const (
	renderedDocuments = 500
	renderedFor       = 10 * time.Second
)
