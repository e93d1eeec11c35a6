package slo

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// Limits of the mails with reports.
const (
	reportSweep   = time.Minute
	reportsAtOnce = 100 // accounts, and mails, of one sweep
	reportLease   = 2 * time.Minute
	reportTime    = 20 * time.Second // of one mail
	reportRetries = 12               // the waits double from a minute on: a day and a half
)

// reportMail is a report that is to be sent to one recipient.
type reportMail struct {
	id       string
	account  string
	month    string
	address  string
	attempts int
}

// reportLeases are the rights of processes to send a mail. The lease of a mail that waits is the time before which it
// is not sent.
var reportLeases = db.NewLeases(db.LeaseTable{
	Name:     "report_mail",
	Key:      []string{"id"},
	Holder:   "holder",
	Until:    "next_at",
	Existing: true,
})

// MailReports sends the monthly reports that are due, until ctx ends. A report is stored before it is sent, so it is
// sent after a restart too; a process that ends between the server's answer and its note of it sends the mail again,
// with the same id.
func (f *Feature) MailReports(ctx context.Context) error {
	tick := time.NewTicker(reportSweep)
	defer tick.Stop()
	for {
		if err := f.SendReports(ctx); err != nil && ctx.Err() == nil {
			f.log.WarnContext(ctx, "slo: cannot send the monthly reports now", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// SendReports queues the reports that are due, and sends those that wait.
func (f *Feature) SendReports(ctx context.Context) error {
	if err := f.queueReports(ctx); err != nil {
		return err
	}
	var waiting []reportMail
	err := f.db.View(ctx, func(tx *db.Tx) (err error) {
		waiting, err = db.Collect(ctx, tx, scanReportMail, `SELECT id, account_id, month, address, attempts
			FROM report_mail WHERE next_at <= $1 ORDER BY next_at, id LIMIT $2`, f.now().UnixMicro(), reportsAtOnce)
		return err
	})
	for _, m := range waiting {
		if err != nil || ctx.Err() != nil {
			return err
		}
		err = f.sendReport(ctx, m)
	}
	return err
}

func scanReportMail(row db.Row) (m reportMail, err error) {
	err = row.Scan(&m.id, &m.account, &m.month, &m.address, &m.attempts)
	return m, err
}

// queueReports stores the mails of the schedules that are due.
func (f *Feature) queueReports(ctx context.Context) error {
	type due struct {
		account string
		ReportSchedule
	}
	scan := func(row db.Row) (d due, err error) {
		err = row.Scan(&d.account, &d.month)
		return d, err
	}
	// No zone is further ahead than this one.
	ended := endedMonth(f.now(), time.FixedZone("", 14*3600))
	var list []due
	err := f.db.View(ctx, func(tx *db.Tx) (err error) {
		list, err = db.Collect(ctx, tx, scan, `SELECT account_id, month FROM report_schedule
			WHERE month < $1 AND enabled ORDER BY month, account_id LIMIT $2`, ended, reportsAtOnce)
		return err
	})
	for _, d := range list {
		if err != nil {
			return err
		}
		zone := f.cfg.TimeZone(ctx, d.account)
		month := endedMonth(f.now(), zone)
		if month <= d.month || f.now().Before(dueAt(month, zone)) {
			continue
		}
		err = f.queueReport(ctx, d.account, month)
	}
	return err
}

// queueReport stores the mails of one account. A process that is late finds the month noted already.
func (f *Feature) queueReport(ctx context.Context, accountID, month string) error {
	return f.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE report_schedule SET month = $2 WHERE account_id = $1 AND month < $2 AND enabled`,
			accountID, month)
		if err != nil || n == 0 {
			return err
		}
		s, err := readSchedule(ctx, tx, accountID)
		for _, address := range s.Addresses {
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `INSERT INTO report_mail (id, account_id, month, address, next_at)
				VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account_id, month, address) DO NOTHING`,
				id.New(), accountID, month, address, f.now().UnixMicro())
		}
		return err
	})
}

// sendReport sends one mail, and deletes its row or sets the time of the next attempt. Who is no longer a member gets
// none.
func (f *Feature) sendReport(ctx context.Context, m reportMail) error {
	lease := reportLeases.Of(id.New(), m.id)
	held := false
	err := f.db.Tx(ctx, func(tx *db.Tx) (err error) {
		held, err = lease.Claim(ctx, tx, reportLease)
		return err
	})
	if err != nil || !held {
		return err
	}
	is, err := f.cfg.Member(ctx, m.account, m.address)
	if err == nil && is {
		err = f.mailReport(ctx, m)
	}
	if err != nil {
		f.log.WarnContext(ctx, "slo: a monthly report was not sent", "account", m.account, "month", m.month,
			"attempt", m.attempts+1, "error", err)
	}
	return f.db.Tx(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		ctx := context.WithoutCancel(ctx)
		if lost := lease.Fence(ctx, tx); lost != nil {
			return lost
		}
		if err == nil && !is {
			if err := dropRecipient(ctx, tx, m.account, m.address); err != nil {
				return err
			}
		}
		if err == nil || m.attempts+1 >= reportRetries {
			_, err := tx.Exec(ctx, `DELETE FROM report_mail WHERE id = $1`, m.id)
			return err
		}
		again := f.now().Add(time.Minute << m.attempts)
		_, err := tx.Exec(ctx, `UPDATE report_mail SET holder = '', attempts = attempts + 1, next_at = $2 WHERE id = $1`,
			m.id, again.UnixMicro())
		return err
	})
}

// dropRecipient removes an address that belongs to no member any more from the schedule; without others it is off.
func dropRecipient(ctx context.Context, tx *db.Tx, accountID, address string) error {
	s, err := readSchedule(ctx, tx, accountID)
	if err != nil {
		return err
	}
	s.Addresses = slices.DeleteFunc(s.Addresses, func(a string) bool { return a == address })
	text, err := json.Marshal(s.Addresses)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE report_schedule SET addresses = $2, enabled = $3 WHERE account_id = $1`,
		accountID, string(text), s.Enabled && len(s.Addresses) > 0)
	return err
}

// mailReport makes and sends one mail.
func (f *Feature) mailReport(ctx context.Context, m reportMail) error {
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	r, err := f.MonthlyReport(ctx, m.account, m.month)
	if err != nil {
		return err
	}
	name := "your account"
	if f.cfg.AccountName != nil {
		name = clip(f.cfg.AccountName(ctx, m.account), 80)
	}
	subject, text := r.mail(name, f.cfg.URL+reportPath(m.account))
	return f.cfg.SendMail(ctx, Mail{ID: m.id, To: m.address, Subject: subject, Text: text})
}

// maxMailed is how many objectives a mail lists.
const maxMailed = 50

// mail writes the report as plain text.
func (r *Report) mail(accountName, page string) (subject, text string) {
	month := r.From.UTC().Format("January 2006")
	met := 0
	active := 0
	for _, line := range r.Objectives {
		if line.Reached != nil {
			active++
		}
		if line.Met {
			met++
		}
	}
	result := fmt.Sprintf("%d of %s reached", met, countText(uint64(active), "objective", "objectives"))
	if active == 0 {
		result = "no requests"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "The objectives of %s in %s (UTC): %s.\n\n", accountName, month, result)
	for i, line := range r.Objectives {
		if i == maxMailed {
			fmt.Fprintf(&b, "And %d more, on the page of the report.\n", len(r.Objectives)-maxMailed)
			break
		}
		if line.Reached == nil {
			fmt.Fprintf(&b, "  %s: no requests\n", line.Name)
			continue
		}
		word := "reached"
		if !line.Met {
			word = "MISSED"
		}
		fmt.Fprintf(&b, "  %s: %s. %s, the target is %s; %s of the budget spent\n", line.Name, word,
			reachedText(*line.Reached), line.objective.Percent(), shareOfBudget(line.BudgetSpent))
		if n := line.Alerts.Page + line.Alerts.Ticket; n > 0 {
			fmt.Fprintf(&b, "    %s sent\n", countText(uint64(n), "alert", "alerts"))
		}
	}
	if missing := r.missing(); missing != "" {
		fmt.Fprintf(&b, "\n%s\n", missing)
	}
	fmt.Fprintf(&b, "\nThe report: %s?month=%s\n\n", page, r.Month)
	fmt.Fprintf(&b, "You get this mail because a member of the account chose your address for the monthly report. Every\n"+
		"member who may change objectives can end it there.\n")
	return fmt.Sprintf("%s: %s in %s", accountName, result, month), b.String()
}
