package audit

import (
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/go-json-experiment/json/jsontext"
)

// itemV1 is an event as v1 shows it.
type itemV1 struct {
	ID           string         `json:"id"`
	When         string         `json:"when"`
	Action       actionV1       `json:"action"`
	Actor        actorV1        `json:"actor"`
	Interface    string         `json:"interface"`
	Metadata     jsontext.Value `json:"metadata"`
	NewValue     string         `json:"newValue"`
	OldValue     string         `json:"oldValue"`
	NewValueJSON jsontext.Value `json:"newValueJson,omitzero"`
	OldValueJSON jsontext.Value `json:"oldValueJson,omitzero"`
	Owner        struct {
		ID string `json:"id"`
	} `json:"owner"`
	Resource struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	} `json:"resource"`
}

type actionV1 struct {
	Type   string `json:"type"`
	Result bool   `json:"result"`
}

type actorV1 struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	IP    string `json:"ip"`
	Type  string `json:"type"`
}

func newItemV1(r *record.Record) itemV1 {
	e := &r.Event
	item := itemV1{
		ID:           e.ID,
		When:         e.OccurredAt,
		Action:       actionV1{e.Action.Type, e.Action.Result != "failure"},
		Actor:        actorV1{e.Actor.ID, e.Actor.Email, e.Actor.IPAddress, record.CompatActorType(e.Actor.Type)},
		Interface:    e.Interface,
		Metadata:     e.Metadata,
		NewValue:     string(e.After),
		OldValue:     string(e.Before),
		NewValueJSON: e.After,
		OldValueJSON: e.Before,
	}
	if item.Metadata == nil {
		item.Metadata = jsontext.Value(`{}`)
	}
	item.Owner.ID = r.Account
	item.Resource.ID = e.Resource.ID
	item.Resource.Type = e.Resource.Type
	return item
}

// itemV2 is an event as v2 shows it. What v2 lacks and the record has goes
// beside it: before, after, reason, change_set, related, metadata, the sentence,
// and actor.on_behalf_of.
type itemV2 struct {
	ID       string           `json:"id"`
	Account  accountV2        `json:"account"`
	Action   actionV2         `json:"action"`
	Actor    actorV2          `json:"actor"`
	Raw      rawV2            `json:"raw"`
	Resource resourceV2       `json:"resource"`
	Zone     record.ZoneRef   `json:"zone"`
	Before   jsontext.Value   `json:"before,omitzero"`
	After    jsontext.Value   `json:"after,omitzero"`
	Reason   *record.Reason   `json:"reason,omitzero"`
	Related  []record.Related `json:"related,omitzero"`
	Metadata jsontext.Value   `json:"metadata,omitzero"`
	Sentence string           `json:"sentence" doc:"The event in words"`

	ChangeSet string `json:"change_set,omitzero"`
}

type accountV2 struct {
	ID   string `json:"id"`
	Name string `json:"name,omitzero"`
}

type actionV2 struct {
	Description string `json:"description,omitzero"`
	Result      string `json:"result"`
	Time        string `json:"time" doc:"occurred_at, RFC 3339 with microseconds"`
	Type        string `json:"type"`
}

type actorV2 struct {
	ID        string `json:"id"`
	Context   string `json:"context,omitzero"`
	Email     string `json:"email,omitzero"`
	IPAddress string `json:"ip_address,omitzero"`
	TokenID   string `json:"token_id,omitzero"`
	TokenName string `json:"token_name,omitzero"`
	Type      string `json:"type"`

	OnBehalfOf *record.OnBehalfOf `json:"on_behalf_of,omitzero"`
}

type rawV2 struct {
	RayID      string `json:"cf_ray_id,omitzero"`
	Method     string `json:"method,omitzero"`
	StatusCode int    `json:"status_code,omitzero"`
	URI        string `json:"uri,omitzero"`
	UserAgent  string `json:"user_agent,omitzero"`
}

type resourceV2 struct {
	ID       string         `json:"id"`
	Product  string         `json:"product"`
	Request  jsontext.Value `json:"request,omitzero"`
	Response jsontext.Value `json:"response,omitzero"`
	Scope    string         `json:"scope,omitzero"`
	Type     string         `json:"type"`
}

func (f *Feature) v2(r *record.Record, accountName string) itemV2 {
	e := &r.Event
	raw := r.Request()
	actor := actorV2{
		ID:         e.Actor.ID,
		Context:    record.CompatActorContext(e),
		Email:      e.Actor.Email,
		IPAddress:  e.Actor.IPAddress,
		TokenID:    e.Actor.TokenID,
		TokenName:  e.Actor.TokenName,
		Type:       record.CompatActorType(e.Actor.Type),
		OnBehalfOf: e.Actor.OnBehalfOf,
	}
	return itemV2{
		ID:        e.ID,
		Account:   accountV2{r.Account, accountName},
		Action:    actionV2{e.Action.Description, e.Action.Result, e.OccurredAt, e.Action.Type},
		Actor:     actor,
		Raw:       rawV2{raw.ID, raw.Method, raw.StatusCode, raw.URI, raw.UserAgent},
		Resource:  resourceV2{ID: e.Resource.ID, Product: e.Resource.Product, Scope: e.Resource.Scope, Type: e.Resource.Type},
		Zone:      e.Zone,
		Before:    e.Before,
		After:     e.After,
		Reason:    e.Reason,
		Related:   e.Related,
		Metadata:  e.Metadata,
		Sentence:  f.sentence(r),
		ChangeSet: e.ChangeSet,
	}
}
