package incident

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Mail is a plain mail to a subscriber.
type Mail struct {
	ID          string // constant over attempts
	To          string
	Subject     string
	Text        string
	Unsubscribe string // URL for the headers of RFC 8058; "" = none
}

// confirmationMail asks the owner of an address to confirm a subscription, or says that it is subscribed. It has no
// text of the visitor who asked.
func (f *Feature) confirmationMail(messageID string, s Subscriber, address, title string) Mail {
	m := Mail{ID: messageID, To: address}
	if s.Confirmed {
		m.Subject = fmt.Sprintf("You are subscribed to %s", title)
		m.Text = fmt.Sprintf(`This address was entered again, to get a mail for each update of "%s".
It is subscribed already.

End the subscription: %s
`, title, f.unsubscribeURL(s.ID))
		m.Unsubscribe = f.unsubscribeURL(s.ID)
		return m
	}
	m.Subject = fmt.Sprintf("Confirm your subscription to %s", title)
	m.Text = fmt.Sprintf(`This address was entered on the page "%s", to get a mail for each update.

To agree, open this link and press the button. The link is valid for 24 hours:

%s

If you did not ask for it, ignore this mail: nothing is sent to an address that is not confirmed.
`, title, f.confirmURL(s.ID))
	return m
}

// updateMail is an update as a mail. The mails of one incident have one subject, so that they are shown as one thread.
func (f *Feature) updateMail(messageID, subscriberID, address string, a announcement) Mail {
	i := &a.Incident
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s: %s\n\n%s\n", a.Title, i.Name, a.Update.State.Words(), a.Update.Message)
	if i.Kind == KindMaintenance {
		fmt.Fprintf(&b, "\nSchedule: %s\n", scheduleWords(i))
	} else {
		fmt.Fprintf(&b, "\nImpact: %s\n", i.Impact.Words())
	}
	if len(i.Components) > 0 {
		b.WriteString("Components:\n")
	}
	for _, c := range i.Components {
		fmt.Fprintf(&b, "  %s: %s\n", c.Name, strings.ToLower(c.Health.Words()))
	}
	unsubscribe := f.unsubscribeURL(subscriberID)
	fmt.Fprintf(&b, "Time: %s\n\n%s\n\nEnd the subscription: %s\n",
		a.Update.At.UTC().Format("2 January 2006, 15:04 UTC"), f.cfg.URL+incidentPath(i.ID), unsubscribe)
	return Mail{
		ID:          messageID,
		To:          address,
		Subject:     fmt.Sprintf("[%s] %s", a.Title, i.Name),
		Text:        b.String(),
		Unsubscribe: unsubscribe,
	}
}

// hookMeta is the head of each webhook.
type hookMeta struct {
	ID            string `json:"id"`
	Type          string `json:"type"` // incident, test
	Unsubscribe   string `json:"unsubscribe"`
	Documentation string `json:"documentation"`
	GeneratedAt   string `json:"generated_at"`
}

// hookBody is the body of a webhook, in the shape of other status pages.
type hookBody struct {
	Meta     hookMeta        `json:"meta"`
	Page     jsonPage        `json:"page"`
	Incident *jsonIncident   `json:"incident,omitempty"`
	Update   *jsonUpdate     `json:"incident_update,omitempty"`
	Changed  []jsonComponent `json:"components,omitempty"`
}

func (f *Feature) hookOf(messageID, subscriberID string, s subscriberSecrets, body hookBody) (hook, error) {
	unsubscribe := f.unsubscribeURL(subscriberID)
	body.Meta.ID = messageID
	body.Meta.Unsubscribe = unsubscribe
	body.Meta.Documentation = f.cfg.URL + "/docs/guide/status"
	body.Meta.GeneratedAt = f.now().UTC().Format(time.RFC3339)
	encoded, err := json.Marshal(body)
	_, secret, _ := strings.Cut(unsubscribe, "token=")
	return hook{messageID, s.Address, s.Key, encoded, []string{secret}}, err
}

// updateHook is an update as a webhook.
func (f *Feature) updateHook(messageID, subscriberID string, s subscriberSecrets, a announcement) (hook, error) {
	i := a.Incident
	i.Updates = []Update{a.Update}
	shown := f.jsonIncident(&i)
	body := hookBody{
		Meta:     hookMeta{Type: "incident"},
		Page:     f.jsonPage(a.Title, i.ModifiedOn),
		Incident: &shown,
		Update:   &shown.Updates[0],
	}
	for _, c := range a.Update.Components {
		body.Changed = append(body.Changed, jsonComponent{ID: c.ID, Name: c.Name, Status: c.Health})
	}
	return f.hookOf(messageID, subscriberID, s, body)
}

// testHook is the message that is sent before a webhook is subscribed.
func (f *Feature) testHook(messageID, subscriberID string, s subscriberSecrets, title string) (hook, error) {
	body := hookBody{Meta: hookMeta{Type: "test"}, Page: jsonPage{Name: title, URL: f.cfg.URL + StatusPath}}
	return f.hookOf(messageID, subscriberID, s, body)
}
