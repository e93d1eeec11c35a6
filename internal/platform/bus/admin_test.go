package bus_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/platform/bus"
)

func groupHealth(t *testing.T, w *world, group string) []bus.Health {
	t.Helper()
	cl, err := w.cluster.Client("test")
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	list, err := bus.GroupHealth(t.Context(), kadm.NewClient(cl), 1000, group)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func partitionCount(t *testing.T, cl *kgo.Client, topic string) int {
	t.Helper()
	topics, err := kadm.NewClient(cl).ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return len(topics[topic].Partitions)
}
