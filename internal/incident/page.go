package incident

import (
	"embed"
	"net/http"
	"time"

	"github.com/belfryhq/belfry/internal/platform/page"
)

//go:embed page_*.html
var pageFiles embed.FS

// Paths of the pages: the console's, and the public ones.
const (
	ConsolePath = "/console/incidents"
	PagePath    = "/console/status"
	StatusPath  = "/status"

	rssPath       = StatusPath + "/history.rss"
	atomPath      = StatusPath + "/history.atom"
	historyPath   = StatusPath + "/history"
	subscribePath = StatusPath + "/subscribe"
)

// consolePath is the page of an incident in the console.
func consolePath(incidentID string) string { return ConsolePath + "/" + incidentID }

// incidentPath is the public page of an incident.
func incidentPath(incidentID string) string { return StatusPath + "/incidents/" + incidentID }

// subscriptionPath is the page that ends a subscription.
func subscriptionPath(subscriberID string) string {
	return StatusPath + "/subscriptions/" + subscriberID
}

func componentPath(componentID string) string { return PagePath + "/components/" + componentID }

// Sections of the console's navigation.
const (
	sectionIncidents = "incidents"
	sectionStatus    = "status"
)

// pages are the feature's pages.
type pages struct {
	*Feature
	*page.Set
	cross *http.CrossOriginProtection
}

// flashes are shown once on the page after a form.
var flashes = page.Flashes{
	"incident-declared":     "Incident declared.",
	"maintenance-scheduled": "Maintenance scheduled.",
	"update-published":      "Update published.",
	"incident-changed":      "Saved.",
	"message-corrected":     "Message corrected. Nothing was sent.",
	"component-added":       "Component added.",
	"component-changed":     "Component saved.",
	"component-removed":     "Component removed. Old incidents keep its name.",
	"page-changed":          "Texts of the status page saved.",
	"templates-changed":     "Templates saved.",
	"subscriber-removed":    "Subscription ended.",
}

// Pages registers the pages. Call it once, after New.
func (f *Feature) Pages(kit *page.Kit) error {
	set, err := kit.Parse(pageFiles, flashes)
	if err != nil {
		return err
	}
	p := &pages{f, set, http.NewCrossOriginProtection()}
	p.addIncidents()
	p.addForms()
	p.addComponents()
	p.addStatus()
	if !f.cfg.PageOff {
		p.addPublic()
		p.addSubscriptions()
	}
	return nil
}

// canWrite reports whether the visitor may change incidents and components.
func canWrite(v *page.Visit) bool { return v.Who.Can("", permissionWrite) }

// fieldTime is the layout of fields for times, which are in UTC.
const fieldTime = "2006-01-02T15:04"

func fieldOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(fieldTime)
}

// parseField reads a field for a time; ok is false when it is not one. An empty field is the zero time.
func parseField(text string) (t time.Time, ok bool) {
	if text == "" {
		return t, true
	}
	for _, layout := range []string{fieldTime, "2006-01-02T15:04:05", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return t, false
}
