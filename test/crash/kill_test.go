package crash_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
)

// TestAKilledServerKeepsWhatItAcknowledged kills a server that keeps everything on this
// machine (SQLite, the embedded broker) again and again, under load on all on-ramps.
func TestAKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	n := kills(t)
	brokers, token := freeAddress(t), id.Secret(40)
	p := newProcess(t, token, "BELFRY_KAFKA_LISTEN="+brokers)
	c, a := newClient(token, p), newAckLog()
	p.start()
	p.waitReady()
	accounts := newAccounts(t, c, 3)
	x := newAuditor(t, c, a, accounts)
	l := startLoad(t, c, a, accounts, brokers, 40*time.Millisecond)

	var slowest, total time.Duration
	var early int
	progress := time.Now()
	for i := range n {
		if rand.IntN(8) > 0 {
			took := p.waitReady()
			slowest, total = max(slowest, took), total+took
			x.look()
			wait(t.Context(), rand.N(500*time.Millisecond))
		} else { // killed while it recovers from the kill before
			early++
			wait(t.Context(), rand.N(100*time.Millisecond))
		}
		p.kill()
		p.start()
		if time.Since(progress) > 10*time.Second || i == n-1 {
			progress = time.Now()
			http, bus, _ := a.count()
			t.Logf("%d of %d kills, %d while starting; %d events over HTTP, %d over Kafka acknowledged; slowest start "+
				"%s, mean %s",
				i+1, n, early, http, bus, slowest.Round(time.Millisecond),
				(total / time.Duration(max(1, i+1-early))).Round(time.Millisecond))
		}
	}
	took := p.waitReady()
	slowest = max(slowest, took)
	l.stop()
	x.finish()
	if r, status := c.readiness(t); status != 200 || !r.Ready {
		t.Errorf("after the last start it is not ready: %+v", r)
	}
	t.Logf("%d kills, slowest start %s", n, slowest.Round(time.Millisecond))
	p.stop()
}
