package record_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestAnUnknownMemberDoesNotHideTheOtherFaults(t *testing.T) {
	for _, c := range []struct {
		event string
		want  []string
	}{
		{`{"foo":1,"action":{"type":"a"},"actor":{"type":"user","id":"u"},"resource":{"product":"p","type":"t"}}`,
			[]string{"/foo", "/resource/id"}},
		{`{"foo":1,"a~b":2,"action":{"type":"a","why":1},"actor":{"type":"nobody","id":"u"},` +
			`"resource":{"product":"p","type":"t","id":"r"},"related":[{"type":"t","id":"i"},{"kind":1}]}`,
			[]string{"/foo", "/a~0b", "/action/why", "/related/1/kind", "/actor/type", "/related/1/type", "/related/1/id"}},
		{`{"foo":1,"action":7}`, []string{"/foo", "/action"}},
		{`{"foo":1,"foo":2}`, []string{"/foo"}},
		{`{"` + strings.Repeat(`x":1,"x`, 3) + `":1}`, []string{"/x"}},
		{`{"foo":`, []string{"/foo"}},
	} {
		_, err := record.Decode([]byte(c.event), start)
		var got []string
		for _, f := range errs.All(err) {
			got = append(got, f.Pointer)
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.event, got, c.want)
		}
	}
}
