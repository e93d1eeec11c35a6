package incident

import (
	"context"
	"net/http"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

const tag = "Incidents"

// API registers the feature's operations.
func (f *Feature) API(a *web.API) {
	f.incidentAPI(a)
	f.updateAPI(a)
	f.componentAPI(a)
	f.statusAPI(a)
	a.Limit("incidents.components", maxComponents)
}

// operation is one of the operators.
func operation(id, path, permission, title string) web.Op {
	return web.Op{
		ID:         id,
		Path:       path,
		Tag:        tag,
		Scope:      web.ScopeInstallation,
		Permission: permission,
		Summary:    title,
	}
}

func creating(op web.Op) web.Op {
	op.Idempotent = true
	op.Status = http.StatusCreated
	return op
}

// IncidentInput names an incident in the path.
type IncidentInput struct {
	IncidentID string `path:"incident_id" maxLength:"64" doc:"Id of the incident or maintenance."`
}

type incidentCreateInput struct{ Body IncidentCreate }

type maintenanceCreateInput struct{ Body MaintenanceCreate }

type incidentUpdateInput struct {
	IncidentInput
	Body IncidentChange
}

type incidentsInput struct {
	Kind      string   `query:"kind" enum:"incident,maintenance" doc:"Only this kind"`
	State     string   `query:"status" enum:"investigating,identified,monitoring,resolved,scheduled,in_progress,completed,canceled" doc:"Only with this status"`
	Open      bool     `query:"open" doc:"Only those that have not ended"`
	Component string   `query:"component_id" maxLength:"64" doc:"Only those that affect a component"`
	Since     web.Time `query:"since" doc:"They began at or after this time"`
	Before    web.Time `query:"before" doc:"They began before this time"`
	web.Paging
}

func (f *Feature) incidentAPI(a *web.API) {
	const one = "/incidents/{incident_id}"
	declare := creating(operation("create-incident", "/incidents", permissionWrite, "Declare an incident"))
	declare.Errors = []errs.Code{errs.CodeLimit}
	declare.Description = "Its first update goes to the accounts with a policy on incident_alert, and to the subscribers " +
		"of the status page, unless it is silent. The affected components show their status until the incident is resolved."
	web.Post(a, declare, func(ctx context.Context, in *incidentCreateInput) (*Incident, error) {
		return f.DeclareIncident(ctx, in.Body)
	})

	schedule := creating(operation("create-maintenance", "/maintenances", permissionWrite, "Schedule a maintenance"))
	schedule.Errors = []errs.Code{errs.CodeLimit}
	schedule.Description = "Alerts are of the type maintenance_event_notification. It is read and changed as an incident."
	web.Post(a, schedule, func(ctx context.Context, in *maintenanceCreateInput) (*Incident, error) {
		return f.ScheduleMaintenance(ctx, in.Body)
	})

	list := operation("list-incidents", "/incidents", permissionRead, "List incidents and maintenances")
	list.Description = "Those that began last first, without their updates."
	web.Get(a, list, func(ctx context.Context, in *incidentsInput) (web.Page[*Incident], error) {
		q := Query{Kind: Kind(in.Kind), State: State(in.State), Open: in.Open, Component: in.Component}
		q.Since = microsOf(in.Since)
		q.Before = microsOf(in.Before)
		return web.ReadPage(a.Cursors(), "incidents", in.Paging, incidentKey,
			func(after web.Keyset, limit int) ([]*Incident, error) { return f.Incidents(ctx, q, after, limit) })
	})

	get := operation("get-incident", one, permissionRead, "Get an incident or a maintenance")
	web.Get(a, get, func(ctx context.Context, in *IncidentInput) (*Incident, error) {
		return f.Incident(ctx, in.IncidentID)
	})

	update := operation("update-incident", one, permissionWrite, "Change an incident or a maintenance")
	update.Errors = []errs.Code{errs.CodeStale, errs.CodeStateConflict}
	update.Description = "Its name, impact, post-mortem or schedule. Only a new schedule is announced."
	web.Patch(a, update, func(ctx context.Context, in *incidentUpdateInput) (*Incident, error) {
		return f.ChangeIncident(ctx, in.IncidentID, in.Body)
	})
}

type updateCreateInput struct {
	IncidentInput
	Body UpdateCreate
}

type updateUpdateInput struct {
	IncidentInput
	UpdateID string `path:"update_id" maxLength:"64"`
	Body     MessageUpdate
}

type correctionsInput struct {
	IncidentInput
	Body CorrectionsCreate
}

func (f *Feature) updateAPI(a *web.API) {
	const updates = "/incidents/{incident_id}/updates"
	publish := creating(operation("create-incident-update", updates, permissionWrite, "Publish an update"))
	publish.Errors = []errs.Code{errs.CodeStateConflict, errs.CodeLimit}
	publish.Description = "With the status resolved, completed or canceled it ends the incident or the maintenance: its " +
		"components are operational again."
	web.Post(a, publish, func(ctx context.Context, in *updateCreateInput) (*Incident, error) {
		return f.PublishUpdate(ctx, in.IncidentID, in.Body)
	})

	correct := operation("update-incident-update", updates+"/{update_id}", permissionWrite,
		"Correct the message of an update")
	correct.Description = "The page and the feeds show the new message. Nothing is sent."
	web.Patch(a, correct, func(ctx context.Context, in *updateUpdateInput) (*Incident, error) {
		return f.CorrectUpdate(ctx, in.IncidentID, in.UpdateID, in.Body)
	})

	const corrections = "/incidents/{incident_id}/corrections"
	request := operation("create-incident-corrections", corrections, permissionWrite,
		"Leave the time of an incident out of error budgets")
	request.Idempotent = true
	request.Errors = []errs.Code{errs.CodeStateConflict}
	request.Description = "Requests a correction for each property or objective of an account, by the rules of the " +
		"account's corrections: one that gives back much of a budget is pending until a member of the account approves it."
	web.Post(a, request, func(ctx context.Context, in *correctionsInput) (web.Page[Proposal], error) {
		list, err := f.RequestCorrections(ctx, in.IncidentID, in.Body)
		return web.Page[Proposal]{Items: list}, err
	})

	list := operation("list-incident-corrections", corrections, permissionRead,
		"List the corrections because of an incident")
	web.Get(a, list, func(ctx context.Context, in *IncidentInput) (web.Page[Proposal], error) {
		if _, err := f.Incident(ctx, in.IncidentID); err != nil {
			return web.Page[Proposal]{}, err
		}
		list, err := f.Proposals(ctx, in.IncidentID)
		return web.Page[Proposal]{Items: list}, err
	})
}

// ComponentInput names a component in the path.
type ComponentInput struct {
	ComponentID string `path:"component_id" maxLength:"64"`
}

type componentCreateInput struct{ Body ComponentCreate }

type componentUpdateInput struct {
	ComponentInput
	Body ComponentUpdate
}

// deleted is the answer of a removal.
type deleted struct {
	ID string `json:"id"`
}

func (f *Feature) componentAPI(a *web.API) {
	const all = "/status/components"
	const one = all + "/{component_id}"
	create := creating(operation("create-status-component", all, permissionWrite, "Add a component"))
	create.Errors = []errs.Code{errs.CodeExists, errs.CodeLimit}
	web.Post(a, create, func(ctx context.Context, in *componentCreateInput) (Component, error) {
		return f.CreateComponent(ctx, in.Body)
	})

	list := operation("list-status-components", all, permissionRead, "List components")
	list.Description = "In the order of the status page; at most 200."
	web.Get(a, list, func(ctx context.Context, _ *struct{}) (web.Page[Component], error) {
		components, err := f.Components(ctx)
		return web.Page[Component]{Items: components}, err
	})

	get := operation("get-status-component", one, permissionRead, "Get a component")
	web.Get(a, get, func(ctx context.Context, in *ComponentInput) (Component, error) {
		return f.Component(ctx, in.ComponentID)
	})

	update := operation("update-status-component", one, permissionWrite, "Change a component")
	update.Errors = []errs.Code{errs.CodeExists, errs.CodeStale}
	web.Patch(a, update, func(ctx context.Context, in *componentUpdateInput) (Component, error) {
		return f.UpdateComponent(ctx, in.ComponentID, in.Body)
	})

	remove := operation("delete-status-component", one, permissionWrite, "Remove a component")
	remove.Errors = []errs.Code{errs.CodeStateConflict}
	remove.Description = "Incidents of the past keep its name. One that an open incident affects is not removed."
	web.Delete(a, remove, func(ctx context.Context, in *ComponentInput) (deleted, error) {
		return deleted{in.ComponentID}, f.DeleteComponent(ctx, in.ComponentID)
	})
}

type pageInput struct{ Body StatusPage }

type templatesInput struct{ Body UpdateTemplates }

type subscriberInput struct {
	SubscriberID string `path:"subscriber_id" maxLength:"64"`
}

func (f *Feature) statusAPI(a *web.API) {
	get := operation("get-status-page", "/status/page", permissionRead, "Get the texts of the status page")
	web.Get(a, get, func(ctx context.Context, _ *struct{}) (StatusPage, error) { return f.Page(ctx) })

	replace := operation("replace-status-page", "/status/page", permissionWrite, "Replace the texts of the status page")
	replace.Errors = []errs.Code{errs.CodeStale}
	web.Put(a, replace, func(ctx context.Context, in *pageInput) (StatusPage, error) {
		return f.ReplacePage(ctx, in.Body)
	})

	templates := operation("get-update-templates", "/status/templates", permissionRead, "Get the templates of updates")
	web.Get(a, templates, func(ctx context.Context, _ *struct{}) (UpdateTemplates, error) { return f.Templates(ctx) })

	replaceAll := operation("replace-update-templates", "/status/templates", permissionWrite,
		"Replace the templates of updates")
	web.Put(a, replaceAll, func(ctx context.Context, in *templatesInput) (UpdateTemplates, error) {
		return f.ReplaceTemplates(ctx, in.Body)
	})

	list := operation("list-status-subscribers", "/status/subscribers", permissionRead,
		"List the subscribers of the status page")
	list.Description = "The oldest first. Addresses are masked; people subscribe on the page."
	web.Get(a, list, func(ctx context.Context, in *web.Paging) (web.Page[Subscriber], error) {
		key := func(s Subscriber) web.Keyset { return web.Keyset{ID: s.ID} }
		return web.ReadPage(a.Cursors(), "status subscribers", *in, key,
			func(after web.Keyset, limit int) ([]Subscriber, error) { return f.Subscribers(ctx, after.ID, limit) })
	})

	remove := operation("delete-status-subscriber", "/status/subscribers/{subscriber_id}", permissionWrite,
		"End a subscription")
	web.Delete(a, remove, func(ctx context.Context, in *subscriberInput) (deleted, error) {
		return deleted{in.SubscriberID}, f.RemoveSubscriber(ctx, in.SubscriberID)
	})
}
