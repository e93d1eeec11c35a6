package slo

import (
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// reportMailForm is the input for the mails of the monthly report.
type reportMailForm struct {
	To      []ui.Choice
	Enabled bool
}

// reportMailPart is the data of the template "report-mail".
type reportMailPart struct {
	Action    string
	CanWrite  bool
	HasServer bool // of mail
	Next      time.Time
	Addresses []string
	To        ui.Picker
	Enabled   bool
	Zone      string // of the account
	Faults    ui.Faults
}

// reportMailPart reads the schedule. f is the input that has faults; nil = the form shows what is stored.
func (p *pages) reportMailPart(v *page.Visit, f *reportMailForm, faults ui.Faults) (*reportMailPart, error) {
	s, err := p.ReportSchedule(v.Context(), v.Account)
	if err != nil {
		return nil, err
	}
	if f == nil {
		f = &reportMailForm{Enabled: s.Enabled}
		for _, address := range s.Addresses {
			f.To = append(f.To, ui.Choice{Value: address, Icon: "mail"})
		}
	}
	part := &reportMailPart{
		Action:    reportPath(v.Account),
		CanWrite:  v.Can(account.SLOWrite),
		HasServer: s.Mails,
		Next:      s.NextOn.Time,
		Addresses: s.Addresses,
		Enabled:   f.Enabled,
		Zone:      zoneWords(p.cfg.TimeZone(v.Context(), v.Account).String()),
		Faults:    faults,
		To: ui.Picker{
			Name:        "addresses",
			Label:       "To",
			Hint:        "Members with a confirmed address.",
			Error:       faults.Of("addresses"),
			Placeholder: "Name or address of a member",
			Kind:        "member",
			Source:      account.AccountPath(v.Account) + "/find",
			Use:         "detail",
			Multiple:    true,
			AllowOther:  true,
			Selected:    f.To,
		},
	}
	for i := range f.To {
		if fault := faults.Of("addresses/" + strconv.Itoa(i)); fault != "" {
			part.To.Error = fault
			part.To.Selected[i].Tone = ui.Bad
		}
	}
	return part, nil
}

// submitReportMail answers the form.
func (p *pages) submitReportMail(v *page.Visit) error {
	form := page.Form[reportMailForm]{
		Parse: func(v *page.Visit) (reportMailForm, error) {
			return reportMailForm{To: v.Choices("addresses", 320), Enabled: v.Field("enabled", 8) != ""}, nil
		},
		Do: func(v *page.Visit, f *reportMailForm) error {
			in := ReportScheduleUpdate{Enabled: f.Enabled}
			for _, choice := range f.To {
				in.Addresses = append(in.Addresses, choice.Value)
			}
			_, err := p.SetReportSchedule(v.Context(), v.Account, in)
			return err
		},
		Fields: []string{"addresses"},
		Render: p.renderReport,
		Then: func(v *page.Visit, f *reportMailForm) error {
			if f.Enabled {
				return v.Redirect(reportPath(v.Account), "report-on")
			}
			return v.Redirect(reportPath(v.Account), "report-off")
		},
	}
	for i := range MaxReportAddresses {
		form.Fields = append(form.Fields, "addresses/"+strconv.Itoa(i))
	}
	return form.Handle(v)
}
