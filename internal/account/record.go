package account

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Actor is the principal as the audit log names it.
func Actor(p *web.Principal) event.AuditActor {
	a := event.AuditActor{Type: string(p.Kind), ID: p.ID, Name: p.Name, Email: p.Email}
	if p.IP.IsValid() {
		a.IPAddress = p.IP.String()
	}
	switch p.Kind {
	case web.KindToken, web.KindProducer:
		a.Type, a.TokenID, a.TokenName = "token", p.ID, p.Name
	case web.KindPortal:
		// The address is that of whom the session acts for: a search for a member's
		// address must not find it as the actor's.
		name := p.Name
		if name == "" {
			name = p.OnBehalfOf
		}
		a.Type, a.Name, a.Email = string(web.KindUser), name+" (customer portal)", ""
		a.OnBehalfOf = &event.AuditOnBehalfOf{Type: string(web.KindUser), ID: p.OnBehalfOf, Email: p.Email}
		a.Session = p.SessionID
	}
	return a
}

// Interface is through what the principal acts, as the audit log names it.
func Interface(p *web.Principal) string {
	switch {
	case p.Kind == web.KindSystem:
		return "SYSTEM"
	case p.Session:
		return "UI"
	default:
		return "API"
	}
}

// Belfry is the principal of what Belfry does without being asked by anybody.
func Belfry() *web.Principal {
	return &web.Principal{Kind: web.KindSystem, ID: "belfry", Name: "Belfry", Superoperator: true}
}

// record writes what was done to the outbox, in the transaction that does it.
func (d *Directory) record(ctx context.Context, tx *db.Tx, by *web.Principal, list ...event.Audit) error {
	for _, e := range list {
		if e.Actor.Type == "" {
			e = e.By(Actor(by), Interface(by))
		}
		if r := web.Request(ctx); r != nil && e.Request == nil {
			// The path alone: a query may hold a secret.
			e.Request = &event.AuditRequest{ID: telemetry.RequestID(ctx), Method: r.Method, URI: r.URL.Path, UserAgent: clip(r.UserAgent(), 256)}
		}
		if e.Account == Installation {
			if err := d.ensureInstallation(ctx, tx); err != nil {
				return err
			}
		}
		value, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode the record of %s: %w", e.Action.Type, err)
		}
		msg := bus.Message{Topic: event.TopicAuditSelf, Key: []byte(e.Account), Value: value}
		if err := bus.Enqueue(ctx, tx, msg); err != nil {
			return err
		}
	}
	return nil
}

// change runs fn in a writing transaction and wakes the relay after it.
func (d *Directory) change(ctx context.Context, fn func(*db.Tx) error) error {
	if err := d.db.Tx(ctx, fn); err != nil {
		return err
	}
	d.cfg.Notify()
	return nil
}

// clip shortens s to at most n bytes at a character's boundary.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
