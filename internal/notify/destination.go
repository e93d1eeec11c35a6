package notify

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

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
	URL         string   `json:"url" doc:"Where it is a secret by itself, only the host and four digits that identify it"`
	Type        string   `json:"type" doc:"Derived from the URL, unless it was given: datadog, discord, feishu, gchat, generic, gotify, mattermost, msteams, ntfy, opsgenie, slack, splunk"`
	CreatedAt   web.Time `json:"created_at"`
	LastSuccess web.Time `json:"last_success,omitzero"`
	LastFailure web.Time `json:"last_failure,omitzero"`
	State       string   `json:"state" enum:"ok,broken,disabled"`
	StateReason string   `json:"state_reason,omitempty"`

	HeaderNames  []string  `json:"header_names,omitempty" doc:"Headers of its own; their values are not returned"`
	BodyTemplate string    `json:"body_template,omitempty"`
	Fallback     *Fallback `json:"fallback,omitempty"`

	Kind     string   `json:"-"`
	StateAt  web.Time `json:"-"`
	Modified web.Time `json:"-"`

	account  string
	secrets  secrets
	settings destinationSettings
}

// destinationSettings are the settings of a destination that are no secrets.
type destinationSettings struct {
	Type     string    `json:"type,omitempty"` // explicit; "" = derived from the URL
	Body     string    `json:"body,omitempty"` // template
	Fallback *Fallback `json:"fallback,omitempty"`
	Connect  string    `json:"connect,omitempty"` // id under which a PagerDuty service was connected
}

// address is the URL, or the address of mail, to which messages are sent.
func (d *Destination) address() string { return cmp.Or(d.secrets.URL, d.URL) }

// setAddress changes the URL and derives its type. URL is the one that is shown.
func (d *Destination) setAddress(address string) {
	d.Type = cmp.Or(d.settings.Type, typeOf(address))
	d.URL = address
	d.secrets.URL = ""
	if hidesURL(address, d.Type) {
		d.URL = hideURL(address)
		d.secrets.URL = address
	}
}

// shown is the destination with the fields that only readers see.
func (d *Destination) shown() Destination {
	s := *d
	s.HeaderNames = sortedKeys(d.secrets.Headers)
	s.BodyTemplate = d.settings.Body
	s.Fallback = d.settings.Fallback
	return s
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
	return n.deleteDestination(ctx, by, account, KindWebhook, destinationID)
}

// deleteDestination removes a destination that neither a policy nor another
// destination names.
func (n *Feature) deleteDestination(
	ctx context.Context, by *web.Principal, account, kind, destinationID string,
) error {
	d, err := n.destinationOf(ctx, account, kind, destinationID)
	if err != nil {
		return err
	}
	err = n.Change(ctx, func(tx *db.Tx) error {
		if err := n.refuseUsed(ctx, tx, &d); err != nil {
			return err
		}
		changed, err := tx.Exec(ctx, `DELETE FROM destination WHERE account_id = $1 AND id = $2 AND kind = $3`,
			account, destinationID, kind)
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

// checkUnused is refuseUsed outside of a transaction.
func (n *Feature) checkUnused(ctx context.Context, d *Destination) error {
	return n.DB.View(ctx, func(tx *db.Tx) error { return n.refuseUsed(ctx, tx, d) })
}

// refuseUsed returns an error when a policy sends to a destination, or another
// destination falls back to it.
func (n *Feature) refuseUsed(ctx context.Context, tx *db.Tx, d *Destination) error {
	policies, err := policiesOf(ctx, tx, d.account)
	if err != nil {
		return err
	}
	noun := "webhook"
	if d.Kind == KindPagerDuty {
		noun = "PagerDuty service"
	}
	for _, p := range policies {
		if all := p.every(); slices.Contains(all.hooks(), Mechanism{d.ID}) {
			return errs.New(errs.CodeStateConflict, "the policy %s sends to this %s; take it out of the policy first",
				quoted(p.Name), noun)
		}
	}
	others, err := db.Collect(ctx, tx, n.scanDestination, selectDestination+` WHERE account_id = $1 AND settings LIKE $2`,
		d.account, "%"+d.ID+"%")
	if err != nil {
		return err
	}
	for _, other := range others {
		if f := other.settings.Fallback; f != nil && f.DestinationID == d.ID {
			return errs.New(errs.CodeStateConflict, "the destination %s falls back to this %s; change its fallback first",
				quoted(other.Name), noun)
		}
	}
	return nil
}

// clean is a destination as the record shows it.
func (d *Destination) clean() map[string]any {
	m := map[string]any{"name": d.Name, "url": d.URL, "type": d.Type, "has_secret": d.secrets.Shared != ""}
	if len(d.secrets.Headers) > 0 {
		m["header_names"] = sortedKeys(d.secrets.Headers)
	}
	if d.settings.Body != "" {
		m["body_template"] = d.settings.Body
	}
	if f := d.settings.Fallback; f != nil {
		m["fallback"] = map[string]any{"destination_id": f.DestinationID, "after": f.After}
	}
	return m
}

// mustReach sends a test message and wants a 2xx.
func (n *Feature) mustReach(ctx context.Context, d *Destination) error {
	r, meaning, err := n.sendTest(ctx, d)
	switch {
	case err != nil:
		return err
	case arrived(r, meaning), r.Fault == delivery.Kept:
		return nil
	}
	pointer := "/url"
	status := statusOf(r, meaning)
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden
	switch {
	case refused && d.Kind == KindPagerDuty:
		pointer = "/routing_key"
	case refused && d.secrets.Shared != "":
		pointer = "/secret"
	}
	if r.Error != "" {
		return errs.At(errs.CodeInvalid, pointer, "a test message did not arrive: %s", r.Error)
	}
	what := fmt.Sprintf("a test message was answered with status %d; a webhook must answer 2xx", r.Status)
	if r.Status >= 300 && r.Status < 400 {
		what += ", and " + delivery.Redirect(r)
	} else if text := answerText(r.Answer); text != "" {
		what += ". The receiver says: " + text
	}
	return errs.At(errs.CodeInvalid, pointer, "%s", what)
}

// answerText is the beginning of a response that is text for people.
func answerText(answer []byte) string {
	text := strings.Join(strings.Fields(plainText(clean(string(answer)))), " ")
	if strings.HasPrefix(text, "<") { // a page of HTML
		return ""
	}
	return Cut(text, 200)
}
