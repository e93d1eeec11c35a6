package app_test

import "time"

// callCorrections requests corrections of an objective and of a property, and decides them.
func (r *recorder) callCorrections(s *story, objective string) {
	own := r.ownToken(s.account)
	path := []string{s.account, objective}
	one := []string{s.account}
	at := func(after time.Duration) string { return time.Now().Add(after).UTC().Format(time.RFC3339) }
	ask := func(id string, in input) []string {
		in.token = own
		return []string{s.account, r.id(r.do(id, in))}
	}
	incident := ask("create-objective-correction", input{path: path, body: object{
		"kind":   "incident",
		"reason": "The load test of the payment provider failed our requests",
		"from":   at(-5 * time.Minute),
		"to":     at(-time.Minute),
	}})
	r.do("approve-correction", input{path: incident})
	upgrade := object{
		"zone":   "checkout.shop.example",
		"reason": "Database upgrade",
		"from":   at(24 * time.Hour),
		"to":     at(32 * time.Hour),
	}
	r.do("preview-correction", input{path: one, body: upgrade})
	planned := ask("create-correction", input{path: one, body: upgrade})
	r.do("reject-correction", input{path: planned})
	r.do("list-corrections", input{path: one})
	r.do("list-objective-corrections", input{path: path})
	r.do("get-correction", input{path: incident})
	r.do("delete-correction", input{path: incident})
}
