package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSimulatePrintsTransitionsAsLines(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	objective := write("checkout.json", `{"name":"checkout","target":99.9,"window":"30d"}`)
	var counts strings.Builder
	for i := range 720 {
		bad := 0
		if i >= 600 {
			bad = 100
		}
		fmt.Fprintf(&counts, `{"zone":"shop","ts":%d,"total":100,"bad":%d}`+"\n", 1_764_028_800+i*10, bad)
	}
	in := write("counts.ndjson", counts.String())
	var out, errs bytes.Buffer
	if code := dispatch(t.Context(), []string{"slo", "simulate", "--objective", objective, in}, &out, &errs); code != 0 {
		t.Fatalf("%d: %s", code, &errs)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var first struct {
		At, Objective, Pair, Event string
		Long                       struct{ Burn float64 }
	}
	// A total outage at 99.9 %: 51.8 s, and the tick.
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || first.At != "2025-11-25T01:41:00Z" || first.Pair != "1h/5m" || first.Event != "start" || first.Long.Burn < 14.4 || first.Objective != "checkout" {
		t.Errorf("%v: %s", err, lines[0])
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"slo"}, 2, "belfry slo simulate"},
		{[]string{"slo", "simulate", in}, 2, "--objective is required"},
		{[]string{"slo", "simulate", "--objective", objective}, 2, "at least one input"},
		{[]string{"slo", "simulate", "--objective", objective, "--format", "xml", in}, 2, `no format "xml"`},
		{[]string{"slo", "simulate", "--objective", filepath.Join(dir, "none"), in}, 1, "no such file"},
		{[]string{"slo", "simulate", "--objective", write("bad.json", `{"name":"x","target":99,"color":1}`), in}, 1, "color"},
		{[]string{"slo", "simulate", "--objective", objective, write("bad.ndjson", "{\"zone\":\"shop\",\"ts\":1,\"total\":1,\"bad\":0}\n{\"zone\":\"shop\",\"ts\":2,\"total\":1,\"bad\":2}\n")}, 1, "line 2: /bad: "},
	} {
		errs.Reset()
		if code := dispatch(t.Context(), c.args, &out, &errs); code != c.code || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%v: %d %s", c.args, code, &errs)
		}
	}
}
