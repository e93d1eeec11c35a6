package slo_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/slo"
)

// mailbox is a mail server that refuses some mails.
type mailbox struct {
	mails   []slo.Mail
	members []string
	refuse  bool
}

func (m *mailbox) set(cfg *slo.Config) {
	cfg.SendMail = func(_ context.Context, mail slo.Mail) error {
		if m.refuse {
			return errors.New("the mail server is down")
		}
		m.mails = append(m.mails, mail)
		return nil
	}
	cfg.Member = func(_ context.Context, _, address string) (bool, error) {
		return slices.Contains(m.members, address), nil
	}
	cfg.AccountName = func(context.Context, string) string { return "Acme" }
	cfg.URL = "https://belfry.example"
	cfg.TimeZone = func(context.Context, string) *time.Location {
		zone, err := time.LoadLocation("America/New_York")
		if err != nil {
			panic(err) // the database of zones is in the binary
		}
		return zone
	}
}

func TestTheMonthlyReportIsMailedOnceOnTheFirstOfTheMonth(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		box := &mailbox{members: []string{"ana@acme.example", "bo@acme.example"}}
		w.f = w.another(nil, box.set)
		at := func(text string) {
			moment, err := time.Parse(time.RFC3339, text)
			if err != nil {
				t.Fatal(err)
			}
			w.setClock(moment.Unix())
		}
		send := func() {
			t.Helper()
			if err := w.f.SendReports(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		o := w.create(checkoutSpec())
		w.handle(steady(shop, epoch, epoch+3600, 100, 0)...)
		at("2026-01-10T00:00:00Z")
		_, err := w.f.SetReportSchedule(t.Context(), acme, slo.ReportScheduleUpdate{
			Enabled: true, Addresses: []string{"eve@other.example", "ana@acme.example"},
		})
		if !errs.Is(err, errs.CodeInvalid) || !strings.Contains(err.Error(), "eve@other.example") {
			t.Fatalf("an address of no member: %v", err)
		}
		s, err := w.f.SetReportSchedule(t.Context(), acme, slo.ReportScheduleUpdate{
			Enabled: true, Addresses: []string{"Ana@acme.example", "bo@acme.example"},
		})
		// 8:00 in New York.
		if err != nil || s.NextOn.UTC().Format(time.RFC3339) != "2026-02-01T13:00:00Z" {
			t.Fatalf("%v %+v", err, s)
		}
		at("2026-02-01T12:59:00Z")
		if send(); len(box.mails) != 0 {
			t.Fatalf("sent early: %+v", box.mails)
		}
		at("2026-02-01T13:00:30Z")
		box.refuse = true
		send()
		box.refuse = false
		if send(); len(box.mails) != 0 {
			t.Fatalf("the second attempt waits for a minute: %+v", box.mails)
		}
		box.members = box.members[:1] // Bo has left
		at("2026-02-01T13:02:00Z")
		send()
		w.f = w.another(nil, box.set) // a restart
		send()
		if len(box.mails) != 1 || box.mails[0].To != "ana@acme.example" {
			t.Fatalf("%+v", box.mails)
		}
		text := box.mails[0].Text
		for _, want := range []string{
			"The objectives of Acme in January 2026 (UTC)", o.Name + ": ",
			"https://belfry.example/accounts/" + acme + "/objectives/report?month=2026-01",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the mail lacks %q:\n%s", want, text)
			}
		}
		if s, err = w.f.ReportSchedule(t.Context(), acme); err != nil || s.NextOn.Format("2006-01") != "2026-03" ||
			len(s.Addresses) != 1 {
			t.Errorf("%v %+v", err, s)
		}

		// Switched off over a month, the month is not sent afterwards.
		off := slo.ReportScheduleUpdate{Addresses: []string{"ana@acme.example"}}
		if _, err := w.f.SetReportSchedule(t.Context(), acme, off); err != nil {
			t.Fatal(err)
		}
		at("2026-03-05T00:00:00Z")
		send()
		off.Enabled = true
		if _, err := w.f.SetReportSchedule(t.Context(), acme, off); err != nil {
			t.Fatal(err)
		}
		if send(); len(box.mails) != 1 {
			t.Errorf("an old month was sent: %+v", box.mails)
		}
	})
}

func TestTheReportPageSaysWhoGetsItByMail(t *testing.T) {
	s := newDashboard(t)
	s.furnish()
	path := s.base + "/report"
	s.viewer.Get(path).Expect(200).Says("By mail", "no mail server").Lacks("form-foot")
	s.viewer.Post(path, "enabled", "on").Expect(403)
	s.ana.Post(path, "enabled", "on").Expect(400).Says("Name the members who get the report", "checked")
	s.ana.Post(path, "enabled", "on", "addresses", "eve@other.example").Expect(400).
		Says("eve@other.example is not the confirmed address of a member")
	s.ana.Get(path).Expect(200).Says("Off")
	s.ana.Post(path, "enabled", "on", "addresses", "owner@acme.example").RedirectsTo(path)
	s.ana.Get(path).Expect(200).Says("The report is sent by mail.", "owner@acme.example", "The next report is sent on")
	s.ana.Post(path, "addresses", "owner@acme.example").RedirectsTo(path)
	s.ana.Get(path).Expect(200).Says("Off", "owner@acme.example")
}
