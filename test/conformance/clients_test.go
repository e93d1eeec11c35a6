package conformance_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/belfryhq/belfry/test/e2e/live"
	"github.com/belfryhq/belfry/test/engines"
)

// clientEnvironment is the environment of the clients' processes.
func clientEnvironment(s *server, f *fixture) []string {
	return append(live.Environment(),
		"BELFRY_URL="+s.URL,
		"BELFRY_TOKEN="+s.Token,
		"BELFRY_BROKERS="+s.Brokers,
		"ACCOUNT_ID="+s.account.ID,
		"BELFRY_EXPECTED="+f.file)
}

// goClient runs the tests of the module cloudflare, which is one of its own so that
// Belfry's module does not need that client.
func goClient(t *testing.T, s *server, f *fixture) {
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-timeout=5m", "./...")
	cmd.Dir = "cloudflare"
	cmd.Env = clientEnvironment(s, f)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func nodeClient(t *testing.T, s *server, f *fixture) {
	runScript(t, "audit.mjs", clientEnvironment(s, f))
}

// runScript runs a script of the folder node and returns its standard output.
func runScript(t *testing.T, name string, environment []string, arguments ...string) []byte {
	t.Helper()
	folder := engines.Node(t)
	script := filepath.Join(folder, name)
	if _, err := os.Stat(script); err != nil {
		t.Fatalf("BELFRY_TEST_NODE must be test/conformance/node of this work tree: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{script}, arguments...)...)
	cmd.Dir = folder
	cmd.Env = environment
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, out, complaints.Bytes())
	}
	return out
}
