package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/producer"
)

// catalog runs the command and gives its exit code and what it wrote.
func catalog(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	code = catalogCommand(t.Context(), args, &out, &complaints)
	return code, out.String(), complaints.String()
}

func TestTheStarterFileIsWrittenOnceAndIsGood(t *testing.T) {
	file := filepath.Join(t.TempDir(), "belfry.yaml")
	if code, out, _ := catalog(t, "init", "--output", file); code != 0 || !strings.Contains(out, file) {
		t.Fatal(code, out)
	}
	if code, out, complaints := catalog(t, "check", file); code != 0 || !strings.Contains(out, "is good: products 1") {
		t.Fatal(code, out, complaints)
	}
	if code, _, complaints := catalog(t, "init", "--output", file); code != 1 ||
		!strings.Contains(complaints, "there already") {
		t.Error(code, complaints)
	}
	if code, out, _ := catalog(t, "init", "--output", "-"); code != 0 || out != string(producer.Starter()) {
		t.Error(code, out)
	}
}

// A shell that redirects the output has made an empty file of the name already.
func TestTheStarterFileIsWrittenAlsoWhenTheOutputIsRedirected(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"belfry.yaml", "notice.txt"} {
		out, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		var complaints bytes.Buffer
		code := catalogCommand(t.Context(), []string{"init"}, out, &complaints)
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		written, err := os.ReadFile("belfry.yaml")
		if err != nil || code != 0 || string(written) != string(producer.Starter()) {
			t.Errorf("> %s: %d %q, %d bytes, %v", name, code, complaints.String(), len(written), err)
		}
		if err := os.Truncate("belfry.yaml", 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestApplyingTheSameFileAgainSaysThatItIsInForce(t *testing.T) {
	change := []catalogue.Change{{Op: "added"}}
	for want, out := range map[string]producer.Applied{
		"version 3 is in force already":                         {Version: 3},
		"applied: version 4 (only the text of the file is new)": {Version: 4},
		"applied: version 4":                                    {Version: 4, Changes: change},
	} {
		if got := describeApplied(3, out); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestFaultsAreToldAsEditorsReadThem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "belfry.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nproducts:\n  - product: tls\n    titel: x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, complaints := catalog(t, "check", file)
	if want := file + ":4:5: a product has no key \"titel\"; is title meant?\n"; code != 1 || out != "" ||
		complaints != want {
		t.Errorf("%d %q %q, want %q", code, out, complaints, want)
	}
}

func TestWrongUsageAnswersTwoAndHelpNone(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"aply"},
		{"check"},
		{"check", "a", "b"},
		{"apply", "x", "--nonsense"},
		{"apply", "x"},
		{"init", "x"},
	} {
		if code, _, complaints := catalog(t, args...); code != 2 || complaints == "" {
			t.Errorf("%v: %d %q", args, code, complaints)
		}
	}
	for _, args := range [][]string{{"--help"}, {"init", "--help"}, {"check", "--help"}, {"apply", "--help"}} {
		if code, out, _ := catalog(t, args...); code != 0 || !strings.Contains(out, "Example:") {
			t.Errorf("%v: %d %q", args, code, out)
		}
	}
	if code, _, complaints := catalog(t, "check", filepath.Join(t.TempDir(), "missing.yaml")); code != 1 ||
		complaints == "" {
		t.Error(code, complaints)
	}
}

func TestApplyShowsTheDifferenceFirst(t *testing.T) {
	var asked []string
	refuse := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Content-Type")+" "+
			r.Header.Get("Authorization"))
		if string(body) != string(producer.Starter()) || !strings.HasPrefix(r.UserAgent(), feature.CommandAgent+"/") {
			t.Errorf("agent %q, body %q", r.UserAgent(), body)
		}
		w.Header().Set("Content-Type", "application/json")
		if refuse {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"success":false,"errors":[{"code":12001,"message":"line 14, column 5: `+
				`the product \"example\" belongs to the product team \"x\""}],"messages":[],"result":null}`)
			return
		}
		inForce := int64(7)
		if r.URL.Query().Has("dry_run") {
			inForce = 6 // nothing is applied
		}
		out := producer.Applied{
			DryRun:  r.URL.Query().Has("dry_run"),
			Version: inForce,
			Changes: []catalogue.Change{
				{
					Op:       "removed",
					Kind:     "action",
					Name:     "example/setting/purge",
					Breaking: true,
					Why:      "events with this action will be refused",
				},
			},
		}
		result, err := json.Marshal(out)
		if err != nil {
			t.Error(err)
		}
		io.WriteString(w, `{"success":true,"errors":[],"messages":[],"result":`+string(result)+`}`)
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "belfry.yaml")
	if err := os.WriteFile(file, producer.Starter(), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BELFRY_TOKEN", "secret")
	args := []string{"apply", file, "--url", server.URL, "--producer", "p1"}
	code, out, complaints := catalog(t, append(args, "--dry-run")...)
	if code != 0 || !strings.Contains(out, "- action     example/setting/purge\n             BREAKING: ") ||
		strings.Contains(out, "applied") || len(asked) != 1 {
		t.Errorf("%d %q %q, asked %v", code, out, complaints, asked)
	}
	if want := "PUT /client/v4/producers/p1/catalog?dry_run=true application/yaml Bearer secret"; asked[0] != want {
		t.Errorf("asked %q, want %q", asked[0], want)
	}
	asked = nil
	if code, out, complaints = catalog(t, args...); code != 0 || !strings.HasSuffix(out, "applied: version 7\n") ||
		len(asked) != 2 || strings.Contains(asked[1], "dry_run") {
		t.Errorf("%d %q %q, asked %v", code, out, complaints, asked)
	}
	refuse = true
	if code, out, complaints = catalog(t, args...); code != 1 || out != "" ||
		!strings.HasPrefix(complaints, file+":14:5: the product") {
		t.Errorf("%d %q %q", code, out, complaints)
	}
}

func TestTheExamplesCataloguesAreGood(t *testing.T) {
	for _, name := range []string{"shop", "dnswatch"} {
		file := filepath.Join("..", "..", "examples", name, "belfry.yaml")
		if code, out, complaints := catalog(t, "check", file); code != 0 {
			t.Errorf("%s: %d %q %q", name, code, out, complaints)
		}
	}
}
