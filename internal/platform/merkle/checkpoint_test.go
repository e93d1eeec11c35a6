package merkle_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/belfryhq/belfry/internal/platform/merkle"
)

const (
	testKeyName = "log.example"
	testOrigin  = "log.example/0123456789abcdef0123456789abcdef"
)

// testKey returns the signer of a fixed seed and the verifiers that know it.
func testKey(tb testing.TB, name string, seed byte) (note.Signer, note.Verifiers) {
	tb.Helper()
	secret := bytes.Repeat([]byte{seed}, merkle.SeedSize)
	signer, err := merkle.NewSigner(name, secret)
	if err != nil {
		tb.Fatal(err)
	}
	_, vkey, err := merkle.EncodeKey(name, secret)
	if err != nil {
		tb.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		tb.Fatal(err)
	}
	return signer, note.VerifierList(verifier)
}

func TestCheckpointTextIsThatOfTheSpecification(t *testing.T) {
	const text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
	c, err := merkle.ParseCheckpoint(text)
	if err != nil {
		t.Fatal(err)
	}
	if c.Origin != "example.com/behind-the-sofa" || c.Size != 20852163 ||
		c.Root.String() != "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=" || c.Extensions != nil {
		t.Errorf("read as %+v", c)
	}
	if got, err := c.Text(); err != nil || got != text {
		t.Errorf("written as %q, %v", got, err)
	}
	c.Extensions = []string{"one", "two words"}
	longer, err := c.Text()
	if err != nil || longer != text+"one\ntwo words\n" {
		t.Fatalf("written as %q, %v", longer, err)
	}
	if back, err := merkle.ParseCheckpoint(longer); err != nil || !slices.Equal(back.Extensions, c.Extensions) {
		t.Errorf("read back as %+v, %v", back, err)
	}
}

func TestCheckpointsHaveOneSpelling(t *testing.T) {
	root := merkle.EmptyRoot().String()
	good := "o\n5\n" + root + "\n"
	if _, err := merkle.ParseCheckpoint(good); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "\n", "o\n5\n", "o\n5\n" + root, "\n5\n" + root + "\n", "o\n\n" + root + "\n", "o\n05\n" + root + "\n",
		"o\n+5\n" + root + "\n", "o\n-5\n" + root + "\n",
		"o\n5 \n" + root + "\n", "o\n5\n" + root[:43] + "\n", "o\n5\n" + root + "=\n", "o\n5\n " + root + "\n", good + "\n",
		good + "ext\n\n", good + "\next\n", good + "ext",
		"o\r\n5\n" + root + "\n", "o\n5\r\n" + root + "\n", "o\n9223372036854775808\n" + root + "\n",
		"o\n18446744073709551616\n" + root + "\n", "o\xff\n5\n" + root + "\n", good + "\x01\n", "o\n0x5\n" + root + "\n",
		"o\n1_0\n" + root + "\n",
	} {
		if c, err := merkle.ParseCheckpoint(bad); !errors.Is(err, merkle.ErrFormat) {
			t.Errorf("%q was read as %+v, %v", bad, c, err)
		}
	}
	for _, bad := range []merkle.Checkpoint{{}, {Origin: "a\nb"}, {Origin: "a\xff"}, {
		Origin: "o",
		Size:   1 << 63,
	}, {Origin: "o", Extensions: []string{""}}, {Origin: "o", Extensions: []string{"a\n"}}} {
		if text, err := bad.Text(); err == nil {
			t.Errorf("%+v was written as %q", bad, text)
		}
	}
}

func TestASignedCheckpointOpensWithItsKeyAndOriginOnly(t *testing.T) {
	signer, keys := testKey(t, testKeyName, 1)
	_, otherKeys := testKey(t, testKeyName, 2)
	_, otherName := testKey(t, "other.example", 1)
	want := merkle.Checkpoint{Origin: testOrigin, Size: 42, Root: merkle.LeafHash([]byte("root"))}
	msg, err := merkle.SignCheckpoint(want, signer)
	if err != nil {
		t.Fatal(err)
	}
	got, err := merkle.OpenCheckpoint(msg, testOrigin, keys)
	if err != nil || got.Origin != want.Origin || got.Size != want.Size || got.Root != want.Root {
		t.Fatalf("opened as %+v, %v", got, err)
	}
	for name, open := range map[string]func() (merkle.Checkpoint, error){
		"another origin": func() (merkle.Checkpoint,
			error) {
			return merkle.OpenCheckpoint(msg, "log.example/receipts", keys)
		},
		"another key":      func() (merkle.Checkpoint, error) { return merkle.OpenCheckpoint(msg, testOrigin, otherKeys) },
		"another key name": func() (merkle.Checkpoint, error) { return merkle.OpenCheckpoint(msg, testOrigin, otherName) },
		"no key":           func() (merkle.Checkpoint, error) { return merkle.OpenCheckpoint(msg, testOrigin, nil) },
	} {
		if c, err := open(); !errors.Is(err, merkle.ErrProof) {
			t.Errorf("%s: opened as %+v, %v", name, c, err)
		}
	}
	if _, err := merkle.SignCheckpoint(want); err == nil {
		t.Error("a checkpoint was signed by nobody")
	}
	if _, err := merkle.OpenCheckpoint(append(bytes.Repeat([]byte("x\n"), 1<<18), msg...), testOrigin,
		keys); !errors.Is(err, merkle.ErrFormat) {
		t.Errorf("a huge note was opened: %v", err)
	}
}

func TestAChangedByteOfASignedCheckpointIsNoticed(t *testing.T) {
	signer, keys := testKey(t, testKeyName, 1)
	want := merkle.Checkpoint{Origin: testOrigin, Size: 42, Root: merkle.LeafHash([]byte("root"))}
	msg, err := merkle.SignCheckpoint(want, signer)
	if err != nil {
		t.Fatal(err)
	}
	for i := range msg {
		for bit := range 8 {
			changed := bytes.Clone(msg)
			changed[i] ^= 1 << bit
			// The last base64 character of the signature has bits that mean nothing.
			if c, err := merkle.OpenCheckpoint(changed, testOrigin, keys); err == nil && i < len(msg)-4 {
				t.Errorf("bit %d of byte %d: opened as %+v", bit, i, c)
			}
		}
	}
}

func TestACosignedCheckpointStillNeedsTheLogsOwnKey(t *testing.T) {
	signer, keys := testKey(t, testKeyName, 1)
	witness, witnessKeys := testKey(t, "witness.example", 9)
	c := merkle.Checkpoint{Origin: testOrigin, Size: 1}
	both, err := merkle.SignCheckpoint(c, signer, witness)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := merkle.OpenCheckpoint(both, testOrigin, keys); err != nil {
		t.Errorf("an unknown cosignature was not ignored: %v", err)
	}
	if _, err := merkle.OpenCheckpoint(both, testOrigin, witnessKeys); err != nil {
		t.Errorf("the cosignature does not verify: %v", err)
	}
	alone, err := merkle.SignCheckpoint(c, witness)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := merkle.OpenCheckpoint(alone, testOrigin, keys); !errors.Is(err, merkle.ErrProof) {
		t.Errorf("a witness alone was believed: %v", err)
	}
}

func TestUnverifiedCheckpointReadsOnlySignedNotes(t *testing.T) {
	signer, _ := testKey(t, testKeyName, 1)
	msg, err := merkle.SignCheckpoint(merkle.Checkpoint{Origin: testOrigin, Size: 7}, signer)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := merkle.UnverifiedCheckpoint(msg); err != nil || c.Size != 7 || c.Origin != testOrigin {
		t.Fatalf("read as %+v, %v", c, err)
	}
	text, _, _ := strings.Cut(string(msg), "\n\n")
	for _, bad := range []string{"", "\n\n", text, text + "\n", text + "\n\n", text + "\n\nsignature\n",
		string(msg[:len(msg)-1]), "x\n\n" + string(msg)} {
		if c, err := merkle.UnverifiedCheckpoint([]byte(bad)); !errors.Is(err, merkle.ErrFormat) {
			t.Errorf("%q was read as %+v, %v", bad, c, err)
		}
	}
}

func TestKeysAreThoseOfTheNoteSpecification(t *testing.T) {
	seed := bytes.Repeat([]byte{7}, merkle.SeedSize)
	skey, vkey, err := merkle.EncodeKey(testKeyName, seed)
	if err != nil {
		t.Fatal(err)
	}
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	want, err := note.NewEd25519VerifierKey(testKeyName, public)
	if err != nil || vkey != want {
		t.Errorf("verifier key %s, want %s, %v", vkey, want, err)
	}
	signer, err := merkle.NewSigner(testKeyName, seed)
	if err != nil {
		t.Fatal(err)
	}
	fromText, err := note.NewSigner(skey)
	if err != nil || fromText.KeyHash() != signer.KeyHash() || signer.Name() != testKeyName {
		t.Errorf("the signer is not that of its key text: %v", err)
	}
	sig, err := signer.Sign([]byte("text\n"))
	if err != nil || !ed25519.Verify(public, []byte("text\n"), sig) {
		t.Errorf("the signature is not Ed25519 over the text: %v", err)
	}
}

func TestBadKeysAreRefusedWithoutShowingThem(t *testing.T) {
	seed := bytes.Repeat([]byte{7}, merkle.SeedSize)
	for _, name := range []string{"", "a b", "a+b", "a\nb", "a\u00a0b", "a\xff", "a\x01"} {
		if _, err := merkle.NewSigner(name, seed); err == nil {
			t.Errorf("the key name %q was accepted", name)
		}
	}
	for _, n := range []int{0, 31, 33, 64} {
		secret := bytes.Repeat([]byte{0xAB}, n)
		_, err := merkle.NewSigner(testKeyName, secret)
		if err == nil {
			t.Errorf("a seed of %d bytes was accepted", n)
		} else if n > 0 && strings.Contains(err.Error(), fmt.Sprintf("%x", secret)) {
			t.Errorf("the error shows the seed: %v", err)
		}
	}
}
