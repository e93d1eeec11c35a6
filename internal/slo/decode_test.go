package slo

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/belfryhq/belfry/internal/event"
)

// FuzzDecodeTraffic compares with encoding/json: the same value, or an error of both.
func FuzzDecodeTraffic(f *testing.F) {
	full, err := json.Marshal(event.Traffic{Account: "a", Zone: "z", ID: "1", Counts: []event.Count{
		{At: epoch, Seconds: 10, Total: 3, Bad: 1, Unreachable: 1},
		{At: epoch, Seconds: 10, Origin: "o:443", Hostname: "h", PathClass: "/p", SLI: "latency", Total: 1 << 40},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	for _, text := range []string{
		`{"account_id":"a","zone_id":"z","id":"1","counts":[]}`,
		`{"account_id":"a","zone_id":"z","id":"1","counts":null}`,
		`{"account_id":"\u00e4","zone_id":"ä","id":"1","counts":[{"ts":1,"total":2}]}`,
		`{"id":"1","id":"2","ID":"3","counts":[{"ts":1,"ts":2}],"counts":[{}]}`,
		`{"counts":[{"ts":01}]}`, `{"counts":[{"ts":-1}]}`, `{"counts":[{"ts":1.5}]}`, `{"counts":[{"ts":1e3}]}`,
		`{"counts":[{"ts":9223372036854775807}]}`, `{"counts":[{"ts":9223372036854775808}]}`,
		`{"counts":[{"ts":1}]} `, `{"counts":[{"ts":1}]}x`, ` {}`, `{}`, `{"counts":[{"ts":1},]}`, `{"counts":[{"x":1}]}`,
		`{"id":"` + "\x01" + `","counts":[{"ts":1}]}`, `{"id":"` + "\xff" + `","counts":[{"ts":1}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want event.Traffic
		wantErr := json.Unmarshal(b, &want)
		got := event.Traffic{Account: "before", Counts: []event.Count{{At: 5, Origin: "before"}}}
		err := decodeTraffic(b, &got)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%s: %v, encoding/json says %v", b, err, wantErr)
		}
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v, encoding/json reads %+v", b, got, want)
		}
	})
}

func TestARecordOfTheRelayIsReadInOnePass(t *testing.T) {
	b, err := json.Marshal(event.Traffic{Account: "a", Zone: "z", ID: "1", Counts: []event.Count{
		{At: epoch, Seconds: 10, Origin: "o:443", Total: 3, Bad: 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	p := plainJSON{text: string(b)}
	if !p.traffic(&event.Traffic{}) {
		t.Errorf("%s is left to encoding/json", b)
	}
}
