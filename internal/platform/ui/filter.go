package ui

import (
	"net/url"
	"strings"
	"time"
)

// FilterKey is a query parameter that a list may be filtered by. As in the
// API, KEY includes and KEY.not excludes, and both may be repeated. The menu of
// [Filters] suggests values from Options, or from Source and Kind as in [Picker].
type FilterKey struct {
	Key, Label, Icon string
	Kind, Source     string
	Use              string // see [Picker]
	Options          []Choice
	Only             bool                // a value must be one of the suggestions
	Hidden           bool                // the menu does not offer it; chips show it
	Name             func(string) string // text of a value; nil = that of Options, or the value
}

// name is the text of a value.
func (k FilterKey) name(value string) string {
	if k.Name != nil {
		if text := k.Name(value); text != "" {
			return text
		}
	}
	for _, choice := range k.Options {
		if choice.Value == value {
			return choice.Words()
		}
	}
	return value
}

// Chip is one filter in force. Remove is the URL without it, Flip the URL with
// include turned to exclude or back. Value is the text that is shown.
type Chip struct {
	Label, Icon, Value string
	Not                bool
	Remove, Flip       string
}

// Chips are the filters of a URL, in the order of keys.
func Chips(u *url.URL, keys ...FilterKey) []Chip {
	q := u.Query()
	var chips []Chip
	for _, k := range keys {
		for _, not := range []bool{false, true} {
			name, other := k.Key, k.Key+".not"
			if not {
				name, other = other, name
			}
			for _, v := range FilterValues(q, name, len(q[name])) {
				chips = append(chips, Chip{
					Label: k.Label, Icon: k.Icon, Value: k.name(v), Not: not,
					Remove: edit(u, func(q url.Values) { drop(q, name, v) }),
					Flip:   edit(u, func(q url.Values) { drop(q, name, v); q.Add(other, v) }),
				})
			}
		}
	}
	return chips
}

// FilterValues are the values of a filter in a URL, at most limit of them. Empty
// ones are left out: a form without scripts sends them where nothing was typed.
func FilterValues(q url.Values, name string, limit int) []string {
	var values []string
	for _, v := range q[name] {
		if v != "" && len(values) < limit {
			values = append(values, v)
		}
	}
	return values
}

// Filtered is u with one more filter, from the first page on.
func Filtered(u *url.URL, key, value string, not bool) string {
	if not {
		key += ".not"
	}
	return edit(u, func(q url.Values) { drop(q, key, value); q.Add(key, value) })
}

// With is u with the parameters set (removed where the value is ""), from the
// first page on. It takes pairs.
func With(u *url.URL, pairs ...string) string {
	return edit(u, func(q url.Values) {
		for i := 0; i+1 < len(pairs); i += 2 {
			if q.Del(pairs[i]); pairs[i+1] != "" {
				q.Set(pairs[i], pairs[i+1])
			}
		}
	})
}

// edit keeps the path; a cursor belongs to the old list and goes.
func edit(u *url.URL, change func(url.Values)) string {
	q := u.Query()
	q.Del("cursor")
	change(q)
	if len(q) == 0 {
		return u.Path
	}
	return u.Path + "?" + q.Encode()
}

func drop(q url.Values, key, value string) {
	old := q[key]
	q.Del(key)
	for _, v := range old {
		if v != value {
			q.Add(key, v)
		}
	}
}

// Range is the time range of a page, from the parameters since and before.
// since is an RFC 3339 time or a length that ends now ("15m", "24h", "7d").
// A zero side is open.
type Range struct {
	Since, Before time.Time
	Label         string // "Last 24 hours", or "" when the times are given
	Presets       []Link
	Reset         string // the URL without a range
	Hidden        []Hidden
}

// Hidden is a query parameter that a form keeps.
type Hidden struct{ Name, Value string }

var presets = []struct {
	value, label string
	d            time.Duration
}{
	{"15m", "Last 15 minutes", 15 * time.Minute}, {"1h", "Last hour", time.Hour},
	{"24h", "Last 24 hours", 24 * time.Hour}, {"7d", "Last 7 days", 7 * 24 * time.Hour},
	{"30d", "Last 30 days", 30 * 24 * time.Hour}, {"90d", "Last 90 days", 90 * 24 * time.Hour},
}

// ParseRange reads since and before of u; byDefault is a preset ("30d") or "".
// A value that cannot be read is ignored: the page shows the default.
func ParseRange(u *url.URL, now time.Time, byDefault string) Range {
	q := u.Query()
	r := Range{Reset: With(u, "since", "", "before", ""), Hidden: KeepQuery(u, "since", "before")}
	since := q.Get("since")
	if since == "" && q.Get("before") == "" {
		since = byDefault
	}
	for _, p := range presets {
		current := p.value == since
		if current {
			r.Since, r.Label = now.Add(-p.d), p.label
		}
		r.Presets = append(r.Presets, Link{Label: p.label, Href: With(u, "since", p.value, "before", ""), Current: current})
	}
	if r.Label == "" {
		r.Since = parseTime(since)
		r.Before = parseTime(q.Get("before"))
	}
	return r
}

// parseTime reads RFC 3339 and the formats of the range's fields, as UTC.
func parseTime(s string) time.Time {
	layouts := []string{
		time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02",
		"2006-01-02T15:04:05", "2006-01-02T15:04", // of a native field
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// KeepQuery are the parameters of u that a GET form must keep as hidden
// inputs: all but its own and the cursor.
func KeepQuery(u *url.URL, own ...string) []Hidden {
	q := u.Query()
	for _, name := range append(own, "cursor") {
		q.Del(name)
	}
	var keep []Hidden
	for _, pair := range strings.Split(q.Encode(), "&") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			continue
		}
		n, _ := url.QueryUnescape(name) // Encode has just made it
		v, _ := url.QueryUnescape(value)
		keep = append(keep, Hidden{n, v})
	}
	return keep
}
