package demo

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/belfryhq/belfry/examples/shop"
)

// person is an employee of the shop.
type person struct{ ID, Name, Email string }

// The shop's employees. Their changes are invented; the requests of the old site and the history of the other account
// are real.
var (
	ana  = person{"ana", "Ana Lima", "ana@shop.example"}
	ben  = person{"ben", "Ben Okafor", "ben@shop.example"}
	chen = person{"chen", "Chen Wei", "chen@shop.example"}
)

func (p person) actor() map[string]any {
	return map[string]any{"type": "user", "id": p.ID, "name": p.Name, "email": p.Email}
}

// Actors that are programs.
var (
	deployer = map[string]any{
		"type":         "integration",
		"id":           "ci",
		"name":         "Deploys",
		"on_behalf_of": map[string]any{"type": "user", "id": ben.ID, "email": ben.Email},
	}
	terraform = map[string]any{
		"type":         "token",
		"id":           "terraform",
		"token_name":   "terraform",
		"on_behalf_of": map[string]any{"type": "user", "id": chen.ID, "email": chen.Email},
	}
)

// knob is a setting that employees change. Its changes follow each other, and the last returns to the first value.
type knob struct {
	id, name, zone, unit string
	start                any // the shop's default
	turns                []knobTurn
}

// knobTurn is one change of a knob, with its reason.
type knobTurn struct {
	to     any
	reason string
}

var knobs = []knob{
	{"payment_timeout", "payment timeout", checkout, "ms", 3000, []knobTurn{
		{2500, "The provider has become faster"},
		{3000, "The provider has become slower again"},
		{4000, "A sale today: give slow payments time"},
		{3000, "The sale is over"},
	}},
	{"free_shipping", "free-shipping threshold", storefront, "EUR", 50, []knobTurn{
		{45, "Autumn campaign"},
		{50, "The campaign is over"},
		{60, "Finance: postage went up"},
		{50, "Too many carts were left at 60"},
	}},
	{"checkout_button", "checkout button text", storefront, "", "Buy now", []knobTurn{
		{"Pay", "A/B test 31: a shorter text"},
		{"Place order", "Legal review: the button must say that it orders"},
		{"Buy now", "A/B test 32: more orders"},
	}},
	{"banner", "maintenance banner", storefront, "", "", []knobTurn{
		{"We are taking stock: orders leave a day later", "Stocktaking"},
		{"", "Stocktaking is done"},
		{"New glazes are here", "Launch of the new season"},
		{"", "The launch is over"},
	}},
}

// past generates the changes in order of time, so that each begins with the value that the previous one set.
type past struct {
	events  []map[string]any
	shop    []shop.PastChange // the settings among them, for the shop's own page
	at      time.Time         // of the newest
	turned  map[string]int    // turns of each knob
	held    map[string]any    // present values of the settings
	version int               // of the shop's software: 2.18.1 is 181
	applied map[string]int    // revision of each piece of infrastructure
	r       *rand.Rand
}

// add appends an event. An event that is older than the previous one is a defect of the demo.
func (p *past) add(at time.Time, e map[string]any) string {
	if at.Before(p.at) {
		panic(fmt.Sprintf("the demo's past goes from %v back to %v", p.at, at))
	}
	p.at = at
	id := fmt.Sprintf("past-%04d", len(p.events)+1)
	e["id"], e["occurred_at"] = id, at.UTC().Format("2006-01-02T15:04:05.000000Z")
	p.events = append(p.events, e)
	return id
}

// set changes a setting.
func (p *past) set(at time.Time, k knob, who person, to any, reason string) {
	before, ok := p.held[k.id]
	if !ok {
		before = k.start
	}
	if before == to {
		return
	}
	p.held[k.id] = to
	action := "update"
	if n, number := before.(int); number && to.(int) < n {
		action = "lower"
	} else if number {
		action = "raise"
	}
	content := func(value any) map[string]any {
		v := map[string]any{"value": value}
		if k.unit != "" {
			v["unit"] = k.unit
		}
		return v
	}
	id := p.add(at, map[string]any{
		"action":    map[string]any{"type": action},
		"actor":     who.actor(),
		"interface": "UI",
		"zone":      k.zone,
		"resource":  map[string]any{"product": "shop", "type": "setting", "id": k.id, "name": k.name},
		"before":    content(before),
		"after":     content(to),
		"reason":    map[string]any{"text": reason},
	})
	p.shop = append(p.shop, shop.PastChange{
		ID:      id,
		At:      at,
		Setting: k.id,
		Before:  fmt.Sprint(before),
		After:   fmt.Sprint(to),
		Name:    who.Name,
		Email:   who.Email,
		Reason:  reason,
	})
}

// turn applies the next change of a setting.
func (p *past) turn(at time.Time, k knob) {
	next := k.turns[p.turned[k.id]%len(k.turns)]
	p.turned[k.id]++
	p.set(at, k, []person{ana, ben, chen}[p.r.IntN(3)], next.to, next.reason)
}

// deploy adds the deployment of a version of the shop's software.
func (p *past) deploy(at time.Time, version int, reason string) {
	name := fmt.Sprintf("2.%d.%d", version/10, version%10)
	p.add(at, map[string]any{
		"action":    map[string]any{"type": "create"},
		"actor":     deployer,
		"interface": "API",
		"zone":      checkout,
		"resource":  map[string]any{"product": "shop", "type": "deployment", "id": name, "name": name},
		"after":     map[string]any{"version": name},
		"reason":    map[string]any{"text": reason, "url": fmt.Sprintf("https://git.shop.example/shop/pull/%d", version)},
	})
}

// apply adds one run of an infrastructure tool: many changes, one change set.
func (p *past) apply(at time.Time, set string, n int, why string) {
	kinds := []string{"bucket", "dns_record", "cache_rule", "load_balancer", "certificate"}
	for i := range n {
		kind := kinds[i%len(kinds)]
		name := fmt.Sprintf("%s.storefront_%d", kind, i/len(kinds)+1)
		before := 40 + i + p.applied[name]
		p.applied[name]++
		p.add(at.Add(time.Duration(i)*150*time.Millisecond), map[string]any{
			"action":     map[string]any{"type": "update"},
			"actor":      terraform,
			"interface":  "API",
			"zone":       storefront,
			"change_set": set,
			"resource":   map[string]any{"product": "infrastructure", "type": "resource", "id": name, "name": name},
			"before":     map[string]any{"revision": before},
			"after":      map[string]any{"revision": before + 1},
			"reason":     map[string]any{"text": why},
		})
	}
}

// act is a change at a time.
type act struct {
	at time.Time
	do func(at time.Time)
}

// pastChanges returns the shop's changes of four weeks, on working days: changed settings, deployments, sometimes an
// infrastructure apply; the deployment that failed and its rollback; and the decoys of the last minutes.
func pastChanges(now time.Time, r *rand.Rand) *past {
	p := &past{turned: map[string]int{}, held: map[string]any{}, applied: map[string]int{}, version: 180, r: r}
	var acts []act
	plan := func(at time.Time, do func(time.Time)) { acts = append(acts, act{at, do}) }
	upgrades := []string{"Faster cart", "New payment provider library", "Fix rounding of taxes", "Dependencies"}
	for day := weeks * 7; day > 0; day-- {
		morning := now.Add(-time.Duration(day) * 24 * time.Hour).Truncate(24 * time.Hour).Add(8 * time.Hour)
		if w := morning.Weekday(); w == time.Saturday || w == time.Sunday {
			continue
		}
		hour := func() time.Time { return morning.Add(time.Duration(r.IntN(9*3600)) * time.Second) }
		for range 2 + r.IntN(3) {
			k := knobs[r.IntN(len(knobs))]
			plan(hour(), func(at time.Time) { p.turn(at, k) })
		}
		for range 1 + r.IntN(2) {
			why := upgrades[r.IntN(len(upgrades))]
			plan(hour(), func(at time.Time) { p.version++; p.deploy(at, p.version, why) })
		}
		if day%7 == 3 {
			size := 4 + r.IntN(9)
			plan(hour(), func(at time.Time) { p.apply(at, fmt.Sprintf("apply-%d", 213-day/7), size, "Weekly base images") })
		}
	}
	began := lastIncident.began(now)
	plan(began.Add(-50*time.Second), func(at time.Time) { p.deploy(at, p.version+1, "Retry failed payments twice") })
	plan(began.Add(lastIncident.lasted-10*time.Second), func(at time.Time) {
		p.deploy(at, p.version, "Rollback: the retries fill the pool of connections")
		p.version++ // the number of the bad one is not used again
	})
	slices.SortStableFunc(acts, func(a, b act) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	for _, a := range acts {
		// A run of many changes takes seconds; changes that were planned in this time follow it.
		at := a.at
		if at.Before(p.at) {
			at = p.at.Add(time.Second)
		}
		a.do(at)
	}
	p.end(now)
	return p
}

// end resets the timeout to its default, from which the story lowers it, and adds the decoys of the last minutes: a
// large apply in another property, a change of another setting.
func (p *past) end(now time.Time) {
	timeout, banner := knobs[0], knobs[3]
	decoys := now.Add(-6 * time.Minute)
	p.set(p.at.Add(decoys.Sub(p.at)/2), timeout, ana, timeout.start, "Back to the default")
	p.apply(decoys, "apply-214", 40, "Move the storefront's images to the new bucket")
	p.set(now.Add(-2*time.Minute), banner, ana, "Free shipping this weekend", "Weekend campaign")
}
