package audit

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func itoa(i int) string { return strconv.Itoa(i) }

// Sentence says an event in words, without the time: "Ana lowered ttl of
// www.example.com from 300 to 60". template is the catalogue's for this action;
// empty = made from the event alone. A failure is the
// template's to say. Placeholders: {actor}, {resource},
// {resource.type}, {zone}, {action}, {result}, {before.x}, {after.x},
// {metadata.x}, with x a path of member names. A template of today may ask an old
// event, or one in which values were erased, for what it does not have: then the
// sentence is made from the event alone.
func (r *Record) Sentence(template string) string {
	if template == "" || !r.fills(template) {
		return r.plainSentence()
	}
	var b strings.Builder
	for template != "" {
		open := strings.IndexByte(template, '{')
		if open < 0 {
			b.WriteString(template)
			break
		}
		b.WriteString(template[:open])
		end := strings.IndexByte(template[open:], '}')
		if end < 0 {
			b.WriteString(template[open:])
			break
		}
		b.WriteString(r.placeholder(template[open+1 : open+end]))
		template = template[open+end+1:]
	}
	return b.String()
}

// fills reports whether the event has a value for each placeholder.
func (r *Record) fills(template string) bool {
	for {
		_, rest, found := strings.Cut(template, "{")
		if !found {
			return true
		}
		name, after, found := strings.Cut(rest, "}")
		if !found {
			return true // it is written as it stands
		}
		if value := r.placeholder(name); value == "" || value == noValue {
			return false
		}
		template = after
	}
}

// noValue stands for what is not there.
const noValue = "?"

func (r *Record) placeholder(name string) string {
	e := &r.Event
	switch name {
	case "actor":
		return r.ActorName()
	case "resource":
		return r.ResourceName()
	case "resource.type":
		return words(e.Resource.Type)
	case "resource.id":
		return e.Resource.ID
	case "zone":
		return or(e.Zone.Name, e.Zone.ID, noValue)
	case "action":
		return words(e.Action.Type)
	case "result":
		return e.Action.Result
	}
	root, rest, _ := strings.Cut(name, ".")
	value := map[string]jsontext.Value{"before": e.Before, "after": e.After, "metadata": e.Metadata}[root]
	for _, key := range strings.Split(rest, ".") {
		var m map[string]jsontext.Value
		if value.Kind() != '{' || json.Unmarshal(value, &m) != nil {
			return noValue
		}
		value = m[key]
	}
	return short(value)
}

// ActorName is how people call who did it.
func (r *Record) ActorName() string {
	a := r.Event.Actor
	name := or(a.Name, a.Email, a.TokenName)
	switch {
	case name != "":
	case a.Type == "system":
		name = or(a.ID, "the system")
	case a.ID == "":
		name = "an erased " + or(a.Type, "actor")
	default:
		name = a.Type + " " + a.ID
	}
	// A session of the customers' pages is named after whom it acts for already.
	if o := a.OnBehalfOf; o != nil && or(o.Email, o.ID) != "" && !throughPortal(a) {
		name += " on behalf of " + or(o.Email, o.ID)
	}
	return name
}

// throughPortal reports whether the actor is a customer's user in a session of
// the customers' pages: no other actor of Belfry's own has such an id.
func throughPortal(a Actor) bool { return a.Type == "user" && strings.HasPrefix(a.ID, "portal:") }

// ResourceName is how people call what was changed.
func (r *Record) ResourceName() string {
	return or(r.Event.Resource.Name, r.Event.Resource.ID, "an erased "+words(r.Event.Resource.Type))
}

// typedName is the resource's type and name.
func (r *Record) typedName() string {
	if res := r.Event.Resource; res.Name == "" && res.ID == "" {
		return r.ResourceName() // says the type itself
	}
	return words(r.Event.Resource.Type) + " " + r.ResourceName()
}

// verbs turn the usual action types into the past tense.
var verbs = map[string]string{
	"create": "created", "add": "added", "update": "changed", "edit": "changed", "change": "changed", "set": "set", "delete": "deleted",
	"remove": "removed", "view": "viewed", "read": "viewed", "list": "listed", "enable": "enabled", "disable": "disabled",
	"login": "signed in to", "logout": "signed out of", "export": "exported", "import": "imported", "invite": "invited", "revoke": "revoked",
	"rotate": "rotated", "purge": "purged", "deploy": "deployed", "rollback": "rolled back", "restore": "restored", "approve": "approved",
	"reject": "rejected", "merge": "merged", "commit": "committed to", "archive": "archived", "rename": "renamed", "move": "moved", "copy": "copied",
	"erase": "erased", "undo": "undid", "lock": "locked", "unlock": "unlocked", "grant": "granted", "attach": "attached", "detach": "detached",
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
func (r *Record) plainSentence() string {
	e := &r.Event
	verb := e.Action.Type
	if i := strings.LastIndexAny(verb, "._: "); i >= 0 && verbs[strings.ToLower(verb[i+1:])] != "" {
		verb = verb[i+1:]
	}
	verb = strings.ToLower(verb)
	phrase := verbs[verb]
	switch failed := e.Action.Result == "failure"; {
	case phrase == "" && failed:
		phrase = "failed to do " + words(e.Action.Type) + " on"
	case phrase == "":
		phrase = "did " + words(e.Action.Type) + " on"
	case failed:
		phrase = "failed to " + or(infinitives[verb], verb)
	}
	var b strings.Builder
	b.WriteString(r.ActorName() + " " + phrase + " ")
	changes := Diff(e.Before, e.After)
	if len(changes) == 1 && changes[0].Op == "changed" && changes[0].Path != "" {
		c := changes[0]
		b.WriteString(words(strings.ReplaceAll(c.Path[1:], "/", ".")) + " of " + r.typedName())
		b.WriteString(" from " + short(c.Before) + " to " + short(c.After))
	} else {
		b.WriteString(r.typedName())
		if len(changes) > 1 && e.Before != nil && e.After != nil {
			more := ""
			if len(changes) == maxChanges { // where the diff stops
				more = "+"
			}
			b.WriteString(" (" + itoa(len(changes)) + more + " changes)")
		}
	}
	if e.Zone.Name != "" && e.Zone.Name != e.Resource.Name {
		b.WriteString(" in " + e.Zone.Name)
	}
	return b.String()
}

// short writes a value in a sentence, cut where it is long.
func short(v jsontext.Value) string {
	if len(v) == 0 {
		return noValue
	}
	s := string(v)
	if v.Kind() == '"' {
		json.Unmarshal(v, &s)
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

// words writes an identifier as people say it.
func words(s string) string {
	return strings.NewReplacer("_", " ", "-", " ").Replace(s)
}

func or(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

func validUTF8(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }
