package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// report is the tables in the order in which they were begun.
type report struct{ tables []*table }

type table struct {
	title string
	rows  [][]string // the first is the head
	notes []string
}

// table gives the table of this title, beginning it at the first time.
func (r *report) table(title string, head ...string) *table {
	for _, t := range r.tables {
		if t.title == title {
			return t
		}
	}
	t := &table{title: title, rows: [][]string{head}}
	r.tables = append(r.tables, t)
	return t
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// note says how the figures were made.
func (t *table) note(text string) {
	if !slices.Contains(t.notes, text) {
		t.notes = append(t.notes, text)
	}
}

// print writes Markdown that also reads well in a terminal.
func (r *report) print(w io.Writer) {
	for _, t := range r.tables {
		fmt.Fprintf(w, "\n## %s\n\n", t.title)
		widths := make([]int, len(t.rows[0]))
		for _, row := range t.rows {
			for i, c := range row {
				widths[i] = max(widths[i], utf8.RuneCountInString(c))
			}
		}
		for n, row := range t.rows {
			for i := range widths {
				c := ""
				if i < len(row) {
					c = row[i]
				}
				fmt.Fprintf(w, "| %s%s ", c, strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)))
			}
			fmt.Fprintln(w, "|")
			if n == 0 {
				for _, width := range widths {
					fmt.Fprintf(w, "|%s", strings.Repeat("-", width+2))
				}
				fmt.Fprintln(w, "|")
			}
		}
		for _, note := range t.notes {
			fmt.Fprintf(w, "\n%s\n", note)
		}
	}
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }

func rate(n int, d time.Duration) string { return thousands(int(float64(n) / d.Seconds())) }

// each gives a cost in microseconds for one of n.
func each(cpu time.Duration, n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(cpu.Microseconds())/float64(n))
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }
