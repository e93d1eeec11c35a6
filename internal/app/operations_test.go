package app_test

import "testing"

// IDs become methods of SDKs, and the types of bodies become types of SDKs.
func TestOperationsHaveUniqueIDsAndNamedBodies(t *testing.T) {
	s := newSite(t)
	seen := map[string]string{}
	routes := s.app.API.Routes()

	for _, r := range routes {
		name := r.Method + " " + r.Path
		if other, twice := seen[r.ID]; twice {
			t.Errorf("%s and %s have the same ID %s", name, other, r.ID)
		}
		seen[r.ID] = name
		if r.NoBodyName {
			t.Errorf("%s: the type of the request body has no name", name)
		}
	}

	if len(routes) < 50 {
		t.Fatalf("only %d operations were examined", len(routes))
	}
}
