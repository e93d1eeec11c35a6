package traffic_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/traffic"
)

func TestACountIsReadWithItsDefaults(t *testing.T) {
	window := traffic.Recent(start)
	c, faults := traffic.ParseCount(fmt.Appendf(nil, `{"zone":"Shop.example","ts":%d,"total":5}`, start.Unix()), window)
	if len(faults) > 0 || c.Zone != "Shop.example" || c.Count != (event.Count{At: start.Unix(), Seconds: 10, Total: 5}) {
		t.Errorf("%+v %v", c, faults)
	}
	c, faults = traffic.ParseCount(fmt.Appendf(nil,
		`{"account_id":"ext:acme","origin":"Origin.example:8443","zone":"z","hostname":"WWW.example","ts":%d,`+
			`"seconds":60,"total":9,"bad":4,"unreachable":2,"sli":"latency","path_class":"Check out"}`,
		start.Unix()), window)
	want := event.Count{
		At:          start.Unix(),
		Seconds:     60,
		Origin:      "origin.example:8443",
		Hostname:    "www.example",
		PathClass:   "Check out",
		SLI:         "latency",
		Total:       9,
		Bad:         4,
		Unreachable: 2,
	}
	if len(faults) > 0 || c.Account != "ext:acme" || c.Count != want {
		t.Errorf("%+v %v", c, faults)
	}
}

func TestABadCountNamesItsField(t *testing.T) {
	now := start.Unix()
	ok := fmt.Sprintf(`"zone":"z","ts":%d`, now)
	for _, c := range []struct {
		text, pointer string
		code          errs.Code
	}{
		{`{` + ok + `,"totl":1,"total":1}`, "/totl", errs.CodeUnknownField},
		{`{` + ok + `}`, "/total", errs.CodeMissingField},
		{`{` + ok + `,"total":null}`, "/total", errs.CodeMissingField},
		{`{` + ok + `,"total":"1"}`, "/total", errs.CodeWrongType},
		{`{` + ok + `,"total":1.5}`, "/total", errs.CodeWrongType},
		{`{` + ok + `,"total":-1}`, "/total", errs.CodeOutOfRange},
		{`{` + ok + `,"total":1000000000001}`, "/total", errs.CodeOutOfRange},
		{`{` + ok + `,"total":99999999999999999999}`, "/total", errs.CodeWrongType},
		{`{` + ok + `,"total":1,"bad":2}`, "/bad", errs.CodeOutOfRange},
		{`{` + ok + `,"total":1,"bad":-1}`, "/bad", errs.CodeOutOfRange},
		{`{` + ok + `,"total":3,"bad":1,"unreachable":2}`, "/unreachable", errs.CodeOutOfRange},
		{`{` + ok + `,"total":1,"seconds":0}`, "/seconds", errs.CodeOutOfRange},
		{`{` + ok + `,"total":1,"seconds":3601}`, "/seconds", errs.CodeOutOfRange},
		{`{` + ok + `,"total":1,"total":2}`, "/total", errs.CodeInvalidJSON},
		{`{` + ok + `,"total":1,"sli":"a b"}`, "/sli", errs.CodeInvalid},
		{`{` + ok + `,"total":1,"hostname":"` + strings.Repeat("h", 256) + `"}`, "/hostname", errs.CodeInvalid},
		{`{` + ok + `,"total":1,"path_class":"a\u0000b"}`, "/path_class", errs.CodeInvalid},
		{fmt.Sprintf(`{"ts":%d,"total":1}`, now), "/zone", errs.CodeMissingField},
		{`{"zone":"z","total":1}`, "/ts", errs.CodeMissingField},
		{fmt.Sprintf(`{"zone":"z","total":1,"ts":%d}`, now+61), "/ts", errs.CodeOutOfRange},
		{fmt.Sprintf(`{"zone":"z","total":1,"ts":%d000}`, now), "/ts", errs.CodeOutOfRange}, // milliseconds
		{fmt.Sprintf(`{"zone":"z","total":1,"ts":%d}`, now-35*86400-1), "/ts", errs.CodeOutOfRange},
		{`{"zone":7,"total":1}`, "/zone", errs.CodeWrongType},
		{`{"zone":"z"`, "", errs.CodeInvalidJSON},
		{`7`, "", errs.CodeWrongType},
		{"{\"zone\":\"\xff\"}", "/zone", errs.CodeInvalidJSON},
	} {
		_, faults := traffic.ParseCount([]byte(c.text), traffic.Recent(start))
		if len(faults) != 1 || faults[0].Pointer != c.pointer || faults[0].Code != c.code {
			t.Errorf("%s: %v, want %d at %q", c.text, faults, c.code, c.pointer)
		}
	}
	for _, ts := range []int64{now + 60, now - 35*86400} {
		if _, faults := traffic.ParseCount(fmt.Appendf(nil, `{"zone":"z","total":0,"ts":%d}`, ts),
			traffic.Recent(start)); len(faults) > 0 {
			t.Errorf("%d: %v", ts-now, faults)
		}
	}
}

func TestCompactLinesAreReadOneByOne(t *testing.T) {
	in := strings.NewReader(`{"zone":"z","ts":1431857103,"total":3}

{"zone":"z"
{"zone":"z","ts":1431857113,"total":4}`)
	var got []string
	err := traffic.ReadCompact(in, traffic.Ever, func(line int, c traffic.Count, fault error) error {
		got = append(got, fmt.Sprint(line, c.Total, fault == nil))
		return nil
	})
	if want := "[1 3 true 3 0 false 4 4 true]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v; want %s", got, err, want)
	}
}

func FuzzCount(f *testing.F) {
	f.Add(`{"zone":"z","ts":1,"total":5,"bad":2,"unreachable":1,"seconds":60,"hostname":"h"}`)
	f.Add(`{"zone":"z"}`)
	f.Add("{")
	f.Fuzz(func(t *testing.T, text string) {
		c, faults := traffic.ParseCount([]byte(text), traffic.Ever)
		if len(faults) > 0 {
			return
		}
		if c.Zone == "" || c.Bad > c.Total || c.Unreachable > c.Bad || c.Seconds < 1 || c.Total < 0 {
			t.Fatalf("%q: %+v", text, c)
		}
	})
}
