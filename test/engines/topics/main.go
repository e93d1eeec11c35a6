// Command topics lists the topics of a Kafka cluster. It ends with status 0 only when
// the cluster answered within two seconds, which is how scripts/kafka.sh finds out
// that a broker is ready.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: topics HOST:PORT[,HOST:PORT...]")
		os.Exit(2)
	}
	if err := list(strings.Split(os.Args[1], ",")); err != nil {
		fmt.Fprintln(os.Stderr, "topics:", err)
		os.Exit(1)
	}
}

func list(brokers []string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	// A nil topic list asks for all of them.
	answer, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
	if err != nil {
		return err
	}
	if len(answer.Brokers) == 0 {
		return fmt.Errorf("the cluster has no broker yet")
	}
	for _, topic := range answer.Topics {
		if topic.Topic != nil {
			fmt.Println(*topic.Topic)
		}
	}
	return nil
}
