package merkle_test

import (
	"bytes"
	"math/bits"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// Every parser accepts only what its formatter writes: whatever is read must be
// written back byte for byte.

func FuzzParseCheckpoint(f *testing.F) {
	f.Add("o\n5\n" + merkle.EmptyRoot().String() + "\n")
	f.Add("example.com/log\n0\n" + merkle.EmptyRoot().String() + "\nextension\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := merkle.ParseCheckpoint(text)
		if err != nil {
			return
		}
		if got, err := c.Text(); err != nil || got != text {
			t.Errorf("%q was written back as %q, %v", text, got, err)
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	signer, keys := testKey(f, testKeyName, 1)
	want := merkle.Checkpoint{Origin: testOrigin, Size: 42}
	msg, err := merkle.SignCheckpoint(want, signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(msg)
	f.Fuzz(func(t *testing.T, msg []byte) {
		// Only one text was ever signed by this key.
		if c, err := merkle.OpenCheckpoint(msg, testOrigin, keys); err == nil &&
			(c.Size != want.Size || c.Root != want.Root || c.Extensions != nil) {
			t.Errorf("a forged checkpoint was opened: %+v", c)
		}
		_, _ = merkle.UnverifiedCheckpoint(msg)
	})
}

func FuzzParseLogProof(f *testing.F) {
	f.Add([]byte(specProof))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\no\n1\n" + merkle.EmptyRoot().String() + "\n\n— k AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := merkle.ParseLogProof(text)
		if err != nil {
			return
		}
		if got, err := p.Format(); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%q was written back as %q, %v", text, got, err)
		}
	})
}

func FuzzParseTilePath(f *testing.F) {
	f.Add("tile/0/x001/x234/067.p/17")
	f.Add("tile/entries/000")
	f.Add("tile/63/x009/x223/x372/x036/x854/x775/807")
	f.Fuzz(func(t *testing.T, path string) {
		tile, entries, err := merkle.ParseTilePath(path)
		if err != nil {
			return
		}
		got := tile.Path()
		if entries {
			got = tile.EntriesPath()
		}
		if got != path || tile.Width < 1 || tile.Width > 256 || tile.Level > 63 || tile.Index > merkle.MaxSize {
			t.Errorf("%q was read as %+v and written back as %q", path, tile, got)
		}
	})
}

func FuzzParseFrontier(f *testing.F) {
	f.Add(uint64(3), make([]byte, 64))
	f.Add(uint64(0), []byte{})
	f.Fuzz(func(t *testing.T, size uint64, b []byte) {
		frontier, err := merkle.ParseFrontier(size, b)
		if err != nil {
			return
		}
		got, err := frontier.MarshalBinary()
		if err != nil || !bytes.Equal(got, b) || frontier.Size() != size || len(b) != 32*bits.OnesCount64(size) {
			t.Errorf("size %d: %x was written back as %x, %v", size, b, got, err)
		}
		if size < merkle.MaxSize {
			frontier.Append(merkle.Hash{})
			frontier.Root()
		}
	})
}

func FuzzVerifyInclusion(f *testing.F) {
	f.Add(uint64(3), uint64(7), make([]byte, 96))
	f.Fuzz(func(t *testing.T, index, size uint64, b []byte) {
		proof := make([]merkle.Hash, len(b)/32)
		for i := range proof {
			proof[i] = merkle.Hash(b[i*32:])
		}
		// A random proof may be well formed, but must never panic or loop, and
		// only the root that comes out of it may verify.
		root, err := merkle.InclusionRoot(merkle.Hash{}, index, size, proof)
		if err != nil {
			return
		}
		if err := merkle.VerifyInclusion(merkle.Hash{}, index, size, proof, root); err != nil {
			t.Error(err)
		}
		if err := merkle.VerifyInclusion(merkle.Hash{}, index, size, proof, flipped(root, 0)); err == nil {
			t.Error("two roots verify")
		}
		_ = merkle.VerifyConsistency(index, size, proof, root, root)
	})
}
