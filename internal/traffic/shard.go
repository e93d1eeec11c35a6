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

// ResolvedCount is a count whose account and zone are ids.
type ResolvedCount struct {
	Account, Zone string
	Count         event.Count
}

// zoneMessage is the message of a zone that is being filled.
type zoneMessage struct {
	event.Traffic
	bytes  int
	number int // of the batch's messages for this zone
}

// Shard groups the counts of one batch by zone, in their order, into messages for
// the topic of sharded traffic. The id of a message is made of the batch's id, the
// zone and the message's number: the same batch gives the same messages again.
func Shard(batchID string, counts []ResolvedCount, partitions int) ([]bus.Message, error) {
	type zoneKey struct{ account, id string }
	groups := map[zoneKey]*zoneMessage{}
	var order []*zoneMessage
	var msgs []bus.Message
	send := func(m *zoneMessage) error {
		m.ID = messageID(batchID, m.Account, m.Zone, fmt.Sprint(m.number))
		value, err := json.Marshal(m.Traffic)
		if err != nil {
			return err
		}
		p := Partition(m.Zone, partitions)
		msgs = append(msgs, bus.Message{
			Topic:     event.TopicTrafficSharded,
			Key:       []byte(m.Zone),
			Value:     value,
			Partition: &p,
		})
		m.Counts = nil
		m.bytes = 0
		m.number++
		return nil
	}

	for _, c := range counts {
		key := zoneKey{c.Account, c.Zone}
		m := groups[key]
		if m == nil {
			m = &zoneMessage{Traffic: event.Traffic{Account: c.Account, Zone: c.Zone}}
			groups[key] = m
			order = append(order, m)
		}
		// JSON escapes make a text at most six times as long.
		size := 160 + 6*(len(c.Count.Origin)+len(c.Count.Hostname)+len(c.Count.PathClass)+len(c.Count.SLI))
		if len(m.Counts) == messageCounts || m.bytes+size > messageBytes {
			if err := send(m); err != nil {
				return nil, err
			}
		}
		m.Counts = append(m.Counts, c.Count)
		m.bytes += size
	}
	for _, m := range order {
		if err := send(m); err != nil {
			return nil, err
		}
	}
	return msgs, nil
}

// Partition is the partition of a zone. All of its traffic is on one, because it is
// summed up in one place.
func Partition(zoneID string, partitions int) int32 {
	h := fnv.New32a()
	h.Write([]byte(zoneID))
	return int32(h.Sum32() % uint32(partitions))
}

// messageID makes an id of 32 hexadecimal digits from parts.
func messageID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
