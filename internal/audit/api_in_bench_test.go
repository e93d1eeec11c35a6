package audit

import (
	"fmt"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
)

func BenchmarkSplitAndAnswer(b *testing.B) {
	var lines []string
	var all []*ledger.Pending
	for i := range 4000 {
		id := fmt.Sprintf("0192f0c1a2b37c4d8e5f6071%08d", i)
		lines = append(lines, fmt.Sprintf(`{"id":%q,"action":{"type":"update"},`+
			`"actor":{"type":"user","id":"user-12","email":"person12@customer.example"},`+
			`"resource":{"product":"product3","type":"setting","id":"setting-00123"},`+
			`"before":{"value":12},"after":{"value":13}}`, id))
		all = append(all, &ledger.Pending{Event: &record.Event{ID: id}, Status: ledger.Accepted, Seq: int64(i)})
	}
	for name, body := range map[string]string{
		"ndjson": strings.Join(lines, "\n"),
		"array":  "[" + strings.Join(lines, ",") + "]",
	} {
		kind := "application/json"
		if name == "ndjson" {
			kind = "application/x-ndjson"
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				items, err := eventFormat.Split([]byte(body), kind)
				if err != nil || len(items.Values) != 4000 {
					b.Fatal(err)
				}
				answer(items, all)
			}
		})
	}
}
