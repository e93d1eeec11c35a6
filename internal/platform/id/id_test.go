package id_test

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
)

func TestIdsAreValidDistinctAndSortByTime(t *testing.T) {
	seen := map[string]bool{}
	last := ""
	for i := range 1000 {
		s := id.At(time.UnixMilli(1700000000000 + int64(i)))
		if !id.Valid(s) || seen[s] || s <= last {
			t.Fatalf("id %d: %q after %q", i, s, last)
		}
		if s[12] != '7' {
			t.Fatalf("version of %q is not 7 (RFC 9562)", s)
		}
		seen[s], last = true, s
	}
}

func TestIdsForOneMomentSortInTheOrderInWhichTheyWereMade(t *testing.T) {
	for _, at := range []time.Time{time.UnixMilli(1700000000000), time.UnixMicro(1700000001000250), time.Unix(1<<33, 1),
		time.Unix(-5, 7)} {
		before := ""
		for i := range 3000 {
			s := id.At(at)
			if s <= before || !id.Valid(s) || s[12] != '7' {
				t.Fatalf("%v: id %d: %q after %q", at, i, s, before)
			}
			before = s
		}
		for range 3000 { // more than a millisecond has fractions: still ids of that millisecond
			if s := id.At(at); s[:12] != before[:12] {
				t.Fatalf("%v: %q and %q", at, s, before)
			}
		}
	}
	now := time.Now()
	if a, b := id.At(now), id.At(now.Add(time.Microsecond)); a >= b {
		t.Errorf("%q is not before %q, of a microsecond later", a, b)
	}
}

func TestValidRefusesEverythingElse(t *testing.T) {
	for _, s := range []string{"", "0192F7C417D1E0000000000000000000", "0192f7c4-17d1-7000-8000-000000000000",
		"0192f7c417d1700080000000000000g0", "0192f7c417d17000800000000000000"} {
		if id.Valid(s) {
			t.Errorf("%q is called valid", s)
		}
	}
	if !id.Valid("023e105f4ecef8ad9ca31a8372d0c353") {
		t.Error("a Cloudflare id is refused")
	}
}

func TestSecretsHaveTheirLengthInBits(t *testing.T) {
	a, b := id.Secret(32), id.Secret(32)
	if len(a)*5 < 32*8-5 || a == b {
		t.Fatalf("%q %q", a, b)
	}
}
