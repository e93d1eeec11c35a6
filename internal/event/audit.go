package event

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
)

// Audit is one change that Belfry records about itself, in the shape that
// products publish (version 1). A feature writes it to its outbox in the
// transaction of the change; the app's relay hands it to the ledger.
type Audit struct {
	Account    string          `json:"account_id"`
	ID         string          `json:"id"`
	OccurredAt string          `json:"occurred_at"`
	Action     AuditAction     `json:"action"`
	Actor      AuditActor      `json:"actor"`
	Interface  string          `json:"interface"` // UI, API, CLI, SYSTEM
	Resource   AuditResource   `json:"resource"`
	Zone       string          `json:"zone,omitempty"` // id
	Before     json.RawMessage `json:"before,omitempty"`
	After      json.RawMessage `json:"after,omitempty"`
	Reason     *AuditReason    `json:"reason,omitempty"`
	Request    *AuditRequest   `json:"request,omitempty"`
	Metadata   map[string]any  `json:"metadata,omitempty"`
}

// AuditAction is the action of an event.
type AuditAction struct {
	Type        string `json:"type"`
	Description string `json:"description,omitempty"`
	Result      string `json:"result,omitempty"`
}

// AuditActor is the actor of an event. Type: user, token, integration, staff, system.
type AuditActor struct {
	Type      string `json:"type"`
	ID        string `json:"id"`
	Email     string `json:"email,omitempty"`
	Name      string `json:"name,omitempty"`
	IPAddress string `json:"ip_address,omitempty"`
	TokenID   string `json:"token_id,omitempty"`
	TokenName string `json:"token_name,omitempty"`

	OnBehalfOf *AuditOnBehalfOf `json:"on_behalf_of,omitempty"`

	// Session is the session of the customers' pages in which the actor acts;
	// [Audit.By] puts it into the event's metadata.
	Session string `json:"-"`
}

// AuditOnBehalfOf is the user for whom the actor acts.
type AuditOnBehalfOf struct {
	Type  string `json:"type"`
	ID    string `json:"id"`
	Email string `json:"email,omitempty"`
}

// AuditResource is the changed resource. Product is always "belfry".
type AuditResource struct {
	Product string `json:"product"`
	Type    string `json:"type"`
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
}

// AuditReason is the reason of a change.
type AuditReason struct {
	Text string `json:"text,omitempty"`
	URL  string `json:"url,omitempty"`
}

// AuditRequest is the HTTP request that made the change.
type AuditRequest struct {
	ID        string `json:"id,omitempty"`
	Method    string `json:"method,omitempty"`
	URI       string `json:"uri,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
}

// Product is the product of Belfry's own changes.
const Product = "belfry"

// NewAudit makes the event of a change to one of Belfry's own resources. A recorder adds id, time, actor and request.
func NewAudit(account, action, resourceType, resourceID, resourceName string) Audit {
	return Audit{
		Account:  account,
		Action:   AuditAction{Type: action, Result: "success"},
		Resource: AuditResource{Product: Product, Type: resourceType, ID: resourceID, Name: resourceName},
	}
}

// At sets the id and the time of an event that has none yet.
func (a Audit) At(t time.Time) Audit {
	if a.ID == "" {
		a.ID = id.At(t)
	}
	if a.OccurredAt == "" {
		a.OccurredAt = t.UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	return a
}

// Changed sets before and after, which must encode as JSON objects; nil leaves
// one out. Secrets do not belong in them.
func (a Audit) Changed(before, after any) Audit {
	encode := func(v any) json.RawMessage {
		if v == nil {
			return nil
		}
		b, err := json.Marshal(v)
		if err != nil {
			return nil
		}
		return b
	}
	a.Before, a.After = encode(before), encode(after)
	return a
}

// By sets who did it and through which interface. The session of the customers'
// pages that the actor acts in becomes part of the metadata.
func (a Audit) By(actor AuditActor, iface string) Audit {
	a.Actor, a.Interface = actor, iface
	return a.With(nil)
}

// With adds members to the metadata.
func (a Audit) With(metadata map[string]any) Audit {
	if len(metadata) == 0 && a.Actor.Session == "" {
		return a
	}
	all := map[string]any{}
	maps.Copy(all, a.Metadata)
	maps.Copy(all, metadata)
	if a.Actor.Session != "" {
		all["session"] = a.Actor.Session
	}
	a.Metadata = all
	return a
}

// Erasure lists the events of an account in which values were erased: the value of [TopicAuditErased]. A feature that
// keeps texts of events creates them again, or drops them. It may get the same erasure twice.
type Erasure struct {
	Account string   `json:"account_id"`
	At      string   `json:"at"`     // RFC 3339, microseconds
	Events  []string `json:"events"` // ids, at most 256
}
