package auditlog

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/verify"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// Export holds a customer's files: an export, checkpoints, the key.
type Export struct {
	W          *World
	Signer     *ledger.Signer
	VKey       string
	Checkpoint []byte // of all events
	Older      []byte // of the first five
}

const ExportedEvents = 12

func NewExport(t testing.TB) *Export {
	return ExportOf(t, func(i int) string {
		return Complete(fmt.Sprint("e-", i), Members{"metadata": Members{"n": i}, "after": Members{"ttl": i}})
	})
}

func ExportOf(t testing.TB, text func(i int) string) *Export {
	w := New(t, "")
	x := &Export{W: w, Signer: w.Signer(w.DB, w.Memory())}
	x.VKey = x.Signer.Keys()[0].VKey
	for i := range ExportedEvents {
		w.Append(AccountA, text(i))
		if i == 4 {
			_, x.Older = w.Checkpoint(x.Signer, AccountA)
		}
	}
	_, x.Checkpoint = w.Checkpoint(x.Signer, AccountA)
	return x
}

func (x *Export) Range(t testing.TB, from, to, size uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := x.W.Reader.ExportRange(t.Context(), &b, AccountA, ledger.LogRange{From: from, To: to, Size: size},
		nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (x *Export) Verify(export, older []byte) (*verify.Report, error) {
	return verify.Export(bytes.NewReader(export), x.Checkpoint, x.VKey, older, nil)
}

func (x *Export) Bundle(t testing.TB, id string) []byte { return BundleOf(t, x, id, ExportedEvents) }

// BundleOf makes the bundle of an event for the log at a size, which is the checkpoint's.
func BundleOf(t testing.TB, x *Export, id string, size uint64) []byte {
	t.Helper()
	rec, err := x.W.Reader.Get(t.Context(), AccountA, id)
	if err != nil {
		t.Fatal(err)
	}
	hashes, err := x.W.Reader.Inclusion(t.Context(), AccountA, uint64(rec.Seq), size)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := merkle.LogProof{Index: uint64(rec.Seq), Hashes: hashes, Checkpoint: x.Checkpoint}.Format()
	if err != nil {
		t.Fatal(err)
	}
	b, err := rec.Bundle(proof, x.VKey)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
