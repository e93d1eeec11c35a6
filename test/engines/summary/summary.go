package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Totals counts tests and subtests. A package that failed outside of a test (it did not
// build, it panicked, its time ran out) counts as one failure.
type Totals struct{ Passed, Failed, Skipped int }

// event is one line of "go test -json"; see "go doc test2json".
type event struct {
	Action     string
	Package    string
	Test       string
	Output     string
	ImportPath string
	Elapsed    float64
}

// keptLines bounds what is kept of the output of one test: its last lines.
const keptLines = 500

var (
	engineUsed = regexp.MustCompile(`engine: (.+)`)
	logLine    = regexp.MustCompile(`^\s+\S+\.go:\d+: (.+)`)
)

type summary struct {
	out     io.Writer
	totals  Totals
	counts  map[string]*Totals  // by package
	output  map[string][]string // by package and test, of what has not ended yet
	build   map[string][]string // by import path
	engines map[string]int
	reasons map[string]int
}

// Summarize writes the summary of the events in r to w. Lines that are no events are
// passed through: they come from a go command that could not even begin.
func Summarize(r io.Reader, w io.Writer) (Totals, error) {
	s := &summary{
		out:     w,
		counts:  map[string]*Totals{},
		output:  map[string][]string{},
		build:   map[string][]string{},
		engines: map[string]int{},
		reasons: map[string]int{},
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Action == "" {
			fmt.Fprintln(w, lines.Text())
			continue
		}
		s.take(e)
	}
	s.close()
	return s.totals, lines.Err()
}

func (s *summary) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		s.build[e.ImportPath] = append(s.build[e.ImportPath], e.Output)
	case "build-fail":
		s.print(s.build[e.ImportPath])
	case "output":
		s.keep(key, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e)
		} else {
			s.endTest(e, key)
		}
		delete(s.output, key)
	}
}

func (s *summary) keep(key, line string) {
	if found := engineUsed.FindStringSubmatch(line); found != nil {
		s.engines[strings.TrimSpace(found[1])]++
	}
	s.output[key] = append(s.output[key], line)
	if kept := s.output[key]; len(kept) > keptLines {
		s.output[key] = kept[len(kept)-keptLines:]
	}
}

func (s *summary) endTest(e event, key string) {
	counts := s.of(e.Package)
	switch e.Action {
	case "pass":
		counts.Passed++
	case "fail":
		counts.Failed++
		fmt.Fprintf(s.out, "\nFAIL %s in %s\n", e.Test, e.Package)
		s.print(s.output[key])
	case "skip":
		counts.Skipped++
		// The reason is the last thing a skipped test says.
		for _, line := range slices.Backward(s.output[key]) {
			if found := logLine.FindStringSubmatch(line); found != nil {
				s.reasons[strings.TrimSpace(found[1])]++
				break
			}
		}
	}
}

func (s *summary) endPackage(e event) {
	counts := s.of(e.Package)
	if e.Action == "skip" {
		return // no test files
	}
	if e.Action == "fail" {
		s.endFailedPackage(e.Package, counts)
	}
	s.totals.Passed += counts.Passed
	s.totals.Failed += counts.Failed
	s.totals.Skipped += counts.Skipped
	word := "ok  "
	if e.Action == "fail" {
		word = "FAIL"
	}
	line := fmt.Sprintf("%s %-60s %6.1fs  %d passed", word, e.Package, e.Elapsed, counts.Passed)
	if counts.Failed > 0 {
		line += fmt.Sprintf(", %d failed", counts.Failed)
	}
	if counts.Skipped > 0 {
		line += fmt.Sprintf(", %d skipped", counts.Skipped)
	}
	fmt.Fprintln(s.out, line)
}

// endFailedPackage prints what no test that ended has claimed: a panic or a time-out is
// part of the output of the test that was running.
func (s *summary) endFailedPackage(name string, counts *Totals) {
	if counts.Failed > 0 {
		return
	}
	counts.Failed++
	fmt.Fprintf(s.out, "\nFAIL %s\n", name)
	for _, key := range slices.Sorted(maps.Keys(s.output)) {
		if strings.HasPrefix(key, name+" ") {
			s.print(s.output[key])
			delete(s.output, key)
		}
	}
}

func (s *summary) close() {
	fmt.Fprintln(s.out)
	for _, engine := range slices.Sorted(maps.Keys(s.engines)) {
		fmt.Fprintf(s.out, "used by %d tests: %s\n", s.engines[engine], engine)
	}
	for _, reason := range slices.Sorted(maps.Keys(s.reasons)) {
		fmt.Fprintf(s.out, "left out %d times: %s\n", s.reasons[reason], reason)
	}
	fmt.Fprintf(s.out, "\n%d passed, %d failed, %d skipped\n", s.totals.Passed, s.totals.Failed, s.totals.Skipped)
}

func (s *summary) of(name string) *Totals {
	if s.counts[name] == nil {
		s.counts[name] = &Totals{}
	}
	return s.counts[name]
}

func (s *summary) print(lines []string) {
	for _, line := range lines {
		fmt.Fprint(s.out, line)
	}
}
