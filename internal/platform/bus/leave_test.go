package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/platform/bus"
)

// A broker answers one request of a connection after the other: a farewell would wait
// behind a join, and that for as long as a dead member's session lasts.
func TestAConsumerStopsThoughItsGroupWaitsForADeadMember(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		topic := w.topic(2)
		dead, err := w.cluster.Client("dead", kgo.ConsumerGroup(topic), kgo.ConsumeTopics(topic), kgo.Balancers(kgo.StickyBalancer(), kgo.RangeBalancer()),
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
		eventually(t, "the member that will not answer", state("Stable", 1))

		c, err := bus.NewConsumer(bus.Config{Cluster: w.cluster, Group: topic, Topics: []string{topic}, DB: w.db, Handle: w.store, Drain: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		eventually(t, "the group waiting for it", state("PreparingRebalance", 2))
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
