package notify

import (
	"context"
	"net/url"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// AlertsQuery chooses alerts.
type AlertsQuery struct {
	State    string   `query:"state" enum:"firing,ended,notice" doc:"All when left out"`
	Type     []string `query:"alert_type,explode" maxItems:"50"`
	Severity []string `query:"severity,explode" maxItems:"10"`
	Zone     []string `query:"zone,explode" maxItems:"50" doc:"Id, name or alias of a property"`
	Since    web.Time `query:"since" doc:"Started at or after this time"`
	Before   web.Time `query:"before" doc:"Started before this time"`
	Sort     string   `query:"sort" enum:"newest,longest,severity" default:"newest" doc:"longest: firing alerts first, the oldest of them first. longest and severity sort the newest 10,000 alerts that the filters select"`
	web.Paging
}

// alertFilter is the query as a filter of an account's alerts.
func (n *Feature) alertFilter(ctx context.Context, accountID string, in *AlertsQuery) (alertFilter, error) {
	f := alertFilter{
		account:    accountID,
		state:      in.State,
		types:      in.Type,
		severities: in.Severity,
		since:      in.Since.Time,
		before:     in.Before.Time,
		sort:       in.Sort,
	}
	for _, ref := range in.Zone {
		z, err := n.Zone(ctx, accountID, ref)
		if err != nil {
			return f, err
		}
		if z.ID == "" {
			return f, errs.At(errs.CodeInvalid, "zone", "the account has no property %s", quoted(ref))
		}
		f.zones = append(f.zones, z.ID)
	}
	return f, nil
}

// AlertPath names an alert in a path.
type AlertPath struct {
	AlertID string `path:"alert_id" maxLength:"128" doc:"The id of any alert of the incident"`
}

// AlertNotePath names a note in a path.
type AlertNotePath struct {
	AlertPath
	NoteID string `path:"note_id" maxLength:"64"`
}

// AlertNoteCreate is the request body for a note about an alert.
type AlertNoteCreate struct {
	Text string `json:"text" minLength:"1" maxLength:"2000"`
}

type alertNoteIn struct {
	AlertPath
	Body AlertNoteCreate
}

func pathEscape(s string) string { return url.PathEscape(s) }

func (n *Feature) registerAlerts(api *web.API) {
	const base = apiBase + "/alerts"
	web.Get(api, web.Op{
		Path:       base,
		ID:         "list-alerts",
		Tag:        tag,
		Summary:    "List alerts",
		Permission: account.NotificationsRead,
		Description: "Firing and ended alerts, the newest first. A start, its repeats and its " +
			"end are one alert.",
	}, func(ctx context.Context, in *AlertsQuery) (web.Page[Alert], error) {
		f, err := n.alertFilter(ctx, web.Account(ctx).ID, in)
		if err != nil {
			return web.Page[Alert]{}, err
		}
		name := "alerts " + f.account + " " + f.state
		if f.sorted() {
			name += " by " + f.sort
		}
		read := func(after web.Keyset, limit int) ([]Alert, error) { return n.alerts(ctx, f, after, limit) }
		return web.ReadPage(n.Cursors, name, in.Paging, f.position, read)
	})
	web.Get(api, web.Op{
		Path:       base + "/{alert_id}",
		ID:         "get-alert",
		Tag:        tag,
		Summary:    "Read an alert and what followed from it",
		Permission: account.NotificationsRead,
		Description: "Every policy of its type, matched or not, with the reason; " +
			"every delivery with every attempt; the changes " +
			"that preceded it.",
	}, func(ctx context.Context, in *AlertPath) (Decision, error) {
		return n.Decision(ctx, web.Account(ctx).ID, in.AlertID)
	})
	web.Post(api, web.Op{
		Path:        base + "/{alert_id}/ack",
		ID:          "acknowledge-alert",
		Tag:         tag,
		Summary:     "Acknowledge an alert",
		Permission:  web.AnyPermission,
		Description: "Records who takes care of it. Needs notifications:write or deliveries:replay.",
	}, func(ctx context.Context, in *AlertPath) (Alert, error) {
		who := web.CurrentPrincipal(ctx)
		accountID := web.Account(ctx).ID
		if err := checkAck(who, accountID); err != nil {
			return Alert{}, err
		}
		return n.Ack(ctx, who, accountID, in.AlertID)
	})
	web.Delete(api, web.Op{
		Path:        base + "/{alert_id}/ack",
		ID:          "withdraw-alert-acknowledgement",
		Tag:         tag,
		Summary:     "Withdraw the acknowledgement of an alert",
		Permission:  web.AnyPermission,
		Description: "Needs notifications:write or deliveries:replay.",
	}, func(ctx context.Context, in *AlertPath) (Alert, error) {
		who := web.CurrentPrincipal(ctx)
		accountID := web.Account(ctx).ID
		if err := checkAck(who, accountID); err != nil {
			return Alert{}, err
		}
		return n.Unack(ctx, who, accountID, in.AlertID)
	})
	web.Post(api, web.Op{
		Path:        base + "/{alert_id}/notes",
		ID:          "create-alert-note",
		Errors:      []errs.Code{errs.CodeLimit},
		Tag:         tag,
		Summary:     "Write a note about an alert",
		Permission:  web.AnyPermission,
		Description: "Everyone who may read the alert sees it. Needs notifications:write or deliveries:replay.",
		Idempotent:  true,
	}, func(ctx context.Context, in *alertNoteIn) (AlertNote, error) {
		who := web.CurrentPrincipal(ctx)
		accountID := web.Account(ctx).ID
		if err := checkAck(who, accountID); err != nil {
			return AlertNote{}, err
		}
		return n.CreateNote(ctx, who, accountID, in.AlertID, in.Body.Text)
	})
	web.Delete(api, web.Op{
		Path:        base + "/{alert_id}/notes/{note_id}",
		ID:          "delete-alert-note",
		Tag:         tag,
		Summary:     "Delete a note about an alert",
		Permission:  web.AnyPermission,
		Description: "Notes of others need notifications:write.",
	}, func(ctx context.Context, in *AlertNotePath) (Identified, error) {
		who := web.CurrentPrincipal(ctx)
		accountID := web.Account(ctx).ID
		if err := checkAck(who, accountID); err != nil {
			return Identified{}, err
		}
		return Identified{in.NoteID}, n.DeleteNote(ctx, who, accountID, in.AlertID, in.NoteID)
	})
	web.Post(api, web.Op{
		Path:       base + "/{alert_id}/replay",
		ID:         "replay-alert",
		Tag:        tag,
		Summary:    "Send the messages of an alert again",
		Permission: account.DeliveriesReplay,
	}, func(ctx context.Context, in *AlertPath) (Replayed, error) {
		return n.ReplayAlert(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.AlertID)
	})
}

func checkAck(who *web.Principal, accountID string) error {
	if mayAck(who, accountID) {
		return nil
	}
	return errs.New(errs.CodeForbidden, "the credential lacks the permission %s or %s",
		account.NotificationsWrite, account.DeliveriesReplay)
}

func mayAck(who *web.Principal, accountID string) bool {
	return who.Can(accountID, account.NotificationsWrite) || who.Can(accountID, account.DeliveriesReplay)
}
