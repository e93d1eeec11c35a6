package notify_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/belfryhq/belfry/internal/notify"
)

// BenchmarkDeliveries is the whole way, in one process: alerts by HTTP, stored
// and decided, sent to a receiver of this process, the outcome stored.
func BenchmarkDeliveries(b *testing.B) {
	w := newWorld(b, "", func(d *notify.Config) { d.Log = nil })
	var got atomic.Int64
	done := make(chan struct{}, 1)
	want := int64(b.N)
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if got.Add(1) == want+1 { // and the test message
			done <- struct{}{}
		}
	}))
	b.Cleanup(sink.Close)
	w.policy(map[string]any{"mechanisms": to(w.hook(sink.URL))})
	b.ResetTimer()
	for left := b.N; left > 0; {
		n := min(left, 50)
		list := make([]map[string]any, n)
		for i := range list {
			list[i] = map[string]any{
				"alert_type": "shop_down",
				"event":      "notice",
				"zone":       "shop.example",
				"summary":    "A message of the size that messages have, with a sentence",
				"data":       map[string]any{"a": 1},
			}
		}
		w.must("POST", "/alerts", list, nil)
		left -= n
	}
	<-done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
}
