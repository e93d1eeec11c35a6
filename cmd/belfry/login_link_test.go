package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// Every command but serve and demo leaves a folder without an installation as
// it is; those that need one say what to set.
func TestCommandsOutsideOfTheServersFolderMakeNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("BELFRY_DATA_DIR", "")
	t.Setenv("BELFRY_DATABASE_URL", "")
	needing := map[string][][]string{
		"login-link": {{}, {"--email", "ana@example.com"}, {"--email", "ana@example.com", "--operator"}},
		"migrate":    {{}},
	}
	for _, c := range commands() {
		if c.name == "serve" || c.name == "demo" || c.name == "catalog" { // catalog init makes the file that it is asked for
			continue
		}
		calls := needing[c.name]
		if calls == nil {
			calls = [][]string{{}}
		}
		for _, args := range calls {
			var stdout, stderr bytes.Buffer
			code := dispatch(t.Context(), append([]string{c.name}, args...), &stdout, &stderr)
			if needing[c.name] != nil && (code != 1 ||
				stderr.String() != "belfry "+c.name+
					": no Belfry data in ./belfry-data: set BELFRY_DATA_DIR or --config as for the server\n") {
				t.Errorf("belfry %s %v: %d %s", c.name, args, code, &stderr)
			}
			if strings.Contains(stdout.String(), "/sign-in") {
				t.Errorf("belfry %s %v printed a link: %s", c.name, args, &stdout)
			}
			left, err := os.ReadDir(".")
			if err != nil || len(left) != 0 {
				t.Fatalf("belfry %s %v left %v, %v", c.name, args, left, err)
			}
		}
	}
	var stderr bytes.Buffer
	if code := dispatch(t.Context(), []string{"login-link", "--operator"}, &stderr, &stderr); code != 2 ||
		!strings.Contains(stderr.String(), "--operator needs --email") {
		t.Errorf("%d %s", code, &stderr)
	}
}
