package notify

import (
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// maxLinkToken is the length up to which the token of a link is read.
const maxLinkToken = 1024

func (p *pages) addAcknowledge() {
	p.Public("GET "+AcknowledgePath, p.showAcknowledge)
	p.Public("POST "+AcknowledgePath, p.acknowledgeByLink)
}

// acknowledgePage is the data of the template "acknowledge".
type acknowledgePage struct {
	Action string
	Token  string
	Name   string
	Alert  Alert
	Tone   ui.Tone // of its state
	By     string  // who acknowledges
	Href   string  // page of the alert, which needs a session
	Done   bool
	Error  string
}

// showAcknowledge changes nothing: mail scanners open links too.
func (p *pages) showAcknowledge(v *page.Visit) error {
	token := page.Cut(v.Query("t"), maxLinkToken)
	l, err := p.openAckLink(v.Context(), token)
	return p.renderAcknowledge(v, token, &l, false, err)
}

func (p *pages) acknowledgeByLink(v *page.Visit) error {
	token := v.Field("t", maxLinkToken)
	l, err := p.AckByLink(v.Context(), token)
	return p.renderAcknowledge(v, token, &l, true, err)
}

func (p *pages) renderAcknowledge(v *page.Visit, token string, l *LinkedAlert, done bool, err error) error {
	data := acknowledgePage{Action: AcknowledgePath, Token: token, Name: l.Name, Alert: l.Alert, Done: done}
	if errs.Is(err, errs.CodeNotFound) {
		data.Error = ui.FullSentence(errs.All(err)[0].Message)
		return p.showLink(v, data, errs.NotFound.Status())
	}
	if err != nil {
		return err
	}
	if l.Alert.State == stateFiring {
		data.Tone = ui.Bad
	}
	data.By = l.By.Name
	data.Href = alertPath(l.Alert.account, l.Alert.ID)
	return p.showLink(v, data, 0)
}

func (p *pages) showLink(v *page.Visit, data acknowledgePage, status int) error {
	return v.Show(page.View{Title: "Acknowledge an alert", Template: "acknowledge", Status: status, Data: data})
}
