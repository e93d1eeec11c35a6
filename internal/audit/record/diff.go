package record

import (
	"bytes"
	"sort"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Change is one difference between before and after.
type Change struct {
	Path   string         `json:"path" doc:"RFC 6901 pointer within before and after; empty = the whole value"`
	Op     string         `json:"op" enum:"added,removed,changed"`
	Before jsontext.Value `json:"before,omitzero"`
	After  jsontext.Value `json:"after,omitzero"`
}

// maxChanges limits a diff; before and after are complete.
const maxChanges = 200

// Diff compares two JSON values member by member. Arrays are compared as
// wholes unless they have the same length: a moved element cannot be
// distinguished from a changed one.
func Diff(before, after jsontext.Value) []Change {
	var list []Change
	diff(&list, "", before, after)
	return list
}

func diff(list *[]Change, path string, a, b jsontext.Value) {
	switch {
	case len(*list) >= maxChanges:
	case a == nil && b == nil:
	case a == nil:
		*list = append(*list, Change{Path: path, Op: "added", After: b})
	case b == nil:
		*list = append(*list, Change{Path: path, Op: "removed", Before: a})
	case a.Kind() == '{' && b.Kind() == '{':
		diffObjects(list, path, a, b)
	case a.Kind() == '[' && b.Kind() == '[' && diffArrays(list, path, a, b):
	case a.Kind() == '0' && b.Kind() == '0' && sameNumber(string(a), string(b)):
	case !bytes.Equal(a, b):
		*list = append(*list, Change{Path: path, Op: "changed", Before: a, After: b})
	}
}

func diffObjects(list *[]Change, path string, a, b jsontext.Value) {
	var ma, mb map[string]jsontext.Value
	if json.Unmarshal(a, &ma) != nil || json.Unmarshal(b, &mb) != nil {
		return
	}
	keys := make([]string, 0, len(ma)+len(mb))
	for k := range ma {
		keys = append(keys, k)
	}
	for k := range mb {
		if _, ok := ma[k]; !ok {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	for _, k := range keys {
		diff(list, path+"/"+strings.ReplaceAll(strings.ReplaceAll(k, "~", "~0"), "/", "~1"), ma[k], mb[k])
	}
}

// diffArrays goes into arrays of one length; false when they have different ones.
func diffArrays(list *[]Change, path string, a, b jsontext.Value) bool {
	var la, lb []jsontext.Value
	if json.Unmarshal(a, &la) != nil || json.Unmarshal(b, &lb) != nil || len(la) != len(lb) {
		return false
	}
	for i := range la {
		diff(list, path+"/"+strconv.Itoa(i), la[i], lb[i])
	}
	return true
}

// sameNumber compares two JSON numbers by their values: 1.10 is 1.1. It works
// on the digits, so that no size and no precision is lost.
func sameNumber(a, b string) bool {
	x, y := parseDecimal(a), parseDecimal(b)
	return x == y
}

// decimal is the number 0.DIGITS times ten to the power of exponent.
type decimal struct {
	negative bool
	digits   string // without zeros at either end; empty for zero
	exponent int
	huge     string // the exponent as it was written, where it is too long for an int
}

func parseDecimal(s string) decimal {
	var d decimal
	s, d.negative = strings.CutPrefix(s, "-")
	mantissa, exponent := s, ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], s[i+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.digits = strings.TrimLeft(whole+fraction, "0")
	d.exponent = len(whole) - (len(whole) + len(fraction) - len(d.digits))
	d.digits = strings.TrimRight(d.digits, "0")
	if d.digits == "" {
		return decimal{} // zero, with whatever sign and exponent
	}
	if exponent != "" {
		e, err := strconv.Atoi(strings.TrimPrefix(exponent, "+"))
		if err != nil || e > maxExponent || e < -maxExponent {
			d.huge = exponent
			return d
		}
		d.exponent += e
	}
	return d
}

// maxExponent keeps sums of exponents within an int everywhere.
const maxExponent = 1 << 30
