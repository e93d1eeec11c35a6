package ui

import (
	"fmt"
	"html"
	"html/template"
	"slices"
	"strings"
)

// Parts is a bar divided by shares: deliveries by outcome, answers by latency.
type Parts struct {
	Label  string // the whole, read aloud: "Deliveries of the last 7 days"
	Shares []Share
	Legend bool // names and numbers below the bar
}

// Share is one part of a [Parts] bar.
type Share struct {
	Label string
	Value float64
	Text  string // the value in the legend; default is the rounded number
	Tone  Tone
}

// Columns are small stacked columns over time, the oldest first, as in the
// history of an endpoint: how much succeeded and how much failed.
type Columns struct {
	Label   string // "Deliveries per hour, last 24 hours"
	From    string // below the left end, such as "24 h ago"; "" = no captions
	To      string
	Columns []Column
	Said    string // read aloud in place of the sums of good and bad

	// Tall draws counts large, with the highest one at the axis and a table behind the columns: events by day.
	Tall bool
	Head string // of the table's first column: "Day"
	Top  string // the highest count, in words
}

// Column is one of [Columns]. Title is shown on hover. Count is drawn without a verdict. Href is a link of a tall
// column; Name is its row in the table.
type Column struct {
	Title           string
	Name, Href      string
	Count           float64
	Good, Warn, Bad float64
}

// Total is the sum of the shares.
func (p Parts) Total() (sum float64) {
	for _, s := range p.Shares {
		sum += max(s.Value, 0)
	}
	return sum
}

// partsHTML draws the bar without the legend. Each share above zero is at least one per
// cent wide, so that a single failure among thousands is seen.
func partsHTML(p Parts) template.HTML {
	total := p.Total()
	words := make([]string, 0, len(p.Shares))
	widths := make([]float64, len(p.Shares))
	sum := 0.0
	for i, s := range p.Shares {
		words = append(words, s.Label+" "+shareText(s))
		if s.Value > 0 {
			widths[i] = max(s.Value/total*100, 1)
			sum += widths[i]
		}
	}

	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="parts-bar" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="%s">`,
		html.EscapeString(p.Label+": "+strings.Join(words, ", ")))
	x := 0.0
	for i, s := range p.Shares {
		if widths[i] == 0 {
			continue
		}
		width := widths[i] / sum * 100
		fmt.Fprintf(&b, `<rect class="%s" x="%.2f" y="0" width="%.2f" height="6"><title>%s</title></rect>`,
			toneClass(s.Tone), x, max(width-0.4, 0.5), html.EscapeString(s.Label+": "+shareText(s)))
		x += width
	}
	return template.HTML(b.String() + "</svg>") //nolint:gosec // numbers, and text that is escaped above
}

func shareText(s Share) string {
	if s.Text != "" {
		return s.Text
	}
	text, err := Num(s.Value)
	if err != nil {
		return ""
	}
	return text
}

// columnsHTML draws the columns. A column without any value is a grey dot on the base line.
func columnsHTML(c Columns) template.HTML {
	const step, width = 6.0, 4.5
	height := 32.0
	class := "columns-bar"
	role := "img"
	if c.Tall {
		height = 120
		class += " tall"
		role = "group" // an image may have no links inside
	}
	top := 0.0
	for _, column := range c.Columns {
		top = max(top, column.Count+column.Good+column.Warn+column.Bad)
	}

	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="%s" viewBox="0 0 %.1f %.0f" preserveAspectRatio="none" role="%s"`,
		class, float64(len(c.Columns))*step, height, role)
	fmt.Fprintf(&b, ` aria-label="%s">`, html.EscapeString(c.words()))
	for i, column := range c.Columns {
		x := float64(i) * step
		y := height
		open, end := `<g>`, `</g>`
		if safeURL(column.Href) { // the table has the same links for the keyboard
			open = `<a href="` + html.EscapeString(column.Href) + `" tabindex="-1">` +
				fmt.Sprintf(`<rect class="hit" x="%.1f" y="0" width="%.1f" height="%.0f"/>`, x, step, height)
			end = `</a>`
		}
		fmt.Fprintf(&b, `%s<title>%s</title>`, open, html.EscapeString(column.Title))
		stack := []Share{
			{Value: column.Count, Tone: Accent},
			{Value: column.Good, Tone: Good},
			{Value: column.Warn, Tone: Warn},
			{Value: column.Bad, Tone: Bad},
		}
		for _, part := range stack {
			if part.Value <= 0 {
				continue
			}
			h := max(part.Value/top*(height-2), 2)
			y -= h
			fmt.Fprintf(&b, `<rect class="%s" x="%.1f" y="%.2f" width="%.1f" height="%.2f"/>`,
				toneClass(part.Tone), x, max(y, 0), width, h)
		}
		if y == height {
			fmt.Fprintf(&b, `<rect class="none" x="%.1f" y="%.2f" width="%.1f" height="1.5"/>`, x, height-1.5, width)
		}
		b.WriteString(end)
	}
	return template.HTML(b.String() + "</svg>") //nolint:gosec // numbers, and text that is escaped above
}

// Newest are the columns, the last first.
func (c Columns) Newest() []Column {
	list := slices.Clone(c.Columns)
	slices.Reverse(list)
	return list
}

// words are the columns in one sentence.
func (c Columns) words() string {
	if c.Said != "" {
		return c.Label + ": " + c.Said
	}
	var count, good, bad float64
	for _, column := range c.Columns {
		count += column.Count
		good += column.Good
		bad += column.Warn + column.Bad
	}
	countText, _ := Num(count)
	goodText, _ := Num(good)
	badText, _ := Num(bad) // a float is a number
	if count > 0 && good == 0 && bad == 0 {
		return c.Label + ": " + countText
	}
	return c.Label + ": " + goodText + " succeeded, " + badText + " did not"
}

func toneClass(t Tone) string {
	if t == Neutral {
		return "neutral"
	}
	return string(t)
}
