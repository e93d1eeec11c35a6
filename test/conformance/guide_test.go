package conformance_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/e2e/live"
)

// guideProgram is the Go program that docs/guide/verify.md shows.
func guideProgram(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/guide/verify.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```go\n")
	program, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the guide shows no program")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "verify")
	build := exec.Command("go", "build", "-o", bin, filepath.Join(dir, "main.go"))
	build.Dir = "." // this module has x/mod
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the guide's program does not build: %v\n%s", err, out)
	}
	return bin
}

func TestTheProgramOfTheGuideVerifiesWithoutBelfry(t *testing.T) {
	s := start(t)
	f := seed(t, s)
	size := int64(len(f.events))
	keys := live.Decode[struct{ Result []struct{ VKey string } }](t, s.Get(t, s.Token, "/audit/keys").Body)
	vkey := keys.Result[0].VKey
	checkpoint, signed := freshCheckpoint(t, s, vkey, size)
	export := download(t, s, s.accountPath(fmt.Sprintf("/audit/export?format=ndjson&from=0&to=%d&size=%d", signed.Size,
		signed.Size)))
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	program := guideProgram(t)
	note := write("checkpoint", checkpoint)
	if out, err := exec.Command(program, write("good", export), note, vkey).CombinedOutput(); err != nil ||
		!strings.HasPrefix(string(out), "OK: ") {
		t.Fatalf("%v\n%s", err, out)
	}
	// An envelope of another event of the same export: valid base64, wrong leaf.
	lines := bytes.Split(export, []byte("\n"))
	lines[2] = lines[1]
	if out, err := exec.Command(program, write("bad", bytes.Join(lines, []byte("\n"))), note, vkey).
		CombinedOutput(); err == nil {
		t.Fatalf("a doubled event was accepted:\n%s", out)
	}
}

func TestTheGoSDKDeliversToTheRealServer(t *testing.T) {
	s := start(t)
	s.Must(t, "POST", "/accounts", map[string]string{"name": "SDK"}, &s.account)
	cmd := exec.Command("go", "test", "-count=1", "-v", "-run", "TestTheRealServer", ".")
	cmd.Dir = "../../sdk/go"
	cmd.Env = append(live.Environment(), "BELFRY_TEST_SERVER="+s.URL, "BELFRY_TEST_SERVER_TOKEN="+s.Token,
		"BELFRY_TEST_SERVER_ACCOUNT="+s.account.ID)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestTheRealServer") {
		t.Fatalf("%v\n%s", err, out)
	}
}
