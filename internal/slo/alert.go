package slo

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/belfryhq/belfry/internal/event"
)

// detail is a transition as it is stored, and as the data of an alert.
type detail struct {
	Objective struct {
		ID     string  `json:"id"`
		Name   string  `json:"name"`
		Target float64 `json:"target"`
		Window Window  `json:"window"`
	} `json:"objective"`
	Pair        Pair    `json:"pair"`
	Long        Reading `json:"long"`
	Short       Reading `json:"short"`
	BudgetLeft  float64 `json:"budget_left"`                    // 1 = untouched, below 0 = overspent
	ExhaustedIn *int64  `json:"exhausted_in_seconds,omitempty"` // at the short window's rate
	Exhausted   string  `json:"exhausted_in,omitempty"`         // the same in words
	PairName    string  `json:"pair_name"`
	Detection   int64   `json:"detection_seconds"` // from the beginning of the burn to the alert

	Also     []AlsoBurning `json:"also_burning,omitempty"` // at most five
	AlsoMore bool          `json:"also_burning_more,omitempty"`

	// Stored only, not part of an alert's data.
	Event    string `json:"event,omitempty"`
	Sentence string `json:"sentence,omitempty"`
	Began    int64  `json:"began,omitempty"`
	Since    int64  `json:"since,omitempty"`
	Told     bool   `json:"told,omitempty"`
}

func detailOf(t *Transition) detail {
	d := detail{
		Pair:        t.Pair,
		Long:        t.Long,
		Short:       t.Short,
		BudgetLeft:  t.BudgetLeft,
		ExhaustedIn: t.ExhaustedIn,
		PairName:    t.Pair.String(),
		Detection:   t.Since - t.Began,
		Also:        t.Also,
		AlsoMore:    t.AlsoMore,
	}
	if t.ExhaustedIn != nil && t.BudgetLeft > 0 {
		d.Exhausted = roughSpan(*t.ExhaustedIn)
	}
	d.Objective.ID = t.Objective.ID
	d.Objective.Name = t.Objective.Name
	d.Objective.Target = t.Objective.Target
	d.Objective.Window = t.Objective.Window
	return d
}

// alertOf is the transition as an alert. It occurred at the time of the counts, not of their arrival.
func alertOf(t *Transition) event.Alert {
	o := t.Objective
	severity := "critical"
	if t.Pair.Severity == Ticket {
		severity = "warning"
	}
	data, err := json.Marshal(detailOf(t))
	if err != nil {
		panic(err) // numbers and names always encode
	}
	return event.Alert{
		Account:     o.account,
		ID:          t.AlertID(),
		Type:        cmp.Or(o.AlertType, AlertType),
		Event:       event.AlertEvent(t.Event),
		Correlation: t.Correlation(),
		Severity:    severity,
		OccurredAt:  stamp(t.At),
		BeganAt:     stamp(t.Began),
		Summary:     t.Sentence(),
		Zone:        o.Match.Zone,
		Resource:    &event.AlertResource{Product: event.Product, Type: "objective", ID: o.ID, Name: o.Name},
		Filters:     o.alertFilters(),
		Data:        data,
		URL:         objectivePath(o.account, o.ID),
	}
}

// stamp formats Unix seconds as RFC 3339, with microseconds.
func stamp(at int64) string { return time.Unix(at, 0).UTC().Format("2006-01-02T15:04:05.000000Z") }

// objectivesPath is the path of the page of an account's objectives.
func objectivesPath(account string) string { return "/accounts/" + account + "/objectives" }

func objectivePath(account, id string) string { return objectivesPath(account) + "/" + id }
