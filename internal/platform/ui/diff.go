package ui

import "strings"

// DiffLine is one line of a diff. Op is "+", "-" or "" for a line that both
// sides have.
type DiffLine struct {
	Op, Text string
}

// Change is one changed member, for the changes component: Path as
// "mechanisms.email[0].id", Old and New as they are shown; Op is "added",
// "removed" or "changed".
type Change struct {
	Path, Op, Old, New string
}

// maxDiff bounds the table of the longest common subsequence: lines of one
// side times lines of the other.
const maxDiff = 1 << 20

// LineDiff compares two values as indented JSON. A nil side is empty: the
// thing was created or deleted. Values too large to compare line by line are
// shown as removed and added whole, after their common start and end.
func LineDiff(before, after any) ([]DiffLine, error) {
	a, err := jsonLines(before)
	if err != nil {
		return nil, err
	}
	b, err := jsonLines(after)
	if err != nil {
		return nil, err
	}
	start := 0
	for start < len(a) && start < len(b) && same(a[start], b[start]) {
		start++
	}
	end := 0
	for end < len(a)-start && end < len(b)-start && same(a[len(a)-1-end], b[len(b)-1-end]) {
		end++
	}
	var out []DiffLine
	for _, s := range b[:start] {
		out = append(out, DiffLine{Text: s})
	}
	out = append(out, middle(a[start:len(a)-end], b[start:len(b)-end])...)
	for _, s := range b[len(b)-end:] {
		out = append(out, DiffLine{Text: s})
	}
	return out, nil
}

func jsonLines(v any) ([]string, error) {
	if v == nil {
		return nil, nil
	}
	s, err := indented(v)
	if err != nil {
		return nil, err
	}
	return strings.Split(s, "\n"), nil
}

// same ignores the comma: the last member of an object did not change because
// another follows it now.
func same(a, b string) bool {
	return strings.TrimSuffix(a, ",") == strings.TrimSuffix(b, ",")
}

// middle is the diff of the lines between the common start and end, by the
// longest common subsequence; removals stand before additions.
func middle(a, b []string) (out []DiffLine) {
	if len(a)*len(b) > maxDiff {
		for _, s := range a {
			out = append(out, DiffLine{"-", s})
		}
		for _, s := range b {
			out = append(out, DiffLine{"+", s})
		}
		return out
	}
	// lcs[i][j] is the length for a[i:] and b[j:].
	lcs := make([][]int, len(a)+1)
	for i := range lcs {
		lcs[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if same(a[i], b[j]) {
				lcs[i][j] = lcs[i+1][j+1] + 1
			} else {
				lcs[i][j] = max(lcs[i+1][j], lcs[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && same(a[i], b[j]):
			out = append(out, DiffLine{"", b[j]})
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || lcs[i+1][j] >= lcs[i][j+1]):
			out = append(out, DiffLine{"-", a[i]})
			i++
		default:
			out = append(out, DiffLine{"+", b[j]})
			j++
		}
	}
	return out
}
