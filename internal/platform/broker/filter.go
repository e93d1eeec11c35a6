package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// filter checks the requests of a foreign connection before kfake reads them. kfake
// allocates whatever length a request states, and a request of an unknown kind ends
// the process. So the filter reads the head of every request first:
//
//	int32 length, int16 API key, int16 version, int32 correlation id
//
// and closes the connection if the request is too long or not offered. It also
// closes connections that stall in a request or are idle for long. Produce requests
// are read whole; those with batches that cannot be decoded are answered here (see
// batch.go).
type filter struct {
	net.Conn
	limit  int
	sasl   bool // users must authenticate
	signed bool // a SaslAuthenticate has passed; kfake closes the connection if it fails
	leave  func()
	refuse func(reason string)
	check  *batchCheck // of produced batches; nil = none
	once   sync.Once

	// State of Read, which kfake calls from one goroutine at a time.
	head [headSize]byte
	from int    // bytes of head that kfake has read
	left int    // bytes of the request after head
	body []byte // the part of them that was read already
	open bool

	mu         sync.Mutex // guards the fields below
	settled    *sync.Cond // an answer was sent, or the connection closed
	unanswered int        // requests that kfake has and will answer
	closed     bool
}

const (
	headSize  = 12
	idle      = 10 * time.Minute
	inRequest = 30 * time.Second
	unsigned  = 64 << 10 // largest request before authentication
)

func newFilter(conn net.Conn, limit int, sasl bool, leave func(), refuse func(string)) *filter {
	g := &filter{Conn: conn, limit: limit, sasl: sasl, leave: leave, refuse: refuse}
	g.settled = sync.NewCond(&g.mu)
	return g
}

// Read implements net.Conn.
func (g *filter) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for !g.open {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	if g.from < headSize {
		n := copy(p, g.head[g.from:])
		g.from += n
		g.open = g.from < headSize || g.left > 0
		return n, nil
	}
	if len(g.body) > 0 {
		n := copy(p, g.body)
		g.body = g.body[n:]
		g.left -= n
		g.open = g.left > 0
		return n, nil
	}
	if len(p) > g.left {
		p = p[:g.left]
	}
	g.Conn.SetReadDeadline(time.Now().Add(inRequest))
	n, err := g.Conn.Read(p)
	g.left -= n
	g.open = g.left > 0
	return n, err
}

// next reads the head of the next request.
func (g *filter) next() error {
	g.Conn.SetReadDeadline(time.Now().Add(idle))
	if _, err := io.ReadFull(g.Conn, g.head[:1]); err != nil {
		return err
	}
	g.Conn.SetReadDeadline(time.Now().Add(inRequest))
	if _, err := io.ReadFull(g.Conn, g.head[1:]); err != nil {
		return err
	}
	length := int64(int32(binary.BigEndian.Uint32(g.head[:4])))
	key := int16(binary.BigEndian.Uint16(g.head[4:6]))
	version := int16(binary.BigEndian.Uint16(g.head[6:8]))
	limit := int64(g.limit)
	if g.sasl && !g.signed {
		limit = unsigned
	}
	switch {
	case length < headSize-4:
		return g.no("a request of %d bytes is shorter than its head", length)
	case length > limit:
		return g.no("a request of %d bytes is longer than %d", length, limit)
	case !passes(key, version):
		return g.no("request %s (key %d, version %d) is not offered", kmsg.NameForKey(key), key, version)
	case !g.sasl && (key == int16(kmsg.SASLHandshake) || key == int16(kmsg.SASLAuthenticate)):
		// kfake grants a connection the rights of the user that it names before the
		// password is verified. Where every connection must authenticate, nothing else
		// is served until then; here it would be.
		return g.no("SASL is not offered: the listener has no users")
	}
	g.signed = g.signed || key == int16(kmsg.SASLAuthenticate)
	left := int(length) - (headSize - 4)
	if key == int16(kmsg.Produce) && g.check != nil {
		return g.produce(version, left)
	}
	g.pass(nil)
	g.left = left
	g.open = true
	g.expect()
	return nil
}

// pass lets kfake read a request. body is the part of it that was read after the head.
func (g *filter) pass(body []byte) {
	g.from = 0
	g.left = len(body)
	g.body = body
	g.open = true
}

func (g *filter) no(format string, args ...any) error {
	reason := fmt.Sprintf(format, args...)
	g.refuse(reason)
	g.Close()
	return errors.New(reason)
}

// Write implements net.Conn: a client that does not read is closed.
func (g *filter) Write(p []byte) (int, error) {
	g.Conn.SetWriteDeadline(time.Now().Add(time.Minute))
	n, err := g.Conn.Write(p)
	g.answered() // kfake writes an answer at once
	return n, err
}

// Close implements net.Conn.
func (g *filter) Close() error {
	g.once.Do(g.leave)
	g.mu.Lock()
	g.closed = true
	g.settled.Broadcast()
	g.mu.Unlock()
	return g.Conn.Close()
}

// foreign are the requests offered to foreign clients, with their highest versions
// (-1 = all): produce, consume, groups, authentication and metadata. Transactions
// are not offered (Produce stops before the version that begins one implicitly), nor
// is administration.
var foreign = map[kmsg.Key]int16{
	kmsg.Produce: 11, kmsg.Fetch: -1, kmsg.ListOffsets: -1, kmsg.Metadata: -1,
	kmsg.OffsetCommit: -1, kmsg.OffsetFetch: -1, kmsg.FindCoordinator: -1,
	kmsg.JoinGroup: -1, kmsg.Heartbeat: -1, kmsg.LeaveGroup: -1, kmsg.SyncGroup: -1,
	kmsg.DescribeGroups: -1, kmsg.ListGroups: -1,
	kmsg.SASLHandshake: -1, kmsg.ApiVersions: -1, kmsg.SASLAuthenticate: -1,
	kmsg.InitProducerID: 4, kmsg.OffsetForLeaderEpoch: -1,
	kmsg.DescribeConfigs: -1, kmsg.DescribeCluster: -1, kmsg.DescribeTopicPartitions: -1,
	kmsg.ConsumerGroupHeartbeat: -1, kmsg.ConsumerGroupDescribe: -1,
}

// passes reports whether a request is offered. ApiVersions passes in every version:
// a client that is newer than the broker is answered with the supported versions
// (KIP-511).
func passes(key, version int16) bool {
	top, ok := foreign[kmsg.Key(key)]
	switch {
	case !ok || version < 0:
		return false
	case key == int16(kmsg.ApiVersions):
		return version <= kmsg.NewPtrApiVersionsRequest().MaxVersion()
	case top < 0:
		top = kmsg.RequestForKey(key).MaxVersion()
	}
	return version <= top
}

// offered are the versions that kfake advertises to all clients. Clients of this
// process may also set ACLs and delete groups.
func offered() *kversion.Versions {
	all, list := kversion.Stable(), new(kversion.Versions)
	add := func(key kmsg.Key, top int16) {
		if v, ok := all.LookupMaxKeyVersion(int16(key)); ok {
			if top >= 0 {
				v = min(v, top)
			}
			list.SetMaxKeyVersion(int16(key), v)
		}
	}
	for key, top := range foreign {
		add(key, top)
	}
	for _, key := range []kmsg.Key{kmsg.CreateACLs, kmsg.DeleteGroups, kmsg.OffsetDelete} {
		add(key, -1)
	}
	return list
}
