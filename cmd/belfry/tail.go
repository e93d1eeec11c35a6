package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/client"
	"github.com/belfryhq/belfry/internal/traffic"
	"github.com/belfryhq/belfry/internal/traffic/tail"
)

func tailCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("tail", "tail [flags] FILE...",
		"Counts access logs and ships the counts (ten seconds of one host each; no addresses or paths leave the "+
			"machine). Files\n"+
			"may grow (-f, over rotation), be compressed (.gz), or be - for standard input. Positions are remembered: a "+
			"run that was\n"+
			"killed goes on where it was, and nothing counts twice. Without -f, a last line that has no end yet is left "+
			"for the next run.",
		"belfry tail --account ext:acme --zone shop.example -f /var/log/nginx/access.log\n"+
			"zcat old.log.gz | BELFRY_URL=... BELFRY_TOKEN=... belfry tail --account ext:acme --zone shop.example -\n"+
			"belfry tail --account ext:acme --zone shop.example --shift-to-now access_2015.log.gz", stderr)
	address := f.String("url", "", addressUsage)
	token := f.String("token", "", "API `token` with traffic:write"+tokenUsage)
	account := f.String("account", os.Getenv("BELFRY_ACCOUNT"), "account `id` or ext:<external id> (or BELFRY_ACCOUNT)")
	property := f.String("zone", "", "`zone` of all lines: id, name or alias; left out, what each line says (its host)")
	format := f.String("format", string(traffic.Combined),
		"how the lines are written: "+traffic.FormatNames())
	timezone := f.String("timezone", "", "`name` of the time zone of times that name none (haproxy), such as "+
		"Europe/Berlin; default: that of this machine")
	follow := f.Bool("f", false, "follow the files as they grow, until stopped")
	shift := f.Bool("shift-to-now", false, "move all times as a whole, so that the last line is now")
	state := f.String("state", "",
		"`file` that remembers positions (default: belfry/tail.json in the user's cache folder)")
	files, code, done := parseFiles(f, args, stdout)
	if done {
		return code
	}
	if *account == "" || len(files) == 0 {
		return usageError(f, stderr, "--account and at least one file are required; see belfry tail --help")
	}
	kind, err := traffic.ParseFormat(*format)
	if err != nil {
		return usageError(f, stderr, "--%v", err)
	}
	var zone *time.Location
	if *timezone != "" {
		if zone, err = time.LoadLocation(*timezone); err != nil {
			return usageError(f, stderr, "--timezone: %v", err)
		}
	}
	if stdin := slices.Contains(files, "-"); stdin && (len(files) > 1 || *follow || *shift) || *follow && *shift {
		return usageError(f, stderr, "- is read alone, without -f and --shift-to-now; these two exclude each other")
	}
	c, err := newClient(*address, *token, stderr)
	if err != nil {
		return usageError(f, stderr, "%v", err)
	}
	var older []string
	if *state == "" && files[0] != "-" {
		if *state, older, err = tail.DefaultState(); err != nil {
			return fail(stderr, f.Name(), fmt.Errorf("there is no cache folder for positions, name a file with --state: %w",
				err))
		}
	}
	sum, err := tail.Run(ctx, tail.Config{
		Files:    files,
		Format:   kind,
		Zone:     *property,
		TimeZone: zone,
		Follow:   *follow,
		Shift:    *shift,
		State:    *state,
		Older:    older,
		Stdin:    os.Stdin,
		Scope:    strings.Join([]string{c.URL(), *account, *property, *format}, "\n"),
		Send: func(ctx context.Context, key string, counts []byte) (tail.Rejection, error) {
			out, err := c.SendCounts(ctx, *account, key, counts)
			return tail.Rejection{
				Counts:   out.Rejected,
				Requests: out.RejectedRequests,
				Why:      out.Why,
				Other:    out.OtherRequests,
			}, err
		},
		Counting: func(ctx context.Context, zone string) (traffic.CountingRules, error) {
			out := traffic.CountingRules{}
			known, err := c.CountingRules(ctx, *account, zone, &out)
			if !known && err == nil {
				out = traffic.CountingRules{Default: true, Rules: traffic.DefaultRules}
			}
			return out, err
		},
		Later:   client.Temporary,
		Refused: client.RejectsContent,
		Warn:    func(what string) { printf(stderr, "belfry tail: %s\n", what) },
		Progress: func(p tail.Progress) {
			progress(stderr, "%s%s: %d lines, %d counts", p.File, percent(p), p.Summary.Lines, p.Summary.Counts)
		},
	})
	progress(stderr, "")
	summarise(stdout, &sum, *state)
	if err != nil && !(*follow && errors.Is(err, context.Canceled)) {
		return fail(stderr, f.Name(), err)
	}
	if sum.Rejected.Counts > 0 || sum.Refused > 0 && sum.Lines == 0 {
		return 1
	}
	return 0
}

// parseFiles reads flags and files, in any order.
func parseFiles(f *flag.FlagSet, args []string, stdout io.Writer) (files []string, code int, done bool) {
	for rest := args; ; {
		if code, done := parse(f, rest, stdout); done {
			return nil, code, true
		}
		if f.NArg() == 0 {
			return files, 0, false
		}
		files = append(files, f.Arg(0))
		rest = f.Args()[1:]
	}
}

func percent(p tail.Progress) string {
	if p.Total == 0 {
		return ""
	}
	return fmt.Sprintf(" %d %%", 100*p.Done/max(p.Total, p.Done))
}

// summarise prints the numbers of a run.
func summarise(w io.Writer, s *tail.Summary, state string) {
	if s.Lines+s.Refused == 0 {
		printf(w, "nothing new")
		if state != "" {
			printf(w, "; what was shipped before is remembered in %s", state)
		}
		printf(w, "\n")
		return
	}
	printf(w, "%d lines in %d counts", s.Lines, s.Counts)
	if s.Lines > 0 {
		printf(w, "; by status: %s", s.ByStatus())
	}
	printf(w, "\n")
	if s.Refused > 0 {
		printf(w, "lines that are no requests: %d; the first: %s\n", s.Refused, s.Odd[0])
		for _, odd := range s.Odd[1:] {
			printf(w, "  and %s\n", odd)
		}
	}
	if s.Ignored > 0 {
		printf(w, "lines that the account's rules ignore: %d\n", s.Ignored)
	}
	if s.Rejected.Counts > 0 {
		printf(w, "the server refused %s\n", s.Rejected)
	}
	if s.Rejected.Other > 0 {
		printf(w, "lines counted for the property other, since their hosts have none: %d\n", s.Rejected.Other)
	}
}
