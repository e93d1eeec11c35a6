package incident

import (
	"net/http"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addSubscriptions() {
	const one = StatusPath + "/subscriptions/{subscriber_id}"
	p.Public("GET "+subscribePath, p.showSubscribe)
	p.Public("POST "+subscribePath, p.subscribe)
	p.Public("GET "+one, p.showUnsubscribe)
	p.Public("POST "+one, p.unsubscribe)
	p.Public("GET "+one+"/confirm", p.showConfirm)
	p.Public("POST "+one+"/confirm", p.confirm)
}

// subscribePage is the data of the template "status-subscribe".
type subscribePage struct {
	frame
	Action string
	Mail   bool // the installation has a mail server
	Email  string
	URL    string
	Faults ui.Faults
	Sent   string // address to which a mail was sent
	Hook   *NewWebhook
}

func (p *pages) showSubscribe(v *page.Visit) error {
	b, err := p.currentBoard(v)
	if err != nil {
		return err
	}
	return p.renderSubscribe(v, b, subscribePage{}, 0)
}

func (p *pages) renderSubscribe(v *page.Visit, b *board, data subscribePage, status int) error {
	data.frame = frameOf(b)
	data.Action = subscribePath
	data.Mail = p.cfg.SendMail != nil
	return p.showPublic(v, b, "Subscribe to updates", "status-subscribe", data, status)
}

// showPublic shows a public page that belongs to one visitor: caches keep nothing.
func (p *pages) showPublic(v *page.Visit, b *board, title, templateName string, data any, status int) error {
	return v.Show(page.View{
		Title:    title,
		Template: templateName,
		Data:     data,
		Status:   status,
		Public:   true,
		Name:     b.Page.Title,
		Feeds:    feedsOf(b.Page.Title),
	})
}

// subscribe handles both forms. The answer about an address is the same whether it is subscribed or not.
func (p *pages) subscribe(v *page.Visit) error {
	b, err := p.currentBoard(v)
	if err != nil {
		return err
	}
	if err := p.cross.Check(v.Request); err != nil {
		return errs.New(errs.CodeCrossOrigin, "the request comes from a page of another site").Because(err)
	}
	data := subscribePage{Email: v.Field("email", maxAddress+1), URL: v.Field("url", maxURL+1)}
	if v.Field("by", 16) == ByWebhook {
		made, err := p.SubscribeByWebhook(v.Context(), data.URL)
		if err == nil {
			data.Hook = &made
			return p.renderSubscribe(v, b, data, 0)
		}
		return p.refuseSubscription(v, b, data, err)
	}
	if err := p.SubscribeByEmail(v.Context(), data.Email); err != nil {
		return p.refuseSubscription(v, b, data, err)
	}
	data.Sent = data.Email
	return p.renderSubscribe(v, b, data, 0)
}

func (p *pages) refuseSubscription(v *page.Visit, b *board, data subscribePage, err error) error {
	faults, ok := ui.FaultsOf(err, "email", "url")
	if !ok {
		return err
	}
	ui.RetryAfter(v.Writer, err)
	data.Faults = faults
	return p.renderSubscribe(v, b, data, faults.Status)
}

// subscriptionPage is the data of the template "status-subscription".
type subscriptionPage struct {
	frame
	Heading string
	Text    string
	Action  string
	Token   string
	Button  string // "" = there is nothing to do
	Danger  bool
}

// showSubscription shows the page of a link in a message. Opening the link changes nothing, because mail scanners open
// links too.
func (p *pages) showSubscription(v *page.Visit, data subscriptionPage, status int) error {
	b, err := p.board.Get(v.Context())
	if err != nil {
		return err
	}
	data.frame = frameOf(b)
	data.Action = v.Request.URL.Path
	return p.showPublic(v, b, data.Heading, "status-subscription", data, status)
}

func tokenOf(v *page.Visit) string { return page.Cut(v.Query("token"), 64) }

func (p *pages) showConfirm(v *page.Visit) error {
	return p.showSubscription(v, subscriptionPage{
		Heading: "Confirm your subscription",
		Text:    "Press the button to get a mail for each update about incidents and maintenance.",
		Token:   tokenOf(v),
		Button:  "Confirm the subscription",
	}, 0)
}

func (p *pages) confirm(v *page.Visit) error {
	err := p.ConfirmSubscription(v.Context(), v.PathValue("subscriber_id"), v.Field("token", 64))
	if err != nil {
		return p.invalidLink(v, err)
	}
	return p.showSubscription(v, subscriptionPage{
		Heading: "Subscription confirmed",
		Text:    "You get a mail for each update. Every mail has a link that ends the subscription.",
	}, 0)
}

func (p *pages) showUnsubscribe(v *page.Visit) error {
	return p.showSubscription(v, subscriptionPage{
		Heading: "End the subscription",
		Text:    "You get no further message about incidents and maintenance.",
		Token:   tokenOf(v),
		Button:  "End the subscription",
		Danger:  true,
	}, 0)
}

// unsubscribe takes the form of the page, and the POST of a mail program (RFC 8058), whose token is in the URL.
func (p *pages) unsubscribe(v *page.Visit) error {
	token := v.Field("token", 64)
	if token == "" {
		token = tokenOf(v)
	}
	if err := p.Unsubscribe(v.Context(), v.PathValue("subscriber_id"), token); err != nil {
		return p.invalidLink(v, err)
	}
	return p.showSubscription(v, subscriptionPage{
		Heading: "Subscription ended",
		Text:    "You get no further message. The address was deleted.",
	}, 0)
}

// invalidLink says that a link does not work.
func (p *pages) invalidLink(v *page.Visit, err error) error {
	if !errs.Is(err, errs.CodeSignIn) {
		return err
	}
	return p.showSubscription(v, subscriptionPage{
		Heading: "The link is not valid",
		Text:    ui.FullSentence(errs.All(err)[0].Message),
	}, http.StatusForbidden)
}
