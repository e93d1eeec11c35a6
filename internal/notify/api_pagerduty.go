package notify

import (
	"context"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// PagerDutyCreate is a service of PagerDuty as it is connected.
type PagerDutyCreate struct {
	Name       string `json:"name" minLength:"1" maxLength:"255"`
	RoutingKey string `json:"routing_key" maxLength:"100" doc:"Integration key of an integration \"Events API v2\" of the service; never returned"`
	ConnectID  string `json:"connect_id,omitempty" maxLength:"64" doc:"Of destinations/pagerduty/connect, which then lists the service"`
	URL        string `json:"url,omitempty" maxLength:"2048" doc:"Of another region, such as https://events.eu.pagerduty.com/v2/enqueue, or of a compatible receiver"`
}

// PagerDutyConnection begins to connect services.
type PagerDutyConnection struct {
	ID  string `json:"id" doc:"destinations/pagerduty/connect/{id} lists the services that were connected under it"`
	URL string `json:"url" doc:"Of the page on which a member enters the routing key of a service"`
}

// PagerDutyConnectPath names a connection in a path.
type PagerDutyConnectPath struct {
	ConnectID string `path:"connect_id" maxLength:"64"`
}

type pagerDutyIn struct {
	Body PagerDutyCreate
}

// PagerDutyPath names a PagerDuty service in a path.
type PagerDutyPath struct {
	ServiceID string `path:"service_id" maxLength:"64"`
}

func (n *Feature) registerPagerDuty(api *web.API) {
	const base = apiBase + "/destinations/pagerduty"
	web.Get(api, web.Op{
		Path:       base,
		ID:         "list-pagerduty-services",
		Tag:        tag,
		Summary:    "List PagerDuty services",
		Permission: account.NotificationsRead,
	}, func(ctx context.Context, _ *struct{}) ([]PagerDutyService, error) {
		return n.PagerDutyServices(ctx, web.Account(ctx).ID)
	})
	web.Post(api, web.Op{
		Path:       base,
		ID:         "create-pagerduty-service",
		Errors:     []errs.Code{errs.CodeLimit},
		Tag:        tag,
		Summary:    "Connect a PagerDuty service",
		Permission: account.NotificationsWrite,
		Idempotent: true,
		Description: "A change event is sent first and must be accepted. It pages no person. The routing key of a " +
			"service cannot be changed: PagerDuty joins the start and the end of an alert only under one key.",
	}, func(ctx context.Context, in *pagerDutyIn) (PagerDutyService, error) {
		return n.CreatePagerDuty(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.Body)
	})
	web.Post(api, web.Op{
		Path:       base + "/connect",
		ID:         "begin-pagerduty-connection",
		Tag:        tag,
		Summary:    "Begin to connect PagerDuty services",
		Permission: account.NotificationsWrite,
		Description: "For setups in which another person has the routing keys: open url with that person, " +
			"then read connect/{id}.",
	}, func(ctx context.Context, _ *struct{}) (PagerDutyConnection, error) {
		connectID := n.ids.next(n.Now())
		return PagerDutyConnection{connectID, n.URL + pagerDutyFormPath(web.Account(ctx).ID, connectID)}, nil
	})
	web.Get(api, web.Op{
		Path:        base + "/connect/{connect_id}",
		ID:          "list-connected-pagerduty-services",
		Tag:         tag,
		Summary:     "List the PagerDuty services that were connected",
		Permission:  account.NotificationsRead,
		Description: "None until the form of the connection was sent.",
	}, func(ctx context.Context, in *PagerDutyConnectPath) ([]PagerDutyService, error) {
		return n.connectedPagerDuty(ctx, web.Account(ctx).ID, in.ConnectID)
	})
	web.Delete(api, web.Op{
		Path:       base,
		ID:         "delete-pagerduty-services",
		Errors:     []errs.Code{errs.CodeStateConflict},
		Tag:        tag,
		Summary:    "Delete all PagerDuty services",
		Permission: account.NotificationsWrite,
	}, func(ctx context.Context, _ *struct{}) (Identified, error) {
		accountID := web.Account(ctx).ID
		return Identified{accountID}, n.DeleteAllPagerDuty(ctx, web.CurrentPrincipal(ctx), accountID)
	})
	web.Delete(api, web.Op{
		Path:       base + "/{service_id}",
		ID:         "delete-pagerduty-service",
		Errors:     []errs.Code{errs.CodeStateConflict},
		Tag:        tag,
		Summary:    "Delete a PagerDuty service",
		Permission: account.NotificationsWrite,
	}, func(ctx context.Context, in *PagerDutyPath) (Identified, error) {
		err := n.DeletePagerDuty(ctx, web.CurrentPrincipal(ctx), web.Account(ctx).ID, in.ServiceID)
		return Identified{in.ServiceID}, err
	})
	web.Post(api, web.Op{
		Path:        base + "/{service_id}/test",
		ID:          "send-pagerduty-test",
		Tag:         tag,
		Summary:     "Send a test event to a PagerDuty service",
		Permission:  account.NotificationsWrite,
		Description: "Sends a change event now and returns the attempt with the response. It pages no person.",
	}, func(ctx context.Context, in *PagerDutyPath) (Attempt, error) {
		return n.testDestination(ctx, web.Account(ctx).ID, KindPagerDuty, in.ServiceID)
	})
}
