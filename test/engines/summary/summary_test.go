package main

import (
	"strings"
	"testing"
)

func summarize(t *testing.T, events string) (Totals, string) {
	t.Helper()
	var out strings.Builder
	totals, err := Summarize(strings.NewReader(events), &out)
	if err != nil {
		t.Fatal(err)
	}
	return totals, out.String()
}

func TestAFailedTestShowsItsOutputAndAPassedOneDoesNot(t *testing.T) {
	totals, out := summarize(t, `
{"Action":"output","Package":"p","Test":"TestA","Output":"quiet\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: loud\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p","Elapsed":1.5}
`)
	if totals != (Totals{Passed: 1, Failed: 1}) {
		t.Errorf("totals %+v", totals)
	}
	if strings.Contains(out, "quiet") || !strings.Contains(out, "FAIL TestB in p\n    b_test.go:7: loud\n") {
		t.Errorf("printed:\n%s", out)
	}
	if !strings.HasSuffix(out, "\n1 passed, 1 failed, 0 skipped\n") {
		t.Errorf("the last line is not the count:\n%s", out)
	}
}

func TestAPanicIsPrintedAndCountsAsAFailure(t *testing.T) {
	totals, out := summarize(t, `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"panic: oh\n"}
{"Action":"fail","Package":"p"}
`)
	if totals.Failed != 1 || !strings.Contains(out, "panic: oh") {
		t.Errorf("totals %+v, printed:\n%s", totals, out)
	}
}

func TestAPackageThatDoesNotBuildShowsTheCompilersWords(t *testing.T) {
	totals, out := summarize(t, `
{"ImportPath":"p [p.test]","Action":"build-output","Output":"p.go:1: undefined: x\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}
`)
	if totals.Failed != 1 || !strings.Contains(out, "undefined: x") {
		t.Errorf("totals %+v, printed:\n%s", totals, out)
	}
}

func TestEnginesAndReasonsAreCounted(t *testing.T) {
	_, out := summarize(t, `
{"Action":"output","Package":"p","Test":"TestA","Output":"    engines.go:9: engine: PostgreSQL\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    engines.go:9: engine: PostgreSQL\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    engines.go:9: Kafka left out\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}
`)
	if !strings.Contains(out, "used by 2 tests: PostgreSQL\n") || strings.Contains(out, "left out 1 times: engine") ||
		!strings.Contains(out, "left out 1 times: Kafka left out\n") {
		t.Errorf("printed:\n%s", out)
	}
}

func TestLinesThatAreNoEventsPassThrough(t *testing.T) {
	_, out := summarize(t, "go: errors parsing go.mod\n{\"x\":1}\n")
	if !strings.HasPrefix(out, "go: errors parsing go.mod\n{\"x\":1}\n") {
		t.Errorf("printed:\n%s", out)
	}
}
