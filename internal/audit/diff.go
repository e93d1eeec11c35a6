package audit

import (
	"bytes"
	"sort"
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

// maxChanges bounds a diff; what is more is still in before and after.
const maxChanges = 200

// Diff compares two JSON values member by member. Arrays are compared as
// wholes unless they have the same length: what moved inside a list cannot be
// told from what changed.
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
		diff(list, path+"/"+itoa(i), la[i], lb[i])
	}
	return true
}
