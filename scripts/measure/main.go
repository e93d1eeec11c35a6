// Command measure prints how the Go code of this repository is written: sizes, widths, comments, names. It counts and
// does not judge; docs/adr/0005-house-measures.md keeps the figures. With -check it lists each place that breaks one
// of the house's rules, and fails when there is one.
//
// Generated files (by their "Code generated" line), testdata and folders that hold other people's code are left out.
// Each measure's definition stands beside its row in table.go or its counter in file.go.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	root := flag.String("root", ".", "folder of the repository")
	check := flag.String("check", "", "rules to check, with commas between: "+strings.Join(ruleNames(), ", "))
	under := flag.String("under", "", "with -check: only files below this folder")
	flag.Parse()

	failed, err := run(os.Stdout, *root, *check, *under)
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

// run prints the table, or the findings of the rules in check. It reports whether there were findings.
func run(out io.Writer, root, check, under string) (bool, error) {
	files, err := readTree(root)
	if err != nil {
		return false, err
	}
	if check != "" {
		return report(out, files, strings.Split(check, ","), under)
	}

	printTable(out, files)
	return false, nil
}
