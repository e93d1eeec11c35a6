package traffic_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/traffic"
)

func TestABatchIsSplitByZoneInItsOrder(t *testing.T) {
	var in []traffic.ResolvedCount
	for i := range 9000 {
		in = append(in, traffic.ResolvedCount{
			Account: "a",
			Zone:    fmt.Sprint("zone-", i%3),
			Count:   event.Count{At: int64(i), Seconds: 10, Total: 1, Hostname: strings.Repeat("h", i%20)},
		})
	}
	msgs, err := traffic.Shard("batch", in, 16)
	if err != nil {
		t.Fatal(err)
	}
	last, ids := map[string]int64{}, map[string]bool{}
	total := 0
	for i, one := range decode[event.Traffic](t, msgs) {
		m := msgs[i]
		if len(one.Counts) > 2000 || len(m.Value) > 1<<20 || m.Topic != event.TopicTrafficSharded ||
			string(m.Key) != one.Zone || *m.Partition != traffic.Partition(one.Zone, 16) {
			t.Errorf("%d counts, %d bytes, %s, key %s, partition %d",
				len(one.Counts), len(m.Value), m.Topic, m.Key, *m.Partition)
		}
		if ids[one.ID] || len(one.ID) != 32 || one.Account != "a" {
			t.Errorf("id %q, account %q", one.ID, one.Account)
		}
		ids[one.ID] = true
		for _, c := range one.Counts {
			total++
			if before, seen := last[one.Zone]; seen && c.At <= before {
				t.Fatalf("%s: %d after %d", one.Zone, c.At, before)
			}
			last[one.Zone] = c.At
		}
	}
	if total != len(in) || len(msgs) != 6 {
		t.Errorf("%d counts in %d messages, want %d in 6", total, len(msgs), len(in))
	}
	again, err := traffic.Shard("batch", in, 16)
	if err != nil {
		t.Fatal(err)
	}
	other, err := traffic.Shard("another", in, 16)
	if err != nil {
		t.Fatal(err)
	}
	for i := range msgs {
		if string(again[i].Value) != string(msgs[i].Value) {
			t.Error("the same batch gave another message")
		}
		if string(other[i].Value) == string(msgs[i].Value) {
			t.Error("another batch gave the same id")
		}
	}
}

func TestAMessageOfLongNamesFitsABroker(t *testing.T) {
	name := strings.Repeat("\u2028", 85) // JSON writes six bytes for three
	var in []traffic.ResolvedCount
	for i := range 4000 {
		in = append(in, traffic.ResolvedCount{
			Account: "a",
			Zone:    "z",
			Count:   event.Count{At: int64(i), Total: 1, Origin: name, Hostname: name},
		})
	}
	msgs, err := traffic.Shard("b", in, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range msgs {
		if len(m.Value) > 900<<10 || *m.Partition != 0 {
			t.Errorf("%d bytes to partition %d", len(m.Value), *m.Partition)
		}
	}
}

func TestZonesSpreadOverThePartitions(t *testing.T) {
	used := map[int32]int{}
	for i := range 1600 {
		p := traffic.Partition(fmt.Sprintf("0192f7c417d170008000%012d", i), 16)
		if p < 0 || p > 15 {
			t.Fatalf("partition %d", p)
		}
		used[p]++
	}
	for p := range int32(16) {
		if used[p] < 40 {
			t.Errorf("partition %d has %d of 1600 zones", p, used[p])
		}
	}
}
