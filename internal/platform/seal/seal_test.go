package seal_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/seal"
)

func TestASecretOpensOnlyUnderItsKeyAndPurpose(t *testing.T) {
	dir := t.TempDir()
	a, err := seal.LoadOrCreate(filepath.Join(dir, "keys", "a"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := seal.LoadOrCreate(filepath.Join(dir, "keys", "a"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := seal.LoadOrCreate(filepath.Join(dir, "keys", "b"))
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("whsec_1")
	box := a.Seal(secret, "webhook 1")
	if got, err := again.Open(box, "webhook 1"); err != nil || !bytes.Equal(got, secret) {
		t.Fatalf("%q %v", got, err)
	}
	if _, err := other.Open(box, "webhook 1"); err == nil {
		t.Fatal("opened under another key")
	}
	if _, err := a.Open(box, "webhook 2"); err == nil {
		t.Fatal("opened for another purpose")
	}
	for i := range box {
		bad := bytes.Clone(box)
		bad[i] ^= 1
		if _, err := a.Open(bad, "webhook 1"); err == nil {
			t.Fatalf("opened with byte %d changed", i)
		}
	}
	if _, err := a.Open(box[:5], "webhook 1"); err == nil {
		t.Fatal("opened a torn value")
	}
	if _, err := seal.New("short"); err == nil {
		t.Fatal("took a short key")
	}
}
