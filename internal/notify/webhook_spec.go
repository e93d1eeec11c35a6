package notify

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

const maxWebhooks = 200 // of an account

// TypeGeneric is the type of a webhook whose receiver speaks no chat's format.
const TypeGeneric = "generic"

// WebhookSpec describes a webhook; nil leaves a field unchanged. Key, for
// a new one, is its signing secret: without it Belfry makes one.
type WebhookSpec struct {
	Name, URL, Secret, Key *string
}

// NewWebhook is a webhook that was just made, or whose key is new.
type NewWebhook struct {
	Destination
	SigningSecret string `json:"signing_secret" doc:"whsec_...: verifies the signatures (Standard Webhooks). It is shown only once"`
}

func (s WebhookSpec) apply(d *Destination) error {
	var list errs.List
	if s.Name != nil {
		d.Name = *s.Name
	}
	if strings.TrimSpace(d.Name) == "" || utf8.RuneCountInString(d.Name) > maxName ||
		strings.ContainsFunc(d.Name, unicode.IsControl) {
		list = append(list, errs.At(errs.CodeInvalid, "/name", "name has 1 to %d characters, none of them control characters",
			maxName))
	}
	if s.URL != nil {
		d.URL = *s.URL
	}
	if fault := checkURL(d.URL); fault != "" {
		list = append(list, errs.At(errs.CodeInvalid, "/url", "%s", fault))
	}
	d.Type = typeOf(d.URL)
	if s.Secret != nil {
		d.secrets.Shared = *s.Secret
	}
	if len(d.secrets.Shared) > maxText ||
		strings.ContainsFunc(d.secrets.Shared, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		list = append(list, errs.At(errs.CodeInvalid, "/secret",
			"secret has at most %d visible ASCII characters and no spaces: it is sent as the header cf-webhook-auth", maxText))
	}
	if s.Key != nil {
		if fault := checkKey(*s.Key); fault != "" {
			list = append(list, errs.At(errs.CodeInvalid, "/signing_secret", "%s", fault))
		}
	}
	return list.Or()
}

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
	}
	return ""
}

// typeOf derives the receiver's type from the host, as the contract has it.
func typeOf(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return TypeGeneric
	}
	host := "." + strings.ToLower(u.Hostname())
	for _, t := range []struct{ suffix, name string }{
		{".hooks.slack.com", "slack"}, {".chat.googleapis.com", "gchat"}, {".discord.com", "discord"},
		{".discordapp.com", "discord"},
		{".feishu.cn", "feishu"}, {".larksuite.com", "feishu"}, {".opsgenie.com", "opsgenie"}, {".datadoghq.com", "datadog"},
		{".datadoghq.eu", "datadog"}, {".splunkcloud.com", "splunk"}, {".webhook.office.com", "msteams"},
		{".logic.azure.com", "msteams"},
	} {
		if strings.HasSuffix(host, t.suffix) {
			return t.name
		}
	}
	if strings.HasSuffix(u.Path, "/services/collector") || strings.Contains(u.Path, "/services/collector/") {
		return "splunk"
	}
	return TypeGeneric
}
