package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/belfryhq/belfry/internal/client"
	"github.com/belfryhq/belfry/internal/slo"
)

// The exit codes of the gate: CI tells a closed gate from a gate that could not be asked.
const (
	gateClosed = 1
	gateFailed = 2
)

// gateResult is the answer of the gate about one objective.
type gateResult struct {
	Objective  string    `json:"objective"`
	Name       string    `json:"name"`
	State      slo.State `json:"state"`
	BudgetLeft float64   `json:"budget_left"` // percent
	Passes     bool      `json:"passes"`
	Why        string    `json:"why"`
}

// gateReport is the output of the gate.
type gateReport struct {
	Passes     bool         `json:"passes"`
	Objectives []gateResult `json:"objectives"`
}

func sloGate(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("slo gate", "slo gate [flags] --objective ID,...",
		"Fails when an objective burns, or when less than a share of its budget is left: for a step of CI before a\n"+
			"release. Prints a JSON document. The exit code is 0 when all objectives pass, 1 when one does not, and 2 when the server\n"+
			"could not be asked or the command line is wrong. An objective without data passes unless --need-data is given.",
		"belfry slo gate --objective 0192f7c417d170008000000000000001 --min-budget 10\n"+
			"belfry slo gate --all --min-budget 25 --need-data", stderr)
	address := f.String("url", "", addressUsage)
	token := f.String("token", "", "API `token` with slo:read"+tokenUsage)
	account := f.String("account", os.Getenv("BELFRY_ACCOUNT"), "account `id` or ext:<external id> (or BELFRY_ACCOUNT)")
	objectives := f.String("objective", "", "`ids` of the objectives, separated by commas")
	all := f.Bool("all", false, "ask about all objectives of the account")
	least := f.Float64("min-budget", 0, "fewest `percent` of the budget that must be left")
	needData := f.Bool("need-data", false, "fail when an objective has no data")
	if code, done := parseAll(f, args, stdout, stderr); done {
		return code
	}
	switch {
	case *account == "":
		return usageError(f, stderr, "--account (or BELFRY_ACCOUNT) is required")
	case (*objectives == "") == !*all:
		return usageError(f, stderr, "name objectives with --objective, or ask about all of them with --all")
	case !(*least >= 0 && *least <= 100): // also NaN
		return usageError(f, stderr, "--min-budget must be 0 to 100")
	}
	c, err := newClient(*address, *token, stderr)
	if err != nil {
		fail(stderr, f.Name(), err)
		return gateFailed
	}
	g := gate{c: c, base: "/accounts/" + url.PathEscape(*account) + "/slos", least: *least, needData: *needData}
	report, err := g.ask(ctx, *objectives)
	if err != nil {
		fail(stderr, f.Name(), err)
		return gateFailed
	}
	out := json.NewEncoder(stdout)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	if err := out.Encode(report); err != nil {
		fail(stderr, f.Name(), err)
		return gateFailed
	}
	if !report.Passes {
		return gateClosed
	}
	return 0
}

// gate asks a server about objectives.
type gate struct {
	c        *client.Client
	base     string
	least    float64 // percent
	needData bool
}

// ask asks about some objectives, or about all when none is named.
func (g *gate) ask(ctx context.Context, ids string) (report gateReport, err error) {
	report.Passes = true
	report.Objectives = []gateResult{}
	var named []string
	for one := range strings.SplitSeq(ids, ",") {
		if one = strings.TrimSpace(one); one != "" {
			named = append(named, one)
		}
	}
	if len(named) == 0 {
		if named, err = g.all(ctx); err != nil {
			return report, err
		}
	}
	for _, id := range named {
		result, err := g.one(ctx, id)
		if err != nil {
			return report, err
		}
		report.Passes = report.Passes && result.Passes
		report.Objectives = append(report.Objectives, result)
	}
	return report, nil
}

// all lists the ids of the account's objectives.
func (g *gate) all(ctx context.Context) (ids []string, err error) {
	var list []slo.Objective
	// An account has at most as many objectives as one page holds.
	err = g.c.JSON(ctx, "GET", fmt.Sprintf("%s?limit=%d", g.base, slo.MaxObjectives), nil, &list)
	for _, o := range list {
		ids = append(ids, o.ID)
	}
	if err == nil && len(ids) == 0 {
		err = errors.New("the account has no objectives")
	}
	return ids, err
}

func (g *gate) one(ctx context.Context, id string) (gateResult, error) {
	var o struct {
		Name string `json:"name"`
	}
	var s slo.Status
	path := g.base + "/" + url.PathEscape(id)
	if err := g.c.JSON(ctx, "GET", path, nil, &o); err != nil {
		return gateResult{}, fmt.Errorf("objective %s: %w", id, err)
	}
	if err := g.c.JSON(ctx, "GET", path+"/status", nil, &s); err != nil {
		return gateResult{}, fmt.Errorf("objective %s: %w", id, err)
	}
	left := 100 * s.Budget.Left
	result := gateResult{Objective: id, Name: o.Name, State: s.State, BudgetLeft: left, Why: s.Sentence}
	switch {
	case s.State == slo.Burning || s.State == slo.Recovering:
	case s.State == slo.NoData && g.needData:
	case left < g.least:
		result.Why = fmt.Sprintf("%.4g %% of the budget is left, less than %.4g %%. %s", left, g.least, s.Sentence)
	default:
		result.Passes = true
	}
	return result, nil
}
