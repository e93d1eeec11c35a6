package notify

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

const maxWebhooks = 200 // of an account

// WebhookSpec describes a webhook; nil leaves a field unchanged. Key, for
// a new one, is its signing secret: without it Belfry makes one.
type WebhookSpec struct {
	Name, URL, Secret, Key *string

	Type     *string           // "" = derived from the URL
	Headers  map[string]string // replace all; empty removes them
	Body     *string           // template of the body; "" = the standard body
	Fallback *Fallback         // without a destination = none
}

// Fallback is the destination of messages that do not
// arrive.
type Fallback struct {
	DestinationID string `json:"destination_id" maxLength:"64" doc:"A destination of the account; empty removes the fallback"`
	After         string `json:"after,omitempty" doc:"How long a message is tried before it goes there, such as 15m; until it is given up when left out"`
}

// The time after which a message may go to the fallback.
const (
	soonestFallback = time.Minute
	latestFallback  = 3 * 24 * time.Hour
)

// NewWebhook is a webhook that was just made, or whose key is new.
type NewWebhook struct {
	Destination
	SigningSecret string `json:"signing_secret" doc:"whsec_...: verifies the signatures (Standard Webhooks). It is shown only once"`
}

// applyWebhook changes a webhook as a specification says, and checks the result.
func (n *Feature) applyWebhook(ctx context.Context, s WebhookSpec, d *Destination) error {
	var list errs.List
	fault := func(pointer, text string) {
		if text != "" {
			list = append(list, errs.At(errs.CodeInvalid, pointer, "%s", text))
		}
	}
	if s.Name != nil {
		d.Name = *s.Name
	}
	fault("/name", nameFault(d.Name))
	address := d.address()
	if s.URL != nil && *s.URL != d.URL {
		address = *s.URL
	}
	fault("/url", checkURL(address))
	if s.Type != nil {
		fault("/type", n.typeFault(*s.Type))
		d.settings.Type = *s.Type
	}
	d.setAddress(address)
	if s.Secret != nil {
		d.secrets.Shared = *s.Secret
	}
	if len(d.secrets.Shared) > maxText ||
		strings.ContainsFunc(d.secrets.Shared, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		fault("/secret", "secret has at most 1,000 visible ASCII characters and no spaces: it is sent in a header")
	}
	if s.Key != nil {
		fault("/signing_secret", checkKey(*s.Key))
	}
	if s.Headers != nil {
		d.secrets.Headers = s.Headers
	}
	list = append(list, checkHeaders(d.secrets.Headers)...)
	if s.Body != nil {
		d.settings.Body = *s.Body
	}
	if len(d.secrets.Headers) > 0 && d.Type != TypeGeneric {
		fault("/headers", "only webhooks of the type generic have headers of their own")
	}
	if d.settings.Body != "" && d.Type != TypeGeneric {
		fault("/body_template", "only webhooks of the type generic have a template of the body")
	}
	if c := n.channelOf(KindWebhook, d.Type); c != nil && len(list) == 0 {
		if check := c.Traits().Check; check != nil {
			fault(check(Settings{URL: address, Secret: d.secrets.Shared, Body: d.settings.Body}))
		}
	}
	if s.Fallback != nil {
		text, err := n.applyFallback(ctx, *s.Fallback, d)
		if err != nil {
			return err
		}
		fault("/fallback", text)
	}
	if len(list) == 0 {
		return n.checkBody(ctx, d)
	}
	return list.Or()
}

// nameFault returns the fault of a destination's name; "" when it is valid.
func nameFault(s string) string {
	if strings.TrimSpace(s) == "" || utf8.RuneCountInString(s) > maxName || strings.ContainsFunc(s, unicode.IsControl) {
		return "name has 1 to 255 characters, none of them control characters"
	}
	return ""
}

// typeFault returns the fault of an explicit type; "" when it is valid.
func (n *Feature) typeFault(name string) string {
	if name == "" || name == TypeGeneric || typeNamed(name) != nil && n.channels[name] != nil {
		return ""
	}
	return "type is one of " + typeNames() + "; it follows from the URL when left out"
}

// applyFallback sets the fallback of a destination and returns its fault.
func (n *Feature) applyFallback(ctx context.Context, f Fallback, d *Destination) (fault string, err error) {
	if f.DestinationID == "" {
		d.settings.Fallback = nil
		return "", nil
	}
	if f.DestinationID == d.ID {
		return "a destination is not its own fallback", nil
	}
	if f.After != "" {
		after, err := parseInterval(f.After)
		if err != nil || after < soonestFallback || after > latestFallback {
			return "after is a time between 1m and 3d, such as 15m; leave it out to try until the message is given up", nil
		}
	}
	_, err = n.destinationByID(ctx, d.account, f.DestinationID)
	if errs.Is(err, errs.CodeNotFound) {
		return "there is no destination " + quoted(f.DestinationID) + " in this account", nil
	}
	d.settings.Fallback = &f
	return "", err
}

// Limits of headers that a webhook adds.
const (
	maxHeaders     = 20
	maxHeaderName  = 100
	maxHeaderValue = 2000
)

// reservedHeaders are set by Belfry or by the connection.
var reservedHeaders = []string{
	"Host", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Connection", "Keep-Alive", "Te",
	"Trailer", "Upgrade", "Expect", "User-Agent", "Accept-Encoding", "Cf-Webhook-Auth",
}

// checkHeaders returns the faults of headers that a webhook adds.
func checkHeaders(headers map[string]string) (list errs.List) {
	fault := func(name, format string, args ...any) {
		list = append(list, errs.At(errs.CodeInvalid, "/headers/"+pointerTo(name), format, args...))
	}
	if len(headers) > maxHeaders {
		return errs.List{errs.At(errs.CodeOutOfRange, "/headers", "a webhook has at most %d headers", maxHeaders)}
	}
	seen := map[string]bool{}
	for _, name := range sortedKeys(headers) {
		canonical := http.CanonicalHeaderKey(name)
		value := headers[name]
		switch {
		case name == "" || len(name) > maxHeaderName || strings.ContainsFunc(name, notToken):
			fault(name, "a header's name has 1 to %d letters, digits and hyphens", maxHeaderName)
		case slices.Contains(reservedHeaders, canonical), strings.HasPrefix(canonical, "Webhook-"),
			strings.HasPrefix(canonical, "Proxy-"):
			fault(name, "the header %s is set by Belfry or by the connection", canonical)
		case seen[canonical]:
			fault(name, "the header %s is there twice", canonical)
		case len(value) > maxHeaderValue || strings.TrimSpace(value) != value || strings.ContainsFunc(value, notVisible):
			fault(name, "a header's value has at most %d visible ASCII characters, with spaces only between them",
				maxHeaderValue)
		}
		seen[canonical] = true
	}
	return list
}

// notToken reports characters that the name of a header does not have.
func notToken(r rune) bool {
	return r != '-' && r != '_' && (r > 0x7e || !unicode.IsLetter(r) && !unicode.IsDigit(r))
}

func notVisible(r rune) bool { return r < 0x20 || r > 0x7e }

// checkURL returns the fault of a webhook's URL; "" when it is valid. The channel
// checks the address.
func checkURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return "url is required"
	case len(s) > maxURL:
		return "url is longer than 2,048 bytes"
	case err != nil || strings.ContainsAny(s, "\\ \t\r\n") || u.Hostname() == "":
		return "url must be https://host/path"
	case u.Scheme != "https" && u.Scheme != "http":
		return "url must begin with https:// or http://"
	case u.User != nil:
		return "url must not hold a user or password; use secret, which is sent as the header cf-webhook-auth"
	case u.Fragment != "":
		return "url must not have a fragment (#...)"
	case strings.HasPrefix(u.Path, hiddenPath):
		return "url is a hidden one of another destination; give the whole URL of the receiver"
	}
	return ""
}
