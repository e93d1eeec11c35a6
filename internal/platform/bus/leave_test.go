package bus_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/test/poll"
)

// A broker answers one request of a connection after the other: a request to leave would wait
// behind a join, for as long as the session of a dead member lasts.
func TestAConsumerStopsThoughItsGroupWaitsForADeadMember(t *testing.T) {
	t.Parallel()
	grouped(t, func(t *testing.T, w *world) {
		topic := w.topic(2)
		dead, err := w.cluster.Client("dead", kgo.ConsumerGroup(topic), kgo.ConsumeTopics(topic),
			kgo.Balancers(kgo.StickyBalancer(), kgo.RangeBalancer()),
			kgo.SessionTimeout(40*time.Second), kgo.HeartbeatInterval(30*time.Second), kgo.RebalanceTimeout(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		defer dead.CloseAllowingRebalance()
		admin := kadm.NewClient(dead)
		state := func(want string, members int) func() bool {
			return func() bool {
				groups, err := admin.DescribeGroups(t.Context(), topic)
				return err == nil && groups[topic].State == want && len(groups[topic].Members) == members
			}
		}
		poll.Until(t, "the member that will not answer", state("Stable", 1))

		c, err := bus.NewConsumer(bus.Config{
			Cluster: w.cluster,
			Group:   topic,
			Topics:  []string{topic},
			DB:      w.db,
			Handle:  w.store,
			Drain:   time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		poll.Until(t, "the group waiting for it", state("PreparingRebalance", 2))
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(15 * time.Second):
			t.Error("it still waits for the dead member")
			<-ended
		}
	})
}

// Where nothing is published there is no good poll that could end a fault.
func TestAnIdleConsumerIsReadyAgainAfterItLostItsSession(t *testing.T) {
	t.Parallel()
	grouped(t, func(t *testing.T, w *world) {
		topic := w.topic(1)
		log := &messageLog{}
		c, err := bus.NewConsumer(bus.Config{
			Cluster:    w.cluster,
			Group:      topic,
			Topics:     []string{topic},
			DB:         w.db,
			Handle:     w.store,
			Log:        slog.New(log),
			StallAfter: time.Hour,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		defer func() { cancel(); <-ended }()
		poll.Until(t, "the partition is claimed", func() bool { return len(c.Health()) == 1 })

		cl, err := w.cluster.Client("test")
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		groups, err := kadm.NewClient(cl).DescribeGroups(t.Context(), topic)
		if err != nil || len(groups[topic].Members) != 1 {
			t.Fatalf("%+v, %v", groups, err)
		}
		expel := kmsg.NewPtrLeaveGroupRequest()
		expel.Group, expel.MemberID = topic, groups[topic].Members[0].MemberID
		expel.Members = []kmsg.LeaveGroupRequestMember{{MemberID: expel.MemberID}}
		if _, err := expel.RequestWith(t.Context(), cl); err != nil {
			t.Fatal(err)
		}
		poll.Until(t, "a fault in the log", func() bool { return log.has("consuming") })
		poll.Until(t, "ready again", func() bool { return len(c.Health()) == 1 && c.Ready() == nil })
	})
}

// messageLog is a log handler that keeps the messages.
type messageLog struct {
	mu   sync.Mutex
	seen []string
}

func (l *messageLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *messageLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *messageLog) WithGroup(string) slog.Handler            { return l }

func (l *messageLog) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, r.Message)
	return nil
}

func (l *messageLog) has(message string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.seen, message)
}
