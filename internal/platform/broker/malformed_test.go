package broker_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
)

// A panic in kfake would end the whole process, so that requests which pass the
// gate are tried with damaged bodies. The seed is fixed; a fault repeats.
func TestRequestsWithDamagedBodiesDoNotEndTheProcess(t *testing.T) {
	b := started(t, broker.Config{Listen: "127.0.0.1:0", Topics: []bus.Topic{{Name: "a"}}})
	dice := rand.New(rand.NewPCG(1, 2))
	keys := []kmsg.Key{kmsg.Produce, kmsg.Fetch, kmsg.ListOffsets, kmsg.Metadata, kmsg.OffsetCommit, kmsg.OffsetFetch,
		kmsg.FindCoordinator,
		kmsg.JoinGroup, kmsg.Heartbeat, kmsg.LeaveGroup, kmsg.SyncGroup, kmsg.DescribeGroups, kmsg.ListGroups,
		kmsg.SASLHandshake, kmsg.ApiVersions,
		kmsg.InitProducerID, kmsg.OffsetForLeaderEpoch, kmsg.DescribeConfigs, kmsg.SASLAuthenticate, kmsg.DescribeCluster,
		kmsg.ConsumerGroupHeartbeat,
		kmsg.ConsumerGroupDescribe, kmsg.DescribeTopicPartitions}
	for range 600 {
		req := kmsg.RequestForKey(int16(keys[dice.IntN(len(keys))]))
		req.SetVersion(int16(dice.IntN(int(req.MaxVersion()) + 1)))
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(3 * time.Millisecond)) // some are held until more comes, as a fetch is
		conn.Write(damaged(dice, req))
		conn.Read(make([]byte, 64))
		conn.Close()
	}
	numbered(t, outside(b), "a", 0, 3)
}

// damaged is a request whose body has a few wrong bytes, or is noise.
func damaged(dice *rand.Rand, req kmsg.Request) []byte {
	body := []byte{0, 1, 'x'} // the client's id
	if req.IsFlexible() {
		body = append(body, 0)
	}
	if from := len(body); dice.IntN(2) == 0 {
		body = req.AppendTo(body)
		for range dice.IntN(4) {
			if len(body) > from {
				body[from+dice.IntN(len(body)-from)] = byte(dice.Uint32())
			}
		}
	} else {
		likely := []byte{0, 0, 0, 1, 1, 2, 'a', 255, byte(dice.Uint32())}
		for range dice.IntN(60) {
			body = append(body, likely[dice.IntN(len(likely))])
		}
	}
	body = append(body, make([]byte, dice.IntN(200))...)
	p := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	p = binary.BigEndian.AppendUint16(p, uint16(req.Key()))
	p = binary.BigEndian.AppendUint16(p, uint16(req.GetVersion()))
	return append(binary.BigEndian.AppendUint32(p, 1), body...)
}
