package slo_test

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/slo"
)

func TestASimulationTellsWhenItHappenedInTheFile(t *testing.T) {
	var in strings.Builder
	for at := int64(epoch); at < epoch+7200; at += 10 {
		bad := 0
		if at >= epoch+5400 && at < epoch+5580 {
			bad = 60
		}
		fmt.Fprintf(&in, `{"zone":"shop","ts":%d,"seconds":10,"total":100,"bad":%d}`+"\n", at, bad)
		fmt.Fprintf(&in, `{"zone":"blog","ts":%d,"seconds":10,"total":100,"bad":100}`+"\n", at)
	}
	spec, err := slo.ParseSpec([]byte(
		`{"name":"checkout","match":{"zone":"shop"},"target":99.95,"window":"28d","pairs":"standard"}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []slo.Simulated
	status, err := slo.Simulate(t.Context(), spec, func(s slo.Simulated) error {
		got = append(got, s)
		return nil
	}, readCounts(strings.NewReader(in.String())))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Event != "start" || got[0].Pair != "1h/5m" || got[0].At != "2025-11-25T01:30:50Z" ||
		got[0].Began != "2025-11-25T01:30:00Z" ||
		got[1].Event != "end" || got[1].At != "2025-11-25T01:38:00Z" || got[0].ExhaustedIn == nil ||
		status.State != slo.Healthy ||
		status.Inputs[0] != (slo.SimulatedInput{Counts: 720, Requests: 72_000}) {
		t.Errorf("%+v, %+v", got, status)
	}
	series, err := json.Marshal(got[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{`"at":`, `"objective":"checkout"`, `"pair":"1h/5m"`, `"event":"start"`,
		`"long":{"window":"1h","burn":`, `"short":`, `"budget_left":`, `"exhausted_in":`} {
		if !strings.Contains(string(series), member) {
			t.Errorf("%s lacks %s", series, member)
		}
	}
}

func TestWeeksOfHistoryReplayInSeconds(t *testing.T) {
	n := 0
	read := func(each func(string, event.Count) error) error {
		for at := int64(epoch); at < epoch+21*86400; at += 60 {
			n++
			if err := each("", event.Count{At: at, Seconds: 60, Total: 600, Bad: at / 60 % 2}); err != nil {
				return err
			}
		}
		return nil
	}
	status, err := slo.Simulate(t.Context(), slo.ObjectiveSpec{Name: "x", Target: 99},
		func(slo.Simulated) error { return nil }, read)
	if err != nil || status.Budget.Total != uint64(n)*600 || status.Budget.Bad != uint64(n)/2 {
		t.Errorf("%v %+v of %d", err, status.Budget, n)
	}
}

func TestAnObjectiveThatCannotWorkIsRefusedWithTheField(t *testing.T) {
	for _, c := range []struct{ objective, pointer string }{
		{`{"name":"","match":{"zone":"z"},"target":99}`, "/name"},
		{`{"name":"x","match":{},"target":99}`, "/match/zone"},
		{`{"name":"x","match":{"zone":"z","origin":"a","hostname":"b"},"target":99}`, "/match"},
		{`{"name":"x","match":{"zone":"z"},"target":100}`, "/target"},
		{`{"name":"x","match":{"zone":"z"},"target":99.1234567}`, "/target"},
		{`{"name":"x","match":{"zone":"z"},"target":99,"window":"6d"}`, "/window"},
		{`{"name":"x","match":{"zone":"z"},"target":93.06}`, ""},
		{`{"name":"x","match":{"zone":"z"},"target":93.05}`, "/pairs"},
		{`{"name":"x","match":{"zone":"z"},"target":99,"pairs":"fast"}`, "/pairs"},
		{`{"name":"x","match":{"zone":"z"},"target":99,"pairs":[]}`, "/pairs"},
		{
			`{"name":"x","match":{"zone":"z"},"target":99,"pairs":[{"long":"5m","short":"1h","factor":2,"severity":"page"}]}`,
			"/pairs/0/short",
		},
		{
			`{"name":"x","match":{"zone":"z"},"target":99,"pairs":[{"long":"28d","short":"1h","factor":2,"severity":"page"}]}`,
			"/pairs/0/long",
		},
		{
			`{"name":"x","match":{"zone":"z"},"target":99,"pairs":[{"long":"1h","short":"5m","factor":0,"severity":"call"}]}`,
			"/pairs/0/factor",
		},
		{
			`{"name":"x","match":{"zone":"z"},"target":90,"pairs":[{"long":"1h","short":"5m","factor":12,"severity":"page"}]}`,
			"/pairs/0/factor",
		},
		{
			`{"name":"x","match":{"zone":"z"},"target":99,"pairs":[{"long":"1h","shrt":"5m","factor":2,"severity":"page"}]}`,
			"/pairs",
		},
		{`{"name":"x","match":{"zone":"z"},"target":99,"guard":{"alpha":0.5}}`, "/guard/alpha"},
		{`{"name":"x","match":{"zone":"z"},"target":99,"guard":{"min_bad":-1}}`, "/guard/min_bad"},
	} {
		spec, err := slo.ParseSpec([]byte(c.objective))
		if err == nil {
			_, err = slo.Simulate(t.Context(), spec, nil, readCounts(strings.NewReader("")))
		}
		if c.pointer == "" {
			if err != nil {
				t.Errorf("%s: %v", c.objective, err)
			}
			continue
		}
		if err == nil || errs.All(err)[0].Pointer != c.pointer || errs.KindOf(err) != errs.Invalid {
			// A simulation accepts an empty match: it stands for all requests of the files.
			if c.objective != `{"name":"x","match":{},"target":99}` {
				t.Errorf("%s: %v, want %s", c.objective, err, c.pointer)
			}
		}
	}
	if _, err := slo.ParseSpec([]byte(`{"name":"x","group_by_status":true}`)); err == nil ||
		!strings.Contains(err.Error(), "group_by_status") {
		t.Errorf("an unknown field: %v", err)
	}
}

// readCounts reads counts that the tests wrote, one JSON object a series.
func readCounts(in io.Reader) slo.Source {
	return func(each func(string, event.Count) error) error {
		for dec := json.NewDecoder(in); dec.More(); {
			var c struct {
				event.Count
				Zone string `json:"zone"`
			}
			if err := dec.Decode(&c); err != nil {
				return err
			}
			if err := each(c.Zone, c.Count); err != nil {
				return err
			}
		}
		return nil
	}
}
