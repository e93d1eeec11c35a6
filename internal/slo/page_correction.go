package slo

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"strconv"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// correctionView is the data of the template "correction".
type correctionView struct {
	*Correction
	Hub      ui.Hub
	Waiting  string // what a pending correction waits for
	Approve  string // path; "" = the visitor may not approve it
	Effects  []effectRow
	Activity *ui.Activity
}

// effectRow is the effect of a correction on an objective.
type effectRow struct {
	GivesBack
	Href  string
	Share string // of the budget
}

func (p *pages) showCorrection(v *page.Visit) error {
	c, err := p.Correction(v.Context(), v.Account, v.PathValue("correction_id"))
	if err != nil {
		return err
	}
	data := correctionView{Correction: c}
	path := correctionPath(v.Account, c.ID)
	if c.State == Pending {
		data.Waiting = "It changes nothing until a second member approves it: " + c.Approval + "."
		if c.mayApprove(v) {
			data.Approve = path + "/approve"
		} else if memberOf(v.Who).Key == c.RequestedBy.Key {
			data.Waiting += " You requested it, so another member has to approve it."
		}
	}
	for _, g := range c.GivesBack {
		data.Effects = append(data.Effects, effectRow{g, objectivePath(v.Account, g.ObjectiveID), budgetChange(g.Budget)})
	}
	applies, more, err := p.appliesLinks(v, c, 10, p.zoneNames(v.Account), p.objectiveNames(v))
	if err != nil {
		return err
	}
	if more > 0 {
		applies = append(applies, ui.Link{Label: fmt.Sprintf("and %d more", more)})
	}
	data.setHub(v, path, applies)
	if p.cfg.Activity != nil && v.Can(account.AuditRead) {
		about := feature.About{ResourceType: "correction", ResourceID: c.ID}
		a, err := p.cfg.Activity(v.Context(), v.Who, v.Account, about, hubRows)
		if err != nil {
			return err
		}
		data.Activity = &a
	}
	return v.Show(page.View{Section: section, Title: data.Hub.Title, Template: "correction", Data: data})
}

// budgetChange is a part of a budget with its sign: "+ 12 %".
func budgetChange(part float64) string {
	if math.Abs(part) < 0.0005 {
		return "0 %"
	}
	if part < 0 {
		return "– " + shareOfBudget(-part)
	}
	return "+ " + shareOfBudget(part)
}

func (d *correctionView) setHub(v *page.Visit, path string, applies []ui.Link) {
	c := d.Correction
	d.Hub = ui.Hub{
		Back:     ui.Link{Label: "Corrections", Href: correctionsPath(v.Account)},
		Icon:     "calendar-clock",
		Title:    c.Kind.Word() + ", " + c.length(),
		Status:   c.status(),
		Subtitle: ui.Sentence{{Text: c.Reason}},
	}
	if c.Kind == Reset {
		d.Hub.Title = c.Kind.Word()
		d.Hub.Icon = "rotate-ccw"
	}
	if d.Approve != "" {
		d.Hub.Actions = append(d.Hub.Actions,
			ui.Link{Label: "Approve", Icon: "user-check", Href: d.Approve, Primary: true, Key: "a"})
	}
	if write := v.Can(account.SLOWrite); write && c.State == Pending {
		label := "Reject"
		if memberOf(v.Who).Key == c.RequestedBy.Key {
			label = "Withdraw"
		}
		d.Hub.Actions = append(d.Hub.Actions, ui.Link{Label: label, Icon: "x", Href: path + "/reject"})
	} else if write && c.State == Active {
		d.Hub.Actions = []ui.Link{{Label: "Remove", Icon: "undo-2", Href: path + "/remove"}}
	}
	if v.Can(account.AuditRead) {
		href := account.RecordPath(v.Account) + "?" + url.Values{"resource_id": {c.ID}}.Encode()
		d.Hub.More = []ui.Link{{Label: "Audit log of this correction", Icon: "scroll-text", Href: href}}
	}
	when := ui.PropertyGroup{Title: "Correction", Properties: []ui.Property{
		{Label: "State", Status: c.status()},
		{Label: "Kind", Text: c.Kind.Word()},
		{Label: "Applies to", Links: applies},
		{Label: "From", At: c.From.Time},
		{Label: "To", At: c.To.Time},
		{Label: "Length", Text: c.length()},
	}}
	if c.Zone != "" {
		when.Properties[2].Note = "all objectives of the property, also those that are created later"
	}
	who := ui.PropertyGroup{Title: "Record", Properties: []ui.Property{
		{Label: "Requested by", Person: c.RequestedBy.Person()},
		{Label: "Requested", At: c.CreatedOn.Time, Ago: true},
	}}
	if c.DecidedBy != nil {
		label := map[CorrectionState]string{Active: "Approved", Rejected: "Rejected", Removed: "Removed"}[c.State]
		label = cmp.Or(label, "Decided")
		who.Properties = append(who.Properties,
			ui.Property{Label: label + " by", Person: c.DecidedBy.Person()},
			ui.Property{Label: label, At: c.ModifiedOn.Time, Ago: true})
	}
	who.Properties = append(who.Properties, ui.Property{Label: "Id", Copy: c.ID, Text: clip(c.ID, 8) + "…"})
	d.Hub.Properties = []ui.PropertyGroup{when, who}
}

// effectText sums up what a correction gives back, for the questions before an act.
func (c *Correction) effectText() string {
	failed, part := leftOut(c.GivesBack)
	text := "It leaves out " + failed
	if part != "" {
		text += ", " + part
	}
	if n := len(c.GivesBack); n > 1 {
		text += ", and changes " + strconv.Itoa(n) + " objectives"
	}
	return text + "."
}

func (p *pages) confirmApprove(v *page.Visit) (page.Confirm, error) {
	c, err := p.Correction(v.Context(), v.Account, v.PathValue("correction_id"))
	return page.Confirm{
		Section: section,
		Title:   "Approve this correction?",
		Text: c.effectReason() + " Alerts that fire because of this time end, and those who got their start are notified. " +
			"The approval is recorded with your name. The correction can be removed again.",
		Label: "Approve the correction",
		Back:  correctionPath(v.Account, v.PathValue("correction_id")),
	}, err
}

// effectReason is the effect of a correction with its reason. A missing correction has none.
func (c *Correction) effectReason() string {
	if c == nil {
		return ""
	}
	return "Reason: " + ui.FullSentence(c.Reason) + " " + c.effectText()
}

func (p *pages) approve(v *page.Visit) error {
	if _, err := p.Approve(v.Context(), v.Account, v.PathValue("correction_id")); err != nil {
		return err
	}
	return v.Redirect(correctionPath(v.Account, v.PathValue("correction_id")), "correction-approved")
}

func (p *pages) confirmReject(v *page.Visit) (page.Confirm, error) {
	c, err := p.Correction(v.Context(), v.Account, v.PathValue("correction_id"))
	return page.Confirm{
		Section: section,
		Title:   "Reject this correction?",
		Text: c.effectReason() + " Its requests keep counting. It stays in the list as rejected, and cannot be approved " +
			"afterwards.",
		Label: "Reject the correction",
		Back:  correctionPath(v.Account, v.PathValue("correction_id")),
	}, err
}

func (p *pages) reject(v *page.Visit) error {
	if _, err := p.Reject(v.Context(), v.Account, v.PathValue("correction_id")); err != nil {
		return err
	}
	return v.Redirect(correctionPath(v.Account, v.PathValue("correction_id")), "correction-rejected")
}

func (p *pages) confirmRemove(v *page.Visit) (page.Confirm, error) {
	c, err := p.Correction(v.Context(), v.Account, v.PathValue("correction_id"))
	return page.Confirm{
		Section: section,
		Title:   "Remove this correction?",
		Text: c.effectReason() + " These requests count again, with exactly the numbers from before. An objective may burn " +
			"again, and alert. The correction stays in the list as removed.",
		Label:  "Remove the correction",
		Back:   correctionPath(v.Account, v.PathValue("correction_id")),
		Danger: true,
	}, err
}

func (p *pages) remove(v *page.Visit) error {
	if _, err := p.RemoveCorrection(v.Context(), v.Account, v.PathValue("correction_id")); err != nil {
		return err
	}
	return v.Redirect(correctionPath(v.Account, v.PathValue("correction_id")), "correction-removed")
}
