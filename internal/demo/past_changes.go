package demo

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// person is one of the shop's people.
type person struct{ ID, Name, Email string }

// The shop's people. Their changes are made up; the requests of the old site
// and the history of the other account are real.
var (
	ana  = person{"ana", "Ana Lima", "ana@shop.example"}
	ben  = person{"ben", "Ben Okafor", "ben@shop.example"}
	chen = person{"chen", "Chen Wei", "chen@shop.example"}
)

func (p person) actor() map[string]any {
	return map[string]any{"type": "user", "id": p.ID, "name": p.Name, "email": p.Email}
}

// The machines that change things.
var (
	deployer  = map[string]any{"type": "integration", "id": "ci", "name": "Deploys", "on_behalf_of": map[string]any{"type": "user", "id": ben.ID, "email": ben.Email}}
	terraform = map[string]any{"type": "token", "id": "terraform", "token_name": "terraform", "on_behalf_of": map[string]any{"type": "user", "id": chen.ID, "email": chen.Email}}
)

// knob is a setting that people turn, with the values that it takes.
type knob struct {
	id, name, zone, unit string
	values               []any
	reasons              []string
}

var knobs = []knob{
	{"payment_timeout", "payment timeout", checkout, "ms", []any{3000, 2500, 3000, 4000}, []string{"Provider was slow on Friday", "Back to what the provider promises", "Peak season"}},
	{"free_shipping", "free-shipping threshold", storefront, "EUR", []any{50, 45, 60}, []string{"Spring campaign", "Finance asked", "Campaign is over"}},
	{"checkout_button", "checkout button text", storefront, "", []any{"Buy now", "Pay", "Place order"}, []string{"A/B test 31", "Legal review", "A/B test 32"}},
	{"banner", "maintenance banner", storefront, "", []any{"", "Back on Monday", "New season"}, []string{"Stocktaking", "Launch"}},
}

// action is the catalogue's word for turning the knob from its i-th value on.
func (k knob) action(i int) string {
	before, number := k.values[i%len(k.values)].(int)
	if !number {
		return "update"
	}
	if k.values[(i+1)%len(k.values)].(int) < before {
		return "lower"
	}
	return "raise"
}

// pastChanges are the shop's four weeks, by working days: settings turned,
// deployments, an infrastructure apply now and then; the deployment that went
// wrong and its rollback; and the decoys of the last minutes.
func pastChanges(now time.Time, r *rand.Rand) []map[string]any {
	var list []map[string]any
	n := 0
	add := func(at time.Time, e map[string]any) {
		n++
		e["id"] = fmt.Sprintf("past-%04d", n)
		e["occurred_at"] = at.UTC().Format("2006-01-02T15:04:05.000000Z")
		list = append(list, e)
	}
	people := []person{ana, ben, chen}
	turned := map[string]int{}
	version := 180
	deploy := func(at time.Time, what, reason string) {
		add(at, map[string]any{"action": map[string]any{"type": "create"}, "actor": deployer, "interface": "API", "zone": checkout,
			"resource": map[string]any{"product": "shop", "type": "deployment", "id": what, "name": what}, "after": map[string]any{"version": what},
			"reason": map[string]any{"text": reason, "url": fmt.Sprintf("https://git.shop.example/shop/pull/%d", version)}})
	}
	for day := weeks * 7; day > 0; day-- {
		morning := now.Add(-time.Duration(day) * 24 * time.Hour).Truncate(24 * time.Hour).Add(8 * time.Hour)
		if w := morning.Weekday(); w == time.Saturday || w == time.Sunday {
			continue
		}
		hour := func() time.Time { return morning.Add(time.Duration(r.IntN(9*3600)) * time.Second) }
		for range 2 + r.IntN(3) {
			k := knobs[r.IntN(len(knobs))]
			i := turned[k.id]
			turned[k.id] = i + 1
			value := func(i int) map[string]any {
				v := map[string]any{"value": k.values[i%len(k.values)]}
				if k.unit != "" {
					v["unit"] = k.unit
				}
				return v
			}
			add(hour(), map[string]any{"action": map[string]any{"type": k.action(i)}, "actor": people[r.IntN(3)].actor(), "interface": "UI", "zone": k.zone,
				"resource": map[string]any{"product": "shop", "type": "setting", "id": k.id, "name": k.name}, "before": value(i), "after": value(i + 1),
				"reason": map[string]any{"text": k.reasons[i%len(k.reasons)]}})
		}
		for range 1 + r.IntN(2) {
			version++
			deploy(hour(), fmt.Sprintf("2.%d.%d", version/10, version%10), []string{"Faster cart", "New payment provider library", "Fix rounding of taxes", "Dependencies"}[r.IntN(4)])
		}
		if day%7 == 3 {
			apply(add, hour(), fmt.Sprintf("apply-%d", 60+day), 4+r.IntN(9), "Weekly base images")
		}
	}
	began := now.Add(-lastIncident.before).Truncate(5 * time.Minute)
	version++
	deploy(began.Add(-50*time.Second), "2.99.0", "Retry failed payments twice")
	deploy(began.Add(lastIncident.lasted-10*time.Second), "2.98.9", "Rollback of 2.99.0: retries fill the pool")
	// The decoys: a large apply in another property, a change of another's.
	apply(add, now.Add(-6*time.Minute), "apply-214", 40, "Move the storefront's images to the new bucket")
	add(now.Add(-2*time.Minute), map[string]any{"action": map[string]any{"type": "update"}, "actor": ana.actor(), "interface": "UI", "zone": storefront,
		"resource": map[string]any{"product": "shop", "type": "setting", "id": "banner", "name": "maintenance banner"},
		"before":   map[string]any{"value": ""}, "after": map[string]any{"value": "Free shipping this weekend"}, "reason": map[string]any{"text": "Weekend campaign"}})
	return list
}

// apply is one run of an infrastructure tool: many changes, one change set.
func apply(add func(time.Time, map[string]any), at time.Time, set string, n int, why string) {
	kinds := []string{"bucket", "dns_record", "cache_rule", "load_balancer", "certificate"}
	for i := range n {
		kind := kinds[i%len(kinds)]
		name := fmt.Sprintf("%s.storefront_%d", kind, i/len(kinds)+1)
		add(at.Add(time.Duration(i)*150*time.Millisecond), map[string]any{"action": map[string]any{"type": "update"}, "actor": terraform, "interface": "API", "zone": storefront, "change_set": set,
			"resource": map[string]any{"product": "infrastructure", "type": "resource", "id": name, "name": name},
			"before":   map[string]any{"revision": 40 + i}, "after": map[string]any{"revision": 41 + i}, "reason": map[string]any{"text": why}})
	}
}
