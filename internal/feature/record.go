package feature

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// The interfaces through which a change is made, as the audit log names them.
const (
	InterfaceUI     = "UI"
	InterfaceAPI    = "API"
	InterfaceCLI    = "CLI"
	InterfaceSystem = "SYSTEM"
)

// CommandAgent begins the User-Agent of the program's own commands: "belfry-cli/1.2.3".
const CommandAgent = "belfry-cli"

// Limits of an event's request, in bytes.
const (
	maxURI   = 1024
	maxAgent = 256
)

// Recorder writes audit events about Belfry's own changes, in the transaction of the change.
type Recorder func(ctx context.Context, tx *db.Tx, events ...event.Audit) error

// NewRecorder returns a Recorder that completes each event (see [Complete]) and passes it to store.
func NewRecorder(store Recorder) Recorder { return recorderAt(time.Now, store) }

// recorderAt is NewRecorder with a clock.
func recorderAt(now func() time.Time, store Recorder) Recorder {
	return func(ctx context.Context, tx *db.Tx, events ...event.Audit) error {
		list := make([]event.Audit, len(events))
		for i, e := range events {
			list[i] = Complete(ctx, e.At(now()))
		}
		return store(ctx, tx, list...)
	}
}

// Enqueue writes events to the outbox of tx, for [event.TopicAuditSelf].
func Enqueue(ctx context.Context, tx *db.Tx, events ...event.Audit) error {
	msgs := make([]bus.Message, len(events))
	for i, e := range events {
		value, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode the audit event %s of %s: %w", e.Action.Type, e.Resource.Type, err)
		}
		msgs[i] = bus.Message{Topic: event.TopicAuditSelf, Key: []byte(e.Account), Value: value}
	}
	return bus.Enqueue(ctx, tx, msgs...)
}

// Complete fills in an event's actor, interface and request, as far as the feature left them open. The actor is the
// principal of the request, and Belfry itself where there is none.
func Complete(ctx context.Context, e event.Audit) event.Audit {
	if e.Actor.Type == "" {
		by := web.CurrentPrincipal(ctx)
		if by == nil {
			by = Belfry()
		}
		e = By(e, by)
	}
	r := web.Request(ctx)
	if r == nil || e.Request != nil {
		return e
	}
	if e.Interface == InterfaceAPI && strings.HasPrefix(r.UserAgent(), CommandAgent+"/") {
		e.Interface = InterfaceCLI
	}
	e.Request = requestOf(ctx, r)
	return e
}

func requestOf(ctx context.Context, r *http.Request) *event.AuditRequest {
	return &event.AuditRequest{
		ID:        telemetry.RequestID(ctx),
		Method:    r.Method,
		URI:       clip(r.URL.Path, maxURI), // without the query, which may hold a secret
		UserAgent: clip(r.UserAgent(), maxAgent),
	}
}

// By sets the actor and the interface of an event for a principal other than that of the request: a person who is
// signing in, the machine's console, Belfry itself.
func By(e event.Audit, by *web.Principal) event.Audit { return e.By(Actor(by), Interface(by)) }

// Actor is the principal as the audit log names it.
func Actor(p *web.Principal) event.AuditActor {
	a := event.AuditActor{Type: string(p.Kind), ID: p.ID, Name: p.Name, Email: p.Email}
	if p.IP.IsValid() {
		a.IPAddress = p.IP.String()
	}
	switch p.Kind {
	case web.KindToken:
		a.TokenID, a.TokenName = p.ID, p.Name
	case web.KindProducer:
		a.Type = string(web.KindToken)
		a.TokenID, a.TokenName = p.TokenID, p.TokenName
	case web.KindPortal:
		// The address is that of the user for whom the session acts. Searching for a member's address must not
		// find it as the actor's.
		name := p.Name
		if name == "" {
			name = p.OnBehalfOf
		}
		a.Type = string(web.KindUser)
		a.Name = name + " (customer portal)"
		a.Email = ""
		a.OnBehalfOf = &event.AuditOnBehalfOf{Type: string(web.KindUser), ID: p.OnBehalfOf, Email: p.Email}
		a.Session = p.SessionID
	}
	return a
}

// Interface is the interface that the principal uses, as the audit log names it.
func Interface(p *web.Principal) string {
	switch {
	case p.Kind == web.KindSystem:
		return InterfaceSystem
	case p.Session:
		return InterfaceUI
	default:
		return InterfaceAPI
	}
}

// Belfry is the principal of changes that Belfry makes on its own.
func Belfry() *web.Principal {
	return &web.Principal{Kind: web.KindSystem, ID: "belfry", Name: "Belfry", Superoperator: true}
}

// clip shortens s to at most n bytes, at a character's boundary.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
