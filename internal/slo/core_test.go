package slo

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/slo/tally"
)

func mustCompile(t testing.TB, spec ObjectiveSpec) *Objective {
	t.Helper()
	if spec.Name == "" {
		spec.Name = "checkout"
	}
	if spec.Match == (Match{}) {
		spec.Match.Zone = "shop"
	}
	o, err := compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	o.ID = "o"
	return o
}

// rig is an engine with one series and one objective on it.
type rig struct {
	*engine
	t  testing.TB
	at int64
}

const epoch = 1_764_028_800 // a midnight in UTC

func newRig(t testing.TB, spec ObjectiveSpec) *rig {
	r := &rig{newEngine(), t, epoch}
	r.watch(mustCompile(t, spec))
	return r
}

func (r *rig) watch(o *Objective) { r.engine.watch(o, r.AddSeries(r.at)) }

// run counts total requests a tick, a share of them bad, for some seconds. A
// share is counted exactly over time, not in every tick.
func (r *rig) run(seconds int64, total uint64, bad float64) {
	r.t.Helper()
	var done uint64
	for i := int64(1); i <= seconds/Tick; i++ {
		so := uint64(math.Floor(float64(i)*float64(total)*bad + 1e-9))
		if err := r.process([]sample{{At: r.at, ID: 0, Tally: Tally{Total: total, Bad: so - done}}}); err != nil {
			r.t.Fatal(err)
		}
		done = so
		r.at += Tick
	}
}

func (r *rig) taken() []string {
	var list []string
	for _, t := range r.transitions {
		list = append(list, fmt.Sprintf("%s %s %d", t.Pair, t.Event, t.At))
	}
	r.transitions = nil
	return list
}

// reset is after how many seconds without a further error the short window no
// longer fires: S x (1 - factor x (1-SLO) / e), where e is its ratio now.
func reset(p Pair, allowed share, short Tally) (seconds float64) {
	if short.Bad == 0 || short.Total == 0 {
		return 0
	}
	e := float64(short.Bad) / float64(short.Total)
	return max(0, float64(p.Short.Seconds())*(1-p.factor().times()*allowed.ratio()/e))
}

// The table of the SRE workbook's pairs at 99.9 %: when a constant ratio of
// errors fires, and after how long without errors it ends.
func TestDetectionAndResetAreThoseOfTheWorkbook(t *testing.T) {
	for _, c := range []struct {
		ratio     float64
		pair      string
		detection float64 // seconds, exact
		reset     float64
	}{
		{1, "1h/5m", 51.84, 295.68},
		{0.1, "1h/5m", 518.4, 256.8},
		{0.01, "6h/30m", 12_960, 720},
		{0.002, "3d/6h", 129_600, 10_800},
	} {
		r := newRig(t, ObjectiveSpec{Target: 99.9, Window: "30d"})
		r.run(4*86400, 1000, 0) // a clean start
		began := r.at
		r.run(int64(c.detection)+3600, 1000, c.ratio)
		if len(r.transitions) == 0 {
			t.Errorf("%v: nothing fired", c.ratio)
			continue
		}
		first := r.transitions[0]
		w := first.Pair.Long
		slack := c.detection*float64(tally.Levels[w.Level()].Size)/float64(w.Seconds()) + Tick
		if got := float64(first.At - began); first.Pair.String() != c.pair || got < c.detection || got > c.detection+slack {
			t.Errorf("%v: %s fired after %v s; want %s after %v to %v", c.ratio, first.Pair, got, c.pair, c.detection,
				c.detection+slack)
		}
		if math.Abs(float64(first.Began-began)) > float64(tally.Levels[w.Level()].Size) {
			t.Errorf("%v: began at %d, the errors at %d", c.ratio, first.Began, began)
		}
		if want, ok := detection(first.Pair, 10_000, c.ratio); !ok || math.Abs(want-c.detection) > 0.01 {
			t.Errorf("%v: closed form of the detection %v %v", c.ratio, want, ok)
		}
		full := Tally{Total: 1_000_000, Bad: uint64(c.ratio * 1_000_000)}
		if got := reset(first.Pair, 10_000, full); math.Abs(got-c.reset) > 0.01 {
			t.Errorf("%v: closed form of the reset %v, want %v", c.ratio, got, c.reset)
		}
		// A short window full of these errors, then none.
		r.run(first.Pair.Short.Seconds(), 1000, c.ratio)
		r.transitions = nil
		clean := r.at
		r.run(int64(c.reset)+900, 1000, 0)
		i := slices.IndexFunc(r.transitions, func(x Transition) bool { return x.Pair == first.Pair && x.Event == End })
		if i < 0 {
			t.Errorf("%v: it did not end", c.ratio)
			continue
		}
		slack = float64(tally.Levels[first.Pair.Short.Level()].Size) + Tick
		if got := float64(r.transitions[i].At - clean); got < c.reset || got > c.reset+slack {
			t.Errorf("%v: ended after %v s, want %v to %v", c.ratio, got, c.reset, c.reset+slack)
		}
	}
}

func TestBurnsThatAPairCannotSeeNeverFireIt(t *testing.T) {
	if _, ok := detection(standard[0], 10_000, 0.01); ok {
		t.Error("1h/5m sees 1 %")
	}
	r := newRig(t, ObjectiveSpec{Target: 99.9, Window: "30d"})
	r.run(4*86400, 1000, 0)
	r.run(86400, 1000, 0.002)
	if got := r.taken(); got != nil {
		t.Errorf("burn 2 fired within a day: %v", got)
	}
	r = newRig(t, ObjectiveSpec{Target: 99.9, Window: "30d", Pairs: StandardX2})
	r.run(4*86400, 1000, 0)
	from := r.at
	r.run(86400+3600, 1000, 0.0025)
	if len(r.transitions) == 0 || r.transitions[0].Pair.Factor != 2 {
		t.Errorf("standard+2x: %+v after %d", r.transitions, from)
	}
}

func TestAYoungLineIsTakenAsCleanBefore(t *testing.T) {
	r := newRig(t, ObjectiveSpec{Target: 99.9})
	r.run(1800, 1000, 1) // an outage from the first request on
	if got := r.taken(); len(got) != 1 || got[0] != fmt.Sprintf("1h/5m start %d", epoch+60) {
		t.Errorf("%v", got)
	}
}

func TestTheGuardIsTheSmallestCountThatIsNotChance(t *testing.T) {
	table := tables.of(10_000, 1e-6)
	for n, k := range map[uint64]uint64{10: 3, 30: 4, 50: 4, 70: 4, 100: 5, 300: 6} {
		if got := table.need(n); got != k {
			t.Errorf("n=%d: k=%d, want %d", n, got, k)
		}
	}
	if got := table.need(40_000); got != 0 {
		t.Errorf("past its end: %d", got)
	}
	// By adding up the whole distribution.
	for _, c := range []struct{ n, k uint64 }{{10, 3}, {1000, 9}, {300, 2}} {
		want := 0.0
		p := 0.001
		term := math.Pow(0.999, float64(c.n))
		for j := uint64(0); j <= c.n; j++ {
			if j >= c.k {
				want += term
			}
			term *= float64(c.n-j) / float64(j+1) * p / (1 - p)
		}
		if got := tail(c.n, c.k, p); math.Abs(got-want) > want*1e-6 {
			t.Errorf("P(Bin(%d) >= %d) = %v, want %v", c.n, c.k, got, want)
		}
	}
}

func TestThreeErrorsOfALittleSiteCouldBeChance(t *testing.T) {
	r := newRig(t, ObjectiveSpec{Target: 99.9})
	for i := range int64(200) { // a request a minute, three of them bad
		bad := uint64(0)
		if i == 150 || i == 152 || i == 155 {
			bad = 1
		}
		if err := r.process([]sample{{At: epoch + i*60, ID: 0, Tally: Tally{Total: 1, Bad: bad}}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.taken(); got != nil {
		t.Errorf("%v", got)
	}
	o := r.watches[0]
	sums := r.Sums(0, o.Window)
	s := &sums
	if need, held := o.need(&o.rules[0], s); !held || !above(s[H1], o.rules[0].factor(), o.allowed) {
		t.Errorf("need %d, held %v, %+v", need, held, s[H1])
	} else if got := heldText(s[H1], need, 0); got !=
		"3 of 61 requests failed; at this traffic 4 would be needed: three errors could be chance." {
		t.Error(got)
	}
}

func TestWhenABurnResolvesIsToldAsItWillBe(t *testing.T) {
	for _, c := range []struct {
		seconds int64
		ratio   float64
	}{{60, 0.6}, {600, 1}, {3600, 0.02}, {900, 0.1}} {
		r := newRig(t, ObjectiveSpec{Target: 99.95})
		r.run(86400, 1000, 0)
		r.run(c.seconds, 1000, c.ratio)
		w := r.watches[0]
		if w.pairs[0].state != firing {
			t.Fatalf("%+v does not fire", c)
		}
		for range 6 { // and as it counts down
			list, err := r.History(0, r.Clock()-2*M5.Seconds())
			if err != nil {
				t.Fatal(err)
			}
			want := r.Clock() + resolvesIn(list, w.rules[0], w.allowed, r.Clock())
			r.transitions = nil
			before := r.at
			r.run(60, 1000, 0)
			if i := slices.IndexFunc(r.transitions, func(x Transition) bool {
				return x.Event == End && x.Pair.Long == H1
			}); i >= 0 {
				if got := r.transitions[i].At; got != want {
					t.Errorf("%+v: ended at %d, told %d", c, got-before, want-before)
				}
				break
			}
			if r.Clock() > want {
				t.Errorf("%+v: told %d, and at %d it fires on", c, want-before, r.Clock()-before)
				break
			}
		}
	}
}

func TestSilenceKeepsAnAlertStanding(t *testing.T) {
	r := newRig(t, ObjectiveSpec{Target: 99.9})
	r.watch(mustCompile(t, ObjectiveSpec{Name: "other", Target: 99.9, Match: Match{Zone: "b"}}))
	r.run(7200, 1000, 0)
	r.run(300, 1000, 0.5)
	if got := r.taken(); len(got) != 1 {
		t.Fatalf("%v", got)
	}
	for range 360 { // an hour in which only the other zone has requests
		if err := r.process([]sample{{At: r.at, ID: 1, Tally: Tally{Total: 10, Bad: 0}}}); err != nil {
			t.Fatal(err)
		}
		r.at += Tick
	}
	if got := r.taken(); got != nil || r.watches[0].pairs[0].state != firing {
		t.Errorf("silence ended it: %v", got)
	}
	r.run(Tick, 1000, 0)
	if got := r.taken(); len(got) != 1 || got[0] != fmt.Sprintf("1h/5m end %d", r.at) {
		t.Errorf("good requests: %v", got)
	}
}

func TestAFasterPairTellsForTheSlowerOnes(t *testing.T) {
	r := newRig(t, ObjectiveSpec{Target: 99.95})
	r.run(4*86400, 1000, 0)
	r.run(1800, 1000, 0.6) // enough for all four
	r.run(8*3600, 1000, 0) // repaired
	var got []string
	for _, x := range r.transitions {
		got = append(got, x.Pair.String()+" "+x.Event)
	}
	if !slices.Equal(got, []string{"1h/5m start", "1h/5m end"}) {
		t.Errorf("%v", got)
	}
	// A lesser burn drains slowly from the short window: no second alert is sent.
	r = newRig(t, ObjectiveSpec{Target: 99.95})
	r.run(4*86400, 1000, 0)
	r.run(4*3600, 1000, 0.017)
	r.run(8*3600, 1000, 0)
	got = nil
	for _, x := range r.transitions {
		got = append(got, x.Pair.String()+" "+x.Event)
	}
	if !slices.Equal(got, []string{"1h/5m start", "1h/5m end"}) {
		t.Errorf("%v", got)
	}
	// Half repaired: the page ends, and the next pair reports the failures that remain.
	r = newRig(t, ObjectiveSpec{Target: 99.95})
	r.run(4*86400, 1000, 0)
	r.run(1800, 1000, 0.6)
	r.run(2*3600, 1000, 0.005) // 10 times
	got = nil
	for _, x := range r.transitions {
		got = append(got, x.Pair.String()+" "+x.Event)
	}
	if !slices.Equal(got, []string{"1h/5m start", "1h/5m end", "6h/30m start"}) {
		t.Errorf("%v", got)
	}
}

func TestAPeriodOfTheCalendarBeginsAnew(t *testing.T) {
	for _, c := range []struct {
		window string
		ends   time.Time
		length int64 // days
	}{
		{"week", time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC), 7}, // a Monday
		{"month", time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), 31},
		{"quarter", time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), 92},
	} {
		r := newRig(t, ObjectiveSpec{Target: 99.9, Window: c.window})
		window := r.watches[0].Window
		r.at = c.ends.Unix() - 4*3600
		r.run(4*3600, 10, 0.001)
		if got := r.Sums(0, window).Budget(); got != (Tally{Total: 14_400, Bad: 14}) {
			t.Errorf("%s: before its end %+v", c.window, got)
		}
		r.run(Tick, 10, 0)
		if got := r.Sums(0, window).Budget(); got != (Tally{Total: 10, Bad: 0}) {
			t.Errorf("%s: in the next one %+v", c.window, got)
		}
		// A late count of the period before does not count for this one.
		if err := r.process([]sample{{At: r.at - 3600, ID: 0, Tally: Tally{Total: 5, Bad: 5}}}); err != nil {
			t.Fatal(err)
		}
		if got := r.Sums(0, window); got.Budget() != (Tally{Total: 10, Bad: 0}) || got[H2].Bad < 5 {
			t.Errorf("%s: late %+v", c.window, got)
		}
		from, to := window.PeriodOf(c.ends.Unix())
		if to != c.ends.Unix() || to-from != c.length*86_400 {
			t.Errorf("%s: from %d to %d", c.window, from, to)
		}
	}
}

// TestALongPeriodIsTheSumOfItsDays counts evenly for 100 days.
func TestALongPeriodIsTheSumOfItsDays(t *testing.T) {
	for window, days := range map[string]uint64{"7d": 7, "28d": 28, "31d": 31, "32d": 32, "45d": 45, "90d": 90} {
		r := newRig(t, ObjectiveSpec{Target: 99.9, Window: window})
		for range 100 * 24 {
			if err := r.process([]sample{{At: r.at, Tally: Tally{Total: 1000, Bad: 1}}}); err != nil {
				t.Fatal(err)
			}
			r.at += 3600
		}
		if err := r.advance(r.at); err != nil {
			t.Fatal(err)
		}
		o := r.watches[0]
		if got := r.Sums(0, o.Window).Budget(); got != (Tally{Total: 24_000 * days, Bad: 24 * days}) {
			t.Errorf("%s: %+v", window, got)
		}
		if o.Window.Seconds() != int64(days)*86_400 || o.Window.String() != window {
			t.Errorf("%s: %s has %d s", window, o.Window, o.Window.Seconds())
		}
	}
}

func TestReadingsOfEveryPeriodAreStored(t *testing.T) {
	for _, name := range []string{"28d", "30d", "month", "7d", "90d", "week", "quarter"} {
		var w Window
		if err := w.UnmarshalText([]byte(name)); err != nil {
			t.Fatal(err)
		}
		want := windowSums{M5: {Total: 3, Bad: 1}, D28: {Total: 1 << 40, Bad: 9}}
		if got, err := decodeSums(w, encodeSums(w, &want)); err != nil || got != want {
			t.Errorf("%s: %v %+v", name, err, got)
		}
	}
	// As released versions wrote it: seven windows, 28d, 30d and month.
	const text = "[[1,1],[2,1],[3,1],[4,1],[5,1],[6,1],[7,1],[8,1],[9,1],[10,1]]"
	for w, total := range map[Window]uint64{D28: 8, D30: 9, Month: 10} {
		if got, err := decodeSums(w, text); err != nil || got.Budget().Total != total || got[D3].Total != 7 {
			t.Errorf("%s: %v %+v", w, err, got)
		}
	}
}

func TestTheBudgetWeighsRequestsAndTellsWhenItIsGone(t *testing.T) {
	b := budgetOf(D30, Tally{Total: 1_000_000, Bad: 500}, 10_000, epoch)
	if b.Left != 0.5 {
		t.Errorf("left %v", b.Left)
	}
	if s, ok := b.exhaustion(2); !ok || s != 30*86400/4 {
		t.Errorf("half of it at burn 2 lasts %d", s)
	}
	if s, ok := (budget{1, 30 * 86400}).exhaustion(2); !ok || s != 15*86400 {
		t.Errorf("all of it at burn 2 lasts %d", s)
	}
	if _, ok := b.exhaustion(0); ok {
		t.Error("it shrinks without errors")
	}
	if s, ok := (budget{-1, 100}).exhaustion(1); !ok || s != 0 {
		t.Error("it is gone")
	}
	// Ten days of November at burn 3: all that the month allows.
	if b := budgetOf(Month, Tally{Total: 1000, Bad: 3}, 10_000,
		time.Date(2026, 11, 11, 0, 0, 10, 0, time.UTC).Unix()); math.Abs(b.Left) > 1e-4 {
		t.Errorf("month %v", b)
	}
}

func TestASpreadCountStaysWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		at, seconds := epoch+rng.Int64N(1000), 1+rng.Int64N(4000)
		total := rng.Uint64N(50)
		if rng.IntN(4) == 0 {
			total = rng.Uint64N(1 << 62)
		}
		bad := rng.Uint64N(total + 1)
		list := spread(at, seconds, Tally{Total: total, Bad: bad}, 7, nil)
		var sum Tally
		last := int64(-1)
		for _, p := range list {
			if p.Bad > p.Total || p.Total == 0 || p.At%Tick != 0 || p.At <= last || p.At < tally.AlignDown(at, Tick) ||
				p.At >= at+seconds || p.ID != 7 {
				t.Fatalf("count of %d s at %d: piece %+v", seconds, at, p)
			}
			last = p.At
			sum.Add(p.Tally)
		}
		if sum != (Tally{Total: total, Bad: bad}) || len(list) > maxSamples {
			t.Fatalf("%d pieces, %+v of %d, %d", len(list), sum, total, bad)
		}
	}
}

// TestTheMemoryOfAMonitoredOrigin is that of a slot of the index: no further memory is kept for an origin that answers.
func TestTheMemoryOfAMonitoredOrigin(t *testing.T) {
	const origins = 1 << 17
	s := newShardState(0)
	s.AddSeries(epoch)
	for i := range origins {
		name := originName{fmt.Sprint("account", i/maxAccountOrigins), "zone", fmt.Sprint("203.0.113.7:", i)}
		if s.answers.note(s.originKey(name), name, epoch) {
			t.Fatalf("%d: no place", i)
		}
	}
	s.originsStored()
	if n := float64(s.answers.ticks.Bytes()) / origins; n > 16/.75*2 || n < 16 {
		t.Errorf("%.1f bytes an origin", n)
	}
	if len(s.answers.changed)+len(s.origins.outages) != 0 {
		t.Errorf("%d changes, %d outages", len(s.answers.changed), len(s.origins.outages))
	}
	name := originName{"account0", "zone", "one more"}
	if !s.answers.note(s.originKey(name), name, epoch) {
		t.Error("an account has no limit")
	}
}
