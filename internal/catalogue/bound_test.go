package catalogue_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/test/sections"
)

// A file of the largest size must be read in a time that a request may take,
// whatever is in it: each shape here was or could be quadratic.
func TestTheLargestFileIsReadInBoundedTime(t *testing.T) {
	keys := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < catalogue.MaxFile-2048; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	products := func(resource string, n int) string {
		product := "- product: p\n  resources:\n" + strings.Repeat(resource, n)
		return "version: 1\nproducts:\n" + strings.Repeat(product, 100)
	}
	schemas := "  - {type: r, actions: [a], schema: {type: object}, metadata_schema: {type: object}}\n"
	actions := "  - {type: r, actions: [" + strings.Repeat("a,", 490) + "a]}\n"
	for name, file := range map[string]struct {
		text   string
		format catalogue.Format
	}{
		"keys in JSON":      {`{"version":1,` + keys(`"k%d":1,`) + `"z":1}`, catalogue.JSON},
		"keys in YAML":      {"version: 1\n" + keys("k%d: 1\n"), catalogue.YAML},
		"keys in flow YAML": {"{version: 1," + keys("k%d: 1,") + "z: 1}", catalogue.YAML},
		"list in JSON":      {`{"version":1,"products":[` + keys(`%d,`) + `1]}`, catalogue.JSON},
		"open brackets":     {strings.Repeat("[", catalogue.MaxFile), catalogue.YAML},
		"open JSON":         {strings.Repeat("[", catalogue.MaxFile), catalogue.JSON},
		"indent":            {strings.Repeat("- ", catalogue.MaxFile/2), catalogue.YAML},
		"schemas":           {products(schemas, 100), catalogue.YAML},
		"actions":           {products(actions, 10), catalogue.YAML},
	} {
		t.Run(name, func(t *testing.T) {
			began := processorTime(t)
			if len(file.text) > catalogue.MaxFile {
				t.Fatalf("%d bytes are not looked at", len(file.text))
			}
			if _, err := sections.All().Parse([]byte(file.text), file.format); err == nil {
				t.Error("the file is taken")
			}
			if took := processorTime(t) - began; took > 20*time.Second {
				t.Errorf("took %v", took)
			} else {
				t.Log(took)
			}
		})
	}
}

// processorTime is the CPU time that this process has used: a loaded machine does not change
// it, as it does the time on the clock.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
