package traffic_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/event"
)

// TestAbsurdCountsNameTheFieldOverEveryOnRamp sends the same counts over HTTP and over the topic.
func TestAbsurdCountsNameTheFieldOverEveryOnRamp(t *testing.T) {
	now := start.Unix()
	w := newWorld(t, "", 1)
	b := newCountsTopic(t, w)
	var want, got, lines []string
	for _, c := range []struct{ members, pointer string }{
		{fmt.Sprintf(`"ts":%d,"total":1e30`, now), "/total"},
		{fmt.Sprintf(`"ts":%d,"total":1000000000001`, now), "/total"},
		{fmt.Sprintf(`"ts":%d,"total":9223372036854775808`, now), "/total"},
		{fmt.Sprintf(`"ts":%d,"total":-9223372036854775808`, now), "/total"},
		{fmt.Sprintf(`"ts":%d,"total":"NaN"`, now), "/total"},
		{fmt.Sprintf(`"ts":%d,"total":0.5`, now), "/total"},
		{fmt.Sprintf(`"ts":%d,"total":5,"bad":6`, now), "/bad"},
		{fmt.Sprintf(`"ts":%d,"total":5,"bad":2,"unreachable":3`, now), "/unreachable"},
		{fmt.Sprintf(`"ts":%d,"total":5,"seconds":-10`, now), "/seconds"},
		{fmt.Sprintf(`"ts":%d,"total":5,"seconds":86400`, now), "/seconds"},
		{`"ts":0,"total":5`, "/ts"},
		{`"ts":-1,"total":5`, "/ts"},
		{fmt.Sprintf(`"ts":%d,"total":5`, now-20*365*86_400), "/ts"},
		{fmt.Sprintf(`"ts":%d,"total":5`, now+20*365*86_400), "/ts"},
		{fmt.Sprintf(`"ts":%d000000000,"total":5`, now), "/ts"}, // nanoseconds
	} {
		lines = append(lines, fmt.Sprintf(`{"account_id":%q,"zone":"shop.example",%s}`, w.a, c.members))
		want = append(want, c.pointer)
	}
	for i, line := range lines {
		a := w.counts(strings.Replace(line, fmt.Sprintf(`"account_id":%q,`, w.a), "", 1))
		if a.Status != 400 || len(a.Errors) == 0 || a.Errors[0].Source.Pointer != want[i] || a.Errors[0].Message == "" {
			t.Errorf("over HTTP, %s: %s, want %s", line, a.Text, want[i])
		}
	}
	before := len(w.delivered(event.TopicAuditRejects, len(lines)))
	b.publish(lines...)
	b.consume(b.consumer())
	for _, r := range decode[event.Reject](t, w.delivered(event.TopicAuditRejects, before+len(lines))[before:]) {
		got = append(got, r.Errors[0].Pointer)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("over the topic: %v, want %v", got, want)
	}
	w.sharded(0)
}
