package main

import (
	"bufio"
	"context"
	"encoding/json"
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

// simulateFormats are the inputs that a simulation reads: compact counts, and
// the access logs that the on-ramp takes.
var simulateFormats = func() map[string]slo.Source {
	list := map[string]slo.Source{"counts": func(in io.Reader, each func(string, event.Count) error) error {
		return traffic.ReadCompact(in, traffic.Ever, func(line int, c traffic.Count, fault error) error {
			if fault != nil {
				return fmt.Errorf("line %d: %w", line, fault)
			}
			return each(c.Zone, c.Count)
		})
	}}
	for _, format := range traffic.Formats {
		list[string(format)] = func(in io.Reader, each func(string, event.Count) error) error {
			counts, _, err := format.ReadCounts(in, "")
			if err != nil {
				return err
			}
			for _, c := range counts {
				if err := each(c.Zone, c.Count); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return list
}()

func sloCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("slo simulate", "slo simulate --objective FILE [--format F] INPUT...",
		"Runs an objective over files in their own time and prints every transition as a JSON line: when a pair of windows\nbegan or ceased to fire, its burn rates, and what was left of the budget. - reads from standard input. Input should be in\nthe order of time; what comes late is counted where it belongs, and judged with the newest.\n\nFlags:\n  --objective FILE  the objective as the API takes it: {\"name\":\"checkout\",\"target\":99.95,\"window\":\"28d\",\"pairs\":\"standard\"}\n  --format F        of the inputs: "+strings.Join(slices.Sorted(maps.Keys(simulateFormats)), ", ")+" (default counts)",
		"belfry slo simulate --objective checkout.json counts.ndjson", stderr)
	if len(args) == 0 || args[0] != "simulate" {
		if len(args) == 1 && (args[0] == "-h" || args[0] == "--help" || args[0] == "-help") {
			f.SetOutput(stdout)
			f.Usage()
			return 0
		}
		return usageError(f, stderr, "there is one: belfry slo simulate; see belfry slo --help")
	}
	objective := f.String("objective", "", "the objective (`file`)")
	format := f.String("format", "counts", "of the inputs")
	if code, done := parse(f, args[1:], stdout); done {
		return code
	}
	read, known := simulateFormats[*format]
	switch {
	case *objective == "":
		return usageError(f, stderr, "--objective is required")
	case !known:
		return usageError(f, stderr, "there is no format %q; there are %s", *format, strings.Join(slices.Sorted(maps.Keys(simulateFormats)), ", "))
	case f.NArg() == 0:
		return usageError(f, stderr, "name at least one input; - is standard input")
	}
	if err := simulate(ctx, *objective, read, f.Args(), stdout, stderr); err != nil {
		return fail(stderr, "slo simulate", err)
	}
	return 0
}

func simulate(ctx context.Context, objective string, read slo.Source, names []string, stdout, stderr io.Writer) error {
	data, err := os.ReadFile(objective)
	if err != nil {
		return err
	}
	spec, err := slo.ParseSpec(data)
	if err != nil {
		return err
	}
	var inputs []io.Reader
	for _, name := range names {
		if name == "-" {
			inputs = append(inputs, os.Stdin)
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		inputs = append(inputs, file)
	}
	out := bufio.NewWriter(stdout)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	status, err := slo.Simulate(ctx, spec, read, func(t slo.Simulated) error { return lines.Encode(t) }, inputs...)
	if err := out.Flush(); err != nil {
		return err
	}
	if err == nil && isTerminal(stderr) {
		printf(stderr, "%s\n", status.Sentence)
	}
	return err
}
