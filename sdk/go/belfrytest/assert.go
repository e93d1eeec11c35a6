package belfrytest

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"testing"

	belfry "github.com/belfryhq/belfry/sdk/go"
	"github.com/belfryhq/belfry/sdk/go/internal/rawjson"
	"github.com/belfryhq/belfry/sdk/go/internal/rules"
)

// AssertAudited fails the test unless an audited event has everything that
// want has: fields that want leaves empty may be anything, objects under
// before, after and metadata may have further members, arrays must be equal.
// The failure shows the nearest event and where it differs.
func AssertAudited(t testing.TB, rec *Recorder, want belfry.Event) {
	t.Helper()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatalf("the wanted event: %v", err)
	}
	expected, err := leavesOf(text)
	if err != nil {
		t.Fatalf("the wanted event: %v", err)
	}
	for pointer, value := range expected {
		// The required fields are written even when want leaves them empty.
		if value == `""` || pointer == "/v" {
			delete(expected, pointer)
		}
	}
	stored := rec.stored(t)
	var nearest []string
	var nearestID string
	for _, s := range stored {
		diff := differences(expected, s.JSON)
		if len(diff) == 0 {
			return
		}
		if nearest == nil || len(diff) < len(nearest) {
			nearest, nearestID = diff, s.ID
		}
	}
	if nearest == nil {
		t.Errorf("nothing was audited, want\n%s", listLeaves(expected))
		return
	}
	t.Errorf("no event was audited with\n%s\nThe nearest of %d events, %s, differs:\n  %s",
		listLeaves(expected), len(stored), nearestID, strings.Join(nearest, "\n  "))
}

// AssertMatch fails the test unless an audited event satisfies match; what
// describes the event in the failure.
func AssertMatch(t testing.TB, rec *Recorder, what string, match func(belfry.Event) bool) {
	t.Helper()
	events := rec.Events(t)
	var seen strings.Builder
	for _, e := range events {
		if match(e) {
			return
		}
		fmt.Fprintf(&seen, "\n  %s by %s %s on %s/%s/%s", e.Action.Type, e.Actor.Type, e.Actor.ID, e.Resource.Product,
			e.Resource.Type, e.Resource.ID)
	}
	t.Errorf("no event was audited that is %s; %d were audited:%s", what, len(events), seen.String())
}

// AssertNothing fails the test if anything was audited.
func AssertNothing(t testing.TB, rec *Recorder) {
	t.Helper()
	for _, s := range rec.stored(t) {
		t.Errorf("audited, want nothing: %s", s.JSON)
	}
}

// leavesOf maps the pointer of each value that is no object to its canonical
// text.
func leavesOf(text []byte) (map[string]string, error) {
	var doc rawjson.Doc
	if err := doc.Parse(text, rules.MaxDepth); err != nil {
		return nil, err
	}
	found := make(map[string]string)
	for i := 0; i < len(doc.Nodes); {
		n := doc.Nodes[i]
		if n.Kind == '{' {
			i++
			continue
		}
		found[doc.Pointer(i)] = string(doc.AppendCanonical(nil, i))
		i = int(n.Next)
	}
	return found, nil
}

func differences(want map[string]string, text []byte) []string {
	got, err := leavesOf(text)
	if err != nil {
		return []string{err.Error()}
	}
	diff := []string{}
	for pointer, w := range want {
		g, ok := got[pointer]
		switch {
		case !ok:
			diff = append(diff, fmt.Sprintf("%s: want %s, got nothing", pointer, w))
		case g != w:
			diff = append(diff, fmt.Sprintf("%s: want %s, got %s", pointer, w, g))
		}
	}
	sort.Strings(diff)
	return diff
}

func listLeaves(leaves map[string]string) string {
	lines := make([]string, 0, len(leaves))
	for pointer, value := range leaves {
		lines = append(lines, "  "+pointer+" "+value)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}
