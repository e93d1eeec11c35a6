package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
)

// generator makes events such as products publish: about 490 bytes, an id of
// the publisher's (so that every event is looked up), five committed fields, a
// small before and after. The same seed makes the same events, but for ids.
type generator struct {
	accounts []string
	zipf     *rand.Zipf // over accounts; nil = the first
	people   *rand.Zipf
	rng      *rand.Rand
	n        uint64
	at       func(n uint64) time.Time
}

// The values that reads ask for.
const (
	rareEvery    = 1_000_003  // one event in so many is by rareActor
	rareActor    = "rare"     // a few in ten million
	oftenProduct = "product0" // a quarter of all
	resources    = 50_000
)

var actions = []string{"update", "create", "delete", "login", "member.invite", "token.create", "purge", "export"}
var interfaces = []string{"UI", "API", "API", "API", "UI", "SYSTEM", "UI", "API", "UI", "CLI"}

func newGenerator(seed uint64, accounts []string, at func(uint64) time.Time) *generator {
	g := &generator{accounts: accounts, rng: rand.New(rand.NewPCG(seed, 1)), at: at, n: seed}
	g.people = rand.NewZipf(g.rng, 1.1, 4, 2000)
	if len(accounts) > 1 {
		g.zipf = rand.NewZipf(g.rng, 1.1, 8, uint64(len(accounts)-1))
	}
	return g
}

// account draws one.
func (g *generator) account() string {
	if g.zipf == nil {
		return g.accounts[0]
	}
	return g.accounts[g.zipf.Uint64()]
}

// next appends one event to b and gives its account.
func (g *generator) next(b []byte) ([]byte, string) {
	g.n++
	account := g.account()
	r := g.rng.Uint64()
	person := strconv.FormatUint(g.people.Uint64(), 10)
	actor := "user-" + person
	if g.n%rareEvery == 0 {
		actor = rareActor
	}
	product := 0
	if r&3 != 0 {
		product = 1 + int(r>>2)%11
	}
	u := id.At(time.Now())
	b = append(b, `{"id":"`...)
	b = append(b, u[:8]...)
	for _, cut := range [][2]int{{8, 12}, {12, 16}, {16, 20}, {20, 32}} {
		b = append(append(b, '-'), u[cut[0]:cut[1]]...)
	}
	b = append(append(b, `","account_id":"`...), account...)
	b = g.at(g.n).UTC().AppendFormat(append(b, `","occurred_at":"`...), "2006-01-02T15:04:05.000000Z")
	b = append(append(b, `","action":{"type":"`...), actions[int(r>>8)%len(actions)]...)
	b = append(append(b, `","result":"success"},"actor":{"type":"user","id":"`...), actor...)
	b = append(append(b, `","email":"person`...), person...)
	b = append(append(b, `@customer.example","ip_address":"203.0.113.`...), strconv.Itoa(int(r>>16)&127)...)
	b = append(append(b, `"},"interface":"`...), interfaces[int(r>>24)%len(interfaces)]...)
	b = append(append(b, `","resource":{"product":"product`...), strconv.Itoa(product)...)
	b = append(append(b, `","type":"setting","id":"`...), resource(int(r>>32)%resources)...)
	b = append(b, `"},"before":{"value":`...)
	b = strconv.AppendUint(b, r>>40&1023, 10)
	b = append(b, `,"mode":"strict"},"after":{"value":`...)
	b = strconv.AppendUint(b, r>>50&1023, 10)
	b = append(b, `,"mode":"strict"},"metadata":{"ticket":"OPS-`...)
	b = strconv.AppendUint(b, r>>44&65535, 10)
	return append(b, `"}}`...), account
}

func resource(n int) string { return fmt.Sprintf("setting-%05d", n) }

// present is the clock of ingest rows.
func present(uint64) time.Time { return time.Now() }

// past spreads total events over the 90 days before now, slightly out of order.
func past(total int, first uint64) func(uint64) time.Time {
	begin := time.Now().Add(-90 * 24 * time.Hour)
	step := 90 * 24 * time.Hour / time.Duration(max(total, 1))
	return func(n uint64) time.Time {
		jitter := time.Duration(n*2654435761%5000) * time.Millisecond
		return begin.Add(time.Duration(n-first)*step - jitter)
	}
}
