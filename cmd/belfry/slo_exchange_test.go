package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/slo"
)

const exchangeFiles = "../../internal/slo/exchange/testdata/"

// TestImportAndExport creates the objectives of a file on a server that answers as the API does, and exports them.
func TestImportAndExport(t *testing.T) {
	var created []slo.Objective
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer := func(result any) {
			text, err := json.Marshal(result)
			if err != nil {
				t.Error(err)
			}
			fmt.Fprintf(w, `{"success":true,"errors":[],"messages":[],"result":%s}`, text)
		}
		body, err := io.ReadAll(r.Body)
		switch {
		case err != nil:
			t.Error(err)
		case r.Method == http.MethodPost:
			var o slo.Objective
			if err := json.Unmarshal(body, &o); err != nil {
				t.Error(err)
			}
			if o.Pairs == nil {
				o.Pairs = slo.Standard
			}
			created = append(created, o)
			answer(o)
		case strings.HasSuffix(r.URL.Path, "/slos"):
			answer(created)
		default:
			answer(created[0])
		}
	}))
	defer server.Close()
	t.Setenv("BELFRY_URL", server.URL)
	t.Setenv("BELFRY_TOKEN", "token")
	t.Setenv("BELFRY_ACCOUNT", "acme")
	run := func(code int, args ...string) (string, string) {
		t.Helper()
		var out, complaints bytes.Buffer
		if got := dispatch(t.Context(), append([]string{"slo"}, args...), &out, &complaints); got != code {
			t.Errorf("%v: exit code %d, want %d: %s%s", args, got, code, &complaints, &out)
		}
		return out.String(), complaints.String()
	}

	run(0, "import", "--dry-run", "--property", "shop.example", exchangeFiles+"sloth.yml")
	if len(created) != 0 {
		t.Fatal("a dry run created objectives")
	}
	out, _ := run(0, "import", "--property", "shop.example", exchangeFiles+"sloth.yml")
	if len(created) != 2 || strings.Count(out, "\n") != 2 || !strings.Contains(out, "queries") {
		t.Fatalf("%+v %s", created, out)
	}
	out, _ = run(1, "import", "--property", "shop.example", "--dry-run", exchangeFiles+"openslo.yaml")
	if !strings.Contains(out, `"fault":"the rolling window \"1h\"`) {
		t.Error(out)
	}
	if out, _ = run(1, "import", "--dry-run", exchangeFiles+"sloth.yml"); !strings.Contains(out, "name the property") {
		t.Error(out)
	}
	run(2, "import")
	run(1, "import", "--dry-run", "none.yaml")

	if out, _ = run(0, "export"); strings.Count(out, "kind: SLO") != 2 {
		t.Error(out)
	}
	out, _ = run(0, "export", "--format", "prometheus", "--objective", "x", "--total", "all", "--bad", "failed")
	if !strings.Contains(out, "sum(rate(failed[5m])) / sum(rate(all[5m]))") {
		t.Error(out)
	}
	run(2, "export", "--format", "prometheus")
	run(2, "export", "--format", "nagios")
}
