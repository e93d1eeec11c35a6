package notify

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Silence is a time in which matching alerts are not sent. They are stored and shown, and their decision names the
// silence. Alerts that still fire at its end are evaluated again. Its JSON is the Cloudflare v4 API's (package
// alerting), with the matchers beside policy_id added.
type Silence struct {
	ID        string              `json:"id"`
	PolicyID  string              `json:"policy_id" doc:"Silences one policy; empty = all"`
	AlertType string              `json:"alert_type,omitempty" doc:"Empty = all types"`
	Filters   map[string][]string `json:"filters,omitempty" doc:"As of a policy: zones, severity, the filters of the type, each also as <key>.not"`
	Reason    string              `json:"reason,omitempty"`
	CreatedBy string              `json:"created_by,omitempty"`
	StartTime web.Time            `json:"start_time"`
	EndTime   web.Time            `json:"end_time"`
	State     string              `json:"state" enum:"scheduled,active,ended"`
	CreatedAt web.Time            `json:"created_at"`
	UpdatedAt web.Time            `json:"updated_at"`

	account string
	match   Policy // of its filters, with the properties that they name resolved
}

// The states of silences.
const (
	silenceScheduled = "scheduled"
	silenceActive    = "active"
	silenceEnded     = "ended"
)

// Limits of silences.
const (
	maxSilences    = 200 // of an account, that have not ended
	longestSilence = 366 * 24 * time.Hour
	maxReason      = 500
)

const resourceSilence = "notification_silence"

func (s *Silence) stateAt(now time.Time) string {
	switch {
	case now.Before(s.StartTime.Time):
		return silenceScheduled
	case now.Before(s.EndTime.Time):
		return silenceActive
	}
	return silenceEnded
}

// clean is a silence as the audit log shows it.
func (s *Silence) clean() map[string]any {
	return map[string]any{
		"policy_id":  s.PolicyID,
		"alert_type": s.AlertType,
		"filters":    s.Filters,
		"reason":     s.Reason,
		"start_time": formatTime(s.StartTime.Time),
		"end_time":   formatTime(s.EndTime.Time),
	}
}

// name is the silence in the audit log.
func (s *Silence) name() string { return cut(s.Reason, 200) }

// silences reports whether the silence matches an alert of a policy at a time, and why the policy sends nothing.
func (s *Silence) silences(policy *Policy, attr *attributes, now time.Time) (why string, ok bool) {
	if s.stateAt(now) != silenceActive || s.PolicyID != "" && s.PolicyID != policy.ID ||
		s.AlertType != "" && s.AlertType != attr.kind {
		return "", false
	}
	if fault, _ := s.match.mismatch(attr); fault != "" {
		return "", false
	}
	why = "silenced until " + formatTime(s.EndTime.Time)
	if s.CreatedBy != "" {
		why += " by " + s.CreatedBy
	}
	if s.Reason != "" {
		why += ": " + s.Reason
	}
	return why, true
}

// silencedBy finds the first silence of an account that matches an alert of a policy.
func silencedBy(list []Silence, policy *Policy, attr *attributes, now time.Time) (id, why string) {
	for i := range list {
		if why, ok := list[i].silences(policy, attr, now); ok {
			return list[i].ID, why
		}
	}
	return "", ""
}

// checkSilence returns the faults of a silence; at is the pointer of its object.
func (n *Feature) checkSilence(ctx context.Context, s *Silence, at string) (list errs.List, err error) {
	fault := func(code errs.Code, field, format string, args ...any) {
		list = append(list, errs.At(code, at+"/"+field, format, args...))
	}
	if s.PolicyID == "" && s.AlertType == "" && len(s.Filters) == 0 {
		fault(errs.CodeMissingField, "filters",
			"a silence needs policy_id, alert_type or filters; to send nothing at all, turn the policies off")
	}
	if s.StartTime.IsZero() {
		fault(errs.CodeMissingField, "start_time", "start_time is required")
	}
	length := s.EndTime.Sub(s.StartTime.Time)
	switch {
	case s.EndTime.IsZero():
		fault(errs.CodeMissingField, "end_time", "end_time is required")
	case length <= 0:
		fault(errs.CodeInvalid, "end_time", "end_time must be after start_time")
	case length > longestSilence:
		fault(errs.CodeOutOfRange, "end_time", "a silence lasts at most 366 days")
	}
	if utf8.RuneCountInString(s.Reason) > maxReason || strings.ContainsRune(s.Reason, 0) {
		fault(errs.CodeOutOfRange, "reason", "reason has at most %d characters", maxReason)
	}
	if s.PolicyID != "" {
		_, err := n.Policy(ctx, s.account, s.PolicyID)
		if errs.Is(err, errs.CodeNotFound) {
			fault(errs.CodeInvalid, "policy_id", "there is no policy %s in this account", quoted(s.PolicyID))
		} else if err != nil {
			return nil, err
		}
	}
	kind := &AlertType{Type: s.AlertType, Filters: looseFilters(s.Filters)}
	if s.AlertType != "" {
		found, err := n.AlertType(ctx, s.AlertType)
		if err != nil {
			return nil, err
		}
		if found == nil {
			fault(errs.CodeInvalid, "alert_type", "no catalogue declares the alert type %s", quoted(s.AlertType))
		} else {
			optional := *found
			optional.Filters = optionalFilters(found.Filters)
			kind = &optional
		}
	}
	for _, e := range checkFilters(kind, s.Filters) {
		e.Pointer = at + e.Pointer
		list = append(list, e)
	}
	return list, nil
}

// optionalFilters are the filters of a type for a silence, which needs none of them.
func optionalFilters(list []Filter) []Filter {
	out := make([]Filter, len(list))
	for i, f := range list {
		out[i] = Filter{Key: f.Key, Title: f.Title, Values: f.Values}
	}
	return out
}

// looseFilters permits every key: a silence of all types may name the filter of one.
func looseFilters(filters map[string][]string) (list []Filter) {
	for _, key := range sortedKeys(filters) {
		list = append(list, Filter{Key: strings.TrimSuffix(key, notSuffix), Title: key})
	}
	return list
}

// CreateSilences stores new silences: all, or none when one has a fault.
func (n *Feature) CreateSilences(
	ctx context.Context, by *web.Principal, accountID string, list []Silence,
) ([]Silence, error) {
	var faults errs.List
	now := n.Now()
	for i := range list {
		s := &list[i]
		s.account = accountID
		s.ID = n.ids.next(now)
		s.CreatedBy = byName(by)
		s.CreatedAt = moment(now)
		s.UpdatedAt = s.CreatedAt
		found, err := n.checkSilence(ctx, s, "/"+itoa(i))
		if err != nil {
			return nil, err
		}
		if !s.EndTime.IsZero() && !s.EndTime.After(now) {
			found = append(found, errs.At(errs.CodeInvalid, "/"+itoa(i)+"/end_time", "end_time is over"))
		}
		faults = append(faults, found...)
		s.State = s.stateAt(now)
	}
	if err := faults.Or(); err != nil {
		return nil, err
	}
	defer n.policyCache.Evict(accountID)
	err := n.Change(ctx, func(tx *db.Tx) error {
		count := 0
		err := tx.QueryRow(ctx, `SELECT count(*) FROM silence WHERE account_id = $1 AND ends_at > $2`,
			accountID, now.UnixMicro()).Scan(&count)
		if err != nil {
			return err
		}
		if count+len(list) > maxSilences {
			return errs.New(errs.CodeLimit,
				"an account has at most %d silences that have not ended; it has %d", maxSilences, count)
		}
		for i := range list {
			if err := insertSilence(ctx, tx, &list[i]); err != nil {
				return err
			}
			e := event.NewAudit(accountID, "create", resourceSilence, list[i].ID, list[i].name())
			if err := n.record(ctx, tx, by, e.Changed(nil, list[i].clean())); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

// UpdateSilence applies change to a silence. One that has ended cannot be changed: its decisions are history.
func (n *Feature) UpdateSilence(
	ctx context.Context, by *web.Principal, accountID, silenceID, at string, change func(*Silence),
) (Silence, error) {
	old, err := n.Silence(ctx, accountID, silenceID)
	if err != nil {
		return old, err
	}
	now := n.Now()
	if old.State == silenceEnded {
		return old, errs.At(errs.CodeStateConflict, at+"/id", "the silence has ended; create another one")
	}
	s := old
	change(&s)
	s.ID = old.ID
	s.account = accountID
	s.UpdatedAt = moment(now)
	faults, err := n.checkSilence(ctx, &s, at)
	if err = or(err, faults.Or()); err != nil {
		return s, err
	}
	s.State = s.stateAt(n.Now())
	defer n.policyCache.Evict(accountID)
	err = n.Change(ctx, func(tx *db.Tx) error {
		if ok, err := updateSilence(ctx, tx, &s); err != nil || !ok {
			return or(err, noSilence())
		}
		action := "update"
		if s.State == silenceEnded {
			action = "end"
		}
		e := event.NewAudit(accountID, action, resourceSilence, s.ID, s.name())
		return n.record(ctx, tx, by, e.Changed(old.clean(), s.clean()))
	})
	return s, err
}

// EndSilence ends a silence now. One that has not begun is deleted, and so is one that has ended.
func (n *Feature) EndSilence(ctx context.Context, by *web.Principal, accountID, silenceID string) error {
	old, err := n.Silence(ctx, accountID, silenceID)
	if err != nil {
		return err
	}
	if old.State == silenceActive {
		_, err := n.UpdateSilence(ctx, by, accountID, silenceID, "", func(s *Silence) { s.EndTime = moment(n.Now()) })
		return err
	}
	defer n.policyCache.Evict(accountID)
	return n.Change(ctx, func(tx *db.Tx) error {
		changed, err := tx.Exec(ctx, `DELETE FROM silence WHERE account_id = $1 AND id = $2`, accountID, silenceID)
		if err != nil || changed == 0 {
			return or(err, noSilence())
		}
		return n.record(ctx, tx, by,
			event.NewAudit(accountID, "delete", resourceSilence, old.ID, old.name()).Changed(old.clean(), nil))
	})
}

// Silence reads one; CodeNotFound when the account has none with the id.
func (n *Feature) Silence(ctx context.Context, accountID, silenceID string) (s Silence, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		s, err = scanSilence(tx.QueryRow(ctx, selectSilence+` AND id = $2`, accountID, silenceID))
		if errors.Is(err, sql.ErrNoRows) {
			err = noSilence()
		}
		return err
	})
	s.State = s.stateAt(n.Now())
	return s, err
}

// Silences are those of an account: the one that ends last first, at most 1,000.
func (n *Feature) Silences(ctx context.Context, accountID string) (list []Silence, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		list, err = db.Collect(ctx, tx, scanSilence, selectSilence+` ORDER BY ends_at DESC, id DESC LIMIT 1000`, accountID)
		return err
	})
	for i := range list {
		list[i].State = list[i].stateAt(n.Now())
	}
	return list, err
}

func noSilence() *errs.Error { return errs.New(errs.CodeNotFound, "there is no such silence") }

const silenceColumns = `id, account_id, policy_id, alert_type, filters, reason, created_by, starts_at, ends_at,
	created_at, modified_at`

const selectSilence = `SELECT ` + silenceColumns + ` FROM silence WHERE account_id = $1`

func scanSilence(row db.Row) (s Silence, err error) {
	var filters string
	var starts, ends, created, modified int64
	err = row.Scan(
		&s.ID,
		&s.account,
		&s.PolicyID,
		&s.AlertType,
		&filters,
		&s.Reason,
		&s.CreatedBy,
		&starts,
		&ends,
		&created,
		&modified,
	)
	if err != nil {
		return s, err
	}
	s.StartTime = web.TimeOf(starts)
	s.EndTime = web.TimeOf(ends)
	s.CreatedAt = web.TimeOf(created)
	s.UpdatedAt = web.TimeOf(modified)
	err = json.Unmarshal([]byte(filters), &s.Filters)
	s.match = Policy{Filters: s.Filters, account: s.account}
	return s, err
}

// row is a silence in the order of silenceColumns.
func (s *Silence) row() ([]any, error) {
	if s.Filters == nil {
		s.Filters = map[string][]string{}
	}
	filters, err := json.Marshal(s.Filters)
	return []any{
		s.ID,
		s.account,
		s.PolicyID,
		s.AlertType,
		string(filters),
		s.Reason,
		s.CreatedBy,
		s.StartTime.Micros(),
		s.EndTime.Micros(),
		s.CreatedAt.Micros(),
		s.UpdatedAt.Micros(),
	}, err
}

func insertSilence(ctx context.Context, tx *db.Tx, s *Silence) error {
	values, err := s.row()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO silence (`+silenceColumns+`, resumed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0)`, values...)
	return err
}

func updateSilence(ctx context.Context, tx *db.Tx, s *Silence) (bool, error) {
	values, err := s.row()
	if err != nil {
		return false, err
	}
	changed, err := tx.Exec(ctx, `UPDATE silence SET policy_id = $3, alert_type = $4, filters = $5, reason = $6,
			created_by = $7, starts_at = $8, ends_at = $9, created_at = $10, modified_at = $11
		WHERE id = $1 AND account_id = $2`, values...)
	return changed > 0, err
}
