package slo_test

import (
	"testing"
	"time"
)

func TestTheTrafficOfAZoneByHour(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		const now = epoch + 30*3600 + 600
		w.handle(steady(shop, epoch, epoch+3600, 9, 9)...) // more than 24 hours ago
		w.handle(steady(shop, now-7200, now-3600, 10, 0)...)
		w.handle(steady(shop, now-600, now, 10, 1)...)
		w.handle(steady(blog, now-600, now, 500, 0)...)
		w.setClock(now)
		got, err := w.f.ZoneTraffic(t.Context(), acme, shop)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Hours) != 24 || got.Total != 3600+600 || got.Bad != 60 {
			t.Fatalf("%d hours, %d requests, %d failures", len(got.Hours), got.Total, got.Bad)
		}
		if at := got.LastAt.Time; !at.Equal(time.Unix(now, 0)) {
			t.Errorf("the newest requests are of %s", at)
		}
		last := got.Hours[23]
		if !last.Start.Time.Equal(time.Unix(now-600, 0)) || last.Total != 600 || last.Bad != 60 {
			t.Errorf("the present hour: %+v", last)
		}
		var total, bad uint64
		for _, i := range got.Intervals {
			total += i.Total
			bad += i.Bad
		}
		if n := len(got.Intervals); n != 144 || total != got.Total || bad != got.Bad || got.Intervals[138].Bad != 60 {
			t.Errorf("%d intervals with %d requests and %d failures: %+v", n, total, bad, got.Intervals[138])
		}
		none, err := w.f.ZoneTraffic(t.Context(), otherAccount, shop)
		if err != nil || none.Total != 0 || !none.LastAt.IsZero() {
			t.Errorf("another account: %+v, %v", none, err)
		}
	})
}
