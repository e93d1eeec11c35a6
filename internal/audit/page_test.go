package audit_test

import (
	"bytes"
	"io/fs"
	"maps"
	"testing"

	"github.com/belfryhq/belfry/internal/audit"
)

func TestTheScriptsHoldNoPage(t *testing.T) {
	pages, err := fs.Glob(audit.Scripts(), "*.html")
	if err != nil || len(pages) > 0 {
		t.Errorf("the public files contain %v, %v", pages, err)
	}
}

func TestAPageShowsWhichStepOfAProofFails(t *testing.T) {
	x := newExported(t)
	bundle := x.Bundle(t, "e-7")
	good := map[string]string{"event": "good", "signature": "good", "inclusion": "good"}
	if steps, ok := audit.StepsForTest(bundle, x.VKey); !ok || !maps.Equal(steps, good) {
		t.Fatalf("the bundle as it is: %v", steps)
	}
	if bytes.Count(bundle, []byte(`"proof":"`)) != 1 {
		t.Fatal("the bundle has no proof to change")
	}
	// The proof's text ends with the signature: its last letter is a byte of it.
	end := bytes.Index(bundle, []byte(`\n","vkey"`))
	if end < 0 {
		end = bytes.Index(bundle, []byte(`\n"`))
	}
	signature := bytes.Clone(bundle)
	signature[end-10] ^= 1
	if signature[end-10] == '\\' || end < 0 {
		t.Fatalf("no signature found in %s", bundle)
	}
	for name, c := range map[string]struct {
		data []byte
		want map[string]string
	}{
		"another key": {bundle, map[string]string{"event": "bad", "signature": "", "inclusion": ""}},
		"a shown value": {bytes.Replace(bundle, []byte(`"event":{`), []byte(`"event":{"x":1,`), 1),
			map[string]string{"event": "bad", "signature": "", "inclusion": ""}},
		"a signature's bit": {signature, map[string]string{"event": "good", "signature": "bad", "inclusion": ""}},
	} {
		key := x.VKey
		if name == "another key" {
			key = newExported(t).VKey
		}
		if steps, ok := audit.StepsForTest(c.data, key); ok || !maps.Equal(steps, c.want) {
			t.Errorf("%s: %v: expected %v", name, steps, c.want)
		}
	}
	_, after, found := bytes.Cut(bundle, []byte(`index 7\n`))
	if !found {
		t.Fatalf("no index in the proof of %s", bundle)
	}
	hash := bytes.Clone(bundle)
	at := len(bundle) - len(after)
	if hash[at+3] == 'A' {
		hash[at+3] = 'B'
	} else {
		hash[at+3] = 'A'
	}
	if steps, _ := audit.StepsForTest(hash, x.VKey); steps["signature"] != "good" || steps["inclusion"] != "bad" {
		t.Errorf("a hash on the way to the root: %v", steps)
	}
}
