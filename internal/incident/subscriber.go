package incident

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/mail"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/outbound"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// The kinds of subscribers.
const (
	ByEmail   = "email"
	ByWebhook = "webhook"
)

// Limits of subscriptions.
const (
	maxSubscribers    = 500_000
	requestWindow     = time.Hour
	requestsByNetwork = 10 // in the window
	requestsOfAll     = 5_000
	confirmationTime  = 24 * time.Hour
	maxAddress        = 254
	maxURL            = 1024
)

// Subscriber gets a message for each update.
type Subscriber struct {
	ID          string   `json:"id"`
	Kind        string   `json:"type" enum:"email,webhook"`
	Shown       string   `json:"address" doc:"Masked"`
	Confirmed   bool     `json:"confirmed"`
	CreatedOn   web.Time `json:"created_at"`
	ConfirmedOn web.Time `json:"confirmed_at,omitzero"`
}

// subscriberSecrets are stored sealed.
type subscriberSecrets struct {
	Address string `json:"address"`
	Key     string `json:"key,omitempty"` // whsec_...: signs webhooks
}

// sealPurpose of the secrets of subscribers.
const sealPurpose = "secrets of a status subscriber"

// digest is a keyed hash, so that the database does not reveal addresses.
func (f *Feature) digest(parts ...string) []byte {
	h := hmac.New(sha256.New, f.key)
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return h.Sum(nil)
}

// token is the secret of a link: it proves that its holder got a message to the subscriber.
func (f *Feature) token(purpose, subscriberID string) string {
	return base64.RawURLEncoding.EncodeToString(f.digest("token", purpose, subscriberID)[:20])
}

func (f *Feature) tokenFits(purpose, subscriberID, token string) bool {
	return hmac.Equal([]byte(f.token(purpose, subscriberID)), []byte(token))
}

// The purposes of tokens.
const (
	purposeConfirm     = "confirm"
	purposeUnsubscribe = "unsubscribe"
)

// networkOf is the network of a client: a /24, or an IPv6 /64.
func networkOf(addr netip.Addr) string {
	bits := 64
	if addr = addr.Unmap(); addr.Is4() {
		bits = 24
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return "" // an invalid address
	}
	return p.String()
}

// SubscribeByEmail asks the owner of an address to confirm a subscription. The answer is the same whether the address
// is subscribed or not; who is subscribed already gets a mail that says so, at most once an hour.
func (f *Feature) SubscribeByEmail(ctx context.Context, address string) error {
	if f.cfg.SendMail == nil {
		return errs.New(errs.CodeStateConflict, "this installation has no mail server: use a feed or a webhook")
	}
	address = strings.TrimSpace(address)
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || len(address) > maxAddress {
		return errs.At(errs.CodeInvalid, "/email", "expected one address, such as you@example.com")
	}
	folded := strings.ToLower(address)
	var item *delivery.Item
	err = f.db.Tx(ctx, func(tx *db.Tx) error {
		item = nil
		digest := f.digest(ByEmail, folded)
		again, err := f.countRequest(ctx, tx, digest)
		if err != nil || again {
			return err
		}
		s, err := f.ensureSubscriber(ctx, tx, ByEmail, digest, maskedMail(address), subscriberSecrets{Address: address})
		if err != nil {
			return err
		}
		item = &delivery.Item{Tenant: ByEmail, Destination: s, Kind: ByEmail, Payload: payloadConfirm}
		return f.queue.Insert(ctx, tx, []*delivery.Item{item})
	})
	if err == nil && item != nil {
		f.queue.Offer([]*delivery.Item{item})
	}
	return err
}

// countRequest limits the requests of the client's network and of the installation. again reports that the same address
// was asked for within the window.
func (f *Feature) countRequest(ctx context.Context, tx *db.Tx, digest []byte) (again bool, err error) {
	now := f.now()
	since := now.Add(-requestWindow).UnixMicro()
	network := f.digest("network", networkOf(web.ClientAddr(ctx)))
	var ofNetwork, ofAll, same int
	for _, q := range []struct {
		to    *int
		query string
		arg   any
	}{
		{&ofNetwork, `SELECT count(*) FROM subscription_request WHERE at > $1 AND network = $2`, network},
		{&same, `SELECT count(*) FROM subscription_request WHERE at > $1 AND digest = $2`, digest},
		{&ofAll, `SELECT count(*) FROM (SELECT 1 FROM subscription_request WHERE at > $1 LIMIT $2) r`, requestsOfAll},
	} {
		if err := tx.QueryRow(ctx, q.query, since, q.arg).Scan(q.to); err != nil {
			return false, err
		}
	}
	if ofNetwork >= requestsByNetwork || ofAll >= requestsOfAll {
		refused := errs.New(errs.CodeRateLimited, "too many subscriptions were asked for within an hour")
		return false, refused.After(requestWindow / 4)
	}
	_, err = tx.Exec(ctx, `INSERT INTO subscription_request (id, network, digest, at) VALUES ($1, $2, $3, $4)`,
		id.At(now), network, digest, now.UnixMicro())
	return same > 0, err
}

// ensureSubscriber finds or adds a subscriber, which is not confirmed yet, and returns its id.
func (f *Feature) ensureSubscriber(
	ctx context.Context, tx *db.Tx, kind string, digest []byte, shown string, secrets subscriberSecrets,
) (subscriberID string, err error) {
	err = tx.QueryRow(ctx, `SELECT id FROM subscriber WHERE digest = $1`, digest).Scan(&subscriberID)
	now := f.now()
	if err == nil {
		// A link of an earlier mail is valid for as long again.
		_, err = tx.Exec(ctx, `UPDATE subscriber SET created_at = $2 WHERE id = $1 AND confirmed_at = 0`,
			subscriberID, now.UnixMicro())
		return subscriberID, err
	}
	if !noRows(err) {
		return "", err
	}
	var n int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM subscriber`).Scan(&n); err != nil {
		return "", err
	}
	if n >= maxSubscribers {
		return "", errs.New(errs.CodeLimit, "the status page has %d subscribers, the most that it may have", n)
	}
	encoded, err := json.Marshal(secrets)
	if err != nil {
		return "", err
	}
	subscriberID = id.At(now)
	_, err = tx.Exec(ctx, `INSERT INTO subscriber (id, kind, digest, shown, secrets, created_at, confirmed_at)
		VALUES ($1, $2, $3, $4, $5, $6, 0)`,
		subscriberID,
		kind,
		digest,
		shown,
		f.cfg.Box.Seal(encoded, sealPurpose),
		now.UnixMicro(),
	)
	return subscriberID, err
}

// NewWebhook is a webhook that was just subscribed.
type NewWebhook struct {
	ID            string
	SigningSecret string // shown once
	Unsubscribe   string // URL
}

// SubscribeByWebhook subscribes a URL. It must answer the signed test message with a 2xx status.
func (f *Feature) SubscribeByWebhook(ctx context.Context, address string) (NewWebhook, error) {
	address = strings.TrimSpace(address)
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || len(address) > maxURL {
		return NewWebhook{}, errs.At(errs.CodeInvalid, "/url", "expected an address such as https://hooks.example.com/status")
	}
	s := subscriberSecrets{Address: address, Key: outbound.NewSigningKey()}
	digest := f.digest(ByWebhook, address)
	var out NewWebhook
	err = f.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := f.countRequest(ctx, tx, digest); err != nil {
			return err
		}
		var existing int
		err := tx.QueryRow(ctx, `SELECT count(*) FROM subscriber WHERE digest = $1 AND confirmed_at > 0`, digest).
			Scan(&existing)
		if err != nil {
			return err
		}
		if existing > 0 {
			return errs.At(errs.CodeExists, "/url", "this address is subscribed: end its subscription first")
		}
		if _, err := tx.Exec(ctx, `DELETE FROM subscriber WHERE digest = $1`, digest); err != nil {
			return err
		}
		out.ID, err = f.ensureSubscriber(ctx, tx, ByWebhook, digest, maskedURL(u), s)
		return err
	})
	if err != nil {
		return NewWebhook{}, err
	}
	if err := f.testWebhook(ctx, out.ID, s); err != nil {
		return NewWebhook{}, err
	}
	err = f.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE subscriber SET confirmed_at = $2 WHERE id = $1`, out.ID, f.now().UnixMicro())
		return err
	})
	out.SigningSecret = s.Key
	out.Unsubscribe = f.unsubscribeURL(out.ID)
	return out, err
}

// ConfirmSubscription confirms a subscription by mail; CodeSignIn when the link is not valid.
func (f *Feature) ConfirmSubscription(ctx context.Context, subscriberID, token string) error {
	invalid := errs.New(errs.CodeSignIn, "the link is not valid: it is older than 24 hours, or the subscription was ended")
	if !f.tokenFits(purposeConfirm, subscriberID, token) {
		return invalid
	}
	now := f.now()
	return f.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE subscriber SET confirmed_at = CASE WHEN confirmed_at = 0 THEN $2 ELSE confirmed_at END
			WHERE id = $1 AND kind = 'email' AND (confirmed_at > 0 OR created_at > $3)`,
			subscriberID, now.UnixMicro(), now.Add(-confirmationTime).UnixMicro())
		if err == nil && n == 0 {
			return invalid
		}
		return err
	})
}

// Unsubscribe ends a subscription. It is no error when it has ended already.
func (f *Feature) Unsubscribe(ctx context.Context, subscriberID, token string) error {
	if !f.tokenFits(purposeUnsubscribe, subscriberID, token) {
		return errs.New(errs.CodeSignIn, "the link is not valid: open the one in a newer message")
	}
	return f.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM subscriber WHERE id = $1`, subscriberID)
		return err
	})
}

func scanSubscriber(row db.Row) (Subscriber, error) {
	var s Subscriber
	var created, confirmed int64
	err := row.Scan(
		&s.ID,
		&s.Kind,
		&s.Shown,
		&created,
		&confirmed,
	)
	s.CreatedOn = web.TimeOf(created)
	s.ConfirmedOn = timeOf(confirmed)
	s.Confirmed = confirmed > 0
	return s, err
}

// Subscribers lists subscribers after an id, the oldest first.
func (f *Feature) Subscribers(ctx context.Context, after string, limit int) (list []Subscriber, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = db.Collect(ctx, tx, scanSubscriber, `SELECT id, kind, shown, created_at, confirmed_at FROM subscriber
			WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
		return err
	})
	return list, err
}

// RemoveSubscriber ends a subscription as an operator.
func (f *Feature) RemoveSubscriber(ctx context.Context, subscriberID string) error {
	return f.cfg.Change(ctx, func(tx *db.Tx) error {
		s, err := scanSubscriber(tx.QueryRow(ctx, `DELETE FROM subscriber WHERE id = $1
			RETURNING id, kind, shown, created_at, confirmed_at`, subscriberID))
		if noRows(err) {
			return errs.At(errs.CodeNotFound, "subscriber_id", "there is no such subscriber")
		}
		if err != nil {
			return err
		}
		removed := event.NewAudit(f.cfg.OperatorAccount, "delete", "status_subscriber", s.ID, s.Shown)
		return f.cfg.Record(ctx, tx, removed.Changed(map[string]any{"type": s.Kind}, nil))
	})
}

// maskedMail shows the first letter of an address and its domain.
func maskedMail(address string) string {
	name, domain, _ := strings.Cut(address, "@")
	first := []rune(name)
	return string(first[:min(len(first), 1)]) + "…@" + domain
}

// maskedURL leaves out path and query, which may be secrets.
func maskedURL(u *url.URL) string {
	if u.Path == "" && u.RawQuery == "" {
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + "://" + u.Host + "/…"
}

func (f *Feature) unsubscribeURL(subscriberID string) string {
	return f.cfg.URL + subscriptionPath(subscriberID) + "?token=" + f.token(purposeUnsubscribe, subscriberID)
}

func (f *Feature) confirmURL(subscriberID string) string {
	return f.cfg.URL + subscriptionPath(subscriberID) + "/confirm?token=" + f.token(purposeConfirm, subscriberID)
}
