package belfry

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// AlertEvent is the kind of an alert.
type AlertEvent string

// Kinds of alerts.
const (
	AlertStart  AlertEvent = "start"
	AlertEnd    AlertEvent = "end"    // of the start with the same Correlation and Type
	AlertNotice AlertEvent = "notice" // stands alone
)

// Alert is a message about a condition, for those who subscribed to its type.
// Required are Type, a type of your catalogue, and Event.
type Alert struct {
	// ID makes a repeat of the alert harmless, at most 128 characters. Empty: one is made.
	ID string `json:"id"`
	// AccountID is required for producers (no Config.AccountID), otherwise empty.
	AccountID   string     `json:"account_id,omitempty"`
	Type        string     `json:"alert_type"`
	Event       AlertEvent `json:"event"`
	Correlation string     `json:"correlation_id,omitempty"` // of start and end; empty: the ID
	Severity    string     `json:"severity,omitempty"`       // info, warning, error, critical; empty: the type's first
	// OccurredAt is when the condition began, ended or was noticed. Zero: now.
	OccurredAt time.Time           `json:"occurred_at"`
	BeganAt    time.Time           `json:"began_at,omitzero"` // of the reported problem, not after OccurredAt
	Summary    string              `json:"summary,omitempty"` // one sentence for people
	Zone       string              `json:"zone,omitempty"`    // id, name or alias
	Resource   *AlertResource      `json:"resource,omitempty"`
	Filters    map[string][]string `json:"filters,omitempty"` // what policies compare
	Data       map[string]any      `json:"data,omitempty"`    // as the type's schema says
	URL        string              `json:"url,omitempty"`     // page with details
}

// AlertResource is the object of an alert.
type AlertResource struct {
	Product string `json:"product"`
	Type    string `json:"type"`
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
}

// SendAlert sends an alert and returns nil when the server has stored it. Alerts do
// not go through the spool: SendAlert tries again until ctx ends (a minute if ctx has no
// deadline). Keep an alert that was not stored, with its ID and OccurredAt, and pass it
// again: the server stores it once.
//
// An error is a *SendError. Its Errors say which fields are wrong; then the alert will
// never be accepted.
func (c *Client) SendAlert(ctx context.Context, a Alert) error {
	select {
	case <-c.sent:
		return ErrClosed
	default:
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, syncPatience)
		defer cancel()
	}
	now := time.Now()
	if a.ID == "" {
		a.ID = newID(now)
	}
	if a.OccurredAt.IsZero() {
		a.OccurredAt = now
	}
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("belfry: the alert cannot be encoded: %w", err)
	}
	v, err := c.sendUntil(ctx, alertsPath, [][]byte{text})
	if err != nil {
		return err
	}
	if v.what == settle && (v.results[0].Status == StatusAccepted || v.results[0].Status == StatusDuplicate) {
		return nil
	}
	failure := &SendError{Events: 1, HTTPStatus: v.http, Errors: v.errors, Err: v.err}
	if v.what == settle {
		failure.Errors = v.results[0].Errors
	}
	return failure
}
