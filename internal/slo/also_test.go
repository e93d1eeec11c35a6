package slo_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/slo"
)

// TestAnAlertNamesWhatElseBurns lets eight objectives fail at once, and one an hour before.
func TestAnAlertNamesWhatElseBurns(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		early := w.create(slo.ObjectiveSpec{Name: "early", Match: slo.Match{Zone: "blog"}, Target: 99.9})
		w.handle(steady(blog, epoch, epoch+600, 100, 90)...)
		for i := range 8 {
			w.create(slo.ObjectiveSpec{Name: fmt.Sprint("objective ", i), Match: slo.Match{Zone: "shop"}, Target: 99.9})
		}
		broke := int64(epoch + 4*3600)
		w.handle(steady(shop, epoch+600, broke, 100, 0)...)
		w.handle(steady(shop, broke, broke+60, 100, 90)...)
		found := 0
		for _, a := range w.alerts() {
			var data struct {
				Also []slo.AlsoBurning `json:"also_burning"`
				More bool              `json:"also_burning_more"`
				Pair string            `json:"pair_name"`
				Left string            `json:"exhausted_in"`
			}
			if err := json.Unmarshal(a.Data, &data); err != nil || a.Event != "start" {
				t.Fatal(err, a.Event)
			}
			if a.Resource.ID == early.ID {
				if len(data.Also) != 0 {
					t.Errorf("%+v", data)
				}
				continue
			}
			found++
			if len(data.Also) != 5 || !data.More || data.Pair != "1h/5m" ||
				!strings.HasSuffix(a.Summary, "and more burn since the same minute.") {
				t.Errorf("%s: %+v", a.Summary, data)
			}
			for _, other := range data.Also {
				if other.ObjectiveID == a.Resource.ID || other.ObjectiveID == early.ID || other.Began != broke {
					t.Errorf("%s names %+v", a.Summary, other)
				}
			}
		}
		if found != 8 {
			t.Errorf("%d alerts", found)
		}
	})
}
