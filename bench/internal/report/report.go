// Package report prints the tables of the benchmarks as Markdown that also reads well in a terminal.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Report is the tables in the order in which they were begun.
type Report struct{ tables []*Table }

// Table has a title, rows of cells and notes on how the figures were made.
type Table struct {
	title string
	rows  [][]string // the first is the head
	notes []string
}

// Table returns the table of this title, beginning it at the first time.
func (r *Report) Table(title string, head ...string) *Table {
	for _, t := range r.tables {
		if t.title == title {
			return t
		}
	}
	t := &Table{title: title, rows: [][]string{head}}
	r.tables = append(r.tables, t)
	return t
}

// Add adds a row.
func (t *Table) Add(cells ...string) { t.rows = append(t.rows, cells) }

// Note adds a sentence below the table, once.
func (t *Table) Note(text string) {
	if !slices.Contains(t.notes, text) {
		t.notes = append(t.notes, text)
	}
}

// Print writes all tables.
func (r *Report) Print(w io.Writer) {
	for _, t := range r.tables {
		fmt.Fprintf(w, "\n## %s\n\n", t.title)
		widths := make([]int, len(t.rows[0]))
		for _, row := range t.rows {
			for i, c := range row {
				widths[i] = max(widths[i], utf8.RuneCountInString(c))
			}
		}
		t.print(w, widths)
		for _, note := range t.notes {
			fmt.Fprintf(w, "\n%s\n", note)
		}
	}
}

func (t *Table) print(w io.Writer, widths []int) {
	for n, row := range t.rows {
		for i, width := range widths {
			cell := ""
			if i < len(row) {
				cell = row[i]
			}
			fmt.Fprintf(w, "| %s%s ", cell, strings.Repeat(" ", width-utf8.RuneCountInString(cell)))
		}
		fmt.Fprintln(w, "|")
		if n > 0 {
			continue
		}
		for _, width := range widths {
			fmt.Fprintf(w, "|%s", strings.Repeat("-", width+2))
		}
		fmt.Fprintln(w, "|")
	}
}

// Quantile is the q-quantile of the times, 0 when there are none.
func Quantile(times []time.Duration, q float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// Milliseconds writes a time.
func Milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }

// Rate is n a second, over d.
func Rate(n int, d time.Duration) string { return Thousands(int(float64(n) / d.Seconds())) }

// Each is a cost in microseconds for one of n.
func Each(cpu time.Duration, n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(cpu.Microseconds())/float64(n))
}

// Thousands writes a number with commas.
func Thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Megabytes writes a number of bytes.
func Megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }
