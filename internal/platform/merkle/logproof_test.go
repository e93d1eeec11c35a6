package merkle_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// The example of c2sp.org/tlog-proof, whose signatures are shortened there.
const specProof = `c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

— example.com/fancylog hI2DJw[...]1roloI=
— witness1.example mJirIklj[...]qY9v2B/5bg==
— witness2.example TnKKVHLX[...]xwYwrSjgow==
— witness3.example S4X82uH5[...]3oEcROGLFQ==
`

func TestTheSpecificationsProofIsReadAndWrittenBack(t *testing.T) {
	p, err := merkle.ParseLogProof([]byte(specProof))
	if err != nil {
		t.Fatal(err)
	}
	if p.Index != 73894 || len(p.Hashes) != 5 || !bytes.HasPrefix(p.Extra, []byte("age-v1.2.1-darwin")) ||
		!bytes.HasPrefix(p.Checkpoint, []byte("example.com/fancylog\n")) {
		t.Errorf("read as %+v", p)
	}
	if got, err := p.Format(); err != nil || string(got) != specProof {
		t.Errorf("written as %s, %v", got, err)
	}
}

// signedProof returns a proof of one leaf of a small signed log, and the leaf.
func signedProof(t *testing.T, size, index uint64) (merkle.LogProof, merkle.Hash) {
	t.Helper()
	tree := newTree(int(size))
	signer, _ := testKey(t, testKeyName, 1)
	msg, err := merkle.SignCheckpoint(merkle.Checkpoint{
		Origin: testOrigin,
		Size:   size,
		Root:   tree.root(t, int(size)),
	}, signer)
	if err != nil {
		t.Fatal(err)
	}
	hashes, err := merkle.InclusionProof(size, index, tree.read)
	if err != nil {
		t.Fatal(err)
	}
	return merkle.LogProof{Index: index, Hashes: hashes, Checkpoint: msg}, tree.leaves()[index]
}

func TestALogProofVerifiesFromItsTextAlone(t *testing.T) {
	_, keys := testKey(t, testKeyName, 1)
	_, otherKeys := testKey(t, testKeyName, 2)
	for _, c := range [][2]uint64{{1, 0}, {2, 1}, {13, 12}, {300, 77}} {
		proof, leaf := signedProof(t, c[0], c[1])
		text, err := proof.Format()
		if err != nil {
			t.Fatal(err)
		}
		back, err := merkle.ParseLogProof(text)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		if got, err := back.Verify(leaf, testOrigin, keys); err != nil || got.Size != c[0] {
			t.Errorf("leaf %d of %d: %+v, %v", c[1], c[0], got, err)
		}
		if _, err := back.Verify(merkle.LeafHash([]byte("other")), testOrigin, keys); !errors.Is(err, merkle.ErrProof) {
			t.Errorf("another leaf was believed: %v", err)
		}
		if _, err := back.Verify(leaf, "other.example/log", keys); !errors.Is(err, merkle.ErrProof) {
			t.Errorf("another origin was believed: %v", err)
		}
		if _, err := back.Verify(leaf, testOrigin, otherKeys); !errors.Is(err, merkle.ErrProof) {
			t.Errorf("another key was believed: %v", err)
		}
	}
}

func TestAChangedByteOfALogProofIsNoticed(t *testing.T) {
	proof, leaf := signedProof(t, 13, 6)
	_, keys := testKey(t, testKeyName, 1)
	text, err := proof.Format()
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(text) - 4 { // the signature's last base64 character has idle bits
		for bit := range 8 {
			changed := bytes.Clone(text)
			changed[i] ^= 1 << bit
			p, err := merkle.ParseLogProof(changed)
			if err != nil {
				continue
			}
			if _, err := p.Verify(leaf, testOrigin, keys); err == nil {
				t.Errorf("bit %d of byte %d was not noticed:\n%s", bit, i, changed)
			}
		}
	}
}

func TestLogProofsHaveOneSpelling(t *testing.T) {
	swap := func(from, to string) string { return strings.Replace(specProof, from, to, 1) }
	for what, bad := range map[string]string{
		"nothing":            "",
		"another version":    swap("@v1", "@v2"),
		"no header":          swap("c2sp.org/tlog-proof@v1\n", ""),
		"no index":           swap("index 73894\n", ""),
		"an empty index":     swap("73894", ""),
		"a leading zero":     swap("73894", "073894"),
		"a sign":             swap("73894", "+73894"),
		"an index too large": swap("73894", "9223372036854775807"),
		"two spaces":         swap("index ", "index  "),
		"a space at the end": swap("73894", "73894 "),
		"carriage returns":   strings.ReplaceAll(specProof, "\n", "\r\n"),
		"extra after the index": swap("extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ\nindex 73894\n",
			"index 73894\nextra YWdl\n"),
		"two extra lines":        swap("index", "extra YWdl\nindex"),
		"an empty extra line":    swap("YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ", ""),
		"extra with a return":    swap("YWdlLXYx", "YWdl\rLXYx"),
		"extra with idle bits":   swap("YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ", "YWdlLXZ="),
		"extra without padding":  swap("YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ", "YWdlLQ"),
		"a short hash":           swap("dPlQ=", "dPl="),
		"a hash with idle bits":  swap("dPlQ=", "dPlR="),
		"no empty line":          swap("O5vk=\n\n", "O5vk=\n"),
		"two empty lines":        swap("O5vk=\n\n", "O5vk=\n\n\n"),
		"no checkpoint":          specProof[:strings.Index(specProof, "example.com")],
		"no signature":           specProof[:strings.Index(specProof, "\n— ")],
		"no newline at the end":  strings.TrimSuffix(specProof, "\n"),
		"an empty line in front": "\n" + specProof,
		"64 hashes": swap("index 73894\n",
			"index 73894\n"+strings.Repeat("AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=\n", 59)),
		"a huge extra line": swap("YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ", strings.Repeat("AAAA", 1<<16)),
	} {
		if bad == specProof {
			t.Fatalf("%s: the test changes nothing", what)
		}
		if p, err := merkle.ParseLogProof([]byte(bad)); !errors.Is(err, merkle.ErrFormat) {
			t.Errorf("%s was read as %+v, %v", what, p, err)
		}
	}
}

func TestALogProofThatCannotBeReadIsNotWritten(t *testing.T) {
	good, _ := signedProof(t, 3, 1)
	for what, change := range map[string]func(*merkle.LogProof){
		"index":      func(p *merkle.LogProof) { p.Index = merkle.MaxSize },
		"hashes":     func(p *merkle.LogProof) { p.Hashes = make([]merkle.Hash, 64) },
		"extra":      func(p *merkle.LogProof) { p.Extra = make([]byte, 1<<17) },
		"checkpoint": func(p *merkle.LogProof) { p.Checkpoint = []byte("unsigned\n") },
	} {
		p := good
		change(&p)
		if _, err := p.Format(); err == nil {
			t.Errorf("a proof with a bad %s was written", what)
		}
	}
}
