package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
)

const leastEvent = `{"id":"i","action":{"type":"a"},"actor":{"type":"user","id":"u"},` +
	`"resource":{"product":"p","type":"t","id":"r"}%s}`

var selectNow = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// A personal member of a list is committed with the list, and one of too many
// with the part that holds them; an erasure by the catalogue finds both.
func TestPersonalMembersThatAreNotCommittedAloneAreErasedWithWhatHoldsThem(t *testing.T) {
	var many []string
	for i := range record.MaxPersonalMembers + 1 {
		many = append(many, fmt.Sprintf(`"k%d":{"mail":"m"}`, i))
	}
	personal := event.ParseFields([]string{"mail", "/reason/text"})
	for _, c := range []struct {
		name, members string
		commits, gone []string
	}{
		{"a member", `,"after":{"a":{"Mail":"m","n":1}},"reason":{"text":"why"}`, []string{"/after/a/Mail", "/reason/text"},
			[]string{"/after/a/Mail", "/reason/text"}},
		{"in a list", `,"after":{"l":[{"mail":"m"}],"n":1}`, []string{"/after/l"}, []string{"/after/l"}},
		{"a list at the top", `,"before":[{"mail":"m"}],"after":[1]`, nil, []string{"/before"}},
		{"too many", `,"after":{` + strings.Join(many, ",") + `}`, nil, []string{"/after"}},
		{"none", `,"after":{"n":1}`, nil, nil},
	} {
		e, err := record.Decode([]byte(fmt.Sprintf(leastEvent, c.members)), selectNow)
		if err != nil {
			t.Fatal(err)
		}
		committed, err := record.Protect(e, personal, event.Fields{})
		if err != nil {
			t.Fatal(err)
		}
		e.Fill(selectNow, "API")
		p := &Pending{Account: "0192f7c417d170008000000000000001", Event: e, By: record.Submitter{Type: "token", ID: "t"}}
		if err := p.Seal(committed, [32]byte{1}); err != nil {
			t.Fatal(err)
		}
		p.sealed.Stamp(selectNow.UnixMicro())
		row := &record.Stored{
			At:       e.Micros(),
			Envelope: p.sealed.Envelope,
			Seed:     p.sealed.Seed[:],
			Openings: p.sealed.Openings(),
		}
		rec, err := row.Open()
		if err != nil {
			t.Fatal(err)
		}
		var commits []string
		for _, o := range row.OpeningList() {
			if !slices.Contains(record.AlwaysCommitted(), o.Path) {
				commits = append(commits, o.Path)
			}
		}
		s := &Selection{Personal: func(context.Context, string, string) (event.Fields, error) { return personal, nil }}
		gone, err := s.choose(t.Context(), rec, row.OpeningList(), aboutPerson)
		if err != nil || !slices.Equal(commits, c.commits) || !slices.Equal(gone, c.gone) {
			t.Errorf("%s: commits %v and erases %v (%v), want %v and %v", c.name, commits, gone, err, c.commits, c.gone)
		}
		if !p.sealed.SameAs(p.Account, e, strings.ToLower) {
			t.Errorf("%s: the same event is not the same", c.name)
		}
	}
}
