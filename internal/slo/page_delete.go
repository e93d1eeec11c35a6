package slo

import (
	"strings"

	"github.com/belfryhq/belfry/internal/platform/page"
)

// confirmDelete names the effects of a deletion.
func (p *pages) confirmDelete(v *page.Visit) (page.Confirm, error) {
	o, s, err := p.Status(v.Context(), v.Account, v.PathValue("slo_id"))
	if err != nil {
		return page.Confirm{}, err
	}
	var fires []string
	for _, pair := range s.Pairs {
		if pair.Since != nil {
			fires = append(fires, pair.Pair+" since "+pair.Since.UTC().Format("2 January, 15:04")+" UTC")
		}
	}
	text := "No further alert is sent"
	if len(fires) > 0 {
		text = "Its alert that fires now (" + strings.Join(fires, ", ") +
			") ends, and those who got its start are notified. " + text
	}
	return page.Confirm{
		Section: section,
		Title:   "Delete " + o.Name + "?",
		Text: text + ", and its past burns are deleted. The request counts of the property stay, and the audit log keeps " +
			"every change.",
		Label:  "Delete the objective",
		Back:   objectivePath(v.Account, o.ID),
		Danger: true,
	}, nil
}

func (p *pages) delete(v *page.Visit) error {
	if err := p.Remove(v.Context(), v.Account, v.PathValue("slo_id"), nil); err != nil {
		return err
	}
	return v.Redirect(objectivesPath(v.Account), "deleted")
}
