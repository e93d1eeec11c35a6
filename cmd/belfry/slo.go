package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/slo"
	"github.com/belfryhq/belfry/internal/traffic"
)

// simulateFormats are the inputs that a simulation reads: compact counts, and the
// formats of access logs.
func simulateFormats() []string {
	list := []string{"counts"}
	for _, format := range traffic.Formats {
		list = append(list, string(format))
	}
	slices.Sort(list)
	return list
}

// simulated is one file of a simulation, with the numbers of its lines.
type simulated struct {
	name    string
	in      io.Reader
	counts  bool // else an access log
	lines   int
	counted int
	reasons []traffic.Reason
	zones   map[string]bool // that its lines name, at most maxZonesShown and one more
}

const maxZonesShown = 3

// source reads the input. zone is the zone of all lines of a log; unnamed is the zone
// of lines that name none.
func (i *simulated) source(format, zone, unnamed string) slo.Source {
	return func(each func(string, event.Count) error) error {
		in, err := traffic.Unpacked(i.in)
		if err == nil && i.counts {
			err = i.readCounts(in, each)
		} else if err == nil {
			err = i.readLog(in, traffic.Format(format), zone, unnamed, each)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
		return nil
	}
}

func (i *simulated) readCounts(in io.Reader, each func(string, event.Count) error) error {
	return traffic.ReadCompact(in, traffic.Ever, func(line int, c traffic.Count, fault error) error {
		if fault != nil {
			return fmt.Errorf("line %d: %w", line, fault)
		}
		i.lines++
		i.named(c.Zone)
		return each(c.Zone, c.Count)
	})
}

func (i *simulated) readLog(
	in io.Reader, format traffic.Format, zone, unnamed string, each func(string, event.Count) error,
) error {
	counts, sum, err := format.ReadCounts(in, zone, unnamed)
	i.lines = sum.Lines + sum.Refused
	i.reasons = sum.Reasons
	for _, c := range counts {
		if err != nil {
			break
		}
		i.named(c.Zone)
		err = each(c.Zone, c.Count)
	}
	return err
}

func (i *simulated) named(zone string) {
	if len(i.zones) <= maxZonesShown {
		i.zones[zone] = true
	}
}

// printUncounted describes the lines that were not counted, and reports whether any
// line was.
func (i *simulated) printUncounted(w io.Writer, objective slo.ObjectiveSpec) bool {
	if i.counted == i.lines && i.lines > 0 {
		return true
	}
	printf(w, "belfry slo simulate: %s: %d of %d lines counted\n", i.name, i.counted, i.lines)
	read := i.lines
	for _, r := range i.reasons {
		printf(w, "  %d lines, the first is line %d: %s\n", r.Lines, r.Line, r.Message)
		read -= r.Lines
	}
	if i.counted == 0 && read > 0 {
		names := slices.Sorted(maps.Keys(i.zones))
		shown := strings.Join(names[:min(len(names), maxZonesShown)], ", ")
		printf(w, "  the objective is about %s; the lines are of %s\n", describeMatch(objective.Match), shown)
	}
	return i.counted > 0
}

// describeMatch names the requests that an objective counts.
func describeMatch(m slo.Match) string {
	parts := []string{"zone " + m.Zone}
	for _, p := range [][2]string{{"origin", m.Origin}, {"hostname", m.Hostname}, {"path_class", m.PathClass}} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+p[1])
		}
	}
	if m.Zone == "" {
		parts = parts[1:]
	}
	return strings.Join(parts, ", ")
}

const simulateAbout = `Runs an objective over files in their own time and prints every transition as a JSON line: when a pair of windows
began or ceased to fire, its burn rates, and what was left of the budget. - reads from standard input; gzip is read
too. Input should be in the order of time; what comes late is counted where it belongs, and judged with the newest. At
the end standard error says how many lines were counted and how the objective stands; the exit code is 1 when nothing
of a file was counted.

Flags:
  --objective FILE  the objective as the API takes it: {"name":"checkout","target":99.95,"window":"28d","pairs":"standard"}
  --format F        of the inputs: %s (default counts)
  --zone Z          zone of all lines of a log; left out, what each line says (its host), else the objective's`

func sloCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "gate":
			return sloGate(ctx, args[1:], stdout, stderr)
		case "import":
			return sloImport(ctx, args[1:], stdout, stderr)
		case "export":
			return sloExport(ctx, args[1:], stdout, stderr)
		}
	}
	return sloSimulate(ctx, args, stdout, stderr)
}

func sloSimulate(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("slo simulate", "slo simulate --objective FILE [--format F] [--zone Z] INPUT...",
		fmt.Sprintf(simulateAbout, strings.Join(simulateFormats(), ", ")),
		"belfry slo simulate --objective checkout.json counts.ndjson\n"+
			"belfry slo simulate --objective checkout.json --format combined /var/log/nginx/access.log.1", stderr)
	if len(args) == 0 || args[0] != "simulate" {
		if len(args) == 1 && (args[0] == "-h" || args[0] == "--help" || args[0] == "-help") {
			f.SetOutput(stdout)
			f.Usage()
			return 0
		}
		return usageError(f, stderr, "there are belfry slo simulate, gate, import and export; see belfry slo simulate --help")
	}
	objective := f.String("objective", "", "the objective (`file`)")
	format := f.String("format", "counts", "of the inputs")
	zone := f.String("zone", "", "of all lines of a log")
	names, code, done := parseFiles(f, args[1:], stdout)
	if done {
		return code
	}
	switch {
	case *objective == "":
		return usageError(f, stderr, "--objective is required")
	case !slices.Contains(simulateFormats(), *format):
		return usageError(f, stderr, "there is no format %q; there are %s", *format, strings.Join(simulateFormats(), ", "))
	case *zone != "" && *format == "counts":
		return usageError(f, stderr, "--zone is for access logs; counts name their zones")
	case len(names) == 0:
		return usageError(f, stderr, "name at least one input; - is standard input")
	}
	s := simulation{objective: *objective, format: *format, zone: *zone, inputs: names}
	whole, err := s.run(ctx, stdout, stderr)
	if err != nil {
		return fail(stderr, "slo simulate", err)
	}
	if !whole {
		return 1
	}
	return 0
}

// simulation is the flags and arguments of a run.
type simulation struct {
	objective string // file
	format    string
	zone      string // of all lines of a log; "" = what each line names
	inputs    []string
}

// run reports whether something of every input was counted.
func (s *simulation) run(ctx context.Context, stdout, stderr io.Writer) (whole bool, err error) {
	data, err := os.ReadFile(s.objective)
	if err != nil {
		return false, err
	}
	spec, err := slo.ParseSpec(data)
	if err != nil {
		return false, err
	}
	var inputs []*simulated
	var sources []slo.Source
	for _, name := range s.inputs {
		i := &simulated{name: name, in: os.Stdin, counts: s.format == "counts", zones: map[string]bool{}}
		if name == "-" {
			i.name = "standard input"
		} else {
			file, err := os.Open(name)
			if err != nil {
				return false, err
			}
			defer file.Close()
			i.in = file
		}
		inputs = append(inputs, i)
		sources = append(sources, i.source(s.format, s.zone, cmp.Or(spec.Match.Zone, "simulated")))
	}
	out := bufio.NewWriter(stdout)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	transitions := 0
	result, err := slo.Simulate(ctx, spec, func(t slo.Simulated) error {
		transitions++
		return lines.Encode(t)
	}, sources...)
	if err := errors.Join(err, out.Flush()); err != nil {
		return false, err
	}
	whole = true
	all := 0
	counted := 0
	for n, i := range inputs {
		if i.counted = result.Inputs[n].Counts; !i.counts {
			i.counted = int(result.Inputs[n].Requests)
		}
		whole = i.printUncounted(stderr, spec) && whole
		all += i.lines
		counted += i.counted
	}
	if counted > 0 {
		printf(stderr, "%d of %d lines counted, %d transitions. %s\n", counted, all, transitions, result.Sentence)
	}
	return whole, nil
}
