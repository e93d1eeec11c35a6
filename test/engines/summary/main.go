// Command summary reads the events of one or more "go test -json" runs on standard input
// and prints what a person wants to know of them: one line for each package, the whole
// output of what failed, which engines were used, why tests were left out, and the count.
//
// It ends with status 1 when something failed or when no test ran at all.
package main

import (
	"fmt"
	"os"
)

func main() {
	totals, err := Summarize(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(1)
	}
	if totals.Failed > 0 || totals.Passed == 0 {
		os.Exit(1)
	}
}
