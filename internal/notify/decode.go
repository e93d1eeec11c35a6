package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	stdjson "encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// Limits of one alert.
const (
	maxAlert   = 64 << 10 // bytes
	maxDepth   = 32
	maxID      = 128
	maxSummary = 500 // characters
	maxName    = 255
	maxURL     = 2048
	maxFilters = 50
	maxValues  = 200 // of a filter
)

// prepared is a decoded alert that is not stored yet.
type prepared struct {
	alert   event.Alert // whole: defaults filled in
	kind    *AlertType
	zone    Zone      // the property that it is about; the zero value when there are several
	zones   []Zone    // all that it names; one that is not known has only a name
	at      time.Time // occurred_at
	timed   bool      // the sender gave occurred_at; otherwise the order of arrival holds
	rated   bool      // the sender gave the severity
	began   time.Time
	content []byte // event.Alert as JSON
	digest  []byte // of what the sender gave, without the defaults
	by      string // id of who sent it
	raw     []byte // the record's value; of the bus only
	source  *event.Fetched

	status ingest.Status
	faults errs.List

	// Set by the store, again in each run of the transaction.
	key, rootKey string
	queued       []*delivery.Item
	root         *opening // of an end: the alert that it ends
	crossed      bool     // its correlation id belongs to an open alert of another type

	changes     *foundChanges // that preceded it; nil = not found yet
	changesAsOf asOf
}

// sender identifies the source of an alert.
type sender struct {
	ingest.Sender
	bus bool // by the topic: nothing is filled in
	own bool // by Belfry itself, which raises its own types

	ramp bool // in the format of another system, whose alerts have types of Belfry's catalogue
}

func (p *prepared) fault(e *errs.Error) {
	p.status = ingest.Rejected
	p.faults = append(p.faults, e)
}

// prepare decodes and checks one alert. Its faults say why it is rejected; an error
// is one of the infrastructure.
func (n *Feature) prepare(ctx context.Context, from sender, data []byte) (*prepared, error) {
	p := &prepared{status: ingest.Accepted, by: from.By}
	a, whole, faults := decodeAlert(data)
	p.alert = a
	for _, e := range faults {
		p.fault(e)
	}
	if !whole {
		if from.Account != "" {
			p.alert.Account = from.Account // the account sees the rejected alert
		}
		return p, nil
	}
	p.timed = a.OccurredAt != ""
	p.rated = a.Severity != ""
	if err := n.resolveAccount(ctx, from, p); err != nil {
		return p, err
	}
	if err := n.resolveType(ctx, from, p); err != nil {
		return p, err
	}
	p.checkShape(from, n.Now())
	if len(p.faults) > 0 {
		return p, nil
	}
	if err := n.resolveZone(ctx, p); err != nil {
		return p, err
	}
	if err := p.encode(); err != nil {
		p.fault(errs.At(errs.CodeInvalidJSON, "/data", "data is not a JSON object"))
		return p, nil
	}
	// The digest leaves out the defaults that depend on the moment: the same
	// request a second later is a repeat, not another alert.
	given := p.alert
	if !p.rated {
		given.Severity = ""
	}
	if !p.timed {
		given.OccurredAt = ""
	}
	content, err := stdjson.Marshal(given)
	if err != nil {
		return p, err
	}
	sum := sha256.Sum256(content)
	p.digest = sum[:16]
	return p, nil
}

// encode writes the alert as it is stored.
func (p *prepared) encode() (err error) {
	p.content, err = stdjson.Marshal(p.alert)
	return err
}

// decodeAlert reads one alert strictly: unknown and double members are faults.
// whole is true when the alert was read but for unknown members, so that its
// other members can be checked as well.
func decodeAlert(data []byte) (a event.Alert, whole bool, faults errs.List) {
	switch {
	case len(data) == 0:
		return a, false, errs.List{errs.New(errs.CodeInvalidJSON, "the record has no value")}
	case len(data) > maxAlert:
		return a, false, errs.List{errs.New(errs.CodeTooLarge, "an alert has at most %d bytes, not %d", maxAlert, len(data))}
	case strict.Depth(data) > maxDepth:
		return a, false, errs.List{errs.New(errs.CodeTooDeep, "an alert is nested at most %d levels deep", maxDepth)}
	}
	err := json.Unmarshal(data, &a, json.RejectUnknownMembers(true))
	if err != nil {
		faults = anAlert.Faults(data, err, func(rest []byte) (errs.List, error) {
			a = event.Alert{}
			err = json.Unmarshal(rest, &a, json.RejectUnknownMembers(true))
			return nil, err
		})
	}
	whole = err == nil
	if whole && len(a.Data) > 0 {
		if err := (*jsontext.Value)(&a.Data).Compact(); err != nil {
			faults = append(faults, errs.At(errs.CodeInvalidJSON, "/data", "data is not valid JSON"))
		}
	}
	return a, whole, faults
}

// resolveAccount finds the account of an alert.
func (n *Feature) resolveAccount(ctx context.Context, from sender, p *prepared) error {
	a := &p.alert
	found, fault, err := from.ItemAccount(ctx, a.Account, n.Account)
	if err != nil {
		return err
	}
	if fault == nil && n.Closed != nil && !from.own {
		if err := n.Closed(ctx, found); errs.KindOf(err) == errs.Conflict {
			fault = errs.All(err)[0]
		} else if err != nil {
			return err
		}
	}
	if fault != nil {
		p.fault(fault)
	}
	if found != "" || !id.Valid(a.Account) {
		a.Account = found
	}
	return nil
}

func (n *Feature) resolveType(ctx context.Context, from sender, p *prepared) error {
	a := &p.alert
	if a.Type == "" {
		p.fault(errs.At(errs.CodeMissingField, "/alert_type", "alert_type is required: a type that a catalogue declares"))
		return nil
	}
	kind, err := n.AlertType(ctx, a.Type)
	switch {
	case err != nil:
		return err
	case kind == nil:
		p.fault(errs.At(errs.CodeActionUndeclared, "/alert_type", "no catalogue declares the alert type %s", quoted(a.Type)))
		return nil
	}
	p.kind = kind
	switch {
	case from.Producer != "" && kind.Team != from.Producer:
		p.fault(errs.At(errs.CodeProductForbidden, "/alert_type",
			"the alert type %s is not in the catalogue of this product team", a.Type))
	case kind.Team == "" && !from.own && !from.Operator && !(from.ramp && ofOnRamp(a.Type)):
		p.fault(errs.At(errs.CodeReservedProduct, "/alert_type", "alerts of the type %s are raised by Belfry itself", a.Type))
	}
	if a.Severity == "" && len(kind.Severities) > 0 {
		a.Severity = kind.Severities[0]
	}
	if !slices.Contains(kind.Severities, a.Severity) {
		p.fault(errs.At(errs.CodeInvalid, "/severity", "severity is one of %s for %s, not %s",
			strings.Join(kind.Severities, ", "), a.Type, quoted(a.Severity)))
	}
	for _, f := range kind.Filters {
		for i, v := range a.Filters[f.Key] {
			if len(f.Values) > 0 && !slices.Contains(f.Values, v) {
				p.fault(errs.At(errs.CodeInvalid, "/filters/"+pointerTo(f.Key)+"/"+strconv.Itoa(i),
					"%s is not a value of the filter %s", quoted(v), f.Key))
			}
		}
	}
	if len(a.Data) > 0 {
		if a.Data[0] != '{' {
			p.fault(errs.At(errs.CodeWrongType, "/data", "data must be an object"))
		} else if kind.Check != nil {
			for _, e := range kind.Check(a.Data) {
				p.fault(e)
			}
		}
	} else if kind.Check != nil {
		for _, e := range kind.Check([]byte("{}")) {
			p.fault(e)
		}
	}
	return nil
}

// checkShape checks everything that needs no lookup, and fills in fields that may be left out.
func (p *prepared) checkShape(from sender, now time.Time) {
	a := &p.alert
	text := func(pointer, s string, most int, required bool) {
		switch {
		case s == "" && required:
			p.fault(errs.At(errs.CodeMissingField, pointer, "%s is required", pointer[1:]))
		case utf8.RuneCountInString(s) > most:
			p.fault(errs.At(errs.CodeOutOfRange, pointer, "%s has at most %d characters", pointer[1:], most))
		case strings.ContainsFunc(s, unicode.IsControl) || strings.ContainsRune(s, 0):
			p.fault(errs.At(errs.CodeInvalid, pointer, "%s must not have control characters", pointer[1:]))
		}
	}
	if a.ID == "" && !from.bus {
		a.ID = id.At(now)
	}
	text("/id", a.ID, maxID, true)
	if a.Correlation == "" {
		a.Correlation = a.ID
	}
	text("/correlation_id", a.Correlation, maxID, true)
	text("/summary", a.Summary, maxSummary, false)
	text("/zone", a.Zone, maxName, false)
	switch a.Event {
	case event.AlertStart, event.AlertEnd, event.AlertNotice:
	case "":
		p.fault(errs.At(errs.CodeMissingField, "/event", "event is required: start, end or notice"))
	default:
		p.fault(errs.At(errs.CodeInvalid, "/event", "event is start, end or notice, not %s", quoted(string(a.Event))))
	}
	if a.OccurredAt == "" && !from.bus {
		a.OccurredAt = formatTime(now)
	}
	p.at = p.moment("/occurred_at", &a.OccurredAt, now, true)
	p.began = p.at
	if a.BeganAt != "" {
		if p.began = p.moment("/began_at", &a.BeganAt, now, false); !p.at.IsZero() && p.began.After(p.at) {
			p.fault(errs.At(errs.CodeInvalid, "/began_at", "began_at must not be after occurred_at"))
		}
	}
	if r := a.Resource; r != nil {
		text("/resource/product", r.Product, maxName, true)
		text("/resource/type", r.Type, maxName, true)
		text("/resource/id", r.ID, maxName, true)
		text("/resource/name", r.Name, maxName, false)
	}
	if len(a.Filters) > maxFilters {
		p.fault(errs.At(errs.CodeOutOfRange, "/filters", "filters has at most %d keys", maxFilters))
	}
	for key, values := range a.Filters {
		if len(values) > maxValues || len(key) > maxName {
			p.fault(errs.At(errs.CodeOutOfRange, "/filters/"+pointerTo(key), "a filter has at most %d values", maxValues))
		}
		for i, v := range values {
			if len(v) > maxName || strings.ContainsFunc(v, unicode.IsControl) {
				p.fault(errs.At(errs.CodeOutOfRange, "/filters/"+pointerTo(key)+"/"+strconv.Itoa(i),
					"a filter's value has at most %d bytes and no control characters", maxName))
			}
		}
	}
	if bytes.Contains(a.Data, []byte(`\u0000`)) {
		p.fault(errs.At(errs.CodeInvalid, "/data", "data must not have the character NUL"))
	}
	if a.URL != "" {
		u, err := url.Parse(a.URL)
		if err != nil || len(a.URL) > maxURL || !(u.Scheme == "http" || u.Scheme == "https" ||
			u.Scheme == "" && strings.HasPrefix(a.URL, "/") && !strings.HasPrefix(a.URL, "//")) {
			p.fault(errs.At(errs.CodeInvalid, "/url", "url must be http(s)://... or a path that begins with /"))
		}
	}
}

// moment reads a time, and writes it back in one form.
func (p *prepared) moment(pointer string, s *string, now time.Time, required bool) time.Time {
	if *s == "" {
		if required {
			p.fault(errs.At(errs.CodeMissingField, pointer, "%s is required: a time in RFC 3339", pointer[1:]))
		}
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, *s)
	switch {
	case err != nil:
		p.fault(errs.At(errs.CodeEventTime, pointer, "%s must be a time in RFC 3339, such as 2026-11-22T10:00:00Z",
			pointer[1:]))
		return time.Time{}
	case t.Before(time.Unix(0, 0)) || t.After(now.Add(24*time.Hour)):
		p.fault(errs.At(errs.CodeEventTime, pointer, "%s must lie between 1970 and 24 hours ahead", pointer[1:]))
		return time.Time{}
	}
	*s = formatTime(t)
	return t.UTC().Truncate(time.Microsecond)
}

// resolveZone finds every zone that the alert names. One that is not known keeps
// its name, since policies may name it as it is written.
func (n *Feature) resolveZone(ctx context.Context, p *prepared) error {
	p.zone = Zone{}
	p.zones = nil
	a := &p.alert
	for i, ref := range append([]string{a.Zone}, a.Filters[zonesKey]...) {
		if ref == "" {
			continue
		}
		z, err := n.Zone(ctx, a.Account, ref)
		if err != nil {
			return err
		}
		if z.ID == "" {
			z.Name = ref
		}
		if i == 0 {
			p.zone = z
		}
		if !slices.Contains(p.zones, z) {
			p.zones = append(p.zones, z)
		}
	}
	if len(p.zones) == 1 {
		p.zone = p.zones[0]
	}
	return nil
}

func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// quoted is a value of the sender's, cut, for an error.
func quoted(s string) string {
	if r := []rune(s); len(r) > 100 {
		s = string(r[:100]) + "…"
	}
	return strconv.Quote(s)
}

// pointer escapes a member's name (RFC 6901).
func pointerTo(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
