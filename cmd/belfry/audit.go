package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/client"
	"github.com/belfryhq/belfry/internal/history"
)

func auditCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "import":
			return auditImport(ctx, args[1:], stdout, stderr)
		case "export":
			return auditExport(ctx, args[1:], stdout, stderr)
		}
	}
	help := len(args) > 0 && (args[0] == "-h" || args[0] == "--help")
	to, code := stderr, 2
	if help {
		to, code = stdout, 0
	}
	io.WriteString(to, "Imports events into the audit log, or exports them with their proofs.\n\nUsage: belfry audit import|export [flags]\n\nExample:\n  belfry audit import --git . --account ext:acme\n  belfry audit export --account ext:acme --out acme.ndjson\n")
	return code
}

func auditImport(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("audit import", "audit import [flags]",
		"Imports events: NDJSON in the shape of the API, or the change history of a git repository, one event a changed file,\none change set a commit. Importing the same twice stores it once.",
		"belfry audit import --url http://127.0.0.1:8080 --token blf_... --account ext:acme --git ~/src/shop\nbelfry audit import --account ext:acme --events old-log.ndjson.gz", stderr)
	address := f.String("url", "", "server's `address` (or BELFRY_URL)")
	token := f.String("token", "", "API `token` with audit:write (or BELFRY_TOKEN)")
	account := f.String("account", os.Getenv("BELFRY_ACCOUNT"), "account `id` or ext:<external id> (or BELFRY_ACCOUNT)")
	repository := f.String("git", "", "import the history of the git checkout in this `folder`")
	events := f.String("events", "", "import this NDJSON `file` (.gz is read too; - for standard input)")
	commitURL := f.String("commit-url", "", "link of a commit, with %s for its hash")
	if code, done := parse(f, args, stdout); done {
		return code
	}
	if *account == "" || (*repository == "") == (*events == "") {
		return usageError(f, stderr, "--account and one of --git and --events are required")
	}
	if *commitURL != "" && strings.Count(*commitURL, "%s") != 1 {
		return usageError(f, stderr, "--commit-url must hold %%s once, for the commit's hash")
	}
	c, err := newClient(*address, *token)
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	source := fileEvents(*events)
	if *repository != "" {
		full, err := filepath.Abs(*repository)
		if err != nil {
			return fail(stderr, f.Name(), err)
		}
		source = gitEvents(ctx, *repository, history.Source{Repository: filepath.Base(full), CommitURL: *commitURL})
	}
	sum, err := importEvents(ctx, c, *account, source, stderr)
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	printf(stdout, "%d accepted, %d duplicates, %d conflicts, %d rejected\n", sum.Accepted, sum.Duplicate, sum.Conflict, sum.Rejected)
	if sum.Conflict+sum.Rejected > 0 {
		return 1
	}
	return 0
}

// gitEvents are the events of a repository's history.
func gitEvents(ctx context.Context, dir string, s history.Source) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for c, err := range history.FromGit(ctx, dir) {
			if err != nil {
				yield(nil, err)
				return
			}
			list, err := s.Events(c)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, e := range list {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// fileEvents are the lines of a file.
func fileEvents(name string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in := io.ReadCloser(os.Stdin)
		if name != "-" {
			f, err := os.Open(name)
			if err != nil {
				yield(nil, err)
				return
			}
			in = f
		}
		defer in.Close()
		var r io.Reader = in
		if strings.HasSuffix(name, ".gz") {
			z, err := gzip.NewReader(in)
			if err != nil {
				yield(nil, fmt.Errorf("%s: %w", name, err))
				return
			}
			r = z
		}
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 1<<16), 1<<20)
		for lines.Scan() {
			if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 && !yield(bytes.Clone(line), nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// importSum counts the answers.
type importSum struct{ Accepted, Duplicate, Conflict, Rejected int }

// importBatch is how much one request carries.
const (
	importEventsPerBatch = 2000
	importBytesPerBatch  = 4 << 20
)

// importEvents sends events in batches and says on a terminal how far it is.
func importEvents(ctx context.Context, c *client.Client, account string, source iter.Seq2[[]byte, error], out io.Writer) (importSum, error) {
	var sum importSum
	var batch bytes.Buffer
	n, done := 0, 0
	send := func() error {
		if n == 0 {
			return nil
		}
		env, err := c.Call(ctx, client.Request{Method: "POST", Path: "/accounts/" + url.PathEscape(account) + "/audit/events", ContentType: "application/x-ndjson", Body: batch.Bytes()})
		var p *client.Problem
		if errors.As(err, &p) && len(p.ResultInfo) > 0 && string(p.ResultInfo) != "null" {
			for _, e := range p.Errors { // none of the batch was accepted: the reasons
				printf(out, "%s %s\n", e.Source.Pointer, e.Message)
			}
			err = nil
		}
		if err != nil {
			return err
		}
		var part importSum
		if err := json.Unmarshal(env.ResultInfo, &part); err != nil {
			return err
		}
		sum.Accepted += part.Accepted
		sum.Duplicate += part.Duplicate
		sum.Conflict += part.Conflict
		sum.Rejected += part.Rejected
		done += n
		n = 0
		batch.Reset()
		progress(out, "%d events sent", done)
		return nil
	}
	for e, err := range source {
		if err != nil {
			return sum, err
		}
		if n == importEventsPerBatch || batch.Len()+len(e) > importBytesPerBatch {
			if err := send(); err != nil {
				return sum, err
			}
		}
		batch.Write(e)
		batch.WriteByte('\n')
		n++
	}
	err := send()
	progress(out, "")
	return sum, err
}

func auditExport(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("audit export", "audit export [flags]",
		"Exports the audit log, or a range of it, as NDJSON that `belfry verify` checks, with the signed checkpoint and the key beside it.",
		"belfry audit export --account ext:acme --out acme.ndjson\nbelfry verify --export acme.ndjson --checkpoint acme.ndjson.checkpoint --key \"$(cat acme.ndjson.key)\"", stderr)
	address := f.String("url", "", "server's `address` (or BELFRY_URL)")
	token := f.String("token", "", "API `token` with audit:export and audit:read (or BELFRY_TOKEN)")
	account := f.String("account", os.Getenv("BELFRY_ACCOUNT"), "account `id` or ext:<external id> (or BELFRY_ACCOUNT)")
	out := f.String("out", "", "`file` to write; FILE.checkpoint and FILE.key are written beside it")
	from := f.Int64("from", 0, "first `seq`")
	to := f.Int64("to", -1, "end (exclusive) `seq`; the default is the log's size")
	if code, done := parse(f, args, stdout); done {
		return code
	}
	if *account == "" || *out == "" || *from < 0 {
		return usageError(f, stderr, "--account and --out are required")
	}
	c, err := newClient(*address, *token)
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	if err := export(ctx, c, "/accounts/"+url.PathEscape(*account), *out, *from, *to); err != nil {
		return fail(stderr, f.Name(), err)
	}
	printf(stdout, "wrote %s, %s.checkpoint and %s.key; check them with:\n  belfry verify --export %s --checkpoint %s.checkpoint --key \"$(cat %s.key)\"\n", *out, *out, *out, *out, *out, *out)
	return 0
}

// export writes the three files. The checkpoint comes first: the export's
// hashes are made for its size, whatever arrives in between.
func export(ctx context.Context, c *client.Client, account, out string, from, to int64) error {
	env, err := c.Call(ctx, client.Request{Method: "GET", Path: "/audit/keys"})
	if err != nil {
		return err
	}
	var keys []struct{ VKey string }
	if err := json.Unmarshal(env.Result, &keys); err != nil || len(keys) == 0 {
		return errors.Join(errors.New("the server publishes no key"), err)
	}
	checkpoint := &bytes.Buffer{}
	if err := c.Download(ctx, account+"/audit/log/checkpoint", checkpoint); err != nil {
		return err
	}
	lines := strings.SplitN(checkpoint.String(), "\n", 3) // origin, size, root ...
	if len(lines) < 3 {
		return errors.New("the server's checkpoint has no size")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return fmt.Errorf("the server's checkpoint has no size: %w", err)
	}
	if to < 0 {
		to = size
	}
	query := fmt.Sprintf("?format=ndjson&from=%d&to=%d&size=%d", from, to, size)
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	err = c.Download(ctx, account+"/audit/export"+query, file)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(out+".checkpoint", checkpoint.Bytes(), 0o644), os.WriteFile(out+".key", []byte(keys[0].VKey+"\n"), 0o644))
}
