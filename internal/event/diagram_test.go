package event_test

import (
	"fmt"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
)

// diagram draws the table as a Mermaid flowchart, for ARCHITECTURE.md: who
// produces what to which topic, and who consumes it.
func diagram() string {
	var b strings.Builder
	b.WriteString("```mermaid\nflowchart LR\n")
	for i, t := range event.Topics {
		shape := "t%d[(%s)]\n"
		if t.Internal {
			shape = "t%d{{%s}}\n"
		}
		fmt.Fprintf(&b, "  "+shape, i, t.Name)
		for _, p := range t.Producers {
			fmt.Fprintf(&b, "  %s --> t%d\n", node(p), i)
		}
		for _, c := range t.Consumers {
			fmt.Fprintf(&b, "  t%d --> %s\n", i, node(c))
		}
	}
	b.WriteString("```\n")
	return b.String()
}

// table writes the table in Markdown.
func table() string {
	var b strings.Builder
	b.WriteString("| topic | key | payload | from | to | kept |\n|---|---|---|---|---|---|\n")
	for _, t := range event.Topics {
		kept := fmt.Sprintf("%.0f days", t.Retention.Hours()/24)
		switch {
		case t.Internal:
			kept = "in the process only"
		case t.Compacted:
			kept = "newest per key, on Apache Kafka"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n",
			t.Name, t.Key, t.Payload, strings.Join(t.Producers, ", "), strings.Join(t.Consumers, ", "), kept)
	}
	return b.String()
}

// node names a box: features as they are, people with their words.
func node(name string) string {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	if id == name {
		return name
	}
	return fmt.Sprintf("%s[\"%s\"]", id, name)
}
