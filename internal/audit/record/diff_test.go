package record_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/audit/record"
)

func TestADiffNamesWhatChanged(t *testing.T) {
	for _, c := range []struct{ name, before, after, want string }{
		{"nothing", `{"a":1}`, `{"a":1}`, ``},
		{"a member", `{"a":1,"b":2}`, `{"a":1,"b":3}`, `changed /b 2 3`},
		{"added and removed", `{"a":1}`, `{"b":null}`, `removed /a 1 -; added /b - null`},
		{"null is a value", `{"a":null}`, `{"a":1}`, `changed /a null 1`},
		{"deep", `{"a":{"b":{"c":1,"d":2}}}`, `{"a":{"b":{"c":2,"d":2}}}`, `changed /a/b/c 1 2`},
		{"another type", `{"a":{"b":1}}`, `{"a":[1]}`, `changed /a {"b":1} [1]`},
		{"arrays of one length", `[1,{"a":1},3]`, `[1,{"a":2},4]`, `changed /1/a 1 2; changed /2 3 4`},
		{"arrays of two lengths", `{"l":[1,2]}`, `{"l":[2]}`, `changed /l [1,2] [2]`},
		{"created", ``, `{"a":1}`, `added  - {"a":1}`},
		{"deleted", `{"a":1}`, ``, `removed  {"a":1} -`},
		{"texts", `"x"`, `"y"`, `changed  "x" "y"`},
		{"neither", ``, ``, ``},
		{"keys with escapes", `{"a/b":1,"c~d":1}`, `{"a/b":2,"c~d":2}`, `changed /a~1b 1 2; changed /c~0d 1 2`},
		{"one number in two notations", `{"a":1,"b":1.10,"c":-0,"d":1e2,"e":[0.010]}`,
			`{"a":1.0,"b":1.1,"c":0.0,"d":100,"e":[1E-2]}`, ``},
		{"numbers that no float tells apart", `{"a":12345678901234567890,"b":1.1}`,
			`{"a":12345678901234567891,"b":1.10000000000000000001}`,
			`changed /a 12345678901234567890 12345678901234567891; changed /b 1.1 1.10000000000000000001`},
		{"large exponents", `[1e400,1e99999999999999999999,10,-1]`, `[1e401,1e99999999999999999998,100,1]`,
			`changed /0 1e400 1e401; changed /1 1e99999999999999999999 1e99999999999999999998; ` +
				`changed /2 10 100; changed /3 -1 1`},
		{"in the order of the names", `{}`, `{"z":1,"a":1,"m":1}`, `added /a - 1; added /m - 1; added /z - 1`},
	} {
		value := func(s string) jsontext.Value {
			if s == "" {
				return nil
			}
			return jsontext.Value(s)
		}
		var got []string
		for _, d := range record.Diff(value(c.before), value(c.after)) {
			before, after := "-", "-"
			if d.Before != nil {
				before = string(d.Before)
			}
			if d.After != nil {
				after = string(d.After)
			}
			got = append(got, fmt.Sprintf("%s %s %s %s", d.Op, d.Path, before, after))
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: %s, want %s", c.name, strings.Join(got, "; "), c.want)
		}
	}
}

func TestADiffIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, `,"k%d":%d`, i, i)
	}
	if n := len(record.Diff(jsontext.Value("{}"), jsontext.Value("{"+b.String()[1:]+"}"))); n != 200 {
		t.Errorf("%d changes", n)
	}
}
