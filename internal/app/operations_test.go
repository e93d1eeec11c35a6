package app_test

import "testing"

// The operations that are not named by hand yet. These numbers only go down; at 0,
// web can refuse such operations when they register.
const (
	maxMadeIDs     = 82
	maxUnnamedBody = 21
)

// Ids become methods of SDKs, and names of bodies become their types.
func TestOperationsAndTheirBodiesAreNamedByHand(t *testing.T) {
	s := newSite(t)
	var madeIDs, unnamedBodies []string
	seen := map[string]string{}
	routes := s.app.API.Routes()
	for _, r := range routes {
		name := r.Method + " " + r.Path
		if other, twice := seen[r.ID]; twice {
			t.Errorf("%s and %s have the same id %s", name, other, r.ID)
		}
		seen[r.ID] = name
		if r.MadeID {
			madeIDs = append(madeIDs, name)
		}
		if r.NoBodyName {
			unnamedBodies = append(unnamedBodies, name)
		}
	}
	if len(routes) < 50 {
		t.Fatalf("only %d operations were looked at", len(routes))
	}
	for _, c := range []struct {
		what string
		list []string
		most int
	}{
		{"operations without an id chosen by hand", madeIDs, maxMadeIDs},
		{"operations whose body has no named type", unnamedBodies, maxUnnamedBody},
	} {
		t.Logf("%d %s", len(c.list), c.what)
		if len(c.list) > c.most {
			t.Errorf("%s: %d, at most %d: %q", c.what, len(c.list), c.most, c.list)
		}
	}
}
