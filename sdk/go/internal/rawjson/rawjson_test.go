package rawjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/belfryhq/belfry/sdk/go/internal/rawjson"
)

func TestPointersNameEveryValue(t *testing.T) {
	var d rawjson.Doc
	if err := d.Parse([]byte(`{"a/b":[1,{"~":true},[]],"":null}`), 8); err != nil {
		t.Fatal(err)
	}
	want := []string{"", "/a~1b", "/a~1b/0", "/a~1b/1", "/a~1b/1/~0", "/a~1b/2", "/"}
	for i, w := range want {
		if got := d.Pointer(i); got != w {
			t.Errorf("node %d: got %q, want %q", i, got, w)
		}
	}
	if len(d.Nodes) != len(want) {
		t.Errorf("%d nodes, want %d", len(d.Nodes), len(want))
	}
}

func TestARepeatedNameIsFoundInSmallAndLargeObjects(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 400} {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"k%d":0,`, i)
		}
		var d rawjson.Doc
		if err := d.Parse([]byte("{"+b.String()+`"last":0}`), 8); err != nil {
			t.Errorf("%d different names: %v", n, err)
		}
		for _, again := range []string{`"k0"`, `"\u006b0"`, fmt.Sprintf(`"k%d"`, n-1)} {
			var e *rawjson.Error
			if err := d.Parse([]byte("{"+b.String()+again+":0}"), 8); !errors.As(err, &e) {
				t.Errorf("%d names and %s again: no error", n, again)
			}
		}
	}
}

func TestAnErrorSaysWhere(t *testing.T) {
	var d rawjson.Doc
	var e *rawjson.Error
	if err := d.Parse([]byte(`{"a":[0,1,tru]}`), 8); !errors.As(err, &e) || e.Pointer != "/a/2" || e.Offset != 10 {
		t.Errorf("got %+v", e)
	}
	if err := d.Parse([]byte(`{"a":{"b":[[]]}}`), 3); !errors.As(err, &e) || e.Pointer != "/a/b/0" || !e.TooDeep {
		t.Errorf("got %+v", e)
	}
}

// Whatever is accepted is JSON to the standard library too, and the reverse
// fails only for what I-JSON forbids.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,"\u00e9\ud83d\ude00",true,null]}`, `"\ud800"`, `{"a":1,"a":2}`, "\"\xff\"",
		`[[[[[[]]]]]]`, ` {} `, `-0`, `01`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var d rawjson.Doc
		err := d.Parse(text, 16)
		if err == nil != acceptable(text) {
			t.Fatalf("Parse says %v of %q", err, text)
		}
		if err != nil {
			return
		}
		canonical := d.AppendCanonical(nil, 0)
		compact := d.AppendCompact(nil, 0)
		for _, out := range [][]byte{canonical, compact} {
			var again rawjson.Doc
			if err := again.Parse(out, 16); err != nil {
				t.Fatalf("%q became %q: %v", text, out, err)
			}
			if got := again.AppendCanonical(nil, 0); !bytes.Equal(got, canonical) {
				t.Fatalf("canonical form of %q is %q, then %q", text, canonical, got)
			}
			for i := range again.Nodes {
				again.Pointer(i)
			}
		}
		if want, got := decode(text), decode(canonical); want != got {
			t.Fatalf("%q and %q are different values", text, canonical)
		}
	})
}

// decode decodes with the standard library and keeps numbers as they are written.
func decode(text []byte) string {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%#v", v)
}

// acceptable is I-JSON nested at most 16 levels, told by the standard library.
func acceptable(text []byte) bool {
	if !json.Valid(text) || !utf8.Valid(text) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var names []map[string]bool // of the open objects; nil for arrays
	var key []bool              // whether a name comes next
	for {
		token, err := d.Token()
		if err != nil {
			return !lonelySurrogate(text)
		}
		value := func() {
			if n := len(key); n > 0 && names[n-1] != nil {
				key[n-1] = true
			}
		}
		switch v := token.(type) {
		case json.Delim:
			switch v {
			case '{', '[':
				if len(names) == 16 {
					return false
				}
				if v == '{' {
					names = append(names, map[string]bool{})
					key = append(key, true)
				} else {
					names, key = append(names, nil), append(key, false)
				}
			default:
				names, key = names[:len(names)-1], key[:len(key)-1]
				value()
			}
		case string:
			if n := len(key); n > 0 && key[n-1] {
				if names[n-1][v] {
					return false
				}
				names[n-1][v] = true
				key[n-1] = false
			} else {
				value()
			}
		default:
			value()
		}
	}
}

// lonelySurrogate looks for escapes that the standard library replaces.
func lonelySurrogate(text []byte) bool {
	s := string(text)
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		i++
		if s[i] != 'u' {
			continue
		}
		var unit, low int
		fmt.Sscanf(s[i+1:i+5], "%04x", &unit)
		i += 4
		if unit < 0xd800 || unit > 0xdfff {
			continue
		}
		if unit >= 0xdc00 || i+6 >= len(s) || s[i+1:i+3] != `\u` {
			return true
		}
		fmt.Sscanf(s[i+3:i+7], "%04x", &low)
		if low < 0xdc00 || low > 0xdfff {
			return true
		}
		i += 6
	}
	return false
}
