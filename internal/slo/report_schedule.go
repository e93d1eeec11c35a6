package slo

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// MaxReportAddresses bounds the recipients of the monthly report of an account.
const MaxReportAddresses = 20

// reportHour is the hour of the first day of a month, in the zone of the account, at which the report is sent.
const reportHour = 8

// ReportSchedule names the receivers of an account's monthly report by mail.
type ReportSchedule struct {
	Enabled   bool     `json:"enabled"`
	Addresses []string `json:"addresses" doc:"Mail addresses of members, which they have confirmed"`
	NextOn    web.Time `json:"next_on,omitzero" doc:"When the next report is sent: on the first day of the month, at 8:00 in the time zone of the account; missing while it is off"`
	Mails     bool     `json:"mails" doc:"The installation has a mail server. Without one nothing is sent"`

	month string // the newest that is not sent any more
}

// ReportScheduleUpdate is the request body for the schedule of the monthly report.
type ReportScheduleUpdate struct {
	Enabled   bool     `json:"enabled"`
	Addresses []string `json:"addresses" doc:"Mail addresses of members, which they have confirmed; at most 20"`
}

// ReportSchedule reads the schedule of an account; without one it is off.
func (f *Feature) ReportSchedule(ctx context.Context, accountID string) (s ReportSchedule, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		s, err = readSchedule(ctx, tx, accountID)
		return err
	})
	f.complete(ctx, accountID, &s)
	return s, err
}

// complete adds what is not stored.
func (f *Feature) complete(ctx context.Context, accountID string, s *ReportSchedule) {
	s.Mails = f.cfg.SendMail != nil
	if s.Enabled {
		s.NextOn = web.TimeOf(dueAt(monthAfter(s.month), f.cfg.TimeZone(ctx, accountID)).UnixMicro())
	}
}

// SetReportSchedule replaces the schedule of an account. The first report is that of the present month.
func (f *Feature) SetReportSchedule(
	ctx context.Context, accountID string, in ReportScheduleUpdate,
) (s ReportSchedule, err error) {
	if in.Addresses, err = f.checkRecipients(ctx, accountID, in); err != nil {
		return s, err
	}
	text, err := json.Marshal(in.Addresses)
	if err != nil {
		return s, err
	}
	ended := endedMonth(f.now(), f.cfg.TimeZone(ctx, accountID))
	err = f.cfg.Change(ctx, func(tx *db.Tx) error {
		before, err := readSchedule(ctx, tx, accountID)
		if err != nil {
			return err
		}
		s = ReportSchedule{Enabled: in.Enabled, Addresses: in.Addresses, month: before.month}
		if !before.Enabled || s.month == "" {
			s.month = ended
		}
		_, err = tx.Exec(ctx, `INSERT INTO report_schedule (account_id, enabled, addresses, month, modified_at)
			VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (account_id) DO UPDATE SET enabled = excluded.enabled, addresses = excluded.addresses,
			month = excluded.month, modified_at = excluded.modified_at`,
			accountID, s.Enabled, string(text), s.month, f.now().UnixMicro())
		if err != nil || before.Enabled == s.Enabled && slices.Equal(before.Addresses, s.Addresses) {
			return err
		}
		was := ReportScheduleUpdate{before.Enabled, before.Addresses}
		return f.cfg.Record(ctx, tx,
			event.NewAudit(accountID, "update", "report_schedule", accountID, "").Changed(was, in))
	})
	f.complete(ctx, accountID, &s)
	return s, err
}

// checkRecipients checks and folds the addresses of a schedule. All faults are found.
func (f *Feature) checkRecipients(
	ctx context.Context, accountID string, in ReportScheduleUpdate,
) ([]string, error) {
	if len(in.Addresses) > MaxReportAddresses {
		return nil, errs.At(errs.CodeTooLarge, "/addresses", "name at most %d addresses", MaxReportAddresses)
	}
	if in.Enabled && len(in.Addresses) == 0 {
		return nil, errs.At(errs.CodeMissingField, "/addresses", "name the members who get the report")
	}
	list := []string{}
	var faults errs.List
	for i, address := range in.Addresses {
		address = strings.ToLower(strings.TrimSpace(address))
		is, err := f.cfg.Member(ctx, accountID, address)
		if err != nil {
			return nil, err
		}
		if !is {
			faults = append(faults, errs.At(errs.CodeInvalid, fmt.Sprintf("/addresses/%d", i),
				"%s is not the confirmed address of a member of this account", clip(address, 100)))
		}
		if !slices.Contains(list, address) {
			list = append(list, address)
		}
	}
	return list, faults.Or()
}

// scheduleColumns are read by scanSchedule.
const scheduleColumns = `enabled, addresses, month`

func scanSchedule(row db.Row) (s ReportSchedule, err error) {
	var text string
	if err = row.Scan(&s.Enabled, &text, &s.month); err == nil {
		err = json.Unmarshal([]byte(text), &s.Addresses)
	}
	return s, err
}

func readSchedule(ctx context.Context, tx *db.Tx, accountID string) (ReportSchedule, error) {
	s, err := scanSchedule(tx.QueryRow(ctx,
		`SELECT `+scheduleColumns+` FROM report_schedule WHERE account_id = $1`, accountID))
	if errors.Is(err, sql.ErrNoRows) {
		return ReportSchedule{Addresses: []string{}}, nil
	}
	return s, err
}

// endedMonth is the newest month that has ended in a zone.
func endedMonth(now time.Time, zone *time.Location) string {
	now = now.In(zone)
	return time.Date(now.Year(), now.Month(), 0, 0, 0, 0, 0, zone).Format(monthLayout)
}

// monthAfter is the month that follows another one.
func monthAfter(month string) string {
	at, err := time.Parse(monthLayout, month)
	if err != nil {
		return ""
	}
	return at.AddDate(0, 1, 0).Format(monthLayout)
}

// dueAt is the time at which the report of a month is sent: in the morning of the next one, where the account is. The
// months of reports are in UTC, so this may be later.
func dueAt(month string, zone *time.Location) time.Time {
	first, err := time.Parse(monthLayout, month)
	if err != nil {
		return time.Time{}
	}
	first = first.AddDate(0, 1, 0)
	at := time.Date(first.Year(), first.Month(), 1, reportHour, 0, 0, 0, zone)
	if complete := first.Add(time.Hour); at.Before(complete) {
		return complete
	}
	return at
}

type reportScheduleIn struct {
	Body ReportScheduleUpdate
}

func (f *Feature) registerReportSchedule(api *web.API, base string) {
	const path = "/report/schedule"
	web.Get(api, web.Op{
		Path: base + path, ID: "get-report-schedule", Tag: apiTag, Permission: account.SLORead,
		Summary: "Get who gets the monthly report by mail",
	}, func(ctx context.Context, _ *struct{}) (ReportSchedule, error) {
		return f.ReportSchedule(ctx, web.Account(ctx).ID)
	})
	web.Put(api, web.Op{
		Path: base + path, ID: "replace-report-schedule", Tag: apiTag, Permission: account.SLOWrite,
		Summary: "Set who gets the monthly report by mail",
		Description: "The report of a month is sent on the first day of the next one, in the time zone of the account, once " +
			"to each address. The first report is that of the present month.",
	}, func(ctx context.Context, in *reportScheduleIn) (ReportSchedule, error) {
		return f.SetReportSchedule(ctx, web.Account(ctx).ID, in.Body)
	})
}
