package main

import (
	"context"
	"io"
	"os"

	"github.com/belfryhq/belfry/internal/client"
)

func auditExport(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("audit export", "audit export [flags]",
		"Exports the audit log, or a range of it, as NDJSON that `belfry verify` checks, with the signed checkpoint and\n"+
			"the key beside it. The files can be read by their owner alone; what was there before is replaced only when the\n"+
			"new ones are whole.",
		"export BELFRY_URL=https://belfry.example BELFRY_TOKEN=blf_...\n"+
			"belfry audit export --account ext:acme --out acme.ndjson\n"+
			"belfry verify --export acme.ndjson --checkpoint acme.ndjson.checkpoint --key \"$(cat acme.ndjson.key)\"", stderr)
	address := f.String("url", "", addressUsage)
	token := f.String("token", "", "API `token` with audit:export and audit:read"+tokenUsage)
	account := f.String("account", os.Getenv("BELFRY_ACCOUNT"), "account `id` or ext:<external id> (or BELFRY_ACCOUNT)")
	out := f.String("out", "", "`file` to write; FILE.checkpoint and FILE.key are written beside it")
	from := f.Int64("from", 0, "first `seq`")
	to := f.Int64("to", -1, "end (exclusive) `seq`; the default is the log's size")
	if code, done := parseAll(f, args, stdout, stderr); done {
		return code
	}
	switch {
	case *account == "":
		return usageError(f, stderr, "--account (or BELFRY_ACCOUNT) is required")
	case *out == "":
		return usageError(f, stderr, "--out is required")
	case *from < 0:
		return usageError(f, stderr, "--from must not be negative")
	}
	c, err := newClient(*address, *token, stderr)
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	if err := writeExport(ctx, c, *account, *out, *from, *to); err != nil {
		return fail(stderr, f.Name(), err)
	}
	printf(stdout, "wrote %[1]s, %[1]s.checkpoint and %[1]s.key; check them with:\n"+
		"  belfry verify --export %[1]s --checkpoint %[1]s.checkpoint --key \"$(cat %[1]s.key)\"\n", *out)
	return 0
}

// ownerOnly is the mode of files with personal data.
const ownerOnly = 0o600

// writeExport writes the export, its checkpoint and the key.
func writeExport(ctx context.Context, c *client.Client, account, out string, from, to int64) error {
	export, err := c.Export(ctx, account, from, to)
	if err != nil {
		return err
	}
	return writeOutputs(
		outputFile{out, ownerOnly, func(w io.Writer) error { return export.Download(ctx, w) }},
		outputFile{out + ".checkpoint", ownerOnly, literal(export.Checkpoint)},
		outputFile{out + ".key", ownerOnly, literal([]byte(export.Key + "\n"))},
	)
}
