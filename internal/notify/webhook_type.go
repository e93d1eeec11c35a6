package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
)

// webhookType is the format that a webhook's receiver speaks.
type webhookType struct {
	name  string
	hosts []string // whose webhooks have the type when none is given
	// secretURL says that the URL alone gives the right to send to it.
	secretURL bool
}

// webhookTypes are the types of the compatible API, and Belfry's own.
var webhookTypes = []webhookType{
	{name: "slack", hosts: []string{"hooks.slack.com"}, secretURL: true},
	{name: "gchat", hosts: []string{"chat.googleapis.com"}, secretURL: true},
	{name: "discord", hosts: []string{"discord.com", "discordapp.com"}, secretURL: true},
	{
		name:      "msteams",
		hosts:     []string{"webhook.office.com", "logic.azure.com", "api.powerplatform.com"},
		secretURL: true,
	},
	{name: "feishu", hosts: []string{"feishu.cn", "larksuite.com"}, secretURL: true},
	{name: "opsgenie", hosts: []string{"opsgenie.com", "api.atlassian.com"}},
	{
		name: "datadog",
		hosts: []string{
			"datadoghq.com", "datadoghq.eu", "us3.datadoghq.com", "us5.datadoghq.com", "ap1.datadoghq.com", "ddog-gov.com",
		},
	},
	{name: "splunk", hosts: []string{"splunkcloud.com"}},
	{name: "ntfy", hosts: []string{"ntfy.sh"}, secretURL: true},
	{name: "mattermost", secretURL: true},
	{name: "gotify"},
	{name: TypeGeneric},
}

// TypeGeneric is the type of a webhook whose receiver speaks no chat's format.
const TypeGeneric = "generic"

// typeNamed finds a type.
func typeNamed(name string) *webhookType {
	i := slices.IndexFunc(webhookTypes, func(t webhookType) bool { return t.name == name })
	if i < 0 {
		return nil
	}
	return &webhookTypes[i]
}

// typeNames lists the types for people.
func typeNames() string {
	var list []string
	for _, t := range webhookTypes {
		list = append(list, t.name)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// typeOf derives the receiver's type from the URL, as the contract has it.
func typeOf(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return TypeGeneric
	}
	host := "." + strings.ToLower(u.Hostname())
	for _, t := range webhookTypes {
		for _, suffix := range t.hosts {
			if strings.HasSuffix(host, "."+suffix) {
				return t.name
			}
		}
	}
	if strings.HasSuffix(u.Path, "/services/collector") || strings.Contains(u.Path, "/services/collector/") {
		return "splunk"
	}
	return TypeGeneric
}

// hidesURL reports whether the URL of a webhook is a secret: by its type, by its host
// whatever type was given, or because a receiver's key is in its query.
func hidesURL(address, name string) bool {
	for _, n := range []string{name, typeOf(address)} {
		if t := typeNamed(n); t != nil && t.secretURL {
			return true
		}
	}
	u, err := url.Parse(address)
	return name != TypeGeneric && (err != nil || u.RawQuery != "")
}

// hiddenPath begins the path of a URL that is not shown.
const hiddenPath = "/***"

// hideURL shows only the host of a URL, and four digits that tell two of them apart.
func hideURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return hiddenPath
	}
	sum := sha256.Sum256([]byte(s))
	return u.Scheme + "://" + u.Host + hiddenPath + hex.EncodeToString(sum[:2])
}
