package verify_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/audit/verify"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// edit decodes a line, changes it and encodes it again, numbers as they were.
func edit(t testing.TB, line []byte, change func(m map[string]any)) []byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	change(m)
	return []byte(asJSON(m) + "\n")
}

// places returns the paths of all members of an object.
func places(m map[string]any, path ...string) (list [][]string) {
	for k, v := range m {
		here := append(slices.Clone(path), k)
		list = append(list, here)
		if inner, ok := v.(map[string]any); ok {
			list = append(list, places(inner, here...)...)
		}
	}
	return list
}

func within(m map[string]any, path []string) map[string]any {
	for _, k := range path[:len(path)-1] {
		m = m[k].(map[string]any)
	}
	return m
}

func TestEveryChangedMemberOfALineIsNoticed(t *testing.T) {
	x := newExported(t)
	lines := bytes.SplitAfter(x.Range(t, 0, exportedEvents, exportedEvents), []byte("\n"))
	bundle := x.Bundle(t, "e-5")
	var all [][]string
	edit(t, lines[6], func(m map[string]any) { all = places(m) })
	if len(all) < 60 {
		t.Fatalf("only %d members", len(all))
	}
	for _, path := range all {
		last := path[len(path)-1]
		for name, change := range map[string]func(m map[string]any){
			"deleted": func(m map[string]any) { delete(within(m, path), last) },
			"changed": func(m map[string]any) { within(m, path)[last] = "another" },
			"null":    func(m map[string]any) { within(m, path)[last] = nil },
			"added":   func(m map[string]any) { within(m, path)[last+"x"] = 1 },
			"renamed": func(m map[string]any) { o := within(m, path); o[last+"x"] = o[last]; delete(o, last) },
		} {
			changed := slices.Clone(lines)
			changed[6] = edit(t, lines[6], change)
			if report, err := x.Verify(bytes.Join(changed, nil), nil); err == nil {
				t.Errorf("%v %s: %+v", path, name, report)
			} else if !strings.Contains(err.Error(), "event 5 (line 7)") {
				t.Errorf("%v %s: the error does not name the event: %v", path, name, err)
			}
			if report, err := verify.Bundle(edit(t, bundle, change), x.VKey); err == nil {
				t.Errorf("bundle, %v %s: %+v", path, name, report)
			}
		}
	}
}

func TestLinesThatAreMissingDoubledOrMovedAreNoticed(t *testing.T) {
	x := newExported(t)
	lines := bytes.SplitAfter(x.Range(t, 0, exportedEvents, exportedEvents), []byte("\n"))
	lines = lines[:exportedEvents+1]
	check := func(name string, list [][]byte) {
		t.Helper()
		if report, err := x.Verify(bytes.Join(list, nil), nil); err == nil {
			t.Errorf("%s: %+v", name, report)
		}
	}
	reseq := func(line []byte, seq int) []byte {
		return edit(t, line, func(m map[string]any) { m["seq"] = seq; m["event"].(map[string]any)["seq"] = seq })
	}
	for i := range lines {
		check(fmt.Sprintf("without line %d", i), slices.Delete(slices.Clone(lines), i, i+1))
		check(fmt.Sprintf("line %d twice", i), slices.Insert(slices.Clone(lines), i, lines[i]))
		if i > 1 {
			swapped := slices.Clone(lines)
			swapped[i], swapped[i-1] = swapped[i-1], swapped[i]
			check(fmt.Sprintf("lines %d and %d swapped", i-1, i), swapped)
			// … and with the seq of the other place.
			swapped[i], swapped[i-1] = reseq(swapped[i], i-1), reseq(swapped[i-1], i-2)
			check(fmt.Sprintf("lines %d and %d swapped and numbered", i-1, i), swapped)
		}
	}
	header := func(change func(m map[string]any)) [][]byte {
		list := slices.Clone(lines)
		list[0] = edit(t, lines[0], func(m map[string]any) { change(m["export"].(map[string]any)) })
		return list
	}
	check("fewer lines and a smaller to", header(func(m map[string]any) { m["to"] = exportedEvents - 1 })[:exportedEvents])
	check("fewer lines and a smaller log",
		header(func(m map[string]any) { m["to"], m["size"] = exportedEvents-1, exportedEvents-1 })[:exportedEvents])
	check("a larger log", header(func(m map[string]any) { m["size"] = exportedEvents + 80 }))
	check("a hash to the right", header(func(m map[string]any) { m["right"] = []any{merkle.Hash{}.String()} }))
	check("a hash to the left", header(func(m map[string]any) { m["left"] = []any{merkle.Hash{}.String()} }))
	check("another account", header(func(m map[string]any) { m["account"] = accountB }))
	check("another version", header(func(m map[string]any) { m["v"] = 2 }))
	check("a further member", header(func(m map[string]any) { m["x"] = 2 }))
	check("an empty file", nil)
	check("text after the end", append(slices.Clone(lines), []byte("x")))

	// The hashes beside a range.
	part := bytes.SplitAfter(x.Range(t, 3, 9, exportedEvents), []byte("\n"))
	for side, n := range map[string]int{"left": 2, "right": 2} {
		for i := range n {
			for name, change := range map[string]func(list []any) []any{
				"changed": func(list []any) []any { list[i] = merkle.Hash{byte(i)}.String(); return list },
				"missing": func(list []any) []any { return slices.Delete(list, i, i+1) },
				"doubled": func(list []any) []any { return slices.Insert(list, i, list[i]) },
				"swapped": func(list []any) []any { list[0], list[1] = list[1], list[0]; return list },
			} {
				changed := slices.Clone(part)
				changed[0] = edit(t, part[0], func(m map[string]any) {
					h := m["export"].(map[string]any)
					list := h[side].([]any)
					if len(list) != n {
						t.Fatalf("%d hashes to the %s", len(list), side)
					}
					h[side] = change(list)
				})
				check(side+" hash "+name, changed)
			}
		}
	}
}
