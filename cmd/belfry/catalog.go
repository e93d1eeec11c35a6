package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/client"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/strict"
	"github.com/belfryhq/belfry/internal/producer"
)

func catalogCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("catalog", "catalog init|check|apply ...",
		"Declares what a product may write into the audit log, in one file of the product's repository:\n  init   "+
			"writes a commented file to begin with\n  check  finds the faults of a file, offline\n  apply  shows what "+
			"would change on a server, then applies it\nEach has its own --help.",
		"belfry catalog init\nbelfry catalog check belfry.yaml\nbelfry catalog apply belfry.yaml --url "+
			"https://audit.example --producer 0192f7c417d170008000000000000001", stderr)
	if len(args) > 0 {
		switch args[0] {
		case "init":
			return catalogInit(args[1:], stdout, stderr)
		case "check":
			return catalogCheck(args[1:], stdout, stderr)
		case "apply":
			return catalogApply(ctx, args[1:], stdout, stderr)
		}
	}
	if code, done := parse(f, args, stdout); done {
		return code
	}
	return usageError(f, stderr, "one of init, check and apply is required; see belfry catalog --help")
}

func catalogInit(args []string, stdout, stderr io.Writer) int {
	f := flags("catalog init", "catalog init [flags]",
		"Writes a commented catalogue file to begin with. It overwrites no file that holds anything.",
		"belfry catalog init\nbelfry catalog init --output - | less", stderr)
	output := f.String("output", "belfry.yaml", "`file` to write; - for standard output")
	if code, done := parse(f, args, stdout); done {
		return code
	}
	if f.NArg() > 0 {
		return usageError(f, stderr, "unexpected argument %q", f.Arg(0))
	}
	if *output == "-" {
		if _, err := stdout.Write(producer.Starter()); err != nil {
			return fail(stderr, f.Name(), err)
		}
		return 0
	}
	if isFile(stdout, *output) { // belfry catalog init > belfry.yaml
		if _, err := stdout.Write(producer.Starter()); err != nil {
			return fail(stderr, f.Name(), err)
		}
		printf(stderr, "wrote %s; edit it, then: belfry catalog check %s\n", *output, *output)
		return 0
	}
	// `belfry catalog init > belfry.yaml` makes an empty file first.
	if info, err := os.Stat(*output); err == nil && (info.Size() > 0 || !info.Mode().IsRegular()) {
		return fail(stderr, f.Name(), fmt.Errorf("%s is there already; choose another name with --output", *output))
	}
	err := writeOutputs(outputFile{*output, 0o644, literal(producer.Starter())})
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	printf(stdout, "wrote %s; edit it, then: belfry catalog check %s\n", *output, *output)
	return 0
}

// isFile reports whether a writer is the file of that name.
func isFile(w io.Writer, name string) bool {
	out, ok := w.(*os.File)
	if !ok {
		return false
	}
	a, err := out.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(name)
	return err == nil && os.SameFile(a, b)
}

func catalogCheck(args []string, stdout, stderr io.Writer) int {
	f := flags("catalog check", "catalog check FILE",
		"Finds the faults of a catalogue file (YAML, or JSON by its name), offline. Each is told as FILE:LINE:COLUMN; "+
			"exit code 1\nwhen there is one.", "belfry catalog check belfry.yaml", stderr)
	name, code := fileArgument(f, args, stdout, stderr)
	if name == "" {
		return code
	}
	file, code := readCatalogue(f.Name(), name, stderr)
	if file == nil {
		return code
	}
	counts := strings.Join(app.CatalogueSections().Counts(file), ", ")
	printf(stdout, "%s is good: products %d, %s\n", name, len(file.Products), counts)
	return 0
}

func catalogApply(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("catalog apply", "catalog apply FILE [flags]",
		"Shows what a catalogue file changes on a server (+ added, ~ changed, - removed, and what is breaking), then "+
			"applies it.\nThe token is a product team's; without --url, --token and --producer the variables BELFRY_URL, "+
			"BELFRY_TOKEN and\nBELFRY_PRODUCER count. With --profile the file is one that comes with the program: cloudflare "+
			"has the\npublic alert types of the Cloudflare v4 API that Belfry does not raise itself.",
		"belfry catalog apply belfry.yaml --dry-run\nBELFRY_TOKEN=blfp_... belfry catalog apply belfry.yaml --url "+
			"https://audit.example --producer 0192f7c417d170008000000000000001\nbelfry catalog apply --profile cloudflare "+
			"--without 'secondary_dns_*'", stderr)
	address := f.String("url", "", addressUsage)
	token := f.String("token", "", "a product team's `token`"+tokenUsage)
	team := f.String("producer", os.Getenv("BELFRY_PRODUCER"), "the product team's `id`")
	profile := f.String("profile", "", "apply the file of this `name`: cloudflare")
	without := f.String("without", "", "leave out these alert `types` of the profile (comma-separated; a name may end in *)")
	dryRun := f.Bool("dry-run", false, "only show what would change")
	names, code, done := parseFiles(f, args, stdout)
	switch {
	case done:
		return code
	case *profile == "" && (len(names) != 1 || names[0] == ""):
		return usageError(f, stderr, "one file is required, or --profile; see belfry %s --help", f.Name())
	case *profile == "" && *without != "":
		return usageError(f, stderr, "--without belongs to --profile")
	case *profile != "" && len(names) > 0:
		return usageError(f, stderr, "--profile replaces the file")
	case *team == "":
		return usageError(f, stderr, "--producer (or BELFRY_PRODUCER) is required")
	}
	c, err := newClient(*address, *token, stderr)
	if err != nil {
		return usageError(f, stderr, "%v", err)
	}
	name := *profile
	var file *catalogue.File
	if name == "" {
		name = names[0]
		file, code = readCatalogue(f.Name(), name, stderr)
	} else if file, err = readProfile(name, *without); err != nil {
		return usageError(f, stderr, "%v", err)
	}
	if file == nil {
		return code
	}
	path := "/producers/" + url.PathEscape(*team) + "/catalog"
	out, err := putCatalogue(ctx, c, path+"?dry_run=true", file)
	if err == nil {
		err = catalogue.WriteDiff(stdout, visibleChanges(out.Changes))
	}
	if err == nil && !*dryRun {
		before := out.Version
		if out, err = putCatalogue(ctx, c, path, file); err == nil {
			printf(stdout, "%s\n", describeApplied(before, out))
		}
	}
	var refused *client.Problem
	if errors.As(err, &refused) && len(refused.Errors) > 0 {
		for _, e := range refused.Errors {
			printf(stderr, "%s\n", placed(name, e.Message))
		}
		return 1
	}
	if err != nil {
		return fail(stderr, f.Name(), err)
	}
	return 0
}

// describeApplied describes the result of an apply; before is the version until then.
func describeApplied(before int64, out producer.Applied) string {
	switch {
	case out.Version == before:
		return fmt.Sprintf("version %d is in force already", out.Version)
	case len(out.Changes) == 0 && before > 0:
		return fmt.Sprintf("applied: version %d (only the text of the file is new)", out.Version)
	default:
		return fmt.Sprintf("applied: version %d", out.Version)
	}
}

// visibleChanges keeps the server's text about each change within its line.
func visibleChanges(list []catalogue.Change) []catalogue.Change {
	for i := range list {
		c := &list[i]
		for _, text := range []*string{&c.Op, &c.Kind, &c.Name, &c.Field, &c.Why} {
			*text = strict.Visible(*text)
		}
		for _, value := range []*catalogue.Raw{&c.Before, &c.After} {
			if *value != nil {
				*value = catalogue.Raw(strict.Visible(string(*value)))
			}
		}
	}
	return list
}

func putCatalogue(ctx context.Context, c *client.Client, path string, file *catalogue.File) (producer.Applied, error) {
	var out producer.Applied
	env, err := c.Call(ctx, client.Request{
		Method:      http.MethodPut,
		Path:        path,
		ContentType: "application/" + string(file.Format),
		Body:        file.Text,
	})
	if err != nil {
		return out, err
	}
	err = json.Unmarshal(env.Result, &out)
	return out, err
}

// fileArgument reads flags and one file, in any order; "" means that the command
// ends with the code.
func fileArgument(f *flag.FlagSet, args []string, stdout, stderr io.Writer) (name string, code int) {
	names, code, done := parseFiles(f, args, stdout)
	if done {
		return "", code
	}
	if len(names) != 1 || names[0] == "" {
		return "", usageError(f, stderr, "one file is required; see belfry %s --help", f.Name())
	}
	return names[0], 0
}

// readCatalogue reads and checks a file; its faults go to stderr.
func readCatalogue(caller, name string, stderr io.Writer) (*catalogue.File, int) {
	in, err := os.Open(name)
	if err != nil {
		return nil, fail(stderr, caller, err)
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, catalogue.MaxFile+1))
	if err != nil {
		return nil, fail(stderr, caller, err)
	}
	format := catalogue.YAML
	if strings.EqualFold(filepath.Ext(name), ".json") {
		format = catalogue.JSON
	}
	file, err := app.CatalogueSections().Parse(data, format)
	if err != nil {
		for _, e := range errs.All(err) {
			printf(stderr, "%s\n", placed(name, e.Message))
		}
		return nil, 1
	}
	return file, 0
}

// placed converts "line 4, column 5: why" to the form that editors read:
// FILE:4:5: why.
func placed(name, message string) string {
	var line, column int
	if n, err := fmt.Sscanf(message, "line %d, column %d:", &line, &column); err != nil || n != 2 {
		return name + ": " + message
	}
	_, why, _ := strings.Cut(message, ": ")
	return fmt.Sprintf("%s:%d:%d: %s", name, line, column, why)
}
