package notify

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Policy says where messages about which alerts are sent. Its JSON is the Cloudflare v4 API's
// (package alerting); filters exist as "<key>.not" too.
type Policy struct {
	ID            string              `json:"id"`
	Name          string              `json:"name"`
	Description   string              `json:"description"`
	Enabled       bool                `json:"enabled"`
	AlertType     string              `json:"alert_type"`
	AlertInterval string              `json:"alert_interval,omitempty" doc:"At most one notification about the same subject in this time; no limit when left out"`
	Filters       map[string][]string `json:"filters"`
	Mechanisms    Mechanisms          `json:"mechanisms"`
	MinSeverity   string              `json:"min_severity,omitempty" doc:"The mildest severity that is sent"`
	Schedule      *Schedule           `json:"schedule,omitempty"`
	Digest        *Digest             `json:"digest,omitempty"`
	Escalation    []EscalationStep    `json:"escalation,omitempty" doc:"Further destinations of a start that is not acknowledged"`
	Created       web.Time            `json:"created"`
	Modified      web.Time            `json:"modified"`

	account   string
	zones     map[string]string // ids of the zones that the filters name, by the filter's value
	zoneNames map[string]string // their names

	scheduleZone, digestZone *time.Location // of the rules
}

// Mechanisms are a policy's destinations. The id of a mail is its address.
type Mechanisms struct {
	Email     []Mechanism `json:"email,omitzero" maxItems:"50"`
	Webhooks  []Mechanism `json:"webhooks,omitzero" maxItems:"50"`
	PagerDuty []Mechanism `json:"pagerduty,omitzero" maxItems:"50"`
	Inbox     []Mechanism `json:"inbox,omitempty" maxItems:"50" doc:"Inboxes: a member's id, role:ROLE, or user:ID of the customers' pages"`
}

// none reports whether there is no destination.
func (m *Mechanisms) none() bool {
	return len(m.Email)+len(m.Webhooks)+len(m.PagerDuty)+len(m.Inbox) == 0
}

// hooks are the destinations other than mail.
func (m *Mechanisms) hooks() []Mechanism { return slices.Concat(m.Webhooks, m.PagerDuty) }

// Mechanism is one destination.
type Mechanism struct {
	ID string `json:"id" maxLength:"255"`
}

// Limits of policies.
const (
	maxPolicies    = 500 // of an account
	maxText        = 1000
	shortest       = time.Minute
	longest        = 31 * 24 * time.Hour
	maxPolicyBytes = 64 << 10
)

func (p *Policy) interval() time.Duration {
	d, _ := parseInterval(p.AlertInterval) // checked when it was saved
	return d
}

// parseInterval reads a time such as 30m, 4h, 1d or 1d12h.
func parseInterval(s string) (time.Duration, error) {
	days, rest, found := strings.Cut(s, "d")
	if !found {
		return time.ParseDuration(s)
	}
	n, err := strconv.ParseUint(days, 10, 8)
	if err != nil {
		return 0, err
	}
	d := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	return d + more, err
}

// clean is a policy as the record shows it.
func (p *Policy) clean() map[string]any {
	return map[string]any{
		"name":           p.Name,
		"description":    p.Description,
		"enabled":        p.Enabled,
		"alert_type":     p.AlertType,
		"alert_interval": p.AlertInterval,
		"filters":        p.Filters,
		"mechanisms":     p.Mechanisms,
		"min_severity":   p.MinSeverity,
		"schedule":       p.Schedule,
		"digest":         p.Digest,
		"escalation":     p.Escalation,
	}
}

// checkPolicy checks a whole policy. It changes nothing: a policy is shown as it was
// written.
func (n *Feature) checkPolicy(ctx context.Context, account string, p *Policy) error {
	var list errs.List
	if strings.TrimSpace(p.Name) == "" {
		list = append(list, errs.At(errs.CodeMissingField, "/name", "name is required"))
	}
	if p.Mechanisms.none() {
		list = append(list, errs.At(errs.CodeMissingField, "/mechanisms",
			"mechanisms needs at least one email, webhook, pagerduty or inbox"))
	}
	rest, err := n.checkDraft(ctx, account, p)
	if err != nil {
		return err
	}
	return append(list, rest...).Or()
}

// checkDraft checks the fields that a policy has: a dry run needs neither a name nor
// a destination.
func (n *Feature) checkDraft(ctx context.Context, account string, p *Policy) (list errs.List, err error) {
	fault := func(code errs.Code, pointer, format string, args ...any) {
		list = append(list, errs.At(code, pointer, format, args...))
	}
	if utf8.RuneCountInString(p.Name) > maxName || strings.ContainsFunc(p.Name, unicode.IsControl) {
		fault(errs.CodeOutOfRange, "/name", "name has at most %d characters, none of them control characters", maxName)
	}
	if utf8.RuneCountInString(p.Description) > maxText || strings.ContainsRune(p.Description, 0) {
		fault(errs.CodeOutOfRange, "/description", "description has at most %d characters", maxText)
	}
	if p.AlertInterval != "" {
		if d, err := parseInterval(p.AlertInterval); err != nil || d < shortest || d > longest {
			fault(errs.CodeInvalid, "/alert_interval",
				"alert_interval is a time between 1m and 31d, such as 30m, 4h or 1d; leave it out for no limit")
		}
	}
	kind, err := n.AlertType(ctx, p.AlertType)
	switch {
	case err != nil:
		return nil, err
	case p.AlertType == "":
		fault(errs.CodeMissingField, "/alert_type", "alert_type is required")
	case kind == nil:
		fault(errs.CodeInvalid, "/alert_type",
			"no catalogue declares the alert type %s; GET available_alerts lists those that there are", quoted(p.AlertType))
	default:
		list = append(list, checkFilters(kind, p.Filters)...)
	}
	if err := n.checkMechanisms(ctx, account, &p.Mechanisms, map[string]bool{}, fault); err != nil {
		return nil, err
	}
	p.settle()
	if err := n.checkRules(ctx, account, p, kind, fault); err != nil {
		return nil, err
	}
	if b, err := json.Marshal(p); err != nil || len(b) > maxPolicyBytes {
		fault(errs.CodeTooLarge, "", "a policy has at most %d bytes", maxPolicyBytes)
	}
	return list, nil
}

func checkFilters(kind *AlertType, filters map[string][]string) (list errs.List) {
	known := []string{zonesKey, severityKey}
	for _, f := range kind.Filters {
		if !slices.Contains(known, f.Key) {
			known = append(known, f.Key)
		}
		if f.Required && len(filters[f.Key]) == 0 {
			list = append(list, errs.At(errs.CodeMissingFilter, "/filters/"+pointerTo(f.Key),
				"alerts of the type %s need the filter %s (%s) with at least one value", kind.Type, f.Key, f.Title))
		}
		if f.Single && len(filters[f.Key]) > 1 {
			list = append(list, errs.At(errs.CodeInvalid, "/filters/"+pointerTo(f.Key), "the filter %s takes one value, not %d",
				f.Key, len(filters[f.Key])))
		}
		for _, key := range []string{f.Key, f.Key + notSuffix} {
			for _, v := range filters[key] {
				if len(f.Values) > 0 && !slices.Contains(f.Values, v) {
					list = append(list, errs.At(errs.CodeInvalid, "/filters/"+pointerTo(key),
						"the filter %s has no value %s; it has %s",
						f.Key, quoted(v), few(f.Values)))
				}
			}
		}
	}
	if len(filters) > maxFilters {
		list = append(list, errs.At(errs.CodeOutOfRange, "/filters", "filters has at most %d keys", maxFilters))
	}
	for _, key := range sortedKeys(filters) {
		if !slices.Contains(known, strings.TrimSuffix(key, notSuffix)) {
			list = append(list, errs.At(errs.CodeInvalid, "/filters/"+pointerTo(key),
				"alerts of the type %s have no filter %s; they have %s", kind.Type, quoted(key), few(known)))
		}
		if len(filters[key]) > maxValues {
			list = append(list, errs.At(errs.CodeOutOfRange, "/filters/"+pointerTo(key), "a filter has at most %d values",
				maxValues))
		}
		for _, v := range filters[key] {
			if v == "" || len(v) > maxName || strings.ContainsFunc(v, unicode.IsControl) {
				list = append(list, errs.At(errs.CodeInvalid, "/filters/"+pointerTo(key),
					"a filter's value has 1 to %d bytes and no control characters", maxName))
				break
			}
		}
	}
	return list
}

func (n *Feature) checkMechanisms(
	ctx context.Context, account string, m *Mechanisms, seen map[string]bool,
	fault func(errs.Code, string, string, ...any),
) error {
	for i := range m.Email {
		at := "/mechanisms/email/" + itoa(i) + "/id"
		address := foldAddress(m.Email[i].ID)
		parsed, err := mail.ParseAddress(address)
		if err != nil || parsed.Address != address || len(address) > 254 {
			fault(errs.CodeInvalid, at, "%s is not an address such as ana@example.com", quoted(m.Email[i].ID))
			continue
		}
		ok, err := n.Member(ctx, account, address)
		if err != nil {
			return err
		}
		if !ok {
			fault(errs.CodeInvalid, at, "%s", n.refusedAddress(ctx, account, m.Email[i].ID))
		}
		if seen[address] {
			fault(errs.CodeInvalid, at, "%s is there twice", quoted(m.Email[i].ID))
		}
		seen[address] = true
	}
	for _, list := range []struct {
		field, kind, noun string
		ids               []Mechanism
	}{
		{"webhooks", KindWebhook, "webhook", m.Webhooks},
		{"pagerduty", KindPagerDuty, "PagerDuty service", m.PagerDuty},
	} {
		for i, d := range list.ids {
			at := "/mechanisms/" + list.field + "/" + itoa(i) + "/id"
			_, err := n.destinationOf(ctx, account, list.kind, d.ID)
			switch {
			case errs.KindOf(err) == errs.NotFound:
				fault(errs.CodeInvalid, at, "there is no %s %s in this account", list.noun, quoted(d.ID))
			case err != nil:
				return err
			case seen[d.ID]:
				fault(errs.CodeInvalid, at, "the %s %s is there twice", list.noun, d.ID)
			}
			seen[d.ID] = true
		}
	}
	return n.checkInbox(ctx, account, m.Inbox, seen, fault)
}

// CreatePolicy stores a new policy.
func (n *Feature) CreatePolicy(ctx context.Context, by *web.Principal, account string, p Policy) (Policy, error) {
	if err := n.checkPolicy(ctx, account, &p); err != nil {
		return p, err
	}
	if err := mayWatch(by, account, &p); err != nil {
		return p, err
	}
	now := n.Now()
	p.ID = n.ids.next(now)
	p.account = account
	p.Created = moment(now)
	p.Modified = p.Created
	defer n.policyCache.Evict(account)
	err := n.Change(ctx, func(tx *db.Tx) error {
		count := 0
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM policy WHERE account_id = $1`, account).Scan(&count); err != nil {
			return err
		}
		if count >= maxPolicies {
			return errs.New(errs.CodeLimit, "the account has %d policies, which is the most it may have", count)
		}
		if err := n.ensureMail(ctx, tx, account, p.every(), now); err != nil {
			return err
		}
		if err := insertPolicy(ctx, tx, &p); err != nil {
			return err
		}
		return n.record(ctx, tx, by,
			event.NewAudit(account, "create", resourcePolicy, p.ID, p.Name).Changed(nil, p.clean()))
	})
	return p, err
}

// UpdatePolicy applies change to a policy.
func (n *Feature) UpdatePolicy(
	ctx context.Context, by *web.Principal, account, policyID string, change func(*Policy),
) (Policy, error) {
	old, err := n.Policy(ctx, account, policyID)
	if err != nil {
		return old, err
	}
	p := old
	change(&p)
	p.ID = old.ID
	p.account = account
	p.Created = old.Created
	if err := n.checkPolicy(ctx, account, &p); err != nil {
		return p, err
	}
	if err := mayWatch(by, account, &p); err != nil {
		return p, err
	}
	now := n.Now()
	p.Modified = moment(now)
	defer n.policyCache.Evict(account)
	err = n.Change(ctx, func(tx *db.Tx) error {
		if err := n.ensureMail(ctx, tx, account, p.every(), now); err != nil {
			return err
		}
		if ok, err := updatePolicy(ctx, tx, &p); err != nil || !ok {
			return or(err, noPolicy())
		}
		return n.record(ctx, tx, by,
			event.NewAudit(account, "update", resourcePolicy, p.ID, p.Name).Changed(old.clean(), p.clean()))
	})
	return p, err
}

// DeletePolicy deletes a policy; its decisions stay with the alerts.
func (n *Feature) DeletePolicy(ctx context.Context, by *web.Principal, account, policyID string) error {
	old, err := n.Policy(ctx, account, policyID)
	if err != nil {
		return err
	}
	defer n.policyCache.Evict(account)
	return n.Change(ctx, func(tx *db.Tx) error {
		changed, err := tx.Exec(ctx, `DELETE FROM policy WHERE account_id = $1 AND id = $2`, account, policyID)
		if err != nil || changed == 0 {
			return or(err, noPolicy())
		}
		for _, table := range []string{"told", "digest_item"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE policy_id = $1`, policyID); err != nil {
				return err
			}
		}
		return n.record(ctx, tx, by,
			event.NewAudit(account, "delete", resourcePolicy, old.ID, old.Name).Changed(old.clean(), nil))
	})
}

// Policy reads one; CodeNotFound when the account has none with the id.
func (n *Feature) Policy(ctx context.Context, account, policyID string) (p Policy, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		p, err = scanPolicy(tx.QueryRow(ctx, selectPolicy+` AND id = $2`, account, policyID))
		if errors.Is(err, sql.ErrNoRows) {
			err = noPolicy()
		}
		return err
	})
	return p, err
}

// Policies are all of an account, in the order in which they were made.
func (n *Feature) Policies(ctx context.Context, account string) (list []Policy, err error) {
	err = n.DB.View(ctx, func(tx *db.Tx) error {
		list, err = policiesOf(ctx, tx, account)
		return err
	})
	return list, err
}

func noPolicy() *errs.Error { return errs.New(errs.CodeNotFound, "there is no such policy") }

// resolveZones finds the zones that a policy names; unknown ones are left out.
func (n *Feature) resolveZones(ctx context.Context, p *Policy) error {
	for _, key := range []string{zonesKey, zonesKey + notSuffix} {
		for _, ref := range p.Filters[key] {
			z, err := n.Zone(ctx, p.account, ref)
			if err != nil {
				return err
			}
			if p.zones == nil {
				p.zones = map[string]string{}
				p.zoneNames = map[string]string{}
			}
			p.zones[ref] = z.ID
			p.zoneNames[ref] = z.Name
		}
	}
	return nil
}
