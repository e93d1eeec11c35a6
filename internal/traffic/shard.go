package traffic

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
)

// Bounds of one message of the topic of sharded traffic.
const (
	messageCounts = 2000
	messageBytes  = 512 << 10 // a broker takes batches of 1 MiB
)

// Located is a count whose account and zone are known.
type Located struct {
	Account, Zone string // ids
	Count         event.Count
}

// Split groups the counts of one batch by zone, in their order, into messages
// for the topic of sharded traffic. A message's id is made of the batch's, the
// zone and its number in it: the same batch gives the same messages again.
func Split(batch string, counts []Located, partitions int) ([]bus.Message, error) {
	type zone struct{ account, id string }
	type open struct {
		event.Traffic
		bytes, number int
	}
	groups := map[zone]*open{}
	var order []zone
	var msgs []bus.Message
	send := func(z zone, g *open) error {
		g.ID = digest(batch, z.account, z.id, fmt.Sprint(g.number))
		value, err := json.Marshal(g.Traffic)
		if err != nil {
			return err
		}
		p := Partition(z.id, partitions)
		msgs = append(msgs, bus.Message{Topic: event.TopicTrafficSharded, Key: []byte(z.id), Value: value, Partition: &p})
		g.Counts, g.bytes, g.number = nil, 0, g.number+1
		return nil
	}
	for _, l := range counts {
		z := zone{l.Account, l.Zone}
		g := groups[z]
		if g == nil {
			g = &open{Traffic: event.Traffic{Account: l.Account, Zone: l.Zone}}
			groups[z] = g
			order = append(order, z)
		}
		// What JSON escapes grows sixfold at most.
		size := 160 + 6*(len(l.Count.Origin)+len(l.Count.Hostname)+len(l.Count.PathClass)+len(l.Count.SLI))
		if len(g.Counts) == messageCounts || g.bytes+size > messageBytes {
			if err := send(z, g); err != nil {
				return nil, err
			}
		}
		g.Counts, g.bytes = append(g.Counts, l.Count), g.bytes+size
	}
	for _, z := range order {
		if err := send(z, groups[z]); err != nil {
			return nil, err
		}
	}
	return msgs, nil
}

// Partition is where a zone's traffic goes: all of it to one partition, since
// its sums are needed together.
func Partition(zoneID string, partitions int) int32 {
	h := fnv.New32a()
	h.Write([]byte(zoneID))
	return int32(h.Sum32() % uint32(partitions))
}

// digest makes an id of 32 hexadecimal digits from parts.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
