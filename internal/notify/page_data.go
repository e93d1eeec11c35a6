package notify

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// fact is a member of an alert's data.
type fact struct{ Name, Value string }

// matrix is objects of the data that have the same members, below each other:
// the long and the short window of a burn rate. The first column is the name of
// the row.
type matrix struct {
	Columns []string
	Rows    []matrixRow
}

type matrixRow struct {
	Name   string
	Values []fact // each with the name of its column
}

// reported is an alert's data for people, and as it came.
type reported struct {
	Facts  []fact
	Matrix *matrix
	Raw    string
}

// The types of Belfry's own alerts about the burn of a budget, whose data is known.
const (
	budgetBurn  = "belfry_budget_burn"
	originError = "http_alert_origin_error"
)

// report reads the data of an alert.
func report(kind string, data json.RawMessage) (r reported) {
	if kind == budgetBurn || kind == originError {
		if r, ok := reportBurn(data); ok {
			return r
		}
	}
	r.Facts, r.Matrix = tabulate(data)
	r.Raw = indented(string(data))
	return r
}

// reportBurn reads what an objective reports (the schema of its alerts is in
// Belfry's own catalogue); ok is false when it has another form.
func reportBurn(data json.RawMessage) (r reported, ok bool) {
	type reading struct {
		Window string  `json:"window"`
		Burn   float64 `json:"burn"`
		Total  int64   `json:"total"`
		Bad    int64   `json:"bad"`
	}
	var burn struct {
		Objective struct {
			Name   string  `json:"name"`
			Target float64 `json:"target"`
			Window string  `json:"window"`
		} `json:"objective"`
		Pair struct {
			Factor float64 `json:"factor"`
		} `json:"pair"`
		Long        reading  `json:"long"`
		Short       reading  `json:"short"`
		Left        float64  `json:"budget_left"`
		ExhaustedIn *float64 `json:"exhausted_in_seconds"`
		Detection   *float64 `json:"detection_seconds"`
	}
	if json.Unmarshal(data, &burn) != nil || burn.Objective.Name == "" || burn.Long.Window == "" {
		return r, false
	}
	r.Raw = indented(string(data))
	r.Facts = []fact{
		{"Objective", burn.Objective.Name + ": " + number(burn.Objective.Target) + " % over " + burn.Objective.Window},
		{"Alerts above", number(burn.Pair.Factor) + " times the sustainable rate, in both windows"},
		{"Budget left", strings.Replace(ui.Pct(burn.Left), "%", " %", 1)},
	}
	if burn.Left <= 0 {
		r.Facts[2].Value = "none"
	} else if burn.ExhaustedIn != nil {
		r.Facts = append(r.Facts, fact{"Exhausted", "in " + ui.Words(seconds(*burn.ExhaustedIn)) + " at that rate"})
	}
	if burn.Detection != nil {
		r.Facts = append(r.Facts, fact{"Detected", "within " + ui.Words(seconds(*burn.Detection))})
	}
	r.Matrix = &matrix{Columns: []string{"Window", "Failed", "Requests", "Burn rate"}}
	for _, one := range []reading{burn.Long, burn.Short} {
		bad, _ := ui.Num(one.Bad) // a whole number never fails
		total, _ := ui.Num(one.Total)
		r.Matrix.Rows = append(r.Matrix.Rows, matrixRow{one.Window, []fact{
			{"Failed", bad},
			{"Requests", total},
			{"Burn rate", number(one.Burn) + "×"},
		}})
	}
	return r, true
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// number is a value with as many digits as a person compares.
func number(f float64) string {
	if math.Abs(f) >= 100 {
		whole, _ := ui.Num(f) // a float never fails
		return whole
	}
	return strconv.FormatFloat(f, 'g', 4, 64)
}

// indented is JSON with a line for each member; other text stays as it is.
func indented(s string) string {
	trimmed := strings.TrimSpace(s)
	if !strings.HasPrefix(trimmed, "{") && !strings.HasPrefix(trimmed, "[") {
		return s
	}
	var b bytes.Buffer
	if json.Indent(&b, []byte(trimmed), "", "  ") != nil {
		return s
	}
	return b.String()
}

// Most of an alert's data that its page shows; the rest is below, as it came.
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
		names := alike[shape]
		columns := strings.Split(shape, "\x00")
		if len(names) < 2 || len(names) > shownRows || len(columns) > shownColumns || m != nil {
			continue
		}
		m = &matrix{Columns: []string{""}}
		for _, c := range columns {
			m.Columns = append(m.Columns, human(c))
		}
		for _, name := range names {
			tabled[name] = true
			row := matrixRow{Name: human(name)}
			for _, c := range columns {
				row.Values = append(row.Values, fact{human(c), readable(objects[name][c])})
			}
			m.Rows = append(m.Rows, row)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		switch {
		case tabled[name]:
		case objects[name] == nil:
			facts = append(facts, fact{human(name), readable(members[name])})
		default:
			for _, inside := range slices.Sorted(maps.Keys(objects[name])) {
				facts = append(facts, fact{human(name + " " + inside), readable(objects[name][inside])})
			}
		}
	}
	return facts[:min(len(facts), shownFacts)], m
}

// human makes a member's name words: burn_rate is "burn rate".
func human(name string) string { return cut(strings.ReplaceAll(name, "_", " "), 80) }

// value is a JSON value as people read it.
func readable(raw json.RawMessage) string {
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return cut(s, 300)
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
	return cut(string(raw), 300)
}
