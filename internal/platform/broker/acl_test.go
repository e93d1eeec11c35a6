package broker_test

import (
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// guarded is a broker with a topic for each right that a guest may have.
func guarded(t *testing.T) *broker.Broker {
	t.Helper()
	return started(t, broker.Config{Listen: "127.0.0.1:0",
		Topics: []bus.Topic{{Name: "in"}, {Name: "out"}, {Name: "internal"}},
		Guests: broker.Rights{Write: []string{"in"}, Read: []string{"out"}}})
}

func TestAGuestWritesReadsAndSeesOnlyWhatItMay(t *testing.T) {
	b := guarded(t)
	for _, topic := range []string{"in", "out", "internal"} {
		numbered(t, b.Cluster(), topic, 0, 1)
		err := try(t, outside(b), topic, 1, 10, patience)
		want := errs.Forbidden
		if topic == "in" {
			want = errs.None
		}
		if errs.KindOf(err) != want {
			t.Errorf("writing to %s: %v", topic, err)
		}
		if got, want := fetchError(t, outside(b), topic), topic != "out"; (got != nil) != want ||
			got != nil && !errors.Is(got, kerr.TopicAuthorizationFailed) {
			t.Errorf("reading %s: %v", topic, got)
		}
	}
	cl, err := outside(b).Client("test")
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	topics, err := kadm.NewClient(cl).ListTopics(t.Context())
	if err != nil || len(topics) != 2 || !topics.Has("in") || !topics.Has("out") {
		t.Errorf("a guest sees %v, %v", topics.Names(), err)
	}
}

// fetchError reads a topic from its start and returns the error; nil if a record came.
func fetchError(t *testing.T, cluster bus.Cluster, topic string) error {
	t.Helper()
	cl, err := cluster.Client("test",
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for {
		fetched := cl.PollFetches(t.Context())
		if fetched.NumRecords() > 0 {
			return nil
		}
		if err := fetched.Err(); err != nil {
			return err
		}
	}
}

// A member of the group of one of Belfry's consumers would be given partitions.
func TestNoClientOfTheDoorJoinsAGroupOfBelfrys(t *testing.T) {
	server, client := certificate(t)
	rights := broker.Rights{Write: []string{"*"}, Read: []string{"*"}}
	open := started(t, broker.Config{Listen: "127.0.0.1:0", Topics: []bus.Topic{{Name: "a"}}, Guests: rights})
	closed := started(t, broker.Config{Listen: "127.0.0.1:0", TLS: server, Topics: []bus.Topic{{Name: "a"}},
		Users: []broker.User{{Name: "team", Password: "long enough it is", Rights: rights}}})
	user := outside(closed)
	user.TLS = client
	user.User = "team"
	user.Password = "long enough it is"
	for name, cluster := range map[string]bus.Cluster{"guest": outside(open), "user": user} {
		cl, err := cluster.Client("test")
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		for _, group := range []string{"belfry.audit", "belfry.anything"} {
			join := kmsg.NewPtrJoinGroupRequest()
			join.Group = group
			join.ProtocolType = "consumer"
			join.SessionTimeoutMillis = 10_000
			join.RebalanceTimeoutMillis = 10_000
			join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
			resp, err := cl.SeedBrokers()[0].Request(t.Context(), join)
			if err != nil {
				t.Fatal(err)
			}
			if code := resp.(*kmsg.JoinGroupResponse).ErrorCode; code != kerr.GroupAuthorizationFailed.Code {
				t.Errorf("%s: joining %s answered %v", name, group, kerr.ErrorForCode(code))
			}
			if _, err := kadm.NewClient(cl).FetchOffsets(t.Context(), group); !errors.Is(err, kerr.GroupAuthorizationFailed) {
				t.Errorf("%s: the offsets of %s: %v", name, group, err)
			}
		}
	}
}

func TestATransactionIsRefusedAtItsBeginning(t *testing.T) {
	b := guarded(t)
	cl, err := outside(b).Client("test")
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	txn := "mine"
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorType = 1
	find.CoordinatorKey = txn
	find.CoordinatorKeys = []string{txn}
	find.SetVersion(4)
	begin := kmsg.NewPtrInitProducerIDRequest()
	begin.TransactionalID, begin.TransactionTimeoutMillis = &txn, 10_000
	want := kerr.TransactionalIDAuthorizationFailed.Code
	found, err := cl.SeedBrokers()[0].Request(t.Context(), find)
	if err != nil {
		t.Fatal(err)
	}
	if got := found.(*kmsg.FindCoordinatorResponse).Coordinators[0].ErrorCode; got != want {
		t.Errorf("its coordinator: %v", kerr.ErrorForCode(got))
	}
	begun, err := cl.SeedBrokers()[0].Request(t.Context(), begin)
	if err != nil {
		t.Fatal(err)
	}
	if got := begun.(*kmsg.InitProducerIDResponse).ErrorCode; got != want {
		t.Errorf("its producer id: %v", kerr.ErrorForCode(got))
	}
}

// The broker gives a connection the rights of the user that it names as soon as
// the exchange begins; a guest must not get so far.
func TestAGuestCannotBeginToSignIn(t *testing.T) {
	b := guarded(t)
	for _, key := range []int16{int16(kmsg.SASLHandshake), int16(kmsg.SASLAuthenticate)} {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		body := []byte{0, 1, 'x', 0, 13}
		frame := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)+13))
		frame = binary.BigEndian.AppendUint16(frame, uint16(key))
		frame = binary.BigEndian.AppendUint16(frame, 1)
		frame = binary.BigEndian.AppendUint32(frame, 1)
		conn.Write(append(append(frame, body...), "SCRAM-SHA-512"...))
		if n, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("key %d: read %d bytes, %v; want a closed connection", key, n, err)
		}
	}
}
