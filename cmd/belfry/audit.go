package main

import (
	"context"
	"io"
)

func auditCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flags("audit", "audit import|export ...",
		"Imports events into the audit log, or exports them with their proofs. Each has its own --help.",
		"belfry audit import --git . --account ext:acme\nbelfry audit export --account ext:acme --out acme.ndjson", stderr)
	if len(args) > 0 {
		switch args[0] {
		case "import":
			return auditImport(ctx, args[1:], stdout, stderr)
		case "export":
			return auditExport(ctx, args[1:], stdout, stderr)
		}
	}
	if code, done := parse(f, args, stdout); done {
		return code
	}
	return usageError(f, stderr, "one of import and export is required; see belfry audit --help")
}
