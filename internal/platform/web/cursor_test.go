package web_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

type position struct {
	At int64
	ID string
}

func TestACursorIsGoodOnlyForTheListThatGaveIt(t *testing.T) {
	c := web.NewCursors(key)
	at := position{1763805600000000, "0192f7c4"}
	s := c.Encode("events a", at)
	var got position
	if err := c.Decode("events a", s, &got); err != nil || got != at {
		t.Fatalf("%+v %v", got, err)
	}
	if err := c.Decode("events b", s, &got); !errs.Is(err, errs.CodeBadCursor) {
		t.Fatalf("another list: %v", err)
	}
	if err := web.NewCursors(bytes.Repeat([]byte("x"), 32)).Decode("events a", s, &got); !errs.Is(err,
		errs.CodeBadCursor) {
		t.Fatalf("another key: %v", err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		if err := c.Decode("events a", base64.RawURLEncoding.EncodeToString(changed), &got); !errs.Is(err,
			errs.CodeBadCursor) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
}

func FuzzCursors(f *testing.F) {
	c := web.NewCursors(key)
	good := c.Encode("events a", position{1, "x"})
	f.Add(good)
	f.Add("")
	f.Add(good[:10])
	f.Fuzz(func(t *testing.T, s string) {
		var p position
		err := c.Decode("events a", s, &p)
		if s == good {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		// Nobody else has the key: what decodes must be a text that Encode makes.
		if err == nil && c.Encode("events a", p) != s {
			t.Fatalf("%q was accepted as %+v", s, p)
		}
		if err != nil && !errs.Is(err, errs.CodeBadCursor) {
			t.Fatal(err)
		}
	})
}
