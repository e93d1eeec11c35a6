// Command belfry is the whole of Belfry: the server, its demo, and the tools
// around it. Every sub-command is one file that reads flags and calls a package.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
)

// version is set by release builds with -ldflags "-X main.version=1.2.3".
var version = ""

// command is one sub-command. run returns the exit code.
type command struct {
	name, summary string
	run           func(ctx context.Context, args []string, stdout, stderr io.Writer) int
}

func commands() []command {
	return []command{
		{"serve", "run the server", serveCommand},
		{"demo", "break a shop and see what Belfry makes of it", demoCommand},
		{"verify", "check an export or one event, offline", verifyCommand},
		{"audit", "import or export the audit log", auditCommand},
		{"catalog", "declare a product: init, check, apply", catalogCommand},
		{"slo", "objectives: simulate, gate, import, export", sloCommand},
		{"tail", "ship access logs to a server", tailCommand},
		{"login-link", "print a fresh one-time sign-in link for an operator", loginLinkCommand},
		{"migrate", "bring the databases up to this version", migrateCommand},
		{"version", "print the version", versionCommand},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := dispatch(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// dispatch runs a sub-command: exit code 0, 1 (it failed) or 2 (wrong usage).
func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && (args[0] == "serve" || args[0] == "demo" || args[0] == "demo-part") {
		// Their output is the log of a server, which quotes what it repeats; the demo passes
		// its streams to its processes.
		return execute(ctx, args, stdout, stderr)
	}
	out := &printer{to: stdout}
	complaints := &printer{to: stderr}
	defer out.flush()
	defer complaints.flush()
	return execute(ctx, args, out, complaints)
}

func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		to := stdout
		code := 0
		if len(args) == 0 {
			to = stderr
			code = 2
		}
		printf(to, "belfry watches, keeps the record, and rings the bell.\n\nUsage: belfry COMMAND [flags]\n\nCommands:\n")
		for _, c := range commands() {
			printf(to, "  %-11s %s\n", c.name, c.summary)
		}
		printf(to, "\nbelfry COMMAND --help tells more, with an example.\n")
		return code
	}
	if args[0] == "demo-part" { // a child process of the demo
		return demoPartCommand(ctx, args[1:], stdout, stderr)
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:], stdout, stderr)
		}
	}
	printf(stderr, "belfry: there is no command %q; belfry --help lists them\n", args[0])
	return 2
}

// flags makes the flag set of a sub-command, with its help.
func flags(name, usage, about, example string, stderr io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		io.WriteString(f.Output(), about+"\n\nUsage: belfry "+usage+"\n")
		if strings.Contains(usage, "[flags]") {
			printf(f.Output(), "\nFlags:\n")
			f.PrintDefaults()
		}
		io.WriteString(f.Output(), "\nExample:\n  "+strings.ReplaceAll(example, "\n", "\n  ")+"\n")
	}
	return f
}

// parse reads the flags; done means that the command ends with the code.
func parse(f *flag.FlagSet, args []string, stdout io.Writer) (code int, done bool) {
	for _, a := range args {
		if a == "-h" || a == "--help" || a == "-help" {
			f.SetOutput(stdout)
		}
	}
	out := f.Output()
	usage := f.Usage
	f.SetOutput(io.Discard) // flag repeats the argument as it is; printf makes it visible
	f.Usage = func() {}
	err := f.Parse(args)
	f.SetOutput(out)
	f.Usage = usage
	switch {
	case errors.Is(err, flag.ErrHelp):
		f.Usage()
		return 0, true
	case err != nil:
		printf(out, "%s\n\n", err)
		f.Usage()
		return 2, true
	}
	return 0, false
}

// parseAll is parse for a command without arguments.
func parseAll(f *flag.FlagSet, args []string, stdout, stderr io.Writer) (code int, done bool) {
	if code, done = parse(f, args, stdout); !done && f.NArg() > 0 {
		return usageError(f, stderr, "unexpected argument %q; see belfry %s --help", f.Arg(0), f.Name()), true
	}
	return code, done
}

// usageError prints the fault of the command line.
func usageError(f *flag.FlagSet, stderr io.Writer, format string, args ...any) int {
	printf(stderr, "belfry "+f.Name()+": "+format+"\n", args...)
	return 2
}

// fail says why a command failed.
func fail(stderr io.Writer, name string, err error) int {
	printf(stderr, "belfry %s: %v\n", name, err)
	return 1
}

func versionCommand(_ context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("version", "version", "Prints the version and the commit it was built from.", "belfry version", stderr)
	if code, done := parseAll(f, args, stdout, stderr); done {
		return code
	}
	printf(stdout, "belfry %s\n", buildVersion())
	return 0
}

// buildVersion is the release's version, or the one that the toolchain recorded.
func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision := ""
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if revision != "" {
		return "devel-" + revision + dirty
	}
	return strings.Trim(info.Main.Version, "()")
}
