package audit

import (
	"cmp"
	"fmt"
	"strings"
	"unicode"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// said is the event's sentence in the catalogue's words, with marks: actor, resource
// and property can be clicked, values are set as code.
func (f *Feature) said(r *record.Record) ui.Sentence {
	e := &r.Event
	template, _ := f.words.Sentence(e.Resource.Product, e.Resource.Type, e.Action.Type, e.Action.Result)
	return marked(r, template)
}

func marked(r *record.Record, template string) ui.Sentence {
	parts := r.SentenceParts(template)
	s := make(ui.Sentence, len(parts))
	for i, p := range parts {
		s[i] = markPart(r, p)
	}
	return visibleParts(s)
}

// markPart is a part of a sentence as pages show it.
func markPart(r *record.Record, p record.Part) ui.Part {
	e := &r.Event
	out := ui.Part{Text: p.Text, Strong: true}
	switch p.Role {
	case record.NamesActor:
		out.Key = "actor_id"
		out.Value = e.Actor.ID
	case record.NamesResource:
		out.Key = "resource_id"
		out.Value = e.Resource.ID
	case record.NamesZone:
		out.Key = "zone"
		out.Value = cmp.Or(e.Zone.ID, e.Zone.Name)
	default:
		return ui.Part{Text: p.Text, Code: p.Role == record.QuotesValue}
	}
	if out.Value == "" {
		out.Key = ""
	}
	return out
}

func visibleParts(s ui.Sentence) ui.Sentence {
	for i := range s {
		s[i].Text = visible(s[i].Text)
	}
	return s
}

// visible writes characters that would change how the text around them reads
// (direction overrides, controls, byte order marks: CVE-2021-42574) as \uXXXX. Inside a
// JSON string that is the same value.
func visible(s string) string {
	if !strings.ContainsFunc(s, misleading) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if misleading(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func misleading(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case unicode.IsControl(r), r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return r == 0x200E || r == 0x200F || r == 0x061C || r == 0x2028 || r == 0x2029 || r == 0xFEFF
}

// isView reports whether an event only looked at something: as the catalogue
// says, or, without one, by the usual names.
func (f *Feature) isView(r *record.Record) bool {
	e := &r.Event
	template, view := f.words.Sentence(e.Resource.Product, e.Resource.Type, e.Action.Type, e.Action.Result)
	if template != "" || view {
		return view
	}
	switch record.LastWord(e.Action.Type) {
	case "view", "read", "list", "get", "open", "search":
		return true
	}
	return false
}

// many is the plural of an identifier.
func many(s string) string {
	s = record.Humanize(s)
	switch {
	case strings.HasSuffix(s, "y") && len(s) > 1 && !strings.ContainsRune("aeiou", rune(s[len(s)-2])):
		return s[:len(s)-1] + "ies"
	case strings.HasSuffix(s, "s"), strings.HasSuffix(s, "x"), strings.HasSuffix(s, "ch"), strings.HasSuffix(s, "sh"):
		return s + "es"
	}
	return s + "s"
}
