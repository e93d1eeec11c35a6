package record

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Sentence describes an event in words, without the time: "Ana lowered ttl of
// www.example.com from 300 to 60". It is the text of [Record.SentenceParts].
func (r *Record) Sentence(template string) string { return r.SentenceParts(template).String() }

// Sentence is an event in words, in parts of which some have a meaning: API and
// exports join them, pages mark and link them.
type Sentence []Part

// Part is a piece of a sentence.
type Part struct {
	Text string
	Role Role
}

// Role is the object that a part of a sentence names.
type Role int

// The roles.
const (
	Plain Role = iota
	NamesActor
	NamesResource
	NamesZone
	QuotesValue // from before, after or metadata
)

// String joins the parts.
func (s Sentence) String() string {
	if len(s) == 1 {
		return s[0].Text
	}
	var b strings.Builder
	for _, p := range s {
		b.WriteString(p.Text)
	}
	return b.String()
}

// SentenceParts describes an event. template is the catalogue's for this action;
// empty = the sentence is made from the event alone. A failure is the template's to
// say. Placeholders: {actor}, {resource}, {resource.type}, {resource.id}, {zone},
// {action}, {result}, {before.x}, {after.x}, {metadata.x}, with x a path of member
// names. A template of today may ask an old event, or one in which values were
// erased, for values that are missing: then the sentence is made from the event alone.
func (r *Record) SentenceParts(template string) Sentence {
	if template != "" {
		if s, ok := r.fill(template); ok {
			return s
		}
	}
	return r.plainSentence()
}

// fill puts the event's values into a template; ok is false where one is missing. A
// brace that is not closed is text.
func (r *Record) fill(template string) (s Sentence, ok bool) {
	for rest := template; rest != ""; {
		text, after, opened := strings.Cut(rest, "{")
		name, tail, closed := strings.Cut(after, "}")
		if !opened || !closed {
			return append(s, Part{Text: rest}), true
		}
		value := r.placeholder(name)
		if value.Text == "" || value.Text == noValue {
			return nil, false
		}
		if text != "" {
			s = append(s, Part{Text: text})
		}
		s = append(s, value)
		rest = tail
	}
	return s, true
}

// noValue is written for a missing value.
const noValue = "?"

// placeholder returns the value of a placeholder.
func (r *Record) placeholder(name string) Part {
	e := &r.Event
	switch name {
	case "actor":
		return r.ActorPart()
	case "resource":
		return r.resourcePart()
	case "resource.type":
		return Part{Text: Humanize(e.Resource.Type)}
	case "resource.id":
		return Part{Text: e.Resource.ID}
	case "zone":
		return Part{Text: cmp.Or(e.Zone.Name, e.Zone.ID, noValue), Role: NamesZone}
	case "action":
		return Part{Text: Humanize(e.Action.Type)}
	case "result":
		return Part{Text: e.Action.Result}
	}
	root, path, _ := strings.Cut(name, ".")
	var value jsontext.Value
	switch root {
	case "before":
		value = e.Before
	case "after":
		value = e.After
	case "metadata":
		value = e.Metadata
	}
	for _, key := range strings.Split(path, ".") {
		var m map[string]jsontext.Value
		if value.Kind() != '{' || json.Unmarshal(value, &m) != nil {
			return Part{Text: noValue}
		}
		value = m[key]
	}
	return valuePart(value)
}

// ActorPart names the actor.
func (r *Record) ActorPart() Part { return Part{Text: r.ActorName(), Role: NamesActor} }

func (r *Record) resourcePart() Part { return Part{Text: r.ResourceName(), Role: NamesResource} }

func valuePart(v jsontext.Value) Part { return Part{Text: short(v), Role: QuotesValue} }

// ActorName is the name of the actor, for people.
func (r *Record) ActorName() string {
	a := r.Event.Actor
	name := cmp.Or(a.Name, a.Email, a.TokenName)
	switch {
	case name != "":
	case a.Type == "system":
		name = cmp.Or(a.ID, "the system")
	case a.ID == "":
		name = "an erased " + cmp.Or(a.Type, "actor")
	default:
		name = a.Type + " " + a.ID
	}
	// A session of the customers' pages is named after whom it acts for already.
	if o := a.OnBehalfOf; o != nil && cmp.Or(o.Email, o.ID) != "" && !a.ThroughPortal() {
		name += " on behalf of " + cmp.Or(o.Email, o.ID)
	}
	return name
}

// ThroughPortal reports whether the actor is a customer's user in a session of
// the customers' pages: no other actor of Belfry's own has such an id.
func (a Actor) ThroughPortal() bool { return a.Type == "user" && strings.HasPrefix(a.ID, "portal:") }

// ResourceName is the name of the changed resource, for people.
func (r *Record) ResourceName() string {
	return cmp.Or(r.Event.Resource.Name, r.Event.Resource.ID, "an erased "+Humanize(r.Event.Resource.Type))
}

// typedName is the resource's type and name.
func (r *Record) typedName() Sentence {
	if res := r.Event.Resource; res.Name == "" && res.ID == "" {
		return Sentence{{Text: r.ResourceName()}} // it names the type already
	}
	return Sentence{{Text: Humanize(r.Event.Resource.Type) + " "}, r.resourcePart()}
}

// verbs turn the usual action types into the past tense.
var verbs = map[string]string{
	"create":   "created",
	"add":      "added",
	"update":   "changed",
	"edit":     "changed",
	"change":   "changed",
	"set":      "set",
	"delete":   "deleted",
	"remove":   "removed",
	"view":     "viewed",
	"read":     "viewed",
	"list":     "listed",
	"enable":   "enabled",
	"disable":  "disabled",
	"login":    "signed in to",
	"logout":   "signed out of",
	"export":   "exported",
	"import":   "imported",
	"invite":   "invited",
	"revoke":   "revoked",
	"rotate":   "rotated",
	"purge":    "purged",
	"deploy":   "deployed",
	"rollback": "rolled back",
	"restore":  "restored",
	"approve":  "approved",
	"reject":   "rejected",
	"merge":    "merged",
	"commit":   "committed to",
	"archive":  "archived",
	"rename":   "renamed",
	"move":     "moved",
	"copy":     "copied",
	"erase":    "erased",
	"undo":     "undid",
	"lock":     "locked",
	"unlock":   "unlocked",
	"grant":    "granted",
	"attach":   "attached",
	"detach":   "detached",
}

// infinitives are those of the verbs whose action type is not one.
var infinitives = map[string]string{
	"update":   "change",
	"edit":     "change",
	"read":     "view",
	"login":    "sign in to",
	"logout":   "sign out of",
	"rollback": "roll back",
	"commit":   "commit to",
}

// plainSentence is for actions that no catalogue describes. A change of one
// member says from what to what.
func (r *Record) plainSentence() Sentence {
	e := &r.Event
	s := Sentence{r.ActorPart(), {Text: " " + r.phrase() + " "}}
	changes := Diff(e.Before, e.After)
	if len(changes) == 1 && changes[0].Op == "changed" && changes[0].Path != "" {
		c := changes[0]
		s = append(s, Part{Text: Humanize(strings.ReplaceAll(c.Path[1:], "/", ".")) + " of "})
		s = append(s, r.typedName()...)
		s = append(s, Part{Text: " from "}, valuePart(c.Before), Part{Text: " to "}, valuePart(c.After))
	} else {
		s = append(s, r.typedName()...)
		if len(changes) > 1 && e.Before != nil && e.After != nil {
			more := ""
			if len(changes) == maxChanges { // where the diff stops
				more = "+"
			}
			s = append(s, Part{Text: " (" + strconv.Itoa(len(changes)) + more + " changes)"})
		}
	}
	if e.Zone.Name != "" && e.Zone.Name != e.Resource.Name {
		s = append(s, Part{Text: " in "}, Part{Text: e.Zone.Name, Role: NamesZone})
	}
	return s
}

// phrase is the verb of an action that no catalogue describes: "changed", "failed to
// change".
func (r *Record) phrase() string {
	action := r.Event.Action
	verb := action.Type
	if i := strings.LastIndexAny(verb, "._: "); i >= 0 && verbs[strings.ToLower(verb[i+1:])] != "" {
		verb = verb[i+1:]
	}
	verb = strings.ToLower(verb)
	past := verbs[verb]
	failed := action.Result == "failure"
	switch {
	case past == "" && failed:
		return "failed to do " + Humanize(action.Type) + " on"
	case past == "":
		return "did " + Humanize(action.Type) + " on"
	case failed:
		return "failed to " + cmp.Or(infinitives[verb], verb)
	}
	return past
}

// short writes a value in a sentence, cut where it is long.
func short(v jsontext.Value) string {
	if len(v) == 0 {
		return noValue
	}
	s := string(v)
	if v.Kind() == '"' {
		_ = json.Unmarshal(v, &s) // v was decoded before
		if s == "" {
			return `""`
		}
	}
	const most = 60
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

// Humanize writes an identifier as people say it.
func Humanize(s string) string {
	return strings.NewReplacer("_", " ", "-", " ").Replace(s)
}

// LastWord is the verb of an action type such as member.invite.
func LastWord(action string) string {
	return strings.ToLower(action[strings.LastIndexAny(action, ".:")+1:])
}

// Past is a verb in the past tense, "changed" for one that is not known.
func Past(action string) string { return cmp.Or(verbs[LastWord(action)], "changed") }
