package notify

import (
	"embed"

	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

//go:embed page_*.html
var pageFiles embed.FS

// pages is the feature's part of the dashboard.
type pages struct {
	*Feature
	*page.Set
}

// flashes are shown once on the page after a form.
var flashes = page.Flashes{
	"acked":               "Alert acknowledged.",
	"unacked":             "Acknowledgement withdrawn.",
	"acked-all":           "Alerts acknowledged.",
	"unacked-all":         "Acknowledgements withdrawn.",
	"note-created":        "Note added.",
	"note-deleted":        "Note deleted.",
	"replayed":            "Messages are being sent again, with new ids.",
	"policy-created":      "Policy created. It applies to the next alert of this type.",
	"policy-changed":      "Policy saved.",
	"policies-changed":    "Policies changed.",
	"policies-deleted":    "Policies deleted. Their past decisions stay with the alerts.",
	"nothing-chosen":      "Nothing was selected.",
	"inbox-changed":       "Inbox changed.",
	"inbox-read":          "All entries are read.",
	"policy-deleted":      "Policy deleted. Its past decisions stay with the alerts.",
	"pagerduty-connected": "PagerDuty service connected. Policies can name it now.",
	"silence-created":     "Alerts are silenced. They stay visible.",
	"silence-ended":       "Silence ended. Alerts that still fire are sent.",
	"tested":              "Test messages are being sent.",
	"webhook-changed":     "Webhook saved.",
	"webhook-receives":    "Policies saved. They apply to the next alert.",
	"webhook-deleted":     "Webhook deleted.",
	"webhook-enabled":     "Webhook enabled: a test message was delivered.",
	"webhook-paused":      "Webhook paused. Nothing is sent to it until it is enabled.",
}

// Pages registers the feature's pages.
func (n *Feature) Pages(kit *page.Kit) error {
	set, err := kit.Parse(pageFiles, flashes)
	if err != nil {
		return err
	}
	p := &pages{n, set}
	p.addAlerts()
	p.addNotes()
	p.addAcknowledge()
	p.addSilences()
	p.addPolicies()
	p.addWebhooks()
	p.addPagerDuty()
	p.addDeliveries()
	p.addTypes()
	p.addInbox()
	return nil
}

func severityTone(s string) ui.Tone {
	switch s {
	case "critical", "error":
		return ui.Bad
	case "warning":
		return ui.Warn
	}
	return ui.Info
}

func deliveryTone(state string) ui.Tone {
	switch state {
	case delivery.StateDelivered:
		return ui.Good
	case delivery.StateFailed, delivery.StateNotSent:
		return ui.Bad
	case delivery.StateWaiting:
		return ui.Warn
	}
	return ui.Info
}

// deliveryWord is a delivery's state in a word.
func deliveryWord(state string, tries int) string {
	switch state {
	case delivery.StateWaiting:
		if tries > 0 {
			return "retrying"
		}
		return "pending"
	case delivery.StateNotSent:
		return "not sent"
	case delivery.StateKept:
		return "not sent (no mail server)"
	}
	return state
}
