package notify_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/notify"
)

// auditLog is an account's audit log of which policies hear.
type auditLog struct {
	mu     sync.Mutex // guards events
	events []notify.AuditEvent
}

func (l *auditLog) add(events ...notify.AuditEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		e.ID = fmt.Sprintf("e%d", len(l.events))
		e.At = time.Now()
		e.Sentence = "Ana " + e.Action + "d a " + e.ResourceType
		l.events = append(l.events, e)
	}
}

func (l *auditLog) read(_ context.Context, _ string, from int64, limit int) ([]notify.AuditEvent, int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from < 0 {
		return nil, int64(len(l.events)), nil
	}
	part := l.events[from:min(len(l.events), int(from)+limit)]
	return slices.Clone(part), from + int64(len(part)), nil
}

func TestAPolicyHearsOfTheAuditEventsThatItNames(t *testing.T) {
	l := &auditLog{}
	everywhereWith(t, func(d *notify.Config) {
		d.AuditEvents = l.read
		declared := d.AlertType
		d.AlertType = func(ctx context.Context, name string) (*notify.AlertType, error) {
			if name == notify.TypeAuditEvent {
				return auditEventType, nil
			}
			return declared(ctx, name)
		}
	}, func(t *testing.T, w *world) {
		r := newReceiver(t)
		token := notify.AuditEvent{Product: "belfry", ResourceType: "token", Action: "create", ActorID: "ana"}
		l.add(token) // before the policy: it is not sent
		w.policy(map[string]any{
			"alert_type": notify.TypeAuditEvent,
			"filters":    map[string]any{"actions": []string{"create"}, "resource_types": []string{"token", "alert"}},
			"mechanisms": to(w.hook(r.URL)),
		})
		until(t, "the log is read from its end", func() bool { return w.count(`SELECT count(*) FROM audit_cursor`) == 1 })
		deleted := token
		deleted.Action = "delete"
		own := token
		own.ResourceType = "alert"
		l.add(deleted, own, token)
		until(t, "the event arrives", func() bool { return len(r.all()) == 1 })
		got := r.all()[0]
		if got.Body.Text == "" || len(got.Body.Changes) != 1 || got.Body.Changes[0].Summary != "Ana created a token" {
			t.Errorf("%s", got.Raw)
		}
		if strings.Contains(string(w.decision(got.Body.AlertID).Data), "ana") {
			t.Error("the actor is stored where an erasure does not find it")
		}
		l.add(slices.Repeat([]notify.AuditEvent{token}, 30)...)
		until(t, "a bounded number arrives, and how many there are more", func() bool {
			all := r.all()
			return len(all) >= 22 && slices.ContainsFunc(all, func(one received) bool {
				return strings.Contains(one.Body.Text, "further audit event")
			})
		})
		body := map[string]any{
			"name": "spy", "enabled": true, "alert_type": notify.TypeAuditEvent, "mechanisms": to(w.hook(r.URL)),
		}
		status, failures := w.call("writer", "POST", "/policies", body, nil)
		if status != 403 || !strings.Contains(failures[0].Message, "audit:read") {
			t.Errorf("without audit:read: %d %+v", status, failures)
		}
	})
}

var auditEventType = &notify.AlertType{
	Product:    "belfry",
	Category:   "Belfry",
	Type:       notify.TypeAuditEvent,
	Title:      "Audit event",
	Severities: []string{"info"},
	Filters: []notify.Filter{
		{Key: "actions", Title: "Actions"},
		{Key: "resource_types", Title: "Types of resources"},
		{Key: "actors", Title: "Actors"},
	},
}
