// Package dnswatch compares the SOA records of a zone's primaries and secondaries, and
// sends alerts to Belfry when they fail or differ. It uses only Belfry's public ways in:
// a catalogue file (belfry.yaml) and the SDK.
//
//	every interval: ask each server -> observe (pure) -> state file -> SendAlert, Audit
//
// Alerts wait in the state file until Belfry has stored them, so neither a restart nor an
// absence of Belfry loses or repeats one.
package dnswatch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
)

// The alert types, as belfry.yaml declares them.
const (
	primaryFails    = "secondary_dns_primaries_failing"
	allPrimaries    = "secondary_dns_all_primaries_failing"
	secondaryBehind = "secondary_dns_warning"
	zoneUpdated     = "secondary_dns_zone_successfully_updated"
	secondaryFails  = "secondary_dns_zone_validation_warning"
)

// Zone is a zone with its servers, host:port each.
type Zone struct {
	Name        string   `json:"zone"`
	Primaries   []string `json:"primaries"`
	Secondaries []string `json:"secondaries"`
}

// answer is the answer of one server.
type answer struct {
	soa
	err error
}

// zoneState is the state of a zone between two rounds, and over a restart.
type zoneState struct {
	// Conditions by alert type and server: since when they hold, and whether their start was
	// raised.
	Conditions map[string]condition `json:"conditions"`
	Serial     uint32               `json:"serial"`  // of the primaries
	Expire     int64                `json:"expire"`  // seconds, of the last SOA record
	Known      bool                 `json:"known"`   // Serial is that of an answer
	Pending    bool                 `json:"pending"` // the secondaries do not all have Serial yet
}

type condition struct {
	Since  time.Time `json:"since"`
	Raised bool      `json:"raised"`
}

// fault is a condition as its alert describes it.
type fault struct {
	kind, server      string // alert type, and the server; "" = all primaries
	severity, summary string
	data              map[string]any
}

// change is a new serial of the primaries.
type change struct{ before, after uint32 }

// round observes a zone once.
type round struct {
	zone   Zone
	state  *zoneState
	now    time.Time
	hold   time.Duration // for which a condition lasts before its start is raised
	alerts []belfry.Alert
	change *change
}

// observe compares the answers of a zone's servers and updates its state.
func (r *round) observe(answers map[string]answer) {
	if r.state.Conditions == nil {
		r.state.Conditions = map[string]condition{}
	}
	newest, found := r.observePrimaries(answers)
	behind := r.observeSecondaries(answers, newest, found)
	if !found {
		return
	}
	s := r.state
	if s.Known && newer(newest, s.Serial) {
		r.change = &change{before: s.Serial, after: newest}
		s.Pending = true
	}
	s.Serial = newest
	s.Known = true
	if s.Pending && !behind {
		s.Pending = false
		r.raise(belfry.AlertNotice, zoneUpdated, idOf(r.zone.Name, zoneUpdated, fmt.Sprint(newest)), "info",
			fmt.Sprintf("All secondaries of %s serve the serial %d", r.zone.Name, newest),
			map[string]any{"zone": r.zone.Name, "serial": newest})
	}
}

// observePrimaries returns the newest serial of the primaries that answer.
func (r *round) observePrimaries(answers map[string]answer) (newest uint32, found bool) {
	for _, server := range r.zone.Primaries {
		a := answers[server]
		why := ""
		if a.err != nil {
			why = a.err.Error()
		} else if !found || newer(a.serial, newest) {
			newest = a.serial
			found = true
			r.state.Expire = int64(a.expire / time.Second)
		}
		r.set(a.err != nil, fault{primaryFails, server, "warning",
			fmt.Sprintf("The primary %s of %s fails: %s", server, r.zone.Name, why),
			map[string]any{"zone": r.zone.Name, "server": server, "why": why}})
	}
	r.set(!found, fault{allPrimaries, "", "critical", "No primary of " + r.zone.Name + " answers",
		map[string]any{"zone": r.zone.Name, "expires_in_seconds": r.state.Expire}})
	return newest, found
}

// observeSecondaries reports whether a secondary does not serve the newest serial.
func (r *round) observeSecondaries(answers map[string]answer, newest uint32, found bool) (behind bool) {
	for _, server := range r.zone.Secondaries {
		a := answers[server]
		why := ""
		if a.err != nil {
			why = a.err.Error()
			behind = true
		}
		r.set(a.err != nil, fault{secondaryFails, server, "warning",
			fmt.Sprintf("The secondary %s does not serve %s: %s", server, r.zone.Name, why),
			map[string]any{"zone": r.zone.Name, "server": server, "why": why}})
		if a.err != nil || !found {
			continue // whether it is behind is not known: the condition stays as it is
		}
		old := newer(newest, a.serial)
		behind = behind || old
		r.set(old, fault{secondaryBehind, server, "warning",
			fmt.Sprintf("The secondary %s of %s has serial %d, the primary %d", server, r.zone.Name, a.serial, newest),
			map[string]any{"zone": r.zone.Name, "server": server, "serial": a.serial, "primary_serial": newest}})
	}
	return behind
}

// set stores whether a condition holds. Its start is raised when it has held for a
// while, and its end when it no longer holds after that.
func (r *round) set(holds bool, f fault) {
	key := f.kind + " " + f.server
	c, known := r.state.Conditions[key]
	switch {
	case holds && !known:
		c = condition{Since: r.now}
	case !holds && c.Raised:
		f.summary = ""
		r.alertOf(belfry.AlertEnd, f, c.Since)
		fallthrough
	case !holds:
		delete(r.state.Conditions, key)
		return
	}
	if !c.Raised && r.now.Sub(c.Since) >= r.hold {
		c.Raised = true
		r.alertOf(belfry.AlertStart, f, c.Since)
	}
	r.state.Conditions[key] = c
}

// alertOf raises the start or end of a condition. Its ids follow from the condition.
func (r *round) alertOf(event belfry.AlertEvent, f fault, since time.Time) {
	correlation := idOf(r.zone.Name, f.kind, f.server, fmt.Sprint(since.UnixMilli()))
	r.raise(event, f.kind, correlation+"-"+string(event), f.severity, f.summary, f.data)
	a := &r.alerts[len(r.alerts)-1]
	a.Correlation = correlation
	if event == belfry.AlertStart {
		a.BeganAt = since
	}
	name := r.zone.Name
	if f.server != "" {
		name = f.server + " for " + name
	}
	a.Resource = &belfry.AlertResource{Product: "dns", Type: "server", ID: r.zone.Name + "/" + f.server, Name: name}
}

// raise adds an alert about the zone.
func (r *round) raise(event belfry.AlertEvent, kind, id, severity, summary string, data map[string]any) {
	r.alerts = append(r.alerts, belfry.Alert{
		ID:         id,
		Type:       kind,
		Event:      event,
		Severity:   severity,
		OccurredAt: r.now,
		Summary:    summary,
		Zone:       r.zone.Name,
		Data:       data,
		Resource:   &belfry.AlertResource{Product: "dns", Type: "zone", ID: r.zone.Name, Name: r.zone.Name},
	})
}

// idOf is an id that follows from its parts: a repeat has the same one.
func idOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return "dnswatch-" + hex.EncodeToString(sum[:16])
}

// servers are all servers of a zone, each once.
func (z Zone) servers() []string {
	list := append(slices.Clone(z.Primaries), z.Secondaries...)
	slices.Sort(list)
	return slices.Compact(list)
}
