package conformance_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/conformance/verifier"
	"github.com/belfryhq/belfry/test/e2e/live"
)

// proofs lets the independent verifier check what the server publishes, and Belfry's own
// command check the same files.
func proofs(t *testing.T, s *server, f *fixture) {
	var keys []struct{ ID, Vkey string }
	s.Must(t, "GET", "/audit/keys", nil, &keys)
	if len(keys) == 0 {
		t.Fatal("the installation has no key")
	}
	vkey := keys[0].Vkey
	oldText, old := freshCheckpoint(t, s, vkey, int64(len(f.events)))

	// The events that make the log grow come with receipts.
	added := []event{f.events[0], f.events[1]}
	added[0].ID = "grow.0"
	added[1].ID = "grow.1"
	receipts := map[string]acceptedReceipt{}
	a := s.Call(t, s.Token, "POST", s.accountPath("/audit/events?receipts=true"), added)
	for _, item := range decode[[]intakeItem](t, a) {
		if item.Status != "accepted" || item.Seq == nil {
			t.Fatalf("%s was answered %+v", item.ID, item)
		}
		receipts[item.ID] = acceptedReceipt{*item.Seq, item.Receipt}
	}
	newText, checkpoint := freshCheckpoint(t, s, vkey, old.Size+2)

	export := download(t, s, s.accountPath("/audit/export?format=ndjson"))
	report, err := verifier.CheckExport(bytes.NewReader(export), checkpoint, old)
	if err != nil {
		t.Fatalf("the whole export: %v", err)
	}
	if report.Account != s.account.ID || report.From != 0 || report.To < checkpoint.Size || report.Erased != 0 {
		t.Errorf("the whole export is %+v", report)
	}

	t.Run("a range is complete", func(t *testing.T) {
		path := fmt.Sprintf("/audit/export?format=ndjson&from=3&to=%d", checkpoint.Size-1)
		// The hashes beside the range belong to the tree of that moment; an export is itself
		// an event, so a checkpoint of exactly that size may take some tries.
		var ranged []byte
		var at verifier.Checkpoint
		live.Eventually(t, "a checkpoint of the size of a range's tree", func() bool {
			ranged = download(t, s, s.accountPath(path))
			_, at = freshCheckpoint(t, s, vkey, headerSize(t, ranged))
			return at.Size == headerSize(t, ranged)
		})
		report, err := verifier.CheckExport(bytes.NewReader(ranged), at)
		if err != nil || report.From != 3 || report.To != checkpoint.Size-1 {
			t.Errorf("%+v, %v", report, err)
		}
	})
	t.Run("the tiles hold the same leaves", func(t *testing.T) {
		leaves, err := verifier.CheckTiles(func(path string) ([]byte, error) {
			a := s.Get(t, s.Token, s.accountPath("/audit/log/"+path))
			if a.Status != http.StatusOK {
				return nil, fmt.Errorf("status %d: %.300s", a.Status, a.Body)
			}
			if kind := a.Header.Get("Content-Type"); kind != "application/octet-stream" {
				return nil, fmt.Errorf("Content-Type %q", kind)
			}
			return a.Body, nil
		}, checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		for i, leaf := range leaves {
			if leaf != report.Leaves[i] {
				t.Fatalf("leaf %d differs between tiles and export", i)
			}
		}
		if err := verifier.CheckPrefix(leaves, old); err != nil {
			t.Error(err)
		}
	})
	t.Run("every event has an inclusion proof", func(t *testing.T) {
		for _, e := range f.events {
			text := download(t, s, s.accountPath("/audit/log/proof?event_id="+url.QueryEscape(e.ID)))
			proof, err := verifier.OpenProof(string(text), vkey)
			if err == nil {
				err = verifier.CheckInclusion(proof, report.Leaves[proof.Index])
			}
			if err != nil {
				t.Errorf("%s: %v", e.ID, err)
			}
		}
	})
	t.Run("receipts hold for their events", func(t *testing.T) {
		for id, receipt := range receipts {
			if err := verifier.CheckReceipt(receipt.text, report.Leaves[receipt.seq], vkey); err != nil {
				t.Errorf("the receipt of %s: %v: %.300s", id, err, receipt.text)
			}
			if err := verifier.CheckReceipt(receipt.text, report.Leaves[receipt.seq-1], vkey); err == nil {
				t.Errorf("the receipt of %s holds for the event before it too", id)
			}
		}
	})
	t.Run("every event has a bundle that stands alone", func(t *testing.T) {
		for _, e := range f.events {
			bundle := download(t, s, s.accountPath("/audit/events/"+url.PathEscape(e.ID)+"/bundle"))
			if err := verifier.CheckBundle(bundle, vkey); err != nil {
				t.Errorf("%s: %v", e.ID, err)
			}
			file := filepath.Join(t.TempDir(), "bundle.json")
			if err := os.WriteFile(file, bundle, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := belfry(t, s, "verify", "--bundle", file, "--key", vkey); err != nil {
				t.Errorf("%s: belfry verify --bundle: %v\n%s", e.ID, err, out)
			}
		}
	})
	t.Run("verifiers in other languages say the same", func(t *testing.T) {
		bundle := download(t, s, s.accountPath("/audit/events/"+url.PathEscape(f.events[0].ID)+"/bundle"))
		for _, one := range strangers(t) {
			for _, arguments := range [][]string{
				{"--export", tempFile(t, export), "--checkpoint", tempFile(t, newText), "--since", tempFile(t, oldText), "--key",
					vkey},
				{"--bundle", tempFile(t, bundle), "--key", vkey},
			} {
				if accepted, said := one.run(t, arguments...); !accepted {
					t.Errorf("%s: %s", one.name, said)
				}
			}
		}
	})
	t.Run("belfry verify says the same", func(t *testing.T) {
		verifyCommand(t, s, export, newText, oldText, vkey)
	})
}

// acceptedReceipt is the receipt in the answer to an accepted event.
type acceptedReceipt struct {
	seq  int64
	text []byte
}

// freshCheckpoint waits for a signed checkpoint of at least size leaves: it may be as old
// as a second.
func freshCheckpoint(t *testing.T, s *server, vkey string, size int64) (text []byte, checkpoint verifier.Checkpoint) {
	t.Helper()
	live.Eventually(t, fmt.Sprintf("a checkpoint of %d leaves", size), func() bool {
		text = download(t, s, s.accountPath("/audit/log/checkpoint"))
		var err error
		if checkpoint, err = verifier.OpenCheckpoint(text, vkey); err != nil {
			t.Fatal(err)
		}
		return checkpoint.Size >= size
	})
	if !strings.HasSuffix(checkpoint.Origin, "/"+s.account.ID) {
		t.Fatalf("origin %q", checkpoint.Origin)
	}
	return text, checkpoint
}

// download gets something that has no envelope.
func download(t *testing.T, s *server, path string) []byte {
	t.Helper()
	a := s.Get(t, s.Token, path)
	if a.Status != http.StatusOK {
		t.Fatalf("GET %s: status %d\n%.500s", path, a.Status, a.Body)
	}
	return a.Body
}

func headerSize(t *testing.T, export []byte) int64 {
	t.Helper()
	line, _, _ := bytes.Cut(export, []byte("\n"))
	return live.Decode[struct {
		Export struct{ Size int64 }
	}](t, line).Export.Size
}

// verifyCommand runs "belfry verify" on what the independent verifier accepted, and on the
// same with one event changed.
func verifyCommand(t *testing.T, s *server, export, checkpoint, old []byte, vkey string) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	checkpointFile := write("checkpoint", checkpoint)
	oldFile := write("old", old)
	verify := func(file string) (string, error) {
		return belfry(t, s, "verify", "--export", file, "--checkpoint", checkpointFile, "--key", vkey, "--since", oldFile)
	}
	if out, err := verify(write("good.ndjson", export)); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	const address = "192.0.2.1"
	before, after, found := bytes.Cut(export, []byte(address))
	if !found {
		t.Fatal("the export does not show an address of the fixture")
	}
	out, err := verify(write("bad.ndjson", slices.Concat(before, []byte("192.0.2.9"), after)))
	line := bytes.Count(before, []byte("\n")) + 1
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 ||
		!strings.Contains(out, fmt.Sprintf("event %d (line %d)", line-2, line)) {
		t.Errorf("an event changed in line %d: %v, want exit code 1 and its seq and line\n%s", line, err, out)
	}
}

// belfry runs the program with arguments and returns what it printed.
func belfry(t *testing.T, s *server, arguments ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.Binary, arguments...)
	cmd.Env = live.Environment()
	out, err := cmd.CombinedOutput()
	return string(out), err
}
