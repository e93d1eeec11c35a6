package audit

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// said is the event's sentence as the catalogue has it, marked: who, what and
// where can be clicked, values are set as code. Its text is [Record.Sentence].
func (f *Feature) said(r *Record) ui.Sentence {
	e := &r.Event
	template, _ := f.words.Sentence(e.Resource.Product, e.Resource.Type, e.Action.Type, e.Action.Result)
	return r.marked(template)
}

// marked is Sentence with its marks.
func (r *Record) marked(template string) ui.Sentence {
	if template == "" || !r.fills(template) {
		return r.markedPlain()
	}
	var s ui.Sentence
	for rest := template; rest != ""; {
		open := strings.IndexByte(rest, '{')
		end := -1
		if open >= 0 {
			end = strings.IndexByte(rest[open:], '}')
		}
		if end < 0 {
			s = append(s, ui.Part{Text: rest})
			break
		}
		if open > 0 {
			s = append(s, ui.Part{Text: rest[:open]})
		}
		s = append(s, r.part(rest[open+1:open+end]))
		rest = rest[open+end+1:]
	}
	return visibleParts(s)
}

// part is one placeholder's value with its mark.
func (r *Record) part(name string) ui.Part {
	text := r.placeholder(name)
	switch name {
	case "actor":
		return r.actorPart()
	case "resource":
		return r.resourcePart()
	case "zone":
		return r.zonePart(text)
	}
	root := before(name, ".")
	return ui.Part{Text: text, Code: root == "before" || root == "after" || root == "metadata"}
}

func (r *Record) actorPart() ui.Part {
	p := ui.Part{Text: r.ActorName(), Strong: true}
	if id := r.Event.Actor.ID; id != "" {
		p.Key, p.Value = "actor_id", id
	}
	return p
}

func (r *Record) resourcePart() ui.Part {
	p := ui.Part{Text: r.ResourceName(), Strong: true}
	if id := r.Event.Resource.ID; id != "" {
		p.Key, p.Value = "resource_id", id
	}
	return p
}

func (r *Record) zonePart(text string) ui.Part {
	z := r.Event.Zone
	p := ui.Part{Text: text, Strong: true}
	if ref := or(z.ID, z.Name); ref != "" {
		p.Key, p.Value = "zone", ref
	}
	return p
}

// markedPlain marks the sentence of an action that no catalogue describes. It
// takes the one text apart instead of making another, so that pages, API and
// exports always say the same.
func (r *Record) markedPlain() ui.Sentence {
	e := &r.Event
	rest, ok := strings.CutPrefix(r.plainSentence(), r.ActorName())
	if !ok {
		return visibleParts(ui.Sentence{{Text: r.plainSentence()}})
	}
	s := ui.Sentence{r.actorPart()}
	take := func(sep string, part ui.Part) {
		head, tail, found := strings.Cut(rest, sep+part.Text)
		if !found {
			return
		}
		s = append(s, ui.Part{Text: head + sep}, part)
		rest = tail
	}
	take(" "+words(e.Resource.Type)+" ", r.resourcePart())
	if changes := Diff(e.Before, e.After); len(changes) == 1 && changes[0].Op == "changed" && changes[0].Path != "" {
		take(" from ", ui.Part{Text: short(changes[0].Before), Code: true})
		take(" to ", ui.Part{Text: short(changes[0].After), Code: true})
	}
	if e.Zone.Name != "" {
		take(" in ", r.zonePart(e.Zone.Name))
	}
	if rest != "" {
		s = append(s, ui.Part{Text: rest})
	}
	return visibleParts(s)
}

func visibleParts(s ui.Sentence) ui.Sentence {
	for i := range s {
		s[i].Text = visible(s[i].Text)
	}
	return s
}

// visible writes what would change how the text around it reads (direction
// overrides, controls, byte order marks: CVE-2021-42574) as \uXXXX. Inside a
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
func (f *Feature) isView(r *Record) bool {
	e := &r.Event
	template, view := f.words.Sentence(e.Resource.Product, e.Resource.Type, e.Action.Type, e.Action.Result)
	if template != "" || view {
		return view
	}
	switch lastWord(e.Action.Type) {
	case "view", "read", "list", "get", "open", "search":
		return true
	}
	return false
}

// lastWord is the verb of an action type such as member.invite.
func lastWord(action string) string {
	return strings.ToLower(action[strings.LastIndexAny(action, ".:")+1:])
}

// past is a verb in the past tense, "changed" for one that is not known.
func past(action string) string { return or(verbs[lastWord(action)], "changed") }

// many is the plural of an identifier.
func many(s string) string {
	s = words(s)
	switch {
	case strings.HasSuffix(s, "y") && len(s) > 1 && !strings.ContainsRune("aeiou", rune(s[len(s)-2])):
		return s[:len(s)-1] + "ies"
	case strings.HasSuffix(s, "s"), strings.HasSuffix(s, "x"), strings.HasSuffix(s, "ch"), strings.HasSuffix(s, "sh"):
		return s + "es"
	}
	return s + "s"
}
