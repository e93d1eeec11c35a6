package traffic

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/strict"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// RulesReplace is the whole of an account's rules.
type RulesReplace struct {
	Rules      []Rule          `json:"rules,omitempty" doc:"Rules of the account, the first that holds decides; none = the default rules" maxItems:"50"`
	Properties []PropertyRules `json:"properties,omitempty" doc:"Properties with rules of their own, which replace those of the account" maxItems:"100"`
	Metrics    []MetricRule    `json:"metrics,omitempty" doc:"Metrics of Prometheus that are counted, see send-prometheus-metrics; none = the default metrics" maxItems:"50"`
}

// PropertyRules are the rules of one property.
type PropertyRules struct {
	Zone  string `json:"zone" doc:"The zone (property), by id, name or alias; shown as its id" maxLength:"255"`
	Name  string `json:"name,omitempty" doc:"The property's name when the rules were stored"`
	Rules []Rule `json:"rules" maxItems:"50"`
}

// AccountRules are the rules that apply to an account.
type AccountRules struct {
	Default    bool            `json:"default" doc:"The account has no rules of its own: these are the default rules"`
	Rules      []Rule          `json:"rules"`
	Properties []PropertyRules `json:"properties"`

	DefaultMetrics bool         `json:"default_metrics" doc:"The account has no metrics of its own: these are the default metrics"`
	Metrics        []MetricRule `json:"metrics"`
	ModifiedOn     *web.Time    `json:"modified_on,omitempty"`
}

const (
	maxPropertyRules = 100
	cachedAccounts   = 10_000
	cachedZones      = 50_000
	rulesTTL         = 5 * time.Second // with several processes, a change is seen after it
)

// accountRules are the compiled rules of an account.
type accountRules struct {
	document AccountRules
	account  *Rules
	zones    map[string]*Rules // of properties with rules of their own, by id
	metrics  metricTable
}

// of are the rules of a zone.
func (a *accountRules) of(zoneID string) *Rules {
	if r := a.zones[zoneID]; r != nil {
		return r
	}
	return a.account
}

// Counting says how the requests of one property are counted.
type Counting struct {
	Rules   *Rules
	Latency []time.Duration
}

// rulesOf are the rules of an account, from memory where possible.
func (f *Feature) rulesOf(ctx context.Context, accountID string) (*accountRules, error) {
	return f.rules.Get(ctx, accountID, func(ctx context.Context) (a *accountRules, err error) {
		err = f.db.View(ctx, func(tx *db.Tx) error {
			a, err = loadRules(ctx, tx, accountID)
			return err
		})
		return a, err
	})
}

func loadRules(ctx context.Context, tx *db.Tx, accountID string) (*accountRules, error) {
	var text string
	var at int64
	err := tx.QueryRow(ctx, `SELECT document, modified_at FROM rules WHERE account_id = $1`, accountID).Scan(&text, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return compileDocument(RulesReplace{}, nil)
	}
	if err != nil {
		return nil, err
	}
	var stored RulesReplace
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return nil, fmt.Errorf("traffic rules of account %s: %w", accountID, err)
	}
	modified := web.TimeOf(at)
	return compileDocument(stored, &modified)
}

// compileDocument checks and compiles a document whose zones are ids.
func compileDocument(in RulesReplace, modified *web.Time) (*accountRules, error) {
	var faults errs.List
	a := &accountRules{account: defaultRules, zones: map[string]*Rules{}, metrics: defaultMetrics}
	a.document = AccountRules{
		Default:    len(in.Rules) == 0,
		Rules:      in.Rules,
		Properties: append([]PropertyRules{}, in.Properties...),
		ModifiedOn: modified,

		DefaultMetrics: len(in.Metrics) == 0,
		Metrics:        in.Metrics,
	}
	if a.document.DefaultMetrics {
		a.document.Metrics = DefaultMetrics
	} else {
		var wrong errs.List
		a.metrics, wrong = compileMetrics(in.Metrics, "/metrics")
		faults = append(faults, wrong...)
	}
	if a.document.Default {
		a.document.Rules = DefaultRules
	} else {
		var wrong errs.List
		a.account, wrong = CompileRules(in.Rules, "/rules")
		faults = append(faults, wrong...)
	}
	if len(in.Properties) > maxPropertyRules {
		faults = append(faults, errs.At(errs.CodeOutOfRange, "/properties",
			"at most %d properties have rules of their own, not %d", maxPropertyRules, len(in.Properties)))
	}
	for i, p := range in.Properties[:min(len(in.Properties), maxPropertyRules)] {
		at := fmt.Sprintf("/properties/%d", i)
		if len(p.Rules) == 0 {
			faults = append(faults, errs.At(errs.CodeMissingField, at+"/rules", "rules is required: at least one rule; a "+
				"property without rules of its own has those of the account"))
			continue
		}
		rules, wrong := CompileRules(p.Rules, at+"/rules")
		faults = append(faults, wrong...)
		if a.zones[p.Zone] != nil {
			faults = append(faults, errs.At(errs.CodeInvalid, at+"/zone", "the property is in the list twice"))
		}
		a.zones[p.Zone] = rules
	}
	return a, faults.Or()
}

// ReplaceRules replaces the rules of an account. check sees the present ones.
func (f *Feature) ReplaceRules(
	ctx context.Context, accountID string, in RulesReplace, check func(AccountRules) error,
) (AccountRules, error) {
	if err := f.resolveProperties(ctx, accountID, in.Properties); err != nil {
		return AccountRules{}, err
	}
	if err := f.resolveMetrics(ctx, accountID, in.Metrics); err != nil {
		return AccountRules{}, err
	}
	now := web.TimeOf(f.now().UnixMicro())
	after, err := compileDocument(in, &now)
	if err != nil {
		return AccountRules{}, err
	}
	text, err := json.Marshal(in)
	if err != nil {
		return AccountRules{}, err
	}
	err = f.cfg.Change(ctx, func(tx *db.Tx) error {
		before, err := loadRules(ctx, tx, accountID)
		if err != nil {
			return err
		}
		if err := check(before.document); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO rules (account_id, document, modified_at) VALUES ($1, $2, $3)
			ON CONFLICT (account_id) DO UPDATE SET document = excluded.document, modified_at = excluded.modified_at`,
			accountID, string(text), now.Micros()); err != nil {
			return err
		}
		return f.cfg.Record(ctx, tx, event.NewAudit(accountID, "update", "traffic_rules", accountID, "traffic rules").
			Changed(before.document.recorded(), after.document.recorded()))
	})
	f.rules.Evict(accountID)
	return after.document, err
}

// recorded is the part of rules that the audit log shows.
func (r AccountRules) recorded() any {
	return struct {
		Default    bool            `json:"default"`
		Rules      []Rule          `json:"rules"`
		Properties []PropertyRules `json:"properties"`
		Metrics    []MetricRule    `json:"metrics"`
	}{r.Default, r.Rules, r.Properties, r.Metrics}
}

// resolveMetrics replaces the names of the metrics' properties by their ids.
func (f *Feature) resolveMetrics(ctx context.Context, accountID string, list []MetricRule) error {
	var faults errs.List
	for i := range list[:min(len(list), maxMetricRules)] {
		m := &list[i]
		if m.Zone == "" {
			continue
		}
		zoneID, _, err := f.findZone(ctx, accountID, m.Zone)
		if err != nil {
			return err
		}
		if zoneID == "" {
			faults = append(faults, errs.At(errs.CodeInvalid, fmt.Sprintf("/metrics/%d/zone", i),
				"there is no property %q in this account", strict.Clip(m.Zone, maxWord)))
			continue
		}
		m.Zone = zoneID
	}
	return faults.Or()
}

// resolveProperties replaces the names of properties by their ids.
func (f *Feature) resolveProperties(ctx context.Context, accountID string, list []PropertyRules) error {
	var faults errs.List
	for i := range list[:min(len(list), maxPropertyRules)] {
		p := &list[i]
		at := fmt.Sprintf("/properties/%d/zone", i)
		if p.Zone == "" {
			faults = append(faults, errs.At(errs.CodeMissingField, at, "zone is required: a property's id, name or alias"))
			continue
		}
		zoneID, name, err := f.findZone(ctx, accountID, p.Zone)
		if err != nil {
			return err
		}
		if zoneID == "" {
			faults = append(faults, errs.At(errs.CodeInvalid, at, "there is no property %q in this account",
				strict.Clip(p.Zone, maxWord)))
			continue
		}
		p.Zone = zoneID
		p.Name = name
	}
	return faults.Or()
}

// findZone finds a zone that exists; id "" when there is none.
func (f *Feature) findZone(ctx context.Context, accountID, ref string) (zoneID, name string, err error) {
	if f.cfg.FindZone == nil || ref == "" {
		return "", "", nil
	}
	return f.cfg.FindZone(ctx, accountID, ref)
}

// countingOf says how the requests of a zone are counted, once for each name. A zone is
// made by its first request, as where its counts are added.
func (b *batch) countingOf(ctx context.Context, accountID, ref string) (*Counting, error) {
	k := zoneRef{accountID, ref}
	if c := b.counting[k]; c != nil {
		return c, nil
	}
	rules, err := b.f.rulesOf(ctx, accountID)
	if err != nil {
		return nil, err
	}
	c := &Counting{Rules: rules.account}
	if ref != "" && (len(rules.zones) > 0 || b.f.cfg.Thresholds != nil) {
		zone, err := b.resolveZone(ctx, accountID, ref)
		if err != nil {
			return nil, err
		}
		if zone.fault == nil {
			if c, err = b.f.countingOf(ctx, accountID, zone.id, rules); err != nil {
				return nil, err
			}
		}
	}
	if len(b.counting) < maxCells {
		b.counting[k] = c
	}
	return c, nil
}

// countingOf says how the requests of a zone, by id, are counted.
func (f *Feature) countingOf(
	ctx context.Context, accountID, zoneID string, rules *accountRules,
) (c *Counting, err error) {
	c = &Counting{Rules: rules.of(zoneID)}
	if f.cfg.Thresholds == nil || zoneID == "" {
		return c, nil
	}
	c.Latency, err = f.thresholds.Get(ctx, zoneRef{accountID, zoneID}, func(ctx context.Context) ([]time.Duration, error) {
		list, err := f.cfg.Thresholds(ctx, accountID, zoneID)
		list = slices.DeleteFunc(slices.Clone(list), func(d time.Duration) bool { return d <= 0 })
		slices.SortFunc(list, cmp.Compare)
		list = slices.Compact(list)
		return list[:min(len(list), maxThresholds)], err
	})
	return c, err
}

// maxThresholds limits the latency thresholds of a zone: each makes another count.
const maxThresholds = 20
