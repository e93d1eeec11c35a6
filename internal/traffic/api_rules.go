package traffic

import (
	"context"
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/strict"
	"github.com/belfryhq/belfry/internal/platform/web"
)

type replaceRules struct{ Body RulesReplace }

type previewRules struct{ Body RulesTry }

// RulesTry asks what rules would have decided.
type RulesTry struct {
	Format   string   `json:"format" doc:"Format of the lines, as in send-access-logs" maxLength:"20"`
	Lines    []string `json:"lines" doc:"Lines of an access log" minItems:"1" maxItems:"1000"`
	Zone     string   `json:"zone,omitempty" doc:"The property whose present rules are compared, by id, name or alias; left out: the account's" maxLength:"255"`
	TimeZone string   `json:"timezone,omitempty" doc:"As in send-access-logs" maxLength:"64"`
	Rules    []Rule   `json:"rules,omitempty" doc:"Rules to try; left out: the present ones" maxItems:"50"`
}

// RulesPreview has the decisions that rules would have made.
type RulesPreview struct {
	Now     OutcomeCounts    `json:"now" doc:"By the present rules"`
	Then    OutcomeCounts    `json:"then" doc:"By the rules in the request"`
	Refused int              `json:"refused" doc:"Lines that are not requests"`
	Lines   []PreviewedLine  `json:"lines" doc:"The first 100 lines that are not good, change, or are not requests"`
	Rules   []PreviewedRules `json:"rules" doc:"How many lines each of the rules decided"`
}

// OutcomeCounts are lines by outcome.
type OutcomeCounts struct {
	Good        int `json:"good"`
	Bad         int `json:"bad" doc:"Without the unreachable ones"`
	Unreachable int `json:"unreachable"`
	Ignored     int `json:"ignored"`
}

// PreviewedLine is the outcome of one line.
type PreviewedLine struct {
	Line   int     `json:"line" doc:"From 1"`
	Now    Outcome `json:"now,omitempty"`
	Then   Outcome `json:"then,omitempty"`
	Rule   *int    `json:"rule,omitempty" doc:"Index of the rule that decided; none: no rule held, so the request is good"`
	Edge   int     `json:"edge" doc:"Status that the client got"`
	Origin string  `json:"origin,omitempty" doc:"Status of the origin, as in a rule"`
	Reason string  `json:"reason,omitempty"`
	Fault  string  `json:"fault,omitempty" doc:"Why the line is not a request"`
}

// PreviewedRules is the number of lines that a rule decided.
type PreviewedRules struct {
	Rule  int `json:"rule" doc:"Index"`
	Lines int `json:"lines"`
}

type countingIn struct {
	Zone string `query:"zone" maxLength:"255" doc:"The property, by id, name or alias; left out, or not known: the account's rules"`
}

// CountingRules say how requests of a property are counted.
type CountingRules struct {
	Default bool     `json:"default" doc:"These are the default rules"`
	Rules   []Rule   `json:"rules"`
	Latency []string `json:"latency" doc:"Thresholds: a request with a duration is also counted by the SLI latency:THRESHOLD, as bad when it took longer"`
}

const (
	maxPreviewLines   = 1000
	maxPreviewedLines = 100
)

func (f *Feature) registerRules(api *web.API) {
	const path = "/accounts/{account_id}/traffic/rules"
	web.Get(api, web.Op{
		Path: path, ID: "get-traffic-rules", Tag: tag, Permission: account.SLORead,
		Summary: "Get the rules that decide what counts as failed",
		Description: "The rules decide from the status that the client got, the status of the origin, and the reason that " +
			"the proxy names. The first rule that holds decides; a request for which none holds is good.",
	}, func(ctx context.Context, _ *struct{}) (AccountRules, error) {
		var now *accountRules
		err := f.db.View(ctx, func(tx *db.Tx) (err error) {
			now, err = loadRules(ctx, tx, web.Account(ctx).ID)
			return err
		})
		if err != nil {
			return AccountRules{}, err
		}
		return now.document, nil
	})

	web.Put(api, web.Op{
		Path: path, ID: "replace-traffic-rules", Tag: tag, Permission: account.SLOWrite,
		Summary: "Replace the rules that decide what counts as failed",
		Description: "They apply to requests that arrive from now on; counts that are stored do not change. Without rules, " +
			"the default rules apply.",
		Errors: []errs.Code{errs.CodeStale},
	}, func(ctx context.Context, in *replaceRules) (AccountRules, error) {
		return f.ReplaceRules(ctx, web.Account(ctx).ID, in.Body, func(now AccountRules) error {
			return web.IfMatch(ctx, now)
		})
	})

	web.Post(api, web.Op{
		Path: path + "/preview", ID: "preview-traffic-rules", Tag: tag, Permission: account.SLORead,
		Summary:     "Try rules on lines of an access log",
		Description: "At most 1,000 lines, which are not stored and not counted.",
	}, func(ctx context.Context, in *previewRules) (RulesPreview, error) {
		return f.previewRules(ctx, web.Account(ctx).ID, in.Body)
	})

	web.Get(api, web.Op{
		Path: "/accounts/{account_id}/traffic/counting", ID: "get-counting-rules", Tag: tag,
		Permission: account.TrafficWrite,
		Summary:    "Get how requests of a property are counted",
		Description: "For programs that count requests themselves, as belfry tail does: the rules, and the thresholds of " +
			"latency.",
	}, func(ctx context.Context, in *countingIn) (CountingRules, error) {
		return f.countingRules(ctx, web.Account(ctx).ID, in.Zone)
	})
	api.Limit("traffic.rules", maxRules)
	api.Limit("traffic.property_rules", maxPropertyRules)
}

// countingRules are the rules and thresholds of a zone.
func (f *Feature) countingRules(ctx context.Context, accountID, ref string) (CountingRules, error) {
	rules, err := f.rulesOf(ctx, accountID)
	if err != nil {
		return CountingRules{}, err
	}
	zoneID, _, err := f.findZone(ctx, accountID, ref)
	if err != nil {
		return CountingRules{}, err
	}
	how, err := f.countingOf(ctx, accountID, zoneID, rules)
	if err != nil {
		return CountingRules{}, err
	}
	out := CountingRules{Default: rules.document.Default, Rules: rules.document.Rules, Latency: []string{}}
	for _, p := range rules.document.Properties {
		if p.Zone == zoneID {
			out.Default = false
			out.Rules = p.Rules
		}
	}
	for _, d := range how.Latency {
		out.Latency = append(out.Latency, d.String())
	}
	return out, nil
}

// Compile makes the rules usable.
func (c CountingRules) Compile() (*Counting, error) {
	rules, faults := CompileRules(c.Rules, "/rules")
	if err := faults.Or(); err != nil {
		return nil, err
	}
	out := &Counting{Rules: rules}
	for _, text := range c.Latency {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return nil, errs.At(errs.CodeInvalid, "/latency", "%q is not a threshold", strict.Clip(text, 40))
		}
		out.Latency = append(out.Latency, d)
	}
	return out, nil
}

// previewRules classifies lines by the present rules and by others.
func (f *Feature) previewRules(ctx context.Context, accountID string, in RulesTry) (RulesPreview, error) {
	out := RulesPreview{Lines: []PreviewedLine{}, Rules: []PreviewedRules{}}
	format, err := ParseFormat(in.Format)
	if err != nil {
		return out, errs.At(errs.CodeInvalid, "/format", "%s", errs.All(err)[0].Message)
	}
	if len(in.Lines) == 0 || len(in.Lines) > maxPreviewLines {
		return out, errs.At(errs.CodeOutOfRange, "/lines", "lines has 1 to %d lines, not %d", maxPreviewLines,
			len(in.Lines))
	}
	zone, err := loadZone(in.TimeZone)
	if err != nil {
		return out, errs.At(errs.CodeInvalid, "/timezone", "%s", errs.All(err)[0].Message)
	}
	present, err := f.rulesOf(ctx, accountID)
	if err != nil {
		return out, err
	}
	zoneID, _, err := f.findZone(ctx, accountID, in.Zone)
	if err != nil {
		return out, err
	}
	if in.Zone != "" && zoneID == "" {
		return out, errs.At(errs.CodeInvalid, "/zone", "there is no property %q in this account",
			strict.Clip(in.Zone, maxWord))
	}
	now := present.of(zoneID)
	then := now
	if len(in.Rules) > 0 {
		var faults errs.List
		if then, faults = CompileRules(in.Rules, "/rules"); len(faults) > 0 {
			return out, faults.Or()
		}
	}

	parser := Parser{Format: format, Zone: zone, Rules: now}
	decided := make([]int, len(then.list))
	for i, text := range in.Lines {
		one := PreviewedLine{Line: i + 1}
		e, fault := parser.Parse([]byte(text))
		if IsHeader(fault) {
			continue
		}
		if fault == nil && len(text) > MaxLine {
			fault = notLine("the line is longer than %d bytes", MaxLine)
		}
		if fault != nil {
			out.Refused++
			one.Fault = errs.All(fault)[0].Message
			out.show(one)
			continue
		}
		one.Edge = e.Status
		one.Reason = e.Reason
		switch e.OriginStatus {
		case 0:
		case NotAsked:
			one.Origin = "0"
		default:
			one.Origin = fmt.Sprint(e.OriginStatus)
		}
		one.Now = out.Now.add(e)
		if rule := then.first(format, &e); rule >= 0 {
			decided[rule]++
			one.Rule = &rule
		}
		then.Classify(format, &e)
		if one.Then = out.Then.add(e); one.Then != IsGood || one.Now != IsGood {
			out.show(one)
		}
	}
	for i, n := range decided {
		out.Rules = append(out.Rules, PreviewedRules{Rule: i, Lines: n})
	}
	return out, nil
}

func (p *RulesPreview) show(one PreviewedLine) {
	if len(p.Lines) < maxPreviewedLines {
		p.Lines = append(p.Lines, one)
	}
}

// add counts an entry and returns its outcome.
func (c *OutcomeCounts) add(e Entry) Outcome {
	switch {
	case e.Ignored:
		c.Ignored++
		return IsIgnored
	case e.Unreachable:
		c.Unreachable++
		return IsUnreachable
	case e.Bad:
		c.Bad++
		return IsBad
	}
	c.Good++
	return IsGood
}
