package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

var (
	// isWhatComment: a comment that begins with a clause ("X is what ...") where a noun would do.
	isWhatComment = regexp.MustCompile(`^(\S+ ){1,3}(is|are|was|were|has|have|gives|says|tells) (what|who|whom|where)\b`)

	// whatComment: a comment with such a clause anywhere.
	whatComment = regexp.MustCompile(`(?i)\bwhat (is|was|it|lies|stands|follows)\b`)

	// personComment: a comment that speaks of an unnamed person where a role (user, caller, operator) is meant.
	personComment = regexp.MustCompile(`(?i)\b(nobody|somebody|whoever)\b`)
)

// scope is a part of the repository: one column of the table.
type scope struct {
	production, tests []*source
	names             packageNames
}

func newScope(files []*source, prefix string) *scope {
	s := &scope{}
	for _, f := range files {
		if !strings.HasPrefix(f.path, prefix) {
			continue
		}
		if f.test || strings.HasPrefix(f.path, "test/") {
			s.tests = append(s.tests, f)
		} else {
			s.production = append(s.production, f)
		}
	}
	s.names = namesOf(s.production)
	return s
}

// sum adds a figure of all production files.
func (s *scope) sum(of func(*source) int) int { return sum(s.production, of) }

func sum(files []*source, of func(*source) int) int {
	total := 0
	for _, f := range files {
		total += of(f)
	}
	return total
}

func lineCount(f *source) int { return len(f.text) }

// functions lists a figure of all production functions.
func (s *scope) functions(figure func(*source, int) int) []int {
	var list []int
	for _, f := range s.production {
		for i := range f.functions() {
			list = append(list, figure(f, i))
		}
	}
	return list
}

func (s *scope) lengths() []int {
	return s.functions(func(f *source, i int) int { return f.length(f.functions()[i]) })
}

func (s *scope) complexities() []int {
	return s.functions(func(f *source, i int) int { return cyclomatic(f.functions()[i]) })
}

func (s *scope) parameters() []int {
	return s.functions(func(f *source, i int) int { return parameters(f.functions()[i]) })
}

func (s *scope) fileLengths() []int {
	var list []int
	for _, f := range s.production {
		list = append(list, len(f.text))
	}
	return list
}

// importsPerPackage are the numbers of different packages of the same module that each package imports, tests apart.
func (s *scope) importsPerPackage() []int {
	imports := map[packageKey]map[string]bool{}
	for _, f := range s.production {
		if imports[f.key()] == nil {
			imports[f.key()] = map[string]bool{}
		}
		for _, spec := range f.syntax.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			if strings.HasPrefix(imported, f.module+"/") {
				imports[f.key()][imported] = true
			}
		}
	}
	var list []int
	for _, set := range imports {
		list = append(list, len(set))
	}
	return list
}

func (s *scope) share(count int) string {
	return fmt.Sprintf("%.1f %%", 100*float64(count)/float64(s.sum(lineCount)))
}

func (s *scope) perThousand(count int) string {
	return fmt.Sprintf("%.1f (%d)", 1000*float64(count)/float64(s.sum(lineCount)), count)
}

// percentile is the smallest value that p percent of the values do not pass.
func percentile(values []int, p int) int {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)*p+99)/100-1]
}

func over(values []int, limit int) int {
	count := 0
	for _, v := range values {
		if v > limit {
			count++
		}
	}
	return count
}

// measures are the rows of the table. All but the second count production code: files that are neither *_test.go nor
// below test/.
var measures = []struct {
	name   string
	figure func(*scope) string
}{
	{"production lines", func(s *scope) string { return fmt.Sprint(s.sum(lineCount)) }},
	{"test lines / production lines", func(s *scope) string {
		return fmt.Sprintf("%.2f", float64(sum(s.tests, lineCount))/float64(s.sum(lineCount)))
	}},
	{"file p50 / p90 / max", func(s *scope) string {
		list := s.fileLengths()
		return fmt.Sprintf("%d / %d / %d", percentile(list, 50), percentile(list, 90), percentile(list, 100))
	}},
	{"function p50 / p90", func(s *scope) string {
		return fmt.Sprintf("%d / %d", percentile(s.lengths(), 50), percentile(s.lengths(), 90))
	}},
	{"functions > 80 lines", func(s *scope) string {
		return fmt.Sprintf("%d of %d", over(s.lengths(), 80), len(s.lengths()))
	}},
	{"cyclomatic > 15", func(s *scope) string {
		list := s.complexities()
		return fmt.Sprintf("%d (%.1f %%)", over(list, 15), 100*float64(over(list, 15))/float64(max(1, len(list))))
	}},
	{"comment lines, whole-line", func(s *scope) string {
		return s.share(s.sum(func(f *source) int { whole, _ := f.commentLines(); return whole }))
	}},
	{"comment lines, with trailing", func(s *scope) string {
		return s.share(s.sum(func(f *source) int { whole, trailing := f.commentLines(); return whole + trailing }))
	}},
	{"blank lines", func(s *scope) string { return s.share(s.sum((*source).blankLines)) }},
	{"lines > 100 / 120 / 160 columns", func(s *scope) string {
		wider := func(columns int) int {
			return s.sum(func(f *source) int { return f.widerThan(columns) })
		}
		return fmt.Sprintf("%s / %s / %s", s.share(wider(100)), s.share(wider(120)), s.share(wider(160)))
	}},
	{"lines of tests > 120 columns", func(s *scope) string {
		return fmt.Sprint(sum(s.tests, func(f *source) int { return f.widerThan(120) }))
	}},
	{"parallel assignments per 1,000 lines", func(s *scope) string {
		return s.perThousand(s.sum(func(f *source) int { return len(f.parallel(2)) }))
	}},
	{"of three or more", func(s *scope) string {
		return fmt.Sprint(s.sum(func(f *source) int { return len(f.parallel(3)) }))
	}},
	{"functions with >= 7 parameters", func(s *scope) string { return fmt.Sprint(over(s.parameters(), 6)) }},
	{"package-level names shadowed per 1,000 lines", func(s *scope) string {
		return s.perThousand(s.sum(func(f *source) int { return len(f.shadows(s.names[f.key()])) }))
	}},
	{"imports shadowed per 1,000 lines", func(s *scope) string {
		return s.perThousand(s.sum(func(f *source) int { return len(f.shadows(f.importNames())) }))
	}},
	{"exported without doc", func(s *scope) string {
		all := s.sum(func(f *source) int { all, _ := f.exported(); return all })
		return fmt.Sprintf("%d of %d", s.sum(func(f *source) int { _, bare := f.exported(); return bare }), all)
	}},
	{"interfaces", func(s *scope) string { return fmt.Sprint(s.sum((*source).interfaces)) }},
	{"internal imports per package, mean / p90", func(s *scope) string {
		list := s.importsPerPackage()
		total := 0
		for _, n := range list {
			total += n
		}
		return fmt.Sprintf("%.1f / %d", float64(total)/float64(max(1, len(list))), percentile(list, 90))
	}},
	{"comments that begin \"X is what ...\"", func(s *scope) string {
		return fmt.Sprint(s.sum(func(f *source) int { return f.commentsLike(isWhatComment) }))
	}},
	{"comments with \"what is / was / it / lies / stands / follows\"", func(s *scope) string {
		return fmt.Sprint(s.sum(func(f *source) int { return f.commentsLike(whatComment) }))
	}},
	{"comments with nobody, somebody, whoever", func(s *scope) string {
		return fmt.Sprint(s.sum(func(f *source) int { return f.commentsLike(personComment) }))
	}},
	{"map literals as ternaries", func(s *scope) string {
		return fmt.Sprint(s.sum(func(f *source) int { return len(f.mapTernaries()) }))
	}},
	{"[]any rows with several values a line", func(s *scope) string {
		return fmt.Sprint(s.sum(func(f *source) int { return len(f.packedRows()) }))
	}},
}

// printTable writes the figures of internal/ and of all modules as a Markdown table.
func printTable(out io.Writer, files []*source) {
	inner := newScope(files, "internal/")
	all := newScope(files, "")
	fmt.Fprintln(out, "| measure | internal/ | all modules |")
	fmt.Fprintln(out, "|---|---|---|")
	for _, m := range measures {
		fmt.Fprintf(out, "| %s | %s | %s |\n", m.name, m.figure(inner), m.figure(all))
	}
}
