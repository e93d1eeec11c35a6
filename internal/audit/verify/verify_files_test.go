package verify_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/audit/verify"
)

// Mail and editors change line ends; files are of many kinds.
func TestFilesThatPeopleHandledAreStillVerified(t *testing.T) {
	x := newExported(t)
	export := x.Range(t, 0, exportedEvents, exportedEvents)
	windows := bytes.ReplaceAll(x.Checkpoint, []byte("\n"), []byte("\r\n"))
	for name, c := range map[string]struct{ export, checkpoint []byte }{
		"a checkpoint with CRLF":       {export, windows},
		"without its last line end":    {export, bytes.TrimSuffix(x.Checkpoint, []byte("\n"))},
		"with one more":                {export, append(bytes.Clone(x.Checkpoint), '\n')},
		"an export with empty lines":   {append(bytes.Clone(export), "\n\r\n \n"...), x.Checkpoint},
		"an export with CRLF":          {bytes.ReplaceAll(export, []byte("\n"), []byte("\r\n")), x.Checkpoint},
		"an export without a last end": {bytes.TrimSuffix(export, []byte("\n")), x.Checkpoint},
	} {
		if _, err := verify.Export(bytes.NewReader(c.export), c.checkpoint, x.VKey, windows, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := x.Verify(append(bytes.Clone(export), "\n\n{}\n"...), nil); err == nil {
		t.Error("a line behind the empty ones was not noticed")
	}
	other := (*verify.Unreadable)(nil)
	for name, c := range map[string]struct{ export, checkpoint, key string }{
		"a page":            {"<!doctype html>", string(x.Checkpoint), x.VKey},
		"nothing":           {"", string(x.Checkpoint), x.VKey},
		"an event":          {complete("a", nil), string(x.Checkpoint), x.VKey},
		"a filtered export": {`{"export":{"v":1,"account":"a","complete":false,"note":"n"}}`, string(x.Checkpoint), x.VKey},
		"no checkpoint":     {string(export), "{}", x.VKey},
		"no key":            {string(export), string(x.Checkpoint), "ssh-ed25519 AAAA"},
		"the wrong file":    {string(x.Checkpoint), string(export), x.VKey},
	} {
		if _, err := verify.Export(strings.NewReader(c.export), []byte(c.checkpoint), c.key, nil,
			nil); !errors.As(err, &other) {
			t.Errorf("%s: %v is said of the record", name, err)
		}
	}
	changed := bytes.Replace(export, []byte(`"ttl":3`), []byte(`"ttl":4`), 1)
	if _, err := x.Verify(changed, nil); err == nil || errors.As(err, &other) {
		t.Errorf("a changed event: %v", err)
	}
}
