package ui

import (
	"fmt"
	"hash/fnv"
	"html"
	"html/template"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// funcs are the functions of templates.
//
//	dict "Key" value ...        a component's parameters
//	list a b ...                a slice
//	attrs "hx-get" url ...      attributes for a component's Attrs
//	icon "bell"                 an icon of icons.svg, hidden from screen readers
//	avatar name kind            initials, or the icon of the kind of actor
//	kbd "g" "a"                 keys
//	asset "favicon.svg"         an asset's URL
//	time t, day t, ago t        <time>, in the viewer's zone once scripts run
//	words d                     "4 min 56 s"
//	num n, compact n, pct f, bytes n, plural n "event" "events"
//	json v                      indented and coloured
//	sentence s                  a Sentence with its links
//	spark values                a line of the last values, 96 by 24
//	partsbar p, columnsbar c    the bars of a Parts and of Columns
//	linediff before after       []DiffLine of two values as indented JSON
func (u *UI) funcs() template.FuncMap {
	return template.FuncMap{
		"dict": dict, "list": func(v ...any) []any { return v }, "attrs": attrs,
		"icon": u.icon, "avatar": u.avatar, "kbd": kbd, "asset": u.Asset,
		"time": u.timeHTML, "moment": momentHTML, "day": dayHTML, "ago": u.agoHTML, "words": Words,
		"num": Num, "compact": Compact, "pct": Pct, "bytes": Bytes, "plural": Plural,
		"json": jsonHTML, "sentence": sentenceHTML, "spark": spark, "linediff": LineDiff,
		"partsbar": partsHTML, "columnsbar": columnsHTML, "sharetext": shareText,
		"choicesjson": choicesJSON, "chartjson": chartJSON, "isoutc": isoUTC, "fieldtime": fieldTime,
	}
}

// dict makes a component's parameters from pairs.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: %d values: expected pairs of a name and a value", len(pairs))
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: value %d is the name of a parameter: expected a string, got %T", i, pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

var attrName = regexp.MustCompile(`^(?:hx-[a-z-]+(?::[a-z0-9-]+)?|data-[a-z-]+|aria-[a-z]+|` +
	`id|title|form|command|commandfor|popovertarget)$`)

// attrs makes attributes from pairs; it refuses what [Lint] refuses.
func attrs(pairs ...any) (template.HTMLAttr, error) {
	if len(pairs)%2 != 0 {
		return "", fmt.Errorf("attrs: %d values: expected pairs of a name and a value", len(pairs))
	}
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		name, value := fmt.Sprint(pairs[i]), fmt.Sprint(pairs[i+1])
		if !attrName.MatchString(name) {
			return "", fmt.Errorf("attrs: %q may not be set this way", name)
		}
		if why := refusedAttr("", name, value); why != "" {
			return "", fmt.Errorf("attrs: %s: %s", name, why)
		}
		fmt.Fprintf(&b, ` %s="%s"`, name, html.EscapeString(value))
	}
	return template.HTMLAttr(b.String()), nil //nolint:gosec // names checked, values escaped
}

// icon is decoration, so a name that the sprite does not have draws nothing and
// is logged once: a page without a picture is better than no page.
func (u *UI) icon(name string) template.HTML {
	if !u.icons[name] {
		if _, known := u.missing.LoadOrStore(name, true); !known {
			u.log.Error("a page names an icon that icons.svg does not have", "icon", name)
		}
		return ""
	}
	//nolint:gosec // a known name
	return template.HTML(`<svg class="icon" aria-hidden="true"><use href="/assets/` + u.hash +
		`/icons.svg#` + name + `"></use></svg>`)
}

// avatarIcons are for the kinds of actor that are not a person.
var avatarIcons = map[string]string{
	"token": "key", "integration": "plug", "staff": "shield", "system": "settings",
}

// avatar is decoration: the name stands next to it. One of eight muted colours
// by the name's hash.
func (u *UI) avatar(name, kind string) template.HTML {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	inner := template.HTML(html.EscapeString(initials(name)))
	shape := "person"
	if i, ok := avatarIcons[kind]; ok {
		inner, shape = u.icon(i), "machine"
	}
	//nolint:gosec // escaped above
	return template.HTML(fmt.Sprintf(`<span class="avatar %s av-%d" aria-hidden="true">%s</span>`, shape,
		(h.Sum32()>>16^h.Sum32())%8, inner))
}

// initials of "Ana Lima" are AL, of "li.wei@acme.dev" LW, of "" ?.
func initials(name string) string {
	name, _, _ = strings.Cut(name, "@")
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	out := ""
	for _, w := range words {
		first, _ := utf8.DecodeRuneInString(w)
		if out += string(unicode.ToUpper(first)); len([]rune(out)) == 2 {
			break
		}
	}
	if out == "" {
		return "?"
	}
	return out
}

func kbd(keys ...string) template.HTML {
	var b strings.Builder
	b.WriteString(`<span class="keys">`)
	for _, k := range keys {
		b.WriteString("<kbd>" + html.EscapeString(k) + "</kbd>")
	}
	return template.HTML(b.String() + "</span>") //nolint:gosec // escaped above
}

// Part is a piece of a [Sentence]. Strong parts name the subject of the
// sentence; a Key and Value make the part filter the list by it; Href makes it a
// link; Code is for values ("1.2").
type Part struct {
	Text, Href, Key, Value string
	Strong, Code           bool
}

// Sentence is the text of a row of the audit log: "Ana lowered the minimum TLS
// version of shop.example from 1.2 to 1.0".
type Sentence []Part

// String is the sentence without marks.
func (s Sentence) String() string {
	var b strings.Builder
	for _, p := range s {
		b.WriteString(p.Text)
	}
	return b.String()
}

// sentenceHTML takes a Sentence or a plain string.
func sentenceHTML(v any) (template.HTML, error) {
	var s Sentence
	switch v := v.(type) {
	case Sentence:
		s = v
	case string:
		s = Sentence{{Text: v}}
	default:
		return "", fmt.Errorf("sentence: expected a ui.Sentence or a string, got %T", v)
	}
	var b strings.Builder
	for _, p := range s {
		text := html.EscapeString(p.Text)
		if p.Code {
			text = "<code>" + text + "</code>"
		}
		if p.Strong {
			text = "<b>" + text + "</b>"
		}
		switch {
		case p.Href != "" && safeURL(p.Href):
			text = `<a href="` + html.EscapeString(p.Href) + `">` + text + `</a>`
		case p.Key != "":
			text = `<span data-filter="` + html.EscapeString(p.Key) + `" data-value="` + html.EscapeString(p.Value) + `">` +
				text + `</span>`
		}
		b.WriteString(text)
	}
	return template.HTML(b.String()), nil //nolint:gosec // escaped above
}

// safeURL lets through our own paths and web links.
func safeURL(s string) bool {
	return strings.HasPrefix(s, "/") || strings.HasPrefix(s, "#") || strings.HasPrefix(s, "?") ||
		strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}

// timeHTML is the time of day for today (UTC), the date too for other days,
// with UTC named; a script turns it to the viewer's zone and the title keeps
// UTC. The zero time is a dash.
func (u *UI) timeHTML(t time.Time) template.HTML {
	if t.IsZero() {
		return dash
	}
	t = t.UTC()
	text := t.Format("2 Jan 2006, 15:04:05") + " UTC"
	if y, m, d := u.now().UTC().Date(); y == t.Year() && m == t.Month() && d == t.Day() {
		text = t.Format("15:04:05") + " UTC"
	}
	return timeTag(t, "time", text)
}

// momentHTML is a time with its date, also of today: for pages about one thing,
// which are read alone.
func momentHTML(t time.Time) template.HTML {
	if t.IsZero() {
		return dash
	}
	return timeTag(t.UTC(), "moment", t.UTC().Format("2 Jan 2006, 15:04:05")+" UTC")
}

func dayHTML(t time.Time) template.HTML {
	if t.IsZero() {
		return dash
	}
	return timeTag(t.UTC(), "day", t.UTC().Format("2 Jan 2006"))
}

func (u *UI) agoHTML(t time.Time) template.HTML {
	if t.IsZero() {
		return dash
	}
	return timeTag(t.UTC(), "ago", Ago(u.now(), t))
}

const dash template.HTML = `<span class="faint" aria-label="none">–</span>`

func timeTag(t time.Time, kind, text string) template.HTML {
	//nolint:gosec // digits and fixed words
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-local="%s" title="%s UTC">%s</time>`,
		isoUTC(t), kind, t.Format("2006-01-02 15:04:05.000000"), text))
}

// fieldTime formats a time for a field of the type datetime-local. Empty for the
// zero time.
func fieldTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05")
}

func isoUTC(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
