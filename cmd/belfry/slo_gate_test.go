package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestTheGateTellsAClosedGateFromOneThatCouldNotBeAsked asks a server that answers as the API does.
func TestTheGateTellsAClosedGateFromOneThatCouldNotBeAsked(t *testing.T) {
	states := map[string]string{
		"good":   `{"state":"ok","sentence":"On track.","budget":{"left":0.5}}`,
		"low":    `{"state":"ok","sentence":"On track.","budget":{"left":0.05}}`,
		"burns":  `{"state":"burning","sentence":"It burns.","budget":{"left":0.9}}`,
		"silent": `{"state":"no_data","sentence":"There is no data yet.","budget":{"left":1}}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("x-should-retry", "false")
		rest, ok := strings.CutPrefix(r.URL.Path, "/client/v4/accounts/acme/slos")
		id, status := strings.CutSuffix(strings.TrimPrefix(rest, "/"), "/status")
		switch state := states[id]; {
		case ok && rest == "":
			fmt.Fprint(w, `{"success":true,"errors":[],"messages":[],"result":[{"id":"good"},{"id":"silent"}]}`)
		case state == "":
			w.WriteHeader(404)
			fmt.Fprint(w, `{"success":false,"errors":[{"code":7004,"message":"no such objective"}],"messages":[],"result":null}`)
		case status:
			fmt.Fprintf(w, `{"success":true,"errors":[],"messages":[],"result":%s}`, state)
		default:
			fmt.Fprintf(w, `{"success":true,"errors":[],"messages":[],"result":{"name":%q}}`, id)
		}
	}))
	defer server.Close()
	t.Setenv("BELFRY_URL", server.URL)
	t.Setenv("BELFRY_TOKEN", "token")
	t.Setenv("BELFRY_ACCOUNT", "acme")
	for args, code := range map[string]int{
		"--objective good":                     0,
		"--objective good --min-budget 50":     0,
		"--objective good --min-budget 50.1":   1,
		"--objective good,low":                 0,
		"--objective good,low --min-budget 10": 1,
		"--objective burns":                    1,
		"--objective silent":                   0,
		"--objective silent --need-data":       1,
		"--all":                                0,
		"--all --need-data":                    1,
		"--objective none":                     2,
		"":                                     2,
		"--all --objective good":               2,
		"--all --min-budget 101":               2,
		"--all --min-budget NaN":               2,
	} {
		var out, complaints bytes.Buffer
		got := dispatch(t.Context(), append([]string{"slo", "gate"}, strings.Fields(args)...), &out, &complaints)
		if got != code {
			t.Errorf("%s: exit code %d, want %d: %s", args, got, code, &complaints)
		}
		if code == 2 {
			continue
		}
		var report gateReport
		if err := json.Unmarshal(out.Bytes(), &report); err != nil || report.Passes != (code == 0) ||
			len(report.Objectives) == 0 || report.Objectives[0].Why == "" {
			t.Errorf("%s: %v %s", args, err, &out)
		}
	}
}
