package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/belfryhq/belfry/internal/client"
	"github.com/belfryhq/belfry/internal/slo"
	"github.com/belfryhq/belfry/internal/slo/exchange"
)

// sloImport creates objectives from files of other projects.
func sloImport(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("slo import", "slo import [flags] FILE...",
		"Creates objectives from files of OpenSLO v1, Sloth and Pyrra. Each line of the output says what became of one,\n"+
			"and what the objective does not express: these projects count by queries of metrics, Belfry by the requests of a\n"+
			"property. The property is that of --property, or of the annotation belfry.dev/property. The exit code is 1 when\n"+
			"an objective was not imported.",
		"belfry slo import --property shop.example --dry-run slos.yaml", stderr)
	address := f.String("url", "", addressUsage)
	token := f.String("token", "", "API `token` with slo:write"+tokenUsage)
	account := f.String("account", os.Getenv("BELFRY_ACCOUNT"), "account `id` or ext:<external id> (or BELFRY_ACCOUNT)")
	property := f.String("property", "", "`id`, name or alias of the property of objectives that name none")
	dryRun := f.Bool("dry-run", false, "check the files and print the objectives, without a server")
	names, code, done := parseFiles(f, args, stdout)
	if done {
		return code
	}
	switch {
	case len(names) == 0:
		return usageError(f, stderr, "name at least one file")
	case *account == "" && !*dryRun:
		return usageError(f, stderr, "--account (or BELFRY_ACCOUNT) is required")
	}
	var list []exchange.Imported
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return fail(stderr, f.Name(), err)
		}
		found, err := exchange.Read(data, *property)
		if err != nil {
			return fail(stderr, f.Name(), fmt.Errorf("%s: %w", name, err))
		}
		list = append(list, found...)
	}
	var c *client.Client
	if !*dryRun {
		var err error
		if c, err = newClient(*address, *token, stderr); err != nil {
			return fail(stderr, f.Name(), err)
		}
	}
	whole := len(list) > 0
	out := json.NewEncoder(stdout)
	out.SetEscapeHTML(false)
	for i := range list {
		one := &list[i]
		if one.Fault == "" {
			err := slo.CheckSpec(one.Spec)
			if err == nil && c != nil {
				err = c.JSON(ctx, "POST", "/accounts/"+url.PathEscape(*account)+"/slos", one.Spec, nil)
			}
			if err != nil {
				one.Fault = err.Error()
			}
		}
		whole = whole && one.Fault == ""
		if err := out.Encode(one); err != nil {
			return fail(stderr, f.Name(), err)
		}
	}
	if !whole {
		return 1
	}
	return 0
}

// sloExport writes the account's objectives in the formats of other projects.
func sloExport(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("slo export", "slo export [flags]",
		"Writes the account's objectives as documents of OpenSLO v1, or as rules of Prometheus. OpenSLO cannot express a\n"+
			"pair of windows: pairs are an annotation. Rules need the selectors of a Prometheus that counts the same\n"+
			"requests, and one objective.",
		"belfry slo export > objectives.yaml\n"+
			"belfry slo export --format prometheus --objective ID --total requests --bad 'requests{code=~\"5..\"}'",
		stderr)
	address := f.String("url", "", addressUsage)
	token := f.String("token", "", "API `token` with slo:read"+tokenUsage)
	account := f.String("account", os.Getenv("BELFRY_ACCOUNT"), "account `id` or ext:<external id> (or BELFRY_ACCOUNT)")
	format := f.String("format", "openslo", "openslo or prometheus")
	objective := f.String("objective", "", "`id` of the only objective to export")
	total := f.String("total", "", "`selector` of the counter of all requests, for prometheus")
	bad := f.String("bad", "", "`selector` of the counter of failed requests, for prometheus")
	if code, done := parseAll(f, args, stdout, stderr); done {
		return code
	}
	rules := *format == "prometheus"
	switch {
	case *account == "":
		return usageError(f, stderr, "--account (or BELFRY_ACCOUNT) is required")
	case !rules && *format != "openslo":
		return usageError(f, stderr, "there is no format %q; there are openslo and prometheus", *format)
	case rules && (*objective == "" || *total == "" || *bad == ""):
		return usageError(f, stderr, "rules of Prometheus need --objective, --total and --bad")
	}
	c, err := newClient(*address, *token, stderr)
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	base := "/accounts/" + url.PathEscape(*account) + "/slos"
	var list []slo.Objective
	if *objective != "" {
		list = make([]slo.Objective, 1)
		err = c.JSON(ctx, "GET", base+"/"+url.PathEscape(*objective), nil, &list[0])
	} else {
		err = c.JSON(ctx, "GET", fmt.Sprintf("%s?limit=%d", base, slo.MaxObjectives), nil, &list)
	}
	var data []byte
	switch {
	case err != nil:
	case rules:
		data, err = exchange.Rules(&list[0], exchange.Metrics{Total: *total, Bad: *bad})
	default:
		data, err = exchange.OpenSLO(list)
	}
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	printf(stdout, "%s", strings.TrimSuffix(string(data), "\n")+"\n")
	return 0
}
