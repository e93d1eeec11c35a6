package notify

import (
	"cmp"
	"context"
	"net/url"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// A message about a start carries a link with which its recipient acknowledges the alert without a session. The link
// is signed, names the alert and the destination, and expires. Opening it changes nothing, because mail scanners
// open links; its page has a button.

// AcknowledgePath is the page behind the link of a message.
const AcknowledgePath = "/acknowledge"

// ackLinkTTL is how long a link can be used.
const ackLinkTTL = 7 * 24 * time.Hour

// ackLinks names the links for the MAC.
const ackLinks = "acknowledge by link"

// ackLink is the signed content of a link.
type ackLink struct {
	Account     string `json:"a"`
	Alert       string `json:"i"` // id of the alert that opened the incident
	Destination string `json:"d"`
	Expires     int64  `json:"e"` // Unix seconds
}

// ackToken makes the token of a link to acknowledge an alert, for one destination.
func (n *Feature) ackToken(accountID, alertID, destinationID string) string {
	expires := n.Now().Add(ackLinkTTL).Unix()
	return n.Cursors.Encode(ackLinks, ackLink{accountID, alertID, destinationID, expires})
}

// ackURL is the link with a token.
func (n *Feature) ackURL(token string) string { return n.URL + AcknowledgePath + "?t=" + token }

// ackSecrets are the parts of a message that must not be stored with an attempt: who reads it there may lack the
// permission to acknowledge.
func (m *Message) ackSecrets() []string {
	if m.AckURL == "" {
		return nil
	}
	u, err := url.Parse(m.AckURL)
	if err != nil {
		return nil
	}
	return []string{u.Query().Get("t")}
}

// LinkedAlert is a link that was opened.
type LinkedAlert struct {
	Alert Alert
	Name  string         // of the alert
	By    *web.Principal // its recipient
}

// openAckLink checks a link and reads its alert. A link that is expired, or whose recipient is no destination any
// more, is CodeNotFound.
func (n *Feature) openAckLink(ctx context.Context, token string) (l LinkedAlert, err error) {
	invalid := errs.New(errs.CodeNotFound,
		"this link is not valid any more; open the alert in the dashboard, or use the link of a newer message")
	var link ackLink
	if n.Cursors.Decode(ackLinks, token, &link) != nil || n.Now().Unix() > link.Expires {
		return l, invalid
	}
	d, err := n.settings(ctx, link.Account, link.Destination)
	if errs.Is(err, errs.CodeNotFound) {
		return l, invalid
	}
	if err != nil {
		return l, err
	}
	if l.By, err = n.recipient(ctx, link.Account, d); err != nil {
		return l, err
	}
	if l.By == nil {
		return l, invalid
	}
	if l.Alert, l.Name, err = n.named(ctx, link.Account, link.Alert); errs.Is(err, errs.CodeNotFound) {
		return l, invalid
	}
	return l, err
}

// recipient is the principal for which a destination's link acts: the member to whom a mail was sent, or else the
// destination. nil = the address belongs to no member any more.
func (n *Feature) recipient(ctx context.Context, accountID string, d *Destination) (*web.Principal, error) {
	if d.Kind == KindEmail {
		ok, err := n.Member(ctx, accountID, d.URL)
		if err != nil || !ok {
			return nil, err
		}
		return &web.Principal{
			Kind:      web.KindUser,
			ID:        d.URL,
			Name:      d.URL,
			Email:     d.URL,
			AccountID: accountID,
			Session:   true,
		}, nil
	}
	title := d.Type
	if c := n.channelOf(d.Kind, d.Type); c != nil {
		title = cmp.Or(c.Traits().Title, title)
	}
	return &web.Principal{
		Kind:      "integration",
		ID:        d.ID,
		Name:      d.Name + " (" + title + ")",
		AccountID: accountID,
		Session:   true,
	}, nil
}

// AckByLink acknowledges the alert of a link for its recipient.
func (n *Feature) AckByLink(ctx context.Context, token string) (l LinkedAlert, err error) {
	if l, err = n.openAckLink(ctx, token); err != nil {
		return l, err
	}
	l.Alert, err = n.Ack(ctx, l.By, l.Alert.account, l.Alert.ID)
	return l, err
}
