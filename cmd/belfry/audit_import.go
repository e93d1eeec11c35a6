package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/client"
	"github.com/belfryhq/belfry/internal/event"
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
	source := fileEvents(*events)
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
		source = gitEvents(ctx, *repository, history.Source{Repository: *name, CommitURL: *commitURL})
	}
	im := &importer{client: c, path: "/accounts/" + url.PathEscape(*account) + "/audit/events", complaints: stderr}
	err = im.run(ctx, source)
	progress(stderr, "")
	if im.own > 0 {
		printf(stderr, "belfry audit import: %d events of Belfry itself are left out: they are about another installation\n",
			im.own)
	}
	sum := &im.sum
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

// importItem is one event to import, or the fault of a place that holds none.
type importItem struct {
	place string // where it comes from, for messages
	event []byte
	fault string
	own   bool // one of Belfry's own, which stays in the log that it was made for
}

// gitEvents are the events of a repository's history.
func gitEvents(ctx context.Context, dir string, s history.Source) iter.Seq2[importItem, error] {
	return func(yield func(importItem, error) bool) {
		for c, err := range history.FromGit(ctx, dir) {
			var list [][]byte
			if err == nil {
				list, err = s.Events(c)
			}
			var bad *history.CommitError
			if errors.As(err, &bad) {
				if !yield(importItem{place: "commit " + bad.Hash, fault: bad.Why}, nil) {
					return
				}
				continue
			}
			if err != nil {
				yield(importItem{}, err)
				return
			}
			for i, e := range list {
				if !yield(importItem{place: "commit " + c.Hash + ", " + c.Files[i].Path, event: e}, nil) {
					return
				}
			}
		}
	}
}

// maxImportLine bounds a line that is read; an event has at most 64 KiB, and a
// line of an export holds it twice, with its envelope in base64.
const maxImportLine = 1 << 20

// fileEvents are the lines of a file. A line that is too long is a fault of its
// own, and the rest goes on.
func fileEvents(name string) iter.Seq2[importItem, error] {
	return func(yield func(importItem, error) bool) {
		file, err := openInput(name)
		if err != nil {
			yield(importItem{}, err)
			return
		}
		defer file.Close()
		in := bufio.NewReaderSize(file, 1<<16)
		ids := derivedIDs{}
		for number := 1; ; number++ {
			line, tooLong, err := readLine(in)
			if errors.Is(err, io.EOF) && len(line) == 0 && !tooLong {
				return
			}
			if err != nil && !errors.Is(err, io.EOF) {
				yield(importItem{}, fmt.Errorf("%s, line %d: %w", name, number, err))
				return
			}
			item := importItem{place: fmt.Sprintf("%s:%d", name, number)}
			if tooLong {
				item.fault = fmt.Sprintf("the line has more than %d bytes; an event has at most 65,535", maxImportLine)
			} else if item.event, item.own = ids.prepare(bytes.TrimSpace(line)); len(item.event) == 0 && !item.own {
				continue
			}
			if !yield(item, nil) || err != nil {
				return
			}
		}
	}
}

// readLine gives a line, which ends at "\n" or at the end of the file. Of one
// that is too long it reads all and keeps nothing.
func readLine(in *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if tooLong = tooLong || len(line)+len(part) > maxImportLine; tooLong {
			line = nil
		} else {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, tooLong, err
		}
	}
}

// derivedIDs gives ids to events that have none: the digest of the line and,
// where a file has the same line again, of how many stand before it. The same
// file gives the same ids.
type derivedIDs map[[16]byte]int

// prepare gives the event of a line as the API takes it; nil for the line with
// which an export begins, and for an exported event of Belfry itself (own). What
// is no JSON object stays as it is: the server says what is wrong with it.
func (ids derivedIDs) prepare(line []byte) (value []byte, own bool) {
	var m map[string]json.RawMessage
	if json.Unmarshal(line, &m) != nil || m == nil {
		return line, false
	}
	if len(m) == 1 && m["export"] != nil {
		return nil, false
	}
	changed := false
	if m["envelope"] != nil && m["event"] != nil && m["openings"] != nil { // a provable export
		var shown map[string]json.RawMessage
		if json.Unmarshal(m["event"], &shown) != nil || shown == nil {
			return line, false
		}
		m = shown
		changed = true
	}
	if m["seq"] != nil && m["recorded_at"] != nil && m["submitted_by"] != nil { // a line of an export
		var resource struct{ Product string }
		if json.Unmarshal(m["resource"], &resource) == nil && resource.Product == event.Product {
			return nil, true
		}
		for _, added := range []string{"account", "seq", "recorded_at", "submitted_by"} {
			delete(m, added)
		}
		var zone struct{ ID, Name string }
		if json.Unmarshal(m["zone"], &zone) == nil {
			m["zone"] = quotedJSON(firstNonEmpty(zone.Name, zone.ID))
		}
		changed = true
	}
	if id := m["id"]; id == nil || string(id) == "null" {
		sum := [16]byte(digest(line, 0))
		before := ids[sum]
		ids[sum] = before + 1
		made := quotedJSON("import." + hex.EncodeToString(digest(line, before)))
		if !changed && id == nil && len(m) > 0 { // the rest stays as it was written, with its faults
			return append(append(append([]byte(`{"id":`), made...), ','), line[1:]...), false
		}
		m["id"] = made
		changed = true
	}
	if !changed {
		return line, false
	}
	out, err := json.Marshal(m)
	if err != nil {
		return line, false
	}
	return out, false
}

// digest is of a line that stands in its file for the nth time.
func digest(line []byte, nth int) []byte {
	h := sha256.New()
	io.WriteString(h, strconv.Itoa(nth)+"\n") // a hash takes everything
	h.Write(line)
	return h.Sum(nil)[:16]
}

func quotedJSON(s string) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		return json.RawMessage(`""`) // no string fails to encode
	}
	return b
}

func firstNonEmpty(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// How much one request carries.
const (
	importEventsPerBatch = 2000
	importBytesPerBatch  = 4 << 20
)

// importer sends events in batches. It names each that is not taken, and says
// on a terminal how far it is.
type importer struct {
	client     *client.Client
	path       string
	complaints io.Writer

	sum    importSum
	own    int // events of Belfry itself that were left out
	batch  bytes.Buffer
	places []string // of the events in batch
	sent   int
}

// importSum counts the answers.
type importSum struct{ Accepted, Duplicate, Conflict, Rejected int }

func (im *importer) run(ctx context.Context, source iter.Seq2[importItem, error]) error {
	for item, err := range source {
		if err != nil {
			return errors.Join(im.send(ctx), err) // what was read before the fault is good
		}
		if item.own {
			im.own++
			continue
		}
		if item.fault != "" {
			im.sum.Rejected++
			im.refused(item.place, "rejected", item.fault)
			continue
		}
		if len(im.places) == importEventsPerBatch || im.batch.Len()+len(item.event) > importBytesPerBatch {
			if err := im.send(ctx); err != nil {
				return err
			}
		}
		im.batch.Write(item.event)
		im.batch.WriteByte('\n')
		im.places = append(im.places, item.place)
	}
	return im.send(ctx)
}

func (im *importer) refused(place, status, why string) {
	progress(im.complaints, "")
	printf(im.complaints, "%s: %s: %s\n", place, status, why)
}

// send sends the batch. An answer that nothing of it was stored is an answer
// and no fault of the request.
func (im *importer) send(ctx context.Context) error {
	if len(im.places) == 0 {
		return nil
	}
	env, err := im.client.Call(ctx, client.Request{
		Method:      "POST",
		Path:        im.path,
		ContentType: "application/x-ndjson",
		Body:        im.batch.Bytes(),
	})
	var p *client.Problem
	if errors.As(err, &p) && len(p.ResultInfo) > 0 && string(p.ResultInfo) != "null" {
		env, err = &p.Envelope, nil
	}
	if err != nil {
		return fmt.Errorf("from %s on: %w", im.places[0], err)
	}
	var part importSum
	var results []struct {
		Index  int
		Status string
		Errors []client.Fault
	}
	if err := errors.Join(json.Unmarshal(env.ResultInfo, &part), json.Unmarshal(env.Result, &results)); err != nil {
		return fmt.Errorf("the server's answer: %w", err)
	}
	im.sum.Accepted += part.Accepted
	im.sum.Duplicate += part.Duplicate
	im.sum.Conflict += part.Conflict
	im.sum.Rejected += part.Rejected
	for _, r := range results {
		if r.Status == "accepted" || r.Status == "duplicate" || r.Index < 0 || r.Index >= len(im.places) {
			continue
		}
		var reasons []string
		for _, e := range r.Errors {
			reasons = append(reasons, strings.TrimSpace(e.Source.Pointer+" "+e.Message))
		}
		if len(reasons) == 0 {
			reasons = []string{"another event has this id"}
		}
		im.refused(im.places[r.Index], r.Status, strings.Join(reasons, "; "))
	}
	im.sent += len(im.places)
	im.places = im.places[:0]
	im.batch.Reset()
	progress(im.complaints, "%d events sent", im.sent)
	return nil
}
