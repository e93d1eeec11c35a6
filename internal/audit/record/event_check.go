package record

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// checker gathers the faults of one event.
type checker struct{ list errs.List }

func (c *checker) fault(code errs.Code, pointer, format string, args ...any) {
	c.list = append(c.list, errs.At(code, pointer, format, args...))
}

func (c *checker) required(pointer, value string, limit int) {
	if value == "" {
		c.fault(errs.CodeMissingField, pointer, "%s is required", Noun.Field(pointer))
		return
	}
	c.text(pointer, value, limit)
}

func (c *checker) length(pointer, value string, limit int) {
	if len(value) > limit && utf8.RuneCountInString(value) > limit {
		c.fault(errs.CodeOutOfRange, pointer, "%s has %d characters; at most %d are taken",
			Noun.Field(pointer), utf8.RuneCountInString(value), limit)
	}
}

// text checks a field of one line.
func (c *checker) text(pointer, value string, limit int) {
	c.length(pointer, value, limit)
	// Such a text would forge a second line, or another order of the words, wherever
	// the event is read. (PostgreSQL, besides, keeps no U+0000.)
	if bad, found := strict.OneLine(value); found {
		c.fault(errs.CodeInvalid, pointer, "%s is one line of text; it must not contain the character %U",
			Noun.Field(pointer), bad)
	}
}

// lines is text for what people write in several lines.
func (c *checker) lines(pointer, value string, limit int) {
	c.length(pointer, value, limit)
	if bad, found := strict.Lines(value); found {
		c.fault(errs.CodeInvalid, pointer, "%s must not contain the control character %U", Noun.Field(pointer), bad)
	}
}

func (c *checker) oneOf(pointer, value string, words ...string) {
	for _, w := range words {
		if value == w {
			return
		}
	}
	c.fault(errs.CodeInvalid, pointer, "%s must be one of %s", Noun.Field(pointer), strings.Join(words, ", "))
}

var actorTypes = []string{"user", "token", "integration", "staff", "system"}

func (e *Event) check(o *outline, now time.Time) errs.List {
	var c checker
	if e.V != 0 && e.V != 1 {
		c.fault(errs.CodeInvalid, "/v", "v must be 1, the version of this shape")
	}
	if e.ID != "" && !ValidID(e.ID) || emptyText(o.ID) {
		c.fault(errs.CodeInvalid, "/id", "id must be 1 to 64 characters of A-Z a-z 0-9 . _ : -")
	}
	c.text("/account_id", e.Account, maxText)
	if e.Action == (Action{}) && missing(o.Action) {
		c.required("/action", "", 0)
	} else {
		c.required("/action/type", e.Action.Type, maxWord)
	}
	c.lines("/action/description", e.Action.Description, maxText)
	if e.Action.Result != "" {
		c.oneOf("/action/result", e.Action.Result, "success", "failure")
	}
	switch {
	case e.Actor == (Actor{}) && missing(o.Actor):
		c.required("/actor", "", 0)
	case e.Actor.Type == "":
		c.required("/actor/type", "", maxWord)
		c.required("/actor/id", e.Actor.ID, maxText)
	default:
		c.oneOf("/actor/type", e.Actor.Type, actorTypes...)
		c.required("/actor/id", e.Actor.ID, maxText)
	}
	c.text("/actor/email", e.Actor.Email, maxText)
	c.text("/actor/name", e.Actor.Name, maxText)
	if e.Actor.IPAddress != "" {
		_, err := netip.ParseAddr(e.Actor.IPAddress)
		_, control := strict.OneLine(e.Actor.IPAddress) // which the zone of an IPv6 address may hold
		if err != nil || control {
			c.fault(errs.CodeInvalid, "/actor/ip_address", "actor.ip_address must be an IPv4 or IPv6 address")
		}
	}
	c.text("/actor/token_id", e.Actor.TokenID, maxWord)
	c.text("/actor/token_name", e.Actor.TokenName, maxText)
	if o := e.Actor.OnBehalfOf; o != nil {
		c.oneOf("/actor/on_behalf_of/type", o.Type, actorTypes...)
		c.required("/actor/on_behalf_of/id", o.ID, maxText)
		c.text("/actor/on_behalf_of/email", o.Email, maxText)
	}
	if e.Interface != "" {
		c.oneOf("/interface", e.Interface, "UI", "API", "CLI", "SYSTEM")
	}
	if e.Resource == (Resource{}) && missing(o.Resource) {
		c.required("/resource", "", 0)
	} else {
		c.required("/resource/product", e.Resource.Product, maxWord)
		c.required("/resource/type", e.Resource.Type, maxWord)
		c.required("/resource/id", e.Resource.ID, maxText)
	}
	c.text("/resource/name", e.Resource.Name, maxText)
	c.text("/resource/scope", e.Resource.Scope, maxWord)
	c.text("/zone", e.Zone.Name, 255)
	c.text("/zone/id", e.Zone.ID, 64)
	if r := e.Reason; r != nil {
		c.lines("/reason/text", r.Text, maxText)
		c.text("/reason/url", r.URL, maxURI)
		// A link that a reader may click: no other scheme reaches a page.
		if r.URL != "" && !hasScheme(r.URL, "https") && !hasScheme(r.URL, "http") {
			c.fault(errs.CodeInvalid, "/reason/url", "reason.url must begin with https:// or http://")
		}
	}
	c.text("/change_set", e.ChangeSet, maxWord)
	if len(e.Related) > maxRelated {
		c.fault(errs.CodeOutOfRange, "/related", "related has %d entries; at most %d are taken", len(e.Related), maxRelated)
	}
	for i, r := range e.Related {
		c.required(fmt.Sprintf("/related/%d/type", i), r.Type, maxWord)
		c.required(fmt.Sprintf("/related/%d/id", i), r.ID, maxText)
		c.text(fmt.Sprintf("/related/%d/name", i), r.Name, maxText)
	}
	if r := e.Request; r != nil {
		if r.StatusCode != 0 && (r.StatusCode < 100 || r.StatusCode > 599) {
			c.fault(errs.CodeOutOfRange, "/request/status_code", "request.status_code must be between 100 and 599")
		}
	}
	if e.Metadata != nil && e.Metadata.Kind() != '{' {
		c.fault(errs.CodeWrongType, "/metadata", "metadata must be an object, not %s", strict.Kind(e.Metadata.Kind()))
	}
	e.checkTime(&c, o, now)
	return c.list
}

func (e *Event) checkTime(c *checker, o *outline, now time.Time) {
	if e.OccurredAt == "" && !emptyText(o.OccurredAt) {
		return
	}
	t, ok := strict.Time(e.OccurredAt)
	switch {
	case !ok:
		c.fault(errs.CodeInvalid, "/occurred_at", "occurred_at must be a time of RFC 3339, such as 2026-11-22T10:00:00Z")
	case t.Unix() < 0 || t.After(now.Add(MaxAhead)):
		c.fault(errs.CodeEventTime, "/occurred_at", "occurred_at must be between 1970 and 24 hours ahead of now")
	default:
		e.SetMicros(t.UnixMicro())
	}
}
