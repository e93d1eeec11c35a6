package verifier

import (
	"encoding/json"
	"testing"
)

func TestCanonicalJSONSortsByUTF16AndKeepsNumbers(t *testing.T) {
	// RFC 8785, section 3.2.3, sorts these names so; its numbers would change, ours do not.
	const in = `{ "\u20ac": 1.0, "\r": 1E2, "\ufb33": 0.10, "1": -0, "\ud83d\ude00": "\/", "\u0080": null,` +
		` "\u00f6": [ true ] }`
	const want = `{"\r":1E2,"1":-0,"` + "\u0080" + `":null,"ö":[true],"€":1.0,"😀":"/","` + "\ufb33" + `":0.10}`
	v, err := parseJSON(in)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.canonical(); got != want {
		t.Errorf("canonical form\n%q, want\n%q", got, want)
	}
}

func TestAmbiguousJSONIsRefused(t *testing.T) {
	for _, s := range []string{
		``, ` `, `{`, `[1,]`, `{"a":1,}`, `{"a":1 "b":2}`, `{"a":1,"\u0061":2}`, `01`, `1.`, `-`, `.5`, `1e`, `+1`, `NaN`,
		`"\ud800"`, `"\ud800\u0041"`, `"\udc00"`, "\"\xff\"", "\"\n\"", `"\x"`, `"\u12"`, `"a`, `nul`, `1 2`, `{}{}`, `{a:1}`,
	} {
		if v, err := parseJSON(s); err == nil {
			t.Errorf("%q is read as %s", s, v.canonical())
		}
	}
}

// FuzzJSON compares with encoding/json: what this parser reads, that one reads as well and
// understands the canonical form in the same way; and a canonical form is its own.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2.50,{"b":null}],"é":"\u0000\ud83d\ude00"}`, `[[]]`, `"\\\""`, `-0.1e+9`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseJSON(s)
		if err != nil {
			return
		}
		if !json.Valid([]byte(s)) {
			t.Fatalf("%q is no JSON", s)
		}
		canonical := v.canonical()
		var before, after any
		if json.Unmarshal([]byte(s), &before) != nil {
			return // a number out of the range of float64
		}
		if err := json.Unmarshal([]byte(canonical), &after); err != nil {
			t.Fatalf("%q became %q: %v", s, canonical, err)
		}
		x, errX := json.Marshal(before)
		y, errY := json.Marshal(after)
		if errX != nil || errY != nil || string(x) != string(y) {
			t.Fatalf("%q became %q", s, canonical)
		}
		again, err := parseJSON(canonical)
		if err != nil || again.canonical() != canonical || again.compact() != canonical {
			t.Fatalf("%q is not its own canonical form: %v", canonical, err)
		}
	})
}
