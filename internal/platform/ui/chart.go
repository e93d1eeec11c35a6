package ui

import (
	"encoding/json"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
)

// Chart is the data of the component "chart": lines over time, with marks for
// changes and levels for limits. X are Unix seconds, ascending; every series
// has as many values, nil where there is none.
//
// All charts of a page share their cursor and their zoom. A value above Max is
// cut, and the cut is marked with the value; Log shows extremes whole and keeps
// small values readable.
type Chart struct {
	Label   string        `json:"label"`          // what it shows, for screen readers too
	Summary string        `json:"-"`              // one sentence below: what to see
	Unit    string        `json:"unit,omitempty"` // "%", "ms", "×", "/s"
	X       []int64       `json:"x"`
	Series  []ChartSeries `json:"series"`
	Marks   []ChartMark   `json:"marks,omitempty"`
	Levels  []ChartLevel  `json:"levels,omitempty"`
	Min     *float64      `json:"min,omitempty"` // of the y axis; nil fits
	Max     *float64      `json:"max,omitempty"`
	Empty   string        `json:"empty,omitempty"` // shown instead when there is no value
	Small   bool          `json:"small,omitempty"` // 120 px high, not 240
	Log     bool          `json:"log,omitempty"`   // y axis logarithmic, and linear around zero

	// AuditHref leads from a selected time to the audit log. Its {from} and {to}
	// become RFC 3339 times: "/accounts/1/audit?since={from}&before={to}".
	AuditHref string `json:"audit,omitempty"`
}

// ChartSeries is one line.
type ChartSeries struct {
	Name string     `json:"name"`
	Tone Tone       `json:"tone,omitempty"`
	Dash bool       `json:"dash,omitempty"`
	Fill bool       `json:"fill,omitempty"`
	Y    []*float64 `json:"y"`
}

// ChartMark is a moment on the time axis: a change, an alert's start. It is a
// numbered flag above the chart, and an item of the list below. Href leads to it.
type ChartMark struct {
	At    int64  `json:"at"`
	Label string `json:"label"`
	Href  string `json:"href,omitempty"`
	Tone  Tone   `json:"tone,omitempty"`
}

// Time is the moment.
func (m ChartMark) Time() time.Time { return time.Unix(m.At, 0).UTC() }

// ChartLevel is a horizontal limit: "pages at 14.4×". Its name is in the gutter
// at the right, on narrow screens Short or else the value.
type ChartLevel struct {
	Y     float64 `json:"y"`
	Label string  `json:"label"`
	Short string  `json:"short,omitempty"`
	Tone  Tone    `json:"tone,omitempty"`
}

// HasData reports whether there is anything to draw.
func (c Chart) HasData() bool {
	for _, s := range c.Series {
		for _, y := range s.Y {
			if y != nil {
				return true
			}
		}
	}
	return false
}

// ChartRow is the values of all series at one time, as text.
type ChartRow struct {
	At     time.Time
	Values []string
}

// maxSampled is how many times the table of a chart has.
const maxSampled = 12

// Sampled is the chart as a table, for screen readers and browsers without
// scripts: times that are spread evenly over the chart, the newest first.
func (c Chart) Sampled() []ChartRow {
	var rows []ChartRow
	n := min(len(c.X), maxSampled)
	for k := range n {
		i := len(c.X) - 1
		if n > 1 {
			i -= k * (len(c.X) - 1) / (n - 1)
		}
		row := ChartRow{At: time.Unix(c.X[i], 0).UTC()}
		for _, s := range c.Series {
			text := "–"
			if i < len(s.Y) && s.Y[i] != nil {
				text = strconv.FormatFloat(*s.Y[i], 'g', 4, 64)
				if len(c.Unit) > 1 && c.Unit != "×" {
					text += " "
				}
				text += c.Unit
			}
			row.Values = append(row.Values, text)
		}
		rows = append(rows, row)
	}
	return rows
}

// chartJSON is the chart as the script reads it. encoding/json writes <, > and
// & as escapes, so the text cannot end its element.
func chartJSON(c Chart) (template.HTML, error) {
	for _, s := range c.Series {
		if len(s.Y) != len(c.X) {
			return "", fmt.Errorf("chart %q: series %q has %d values for %d times", c.Label, s.Name, len(s.Y), len(c.X))
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("chart %q: %w", c.Label, err)
	}
	//nolint:gosec // escaped by encoding/json
	return template.HTML(`<script type="application/json">` + string(b) + `</script>`), nil
}

// spark is a small line without axes, for a card or a table: decoration beside
// a number. Fewer than two values draw nothing.
func spark(values []float64) template.HTML {
	if len(values) < 2 {
		return ""
	}
	low, high := values[0], values[0]
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	var b strings.Builder
	for i, v := range values {
		y := 12.0
		if high > low {
			y = 22 - 20*(v-low)/(high-low)
		}
		fmt.Fprintf(&b, "%.1f,%.1f ", float64(i)*96/float64(len(values)-1), y)
	}
	//nolint:gosec // numbers
	return template.HTML(`<svg class="spark" viewBox="0 0 96 24" preserveAspectRatio="none" aria-hidden="true">` +
		`<polyline points="` + strings.TrimSpace(b.String()) + `"/></svg>`)
}
