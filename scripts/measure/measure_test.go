package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

const sample = `// Package p is what the test measures.
package p

import (
	"example.org/m/inner"
	renamed "example.org/m/other/v2"
)

const limit = 3 // trailing

func size() int { return 1 }

// Doer has a method without a comment.
type Doer interface{ Do() }

type number interface{ ~int | ~string }

func Seven(a, b, c, d, e, f, g int) {
	x, y, z := 1, 2, 3
	i, j := x, y

	for size := range z {
		_, _ = i, size
	}
	limit, inner := pair()
	if limit > 1 && inner != nil || j == 2 {
		return
	}
	_ = map[bool]string{true: "yes"}[limit == 1]
	_ = map[int]string{1: "a", 2: "b", 3: "c"}[limit]
	_ = [][]any{{1, 2, 3, 4}, {
		1,
		2,
		3,
		4,
	}}
	_ = []any{1, 2, 3}
	_ = func(renamed int) {}
}

// nobody calls this.
func (d *thing) Exported(size int) {}
`

func parseText(t *testing.T, name, text string) *source {
	t.Helper()
	s, err := parse(name, "example.org/m", text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMeasures(t *testing.T) {
	s := parseText(t, "internal/p/p.go", sample)
	seven := s.functions()[1]
	whole, trailing := s.commentLines()
	all, bare := s.exported()
	for _, c := range []struct {
		name      string
		got, want int
	}{
		{"lines", len(s.text), 42},
		{"blank lines", s.blankLines(), 8},
		{"lines of comment alone", whole, 3},
		{"lines with a comment at their end", trailing, 1},
		{"lines over 45", s.widerThan(45), 1},
		{"length", s.length(seven), 22},
		{"cyclomatic", cyclomatic(seven), 5},
		{"parameters", parameters(seven), 7},
		{"parallel, two and more", len(s.parallel(2)), 3},
		{"parallel, three and more", len(s.parallel(3)), 1},
		{"map ternaries", len(s.mapTernaries()), 1},
		{"packed rows", len(s.packedRows()), 1},
		{"interfaces", s.interfaces(), 1},
		{"exported", all, 3},
		{"exported without doc", bare, 2},
		{"begins with X is what", s.commentsLike(isWhatComment), 1},
		{"persons", s.commentsLike(personComment), 1},
		{"imports", newScope([]*source{s}, "").importsPerPackage()[0], 2},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.name, c.got, c.want)
		}
	}
}

func TestShadowedNames(t *testing.T) {
	s := parseText(t, "internal/p/p.go", sample)
	sibling := parseText(t, "internal/p/q.go", "package p\n\ntype x struct{}\n")
	external := parseText(t, "internal/p/p_test.go", "package p_test\n\nvar y int\n")

	var got []string
	for _, name := range s.shadows(namesOf([]*source{s, sibling, external})[s.key()]) {
		got = append(got, name.Name)
	}
	slices.Sort(got)
	if want := []string{"limit", "size", "size", "x"}; !slices.Equal(got, want) {
		t.Errorf("shadows of the package's names: %v, want %v", got, want)
	}

	got = nil
	for _, name := range s.shadows(s.importNames()) {
		got = append(got, name.Name)
	}
	if want := []string{"inner", "renamed"}; !slices.Equal(got, want) {
		t.Errorf("shadows of imports: %v, want %v", got, want)
	}
}

func TestReportNamesPlacesAndCountsFolders(t *testing.T) {
	files := []*source{parseText(t, "internal/p/p.go", sample), parseText(t, "cmd/q.go", "package main\n")}
	var out bytes.Buffer
	failed, err := report(&out, files, ruleNames(), "internal/")
	if err != nil || !failed {
		t.Fatalf("failed %v, err %v", failed, err)
	}
	for _, want := range []string{
		"internal/p/p.go:18: more than six parameters: pass a struct (parameters)\n",
		"internal/p/p.go:19: three or more values are assigned in parallel: one statement for each (parallel)\n",
		"internal/p/p.go:22: size shadows a name of the package (shadow)\n",
		"    9 internal/p\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}

	if failed, err = report(&out, files, ruleNames(), "cmd/"); err != nil || failed {
		t.Errorf("cmd/: failed %v, err %v", failed, err)
	}
	if _, err = report(&out, files, []string{"beauty"}, ""); err == nil {
		t.Error("an unknown rule was accepted")
	}
}

func TestPercentile(t *testing.T) {
	values := []int{5, 1, 4, 2, 3, 10, 9, 8, 7, 6}
	for p, want := range map[int]int{10: 1, 50: 5, 90: 9, 100: 10} {
		if got := percentile(values, p); got != want {
			t.Errorf("p%d: %d, want %d", p, got, want)
		}
	}
}

func TestTheTableOfTheRepository(t *testing.T) {
	var out bytes.Buffer
	if _, err := run(&out, "../..", "", ""); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(out.String(), "\n"), len(measures)+2; got != want {
		t.Errorf("%d lines, want %d:\n%s", got, want, out.String())
	}
	if strings.Contains(out.String(), "| production lines | 0 |") {
		t.Error("the walk does not find the code")
	}
}
