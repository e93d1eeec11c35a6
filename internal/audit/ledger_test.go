package audit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/platform/db"
)

const accountA = "0192f7c417d170008000000000000001"

func sources() audit.Sources {
	return audit.Sources{
		Rules:   func(context.Context, string) (*audit.Rules, error) { return nil, nil },
		Zone:    func(context.Context, string, string) (string, string, error) { return "", "", nil },
		Account: func(_ context.Context, ref string) (string, error) { return ref, nil },
	}
}

func TestBench(t *testing.T) {
	d, err := db.Open(t.Context(), db.Config{Feature: "audit", DataDir: t.TempDir(), Schemas: []db.Schema{audit.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l := audit.NewLedger(d, time.Now, nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go l.Run(ctx)
	in := audit.NewIntake(sources(), time.Now)
	for round := range 10 {
		var prep, app time.Duration
		n := 0
		for range 5 {
			t0 := time.Now()
			var ps []*audit.Pending
			for i := range 4000 {
				acc := fmt.Sprintf("0192f7c417d17000800000000000%04x", (i*i)%3000)
				ev := fmt.Sprintf(`{"id":"e%d-%d-%d","action":{"type":"update"},"actor":{"type":"user","id":"u%d","email":"ana@example.com","ip_address":"192.0.2.7"},"resource":{"product":"dns","type":"record","id":"r%d","name":"www"},"interface":"UI","before":{"ttl":300,"content":"192.0.2.1"},"after":{"ttl":60,"content":"192.0.2.1"},"request":{"id":"8f0","method":"PATCH","uri":"/client/v4/zones/x/dns_records/y","user_agent":"curl/8"},"metadata":{"a":1}}`, round, n, i, i%50, i)
				p, err := in.Prepare(ctx, audit.Origin{Account: acc, By: audit.Submitter{Type: "token", ID: "t"}, Interface: "API"}, []byte(ev), [32]byte{})
				if err != nil || p.Status == audit.Rejected {
					t.Fatal(err, p.Faults)
				}
				ps = append(ps, p)
			}
			n++
			t1 := time.Now()
			if err := l.Append(ctx, ps, nil); err != nil {
				t.Fatal(err)
			}
			for _, p := range ps {
				if p.Status != audit.Accepted {
					t.Fatal(p.Status, p.Faults)
				}
			}
			prep += t1.Sub(t0)
			app += time.Since(t1)
		}
		t.Logf("prepare %v/event, append %v/event", prep/20000, app/20000)
	}
}
