package crash_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/belfryhq/belfry/test/conformance/verifier"
	"github.com/belfryhq/belfry/test/poll"
)

// An auditor reads the record as a customer could and compares it with what was
// acknowledged and with every checkpoint that it was ever given.
type auditor struct {
	t        *testing.T
	client   *client
	key      string
	acks     *ackLog
	accounts []*reading
}

// A reading is how far one account's log was read.
type reading struct {
	account     string
	upTo        verifier.Checkpoint   // all before its size was read and proved
	leaves      []tlog.Hash           // of these events
	stored      []place               // those of the test
	checkpoints []verifier.Checkpoint // every one that was handed out
}

func newAuditor(t *testing.T, c *client, a *ackLog, accounts []string) *auditor {
	t.Helper()
	x := &auditor{t: t, client: c, key: verifierKey(t, c), acks: a}
	for _, id := range accounts {
		x.accounts = append(x.accounts, &reading{account: id})
	}
	return x
}

// look reads what is new in every log. All that was acknowledged over HTTP before the call
// must be there, and the log must begin with what was read before.
func (x *auditor) look() {
	x.t.Helper()
	for _, r := range x.accounts {
		if err := x.readOn(x.t.Context(), r); err != nil {
			x.t.Fatalf("account %s: %v", r.account, err)
		}
		for range min(2, len(r.stored)) {
			if err := x.prove(x.t.Context(), r, r.stored[rand.IntN(len(r.stored))]); err != nil {
				x.t.Fatalf("account %s: %v", r.account, err)
			}
		}
	}
}

func (x *auditor) readOn(ctx context.Context, r *reading) error {
	expected, size := x.acks.expected(r.account)
	now, err := x.checkpoint(ctx, r, size)
	if err != nil {
		return err
	}
	from := r.upTo.Size
	if now.Size > from {
		export, err := x.client.get(ctx, fmt.Sprintf(
			"/client/v4/accounts/%s/audit/export?format=ndjson&from=%d&to=%d&size=%d", r.account, from, now.Size, now.Size))
		if err != nil {
			return err
		}
		var since []verifier.Checkpoint
		if from > 0 {
			since = append(since, r.upTo)
		}
		report, err := verifier.CheckExport(bytes.NewReader(export), now, since...)
		if err != nil {
			return fmt.Errorf("export %d to %d: %w", from, now.Size, err)
		}
		if report.From != from || report.To != now.Size {
			return fmt.Errorf("the export of %d to %d holds %d to %d", from, now.Size, report.From, report.To)
		}
		r.leaves = append(r.leaves, report.Leaves...)
		err = eachEvent(bytes.NewReader(export), func(id string, seq int64) error {
			r.stored = append(r.stored, place{r.account, id})
			return x.acks.found(r.account, id, seq)
		})
		if err != nil {
			return err
		}
		r.upTo = now
	}
	// What was open before the checkpoint was asked for, with a place, is covered by it.
	still, _ := x.acks.expected(r.account)
	for id := range still {
		if seq, before := expected[id]; before && seq != overBus {
			return fmt.Errorf("event %s was acknowledged as seq %d and is not there, up to size %d", id, seq, now.Size)
		}
	}
	return nil
}

// checkpoint asks for one of at least this size: it may be a second old.
func (x *auditor) checkpoint(ctx context.Context, r *reading, size int64) (c verifier.Checkpoint, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		text, err := x.client.get(ctx, "/client/v4/accounts/"+r.account+"/audit/log/checkpoint")
		if err != nil {
			return c, err
		}
		if c, err = verifier.OpenCheckpoint(text, x.key); err != nil {
			return c, err
		}
		if !strings.HasSuffix(c.Origin, "/"+r.account) {
			return c, fmt.Errorf("a checkpoint of %s", c.Origin)
		}
		r.remember(c)
		if c.Size >= max(size, r.upTo.Size) {
			return c, nil
		}
		wait(ctx, 100*time.Millisecond)
		if ctx.Err() != nil {
			return c, fmt.Errorf("the checkpoint has size %d; read were %d events, acknowledged are %d", c.Size, r.upTo.Size,
				size)
		}
	}
}

// remember keeps a checkpoint to be compared with all later ones.
func (r *reading) remember(c verifier.Checkpoint) {
	if c.Size > 0 && !slices.Contains(r.checkpoints[max(0, len(r.checkpoints)-10):], c) {
		r.checkpoints = append(r.checkpoints, c)
	}
}

// prove checks the inclusion proof of an event that was read.
func (x *auditor) prove(ctx context.Context, r *reading, p place) error {
	text, err := x.client.get(ctx, "/client/v4/accounts/"+r.account+"/audit/log/proof?event_id="+p.id)
	if err != nil {
		return err
	}
	proof, err := verifier.OpenProof(string(text), x.key)
	if err != nil {
		return fmt.Errorf("proof of %s: %w", p.id, err)
	}
	r.remember(proof.Checkpoint)
	if proof.Index >= int64(len(r.leaves)) {
		return fmt.Errorf("proof of %s: index %d, read were %d", p.id, proof.Index, len(r.leaves))
	}
	if err := verifier.CheckInclusion(proof, r.leaves[proof.Index]); err != nil {
		return fmt.Errorf("proof of %s: %w", p.id, err)
	}
	return nil
}

// finish waits until everything that the bus acknowledged was stored, and then reads every
// log once more from its beginning, against every checkpoint.
func (x *auditor) finish() {
	x.t.Helper()
	poll.Until(x.t, "everything that Kafka acknowledged in the record", func() bool {
		x.look()
		n, _ := x.acks.missing()
		return n == 0
	})
	for _, r := range x.accounts {
		if err := x.readAll(x.t.Context(), r); err != nil {
			x.t.Errorf("account %s: %v", r.account, err)
		}
		x.t.Logf("account %s: %d events, %d of them the test's, hold against %d checkpoints", r.account, r.upTo.Size,
			len(r.stored), len(r.checkpoints))
	}
	if x.t.Failed() {
		return
	}
	http, bus, refused := x.acks.count()
	x.t.Logf("acknowledged: %d events over HTTP, %d over Kafka; refused: %d requests; lost: 0, doubled: 0", http, bus,
		refused)
}

// readAll trusts nothing that was read before.
func (x *auditor) readAll(ctx context.Context, r *reading) error {
	// Two servers sign on their own, each at most once a second: one may answer with an older checkpoint than the other.
	var largest int64
	for _, c := range r.checkpoints {
		largest = max(largest, c.Size)
	}
	now, err := x.checkpoint(ctx, r, largest)
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(x.t.TempDir(), "export"))
	if err != nil {
		return err
	}
	defer file.Close()
	// In ranges, because one answer is limited in time; each proves that it follows.
	for from := int64(0); from < now.Size; {
		to := min(from+50_000, now.Size)
		export, err := x.client.get(ctx, fmt.Sprintf(
			"/client/v4/accounts/%s/audit/export?format=ndjson&from=%d&to=%d&size=%d", r.account, from, to, now.Size))
		if err != nil {
			return err
		}
		head, lines, _ := bytes.Cut(export, []byte("\n"))
		if from == 0 {
			// The header of an export of everything: there is nothing beside the range.
			fmt.Fprintf(file, `{"export":{"v":1,"account":%q,"from":0,"to":%d,"size":%d,"left":[],"right":[]}}`+"\n", r.account,
				now.Size, now.Size)
		}
		if len(head) == 0 {
			return errors.New("an export without a header")
		}
		if _, err := file.Write(lines); err != nil {
			return err
		}
		from = to
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	report, err := verifier.CheckExport(file, now, r.checkpoints...)
	if err != nil {
		return fmt.Errorf("the whole log: %w", err)
	}
	if report.Uncovered != 0 || !slices.Equal(report.Leaves[:len(r.leaves)], r.leaves) {
		return fmt.Errorf("the whole log reads otherwise than before: %+v", report.To)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	found := map[string]int64{}
	if err := eachEvent(file, func(id string, seq int64) error {
		if before, ok := found[id]; ok {
			return fmt.Errorf("event %s is stored twice, as seq %d and %d", id, before, seq)
		}
		found[id] = seq
		return nil
	}); err != nil {
		return err
	}
	want := x.acks.places(r.stored)
	maps.DeleteFunc(found, func(id string, seq int64) bool { _, ok := want[id]; return !ok }) // stored after the last look
	if !maps.Equal(found, want) {
		return fmt.Errorf("the whole log has %d of the %d events that were read before, or others", len(found), len(want))
	}
	return nil
}

// eachEvent calls f for every event of the test in an export, and compares its content.
func eachEvent(export io.Reader, f func(id string, seq int64) error) error {
	lines := bufio.NewScanner(export)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Seq   int64
			Event json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return err
		}
		var event struct{ ID string }
		if line.Event == nil {
			continue // the header
		}
		if err := json.Unmarshal(line.Event, &event); err != nil {
			return err
		}
		if !strings.HasPrefix(event.ID, idPrefix) {
			continue // Belfry's own: an export, for example
		}
		if err := checkShown(line.Event, event.ID); err != nil {
			return fmt.Errorf("seq %d, event %s: %w", line.Seq, event.ID, err)
		}
		if err := f(event.ID, line.Seq); err != nil {
			return err
		}
	}
	return lines.Err()
}
