package notify

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// fact is a member of an alert's data.
type fact struct{ Name, Value string }

// matrix is objects of the data that have the same members, below each other:
// the long and the short window of a burn rate.
type matrix struct {
	Columns []string
	Rows    []matrixRow
}

type matrixRow struct {
	Name   string
	Values []string
}

// Most of an alert's data that its page shows; the rest is in the API.
const (
	shownFacts   = 40
	shownRows    = 8
	shownColumns = 8
)

// tabulate reads data for people: two or more objects with the same members
// become a table, everything else a list of names and values.
func tabulate(data json.RawMessage) (facts []fact, m *matrix) {
	var members map[string]json.RawMessage
	if len(data) == 0 || json.Unmarshal(data, &members) != nil {
		return nil, nil
	}
	objects := map[string]map[string]json.RawMessage{} // by member
	alike := map[string][]string{}                     // members by the names inside
	for _, name := range slices.Sorted(maps.Keys(members)) {
		var inner map[string]json.RawMessage
		if members[name][0] == '{' && json.Unmarshal(members[name], &inner) == nil && len(inner) > 0 {
			objects[name] = inner
			shape := strings.Join(slices.Sorted(maps.Keys(inner)), "\x00")
			alike[shape] = append(alike[shape], name)
		}
	}
	tabled := map[string]bool{}
	for _, shape := range slices.Sorted(maps.Keys(alike)) {
		names, columns := alike[shape], strings.Split(shape, "\x00")
		if len(names) < 2 || len(names) > shownRows || len(columns) > shownColumns || m != nil {
			continue
		}
		m = &matrix{}
		for _, c := range columns {
			m.Columns = append(m.Columns, human(c))
		}
		for _, name := range names {
			tabled[name] = true
			row := matrixRow{Name: human(name)}
			for _, c := range columns {
				row.Values = append(row.Values, value(objects[name][c]))
			}
			m.Rows = append(m.Rows, row)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		switch {
		case tabled[name]:
		case objects[name] == nil:
			facts = append(facts, fact{human(name), value(members[name])})
		default:
			for _, inside := range slices.Sorted(maps.Keys(objects[name])) {
				facts = append(facts, fact{human(name + " " + inside), value(objects[name][inside])})
			}
		}
	}
	return facts[:min(len(facts), shownFacts)], m
}

// human makes a member's name words: burn_rate is "burn rate".
func human(name string) string { return clip(strings.ReplaceAll(name, "_", " "), 80) }

// value is a JSON value as people read it.
func value(raw json.RawMessage) string {
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return clip(s, 300)
	}
	if whole, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		grouped, _ := ui.Num(whole) // a whole number never fails
		return grouped
	}
	if f, err := strconv.ParseFloat(string(raw), 64); err == nil {
		if whole := strconv.FormatFloat(f, 'f', -1, 64); len(whole) > 9 && strings.Contains(whole, ".") {
			return strconv.FormatFloat(f, 'g', 5, 64)
		}
	}
	return clip(string(raw), 300)
}
