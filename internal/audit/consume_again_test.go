package audit_test

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// After a crash that took the end of a partition's log, or of the offsets, records
// are read again. Those that name no id must be known as well.
func TestARecordThatIsReadAgainIsStoredOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.Clock.Set(time.Now())
		c := w.consume(w.intake(), nil)
		withAccount := func(m members) []byte {
			m["account_id"] = accountA
			return []byte(minimal(m))
		}
		headers := func(id, at string) []bus.Header {
			return []bus.Header{
				{Key: "ce_id", Value: []byte(id)},
				{Key: "ce_source", Value: []byte("/edge")},
				{Key: "ce_time", Value: []byte(at)},
			}
		}
		published := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
		c.publish(
			bus.Message{
				Value:   withAccount(members{"id": "own-id", "occurred_at": "2026-11-20T09:00:00Z"}),
				Headers: headers("not-this", "2026-11-20T10:00:00Z"),
			},
			bus.Message{Value: withAccount(members{}), Headers: headers("ce-77", "2026-11-20T10:00:00.5Z")},
			bus.Message{Value: withAccount(members{}), Headers: headers("an id with blanks", "yesterday"), Time: published},
			bus.Message{Value: withAccount(members{}), Time: published},
			bus.Message{Value: withAccount(members{}), Time: published}, // another event of the same content
		)
		c.settle(5)
		ids := w.ids()
		if len(ids) != 5 || ids[0] != "own-id" || ids[1] != "ce-77" {
			t.Fatalf("%q", ids)
		}
		for i, want := range []string{"2026-11-20T09:00:00.000000Z", "2026-11-20T10:00:00.500000Z",
			record.FormatTime(published.UnixMicro()), record.FormatTime(published.UnixMicro())} {
			rec, err := w.Reader.Get(t.Context(), accountA, ids[i])
			if err != nil || rec.Event.OccurredAt != want {
				t.Errorf("%s: %v, occurred at %s, want %s", ids[i], err, rec.Event.OccurredAt, want)
			}
		}
		w.Clock.Add(time.Minute)
		w.Exec(`UPDATE bus_offset SET next = 0, crc = NULL, epoch = epoch + 1`)
		c.publish(bus.Message{Value: withAccount(members{"id": "behind"})})
		c.settle(6)
		if again := w.ids(); len(again) != 6 || again[5] != "behind" {
			t.Errorf("after the second reading: %q", again)
		}
		if _, list := c.rejects(); len(list) != 0 {
			t.Errorf("%+v", list)
		}
	})
}

// ids are those of the account's events, in their order.
func (w *world) ids() []string {
	w.T.Helper()
	records, err := w.Reader.Range(w.T.Context(), accountA, 0, 100, 100)
	if err != nil {
		w.T.Fatal(err)
	}
	var list []string
	for _, r := range records {
		list = append(list, r.Event.ID)
	}
	return list
}

func TestARecordWithoutAValueSaysSo(t *testing.T) {
	w := newWorld(t, "")
	c := w.consume(w.intake(), nil)
	c.publish(bus.Message{Key: []byte("k")})
	c.settle(1)
	if _, list := c.rejects(); len(list) != 1 || list[0].Errors[0].Message != "the record has no value" {
		t.Errorf("%+v", list)
	}
}

// The record of the installation's own account proves what its operators did.
func TestNobodyElseWritesTheRecordOfTheInstallation(t *testing.T) {
	w := newWorld(t, "")
	value := []byte(minimal(members{"account_id": account.Installation}))
	pathless := []byte(minimal(nil))
	for name, one := range map[string]struct {
		from  audit.Origin
		value []byte
	}{
		"bus":               {audit.Origin{By: record.Submitter{Type: "bus", ID: event.TopicAuditEvents}, ID: "x"}, value},
		"account's token":   {audit.Origin{By: token, Account: account.Installation}, pathless},
		"product team":      {audit.Origin{By: token, Producer: "team"}, value},
		"operators' token":  {audit.Origin{By: token, Operator: true}, value},
		"operators, a path": {audit.Origin{By: token, Operator: true, Account: account.Installation}, pathless},
	} {
		p, err := w.intake().Prepare(t.Context(), one.from, one.value, [32]byte{})
		if err != nil || p.Status != ledger.Rejected || p.Faults[0].Code != errs.CodeForbidden ||
			p.Faults[0].Pointer != "/account_id" {
			t.Errorf("%s: %v, %s, %v", name, err, p.Status, p.Faults)
		}
	}
}
