package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// The marks of an account that the checklist reads.
const (
	markProof     = "proof"           // a proof was checked or downloaded
	markDismissed = "checklist-done"  // the checklist was dismissed
	markOpened    = "tour-alert-open" // an alert was opened, in the account of the demo
)

const (
	checklistPath = accountPath + "/checklist"
	dismissPath   = checklistPath + "/dismiss"
	restorePath   = checklistPath + "/restore"
	checklistID   = "next" // of its part of the overview
)

// checklist is the card of the first steps on the overview, or of the demo's steps.
type checklist struct {
	Title   string
	Steps   []checkStep
	Done    int
	Current int    // index of the first step that is not done
	Dismiss string // path; "" = the visitor may not
	Links   []checkLink
}

// checkStep is one step of a checklist.
type checkStep struct {
	Number  int
	Title   string
	Text    string
	Href    string // its page
	Action  string // label of the link to it
	Guide   string // section of the guide
	Command string // to copy
	Done    bool

	permission string // to see the step; "" = all
	console    bool   // the permission is needed in the installation
	done       func(ctx context.Context) (bool, error)
}

// Elsewhere reports whether the step's page is another site, such as the shop of the demo.
func (s checkStep) Elsewhere() bool { return strings.Contains(s.Href, "://") }

type checkLink struct{ Label, Href, Icon string }

func (p *pages) addChecklist() {
	p.Post(dismissPath, account.AccountsWrite, func(v *page.Visit) error {
		if err := p.app.Account.Mark(v.Context(), v.Account, markDismissed); err != nil {
			return err
		}
		return v.Redirect(pathIn(accountPath, v.Account), "")
	})
	p.Post(restorePath, account.AccountsWrite, func(v *page.Visit) error {
		if err := p.app.Account.Unmark(v.Context(), v.Account, markDismissed); err != nil {
			return err
		}
		return v.Redirect(pathIn(accountPath, v.Account)+"#"+checklistID, "")
	})
}

// checklistActions are those of the palette.
var checklistActions = []feature.Action{{
	Label: "Show the first steps", Words: "checklist onboarding getting started tour", Icon: "list",
	Href: restorePath, Permission: account.AccountsWrite, Post: true,
}}

// checklist is the card of the visitor's account; nil when all steps are done or it was dismissed. Each step asks for
// one row.
func (p *pages) checklist(v *page.Visit) (*checklist, error) {
	ctx := v.Context()
	marks, err := p.app.Account.Marks(ctx, v.Account)
	if err != nil || !marks[markDismissed].IsZero() {
		return nil, err
	}
	list := &checklist{Title: "First steps"}
	steps := p.firstSteps(v, marks)
	if tour, err := p.tourOf(ctx, v.Account); err != nil {
		return nil, err
	} else if tour != nil {
		list.Title = "Eight minutes with Belfry"
		list.Links = tour.links()
		if steps, err = p.tourSteps(ctx, v.Account, tour, marks); err != nil {
			return nil, err
		}
	}
	list.Current = -1
	for _, s := range steps {
		if s.permission != "" && !p.maySee(v, s) {
			continue
		}
		if s.done != nil {
			if s.Done, err = s.done(ctx); err != nil {
				return nil, err
			}
		}
		if s.Done {
			list.Done++
		} else if list.Current < 0 {
			list.Current = len(list.Steps)
		}
		s.Number = len(list.Steps) + 1
		list.Steps = append(list.Steps, s)
	}
	if list.Done == len(list.Steps) {
		return nil, nil
	}
	if v.Can(account.AccountsWrite) {
		list.Dismiss = pathIn(dismissPath, v.Account)
	}
	return list, nil
}

func (p *pages) maySee(v *page.Visit, s checkStep) bool {
	if s.console {
		return v.Who.Can("", s.permission)
	}
	return v.Can(s.permission)
}

// firstSteps are the steps of a new account.
func (p *pages) firstSteps(v *page.Visit, marks map[string]time.Time) []checkStep {
	base := pathIn(accountPath, v.Account)
	api := p.app.URL() + web.Base + "/accounts/" + v.Account
	const send = " -H \"Authorization: Bearer $BELFRY_TOKEN\" -H 'Content-Type: application/json' \\\n  -d "
	return []checkStep{
		{
			Title: "Record the first event",
			Text:  "A product sends its changes over HTTP, with the SDK or from a terminal; each is in the audit log when it is answered.",
			Href:  base + "/audit", Action: "Audit log", Guide: "/docs/guide/publish",
			Command: "curl " + api + "/audit/events" + send +
				`'{"action":{"type":"update"},"actor":{"type":"user","id":"you"},"resource":{"product":"mine","type":"setting","id":"colour"}}'`,
			permission: account.AuditRead,
			done:       func(ctx context.Context) (bool, error) { return p.recordsProducts(ctx, v.Account) },
		},
		{
			Title: "Count the requests of a property",
			Text:  "Ship an access log, or let the product send its counts. The property appears by itself.",
			Href:  base + "/properties", Action: "Properties", Guide: "/docs/guide/traffic",
			Command:    "belfry tail --url " + p.app.URL() + " --account " + v.Account + " --zone www.example.com access.log",
			permission: account.SLORead,
			done:       func(ctx context.Context) (bool, error) { return p.app.SLO.Counted(ctx, v.Account) },
		},
		{
			Title: "Set an objective",
			Text:  "An error budget says how many requests may fail; Belfry alerts when it burns too fast.",
			Href:  base + "/objectives/new", Action: "New objective", Guide: "/docs/guide/objectives",
			permission: account.SLOWrite,
			done: func(ctx context.Context) (bool, error) {
				list, err := p.app.SLO.Objectives(ctx, v.Account, "", 1)
				return len(list) > 0, err
			},
		},
		{
			Title: "Send alerts to people",
			Text:  "A policy chooses which alerts go to which webhooks and mail addresses.",
			Href:  base + "/notifications/policies/new", Action: "New policy", Guide: "/docs/guide/notify",
			permission: account.NotificationsWrite,
			done:       func(ctx context.Context) (bool, error) { return p.app.Notify.Notifies(ctx, v.Account) },
		},
		{
			Title: "Keep the first proof",
			Text:  "Open an event, choose Proof, verify it or download its bundle: one file that proves the event without this server.",
			Href:  base + "/audit", Action: "Choose an event", Guide: "/docs/guide/verify",
			Command:    "belfry verify --bundle event.json",
			permission: account.AuditRead,
			Done:       !marks[markProof].IsZero(),
		},
		{
			Title: "Apply a team's catalogue",
			Text:  "A product team declares its events and alerts in a file; Belfry checks them and writes their sentences.",
			Href:  "/console/producers", Action: "Teams", Guide: "/docs/guide/publish",
			Command:    "belfry catalog init",
			permission: account.CatalogWrite, console: true,
			done: func(ctx context.Context) (bool, error) {
				products, err := p.app.Producer.Products(ctx)
				for _, one := range products {
					if one.Team != "" {
						return true, err
					}
				}
				return false, err
			},
		},
	}
}

// recordsProducts reports whether a product other than Belfry itself has recorded an event.
func (p *pages) recordsProducts(ctx context.Context, accountID string) (bool, error) {
	products, err := p.app.Audit.Reader().Products(ctx, accountID)
	return slices.ContainsFunc(products, func(name string) bool { return name != event.Product }), err
}

// demoTour is the demo that runs beside this installation.
type demoTour struct{ shop, inbox string }

func (t *demoTour) links() []checkLink {
	return []checkLink{{"Shop", t.shop, "shopping-bag"}, {"Your inbox", t.inbox, "inbox"}}
}

// tourAccount is the external id of the account of the demo.
const tourAccount = "ext:demo"

// tourOf is the demo, when it runs and the account is its own.
func (p *pages) tourOf(ctx context.Context, accountID string) (*demoTour, error) {
	shop, inbox, ok := strings.Cut(p.app.Config.Tour, " ")
	if !ok {
		return nil, nil
	}
	id, err := p.app.Account.ResolveAccount(ctx, tourAccount)
	if errs.Is(err, errs.CodeNotFound) {
		return nil, nil
	}
	if err != nil || id != accountID {
		return nil, err
	}
	return &demoTour{shop, inbox}, nil
}

// tourSteps are the steps of the demo. What was done is read from the audit log and from the newest alert.
func (p *pages) tourSteps(
	ctx context.Context, accountID string, t *demoTour, marks map[string]time.Time,
) ([]checkStep, error) {
	base := pathIn(accountPath, accountID)
	began, err := p.app.Account.Account(ctx, accountID)
	if err != nil {
		return nil, err
	}
	changed, err := p.app.Audit.Reader().List(ctx, accountID, ledger.Query{
		Since: began.CreatedOn.UnixMicro(),
		Filters: []record.Filter{
			{Field: "resource_product", Values: []string{"shop"}},
			{Field: "resource_type", Values: []string{"setting"}},
		},
		Limit: 1,
	})
	if err != nil {
		return nil, err
	}
	alert, err := p.app.Notify.Newest(ctx, accountID)
	if err != nil {
		return nil, err
	}
	objectives, err := p.app.SLO.Summaries(ctx, accountID)
	if err != nil {
		return nil, err
	}
	objective := base + "/objectives"
	for _, o := range objectives {
		if strings.HasPrefix(o.Name, "Checkout") {
			objective = o.Href
		}
	}
	alertPage := base + "/alerts"
	first := base + "/audit"
	if alert != nil {
		alertPage += "/" + alert.ID
	}
	if len(changed.Records) > 0 {
		first += "/events/" + changed.Records[0].Event.ID + "?tab=proof"
	}
	return []checkStep{
		{
			Title: "Break something",
			Text:  "In the shop's settings, lower the payment timeout to 30 ms, with a reason such as “PR 214”.",
			Href:  t.shop + "/settings", Action: "Shop settings", Done: len(changed.Records) > 0,
		},
		{
			Title: "Watch it burn",
			Text:  "The error budget of the checkout burns at once. After about 45 seconds the alert is in your inbox.",
			Href:  objective, Action: "Checkout availability", Done: alert != nil,
		},
		{
			Title: "Open the alert",
			Text:  "It shows the change that preceded it, each policy that matched or not and why, and the deliveries.",
			Href:  alertPage, Action: "The alert", Done: alert != nil && !marks[markOpened].IsZero(),
		},
		{
			Title: "Acknowledge it",
			Text:  "Others see that you take care of it.",
			Href:  alertPage, Action: "Acknowledge", Done: alert != nil && (!alert.AckedAt.IsZero() || !alert.EndedAt.IsZero()),
		},
		{
			Title: "Undo the change",
			Text:  "In the shop, undo it. About five minutes later the alert ends, with the same correlation id.",
			Href:  t.shop + "/settings#changes", Action: "Undo", Done: alert != nil && !alert.EndedAt.IsZero(),
		},
		{
			Title: "Prove it",
			Text:  "Open the change, choose Proof and verify it, or download one file that proves it without this server.",
			Href:  first, Action: "The change", Guide: "/docs/guide/verify", Done: !marks[markProof].IsZero(),
		},
	}, nil
}

// noteTour marks that an alert of the demo was opened.
func (p *pages) noteTour(ctx context.Context, path, accountID string) {
	if p.app.Config.Tour == "" || accountID == "" {
		return
	}
	if rest, ok := strings.CutPrefix(path, pathIn(accountPath, accountID)+"/alerts/"); !ok || rest == "" {
		return
	}
	if err := p.app.Account.Mark(ctx, accountID, markOpened); err != nil && ctx.Err() == nil {
		p.app.Log.WarnContext(ctx, "a step of the demo cannot be marked", "error", err)
	}
}
