package main

import (
	"context"
	"errors"
	"io"

	"github.com/belfryhq/belfry/internal/audit/verify"
)

func verifyCommand(_ context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("verify", "verify [flags]",
		"Checks an export of the audit log, or one event, offline (compressed with gzip or not): every leaf, the "+
			"root, the signature, that the range is\ncomplete, and that each shown event is the one that was recorded. "+
			"Exit code 0 only if all of it holds.",
		"belfry verify --export audit.ndjson --checkpoint checkpoint.txt --key "+
			"'audit.example+8a1b2c3d+AbC...'\nbelfry verify --bundle event.json --key 'audit.example+8a1b2c3d+AbC...'", stderr)
	export := f.String("export", "", "provable export (`file`)")
	checkpoint := f.String("checkpoint", "", "signed checkpoint (`file`)")
	since := f.String("since", "", "an older checkpoint (`file`) that the log must still begin with")
	bundle := f.String("bundle", "", "one event with its proof (`file`)")
	key := f.String("key", "", "verifier `key` that you know from elsewhere (GET /client/v4/audit/keys)")
	if code, done := parseAll(f, args, stdout, stderr); done {
		return code
	}
	switch {
	case *bundle != "" && (*export != "" || *checkpoint != "" || *since != ""):
		return usageError(f, stderr, "--bundle stands alone (with --key)")
	case *bundle != "":
		return verifyBundle(*bundle, *key, stdout, stderr)
	case *export == "" || *checkpoint == "" || *key == "":
		return usageError(f, stderr, "--export, --checkpoint and --key are required (or --bundle); see belfry verify --help")
	}
	return verifyExport(*export, *checkpoint, *key, *since, stdout, stderr)
}

func verifyExport(export, checkpoint, key, since string, stdout, stderr io.Writer) int {
	in, err := openInput(export)
	if err != nil {
		return fail(stderr, "verify", err)
	}
	defer in.Close()
	cp, err := readInput(checkpoint)
	if err != nil {
		return fail(stderr, "verify", err)
	}
	var old []byte
	if since != "" {
		if old, err = readInput(since); err != nil {
			return fail(stderr, "verify", err)
		}
	}
	var tell func(uint64)
	if isTerminal(stderr) {
		tell = func(done uint64) { progress(stderr, "verified %d events", done) }
		defer progress(stderr, "")
	}
	r, err := verify.Export(in, cp, key, old, tell)
	if err != nil {
		return failVerify(stdout, stderr, err)
	}
	printf(stdout, "OK    signature   %s\n", r.Origin)
	printf(stdout, "OK    root        of %d events, as the checkpoint signs it\n", r.Size)
	printf(stdout, "OK    range       events %d to %d, none missing, each shown as recorded\n", r.From, int64(r.To)-1)
	if r.Consistent {
		printf(stdout, "OK    consistent  with the older checkpoint\n")
	}
	if r.Erased > 0 {
		printf(stdout, "note  %d personal field(s) were erased or left out; their commitments are still proved\n", r.Erased)
	}
	if r.NotCovered > 0 {
		printf(stdout, "note  %d event(s) lie after the checkpoint's size: not covered yet\n", r.NotCovered)
	}
	return 0
}

// failVerify says FAIL where the record does not hold, and not where the file
// is another than the one that was meant.
func failVerify(stdout, stderr io.Writer, err error) int {
	if other := (*verify.Unreadable)(nil); !errors.As(err, &other) {
		printf(stdout, "FAIL\n")
	}
	return fail(stderr, "verify", err)
}

func verifyBundle(file, key string, stdout, stderr io.Writer) int {
	data, err := readInput(file)
	if err != nil {
		return fail(stderr, "verify", err)
	}
	r, err := verify.Bundle(data, key)
	if err != nil {
		return failVerify(stdout, stderr, err)
	}
	printf(stdout, "OK    leaf        event %d: %s\n", r.Seq, r.Sentence)
	printf(stdout, "OK    inclusion   in the log of %d events\n", r.Size)
	printf(stdout, "OK    checkpoint  %s\n", r.Origin)
	if r.KeyGiven {
		printf(stdout, "OK    key         the one you gave\n")
	} else {
		printf(stdout, "note  key         taken from the file: compare it with one you know, or give --key\n          "+
			"        %s\n", r.VKey)
	}
	if r.Erased > 0 {
		printf(stdout, "note  %d personal field(s) were erased or left out; their commitments are still proved\n", r.Erased)
	}
	return 0
}
