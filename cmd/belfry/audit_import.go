package main

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/belfryhq/belfry/internal/auditimport"
	"github.com/belfryhq/belfry/internal/history"
)

func auditImport(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("audit import", "audit import [flags]",
		"Imports events: NDJSON in the shape of the API (or an export of Belfry), or the change history of a git\n"+
			"repository, one event a changed file, one change set a commit; merge commits are left out. Importing the same\n"+
			"twice stores it once: an event without an id gets one that follows from its text. Each event that is not taken\n"+
			"is named on standard error, and the rest goes on.",
		"export BELFRY_URL=https://belfry.example BELFRY_TOKEN=blf_...\n"+
			"belfry audit import --account ext:acme --git ~/src/shop --repository shop\n"+
			"belfry audit import --account ext:acme --events old-log.ndjson.gz", stderr)
	address := f.String("url", "", addressUsage)
	token := f.String("token", "", "API `token` with audit:write"+tokenUsage)
	account := f.String("account", os.Getenv("BELFRY_ACCOUNT"), "account `id` or ext:<external id> (or BELFRY_ACCOUNT)")
	repository := f.String("git", "", "import the history of the git checkout in this `folder`")
	name := f.String("repository", "",
		"`name` of the repository in the record; the default is the begin of its first\n"+
			"commit's hash, which all clones share")
	events := f.String("events", "", "import this NDJSON `file` (compressed with gzip or not; - for standard input)")
	commitURL := f.String("commit-url", "", "link of a commit, with %s for its hash")
	if code, done := parseAll(f, args, stdout, stderr); done {
		return code
	}
	switch {
	case *account == "":
		return usageError(f, stderr, "--account (or BELFRY_ACCOUNT) is required")
	case (*repository == "") == (*events == ""):
		return usageError(f, stderr, "one of --git and --events is required")
	case *name != "" && *repository == "":
		return usageError(f, stderr, "--repository names what --git imports")
	case *commitURL != "" && (strings.Count(*commitURL, "%") != 1 || !strings.Contains(*commitURL, "%s")):
		return usageError(f, stderr, "--commit-url must hold %%s once, for the commit's hash")
	}
	c, err := newClient(*address, *token, stderr)
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	source := auditimport.FromFile(*events, func() (io.ReadCloser, error) { return openInput(*events) })
	if *repository != "" {
		if *name == "" {
			if *name, err = history.Identity(ctx, *repository); err != nil {
				return fail(stderr, f.Name(), err)
			}
		}
		merges, err := history.Merges(ctx, *repository)
		if err != nil {
			return fail(stderr, f.Name(), err)
		}
		if merges > 0 {
			printf(stderr, "belfry audit import: %d merge commits are left out, with what was changed in the merge itself\n",
				merges)
		}
		source = auditimport.FromGit(ctx, *repository, history.Source{Repository: *name, CommitURL: *commitURL})
	}
	im := &auditimport.Importer{
		Client:  c,
		Account: *account,
		Rejected: func(place, status, why string) {
			progress(stderr, "")
			printf(stderr, "%s: %s: %s\n", place, status, why)
		},
		Progress: func(sent int) { progress(stderr, "%d events sent", sent) },
	}
	sum, err := im.Run(ctx, source)
	progress(stderr, "")
	if sum.Own > 0 {
		printf(stderr, "belfry audit import: %d events of Belfry itself are left out: they are about another installation\n",
			sum.Own)
	}
	printf(stdout, "%d accepted, %d duplicates, %d conflicts, %d rejected\n",
		sum.Accepted, sum.Duplicate, sum.Conflict, sum.Rejected)
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	if sum.Conflict+sum.Rejected > 0 {
		return 1
	}
	return 0
}
