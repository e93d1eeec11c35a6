package conformance_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/engines"
	"github.com/belfryhq/belfry/test/poll"
)

// TestTheExportersOfOpenTelemetryForPythonAreCounted lets the exporters of another language send a histogram in each
// encoding and temporality.
func TestTheExportersOfOpenTelemetryForPythonAreCounted(t *testing.T) {
	python := engines.Python(t)
	if out, err := exec.Command(python, "-c", "import opentelemetry.sdk").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s (scripts/tools.sh python installs it)", err, out)
	}
	s := start(t)
	s.Must(t, "POST", "/accounts", map[string]any{"name": "OpenTelemetry"}, &s.account)
	for _, encoding := range []string{"protobuf", "json"} {
		for _, temporality := range []string{"delta", "cumulative"} {
			t.Run(encoding+", "+temporality, func(t *testing.T) {
				zone := temporality + "." + encoding + ".example"
				endpoint := s.URL + "/client/v4" + s.accountPath("/traffic/otlp/v1/metrics")
				out, err := exec.CommandContext(t.Context(), python, "otlp/exporter.py", endpoint, s.Token, encoding,
					temporality, zone).CombinedOutput()
				if err != nil || strings.TrimSpace(string(out)) != "OK" {
					t.Fatalf("%v: %s", err, out)
				}
				var got struct{ Result struct{ Total, Bad int } }
				poll.Until(t, "all requests are counted", func() bool {
					a := s.Get(t, s.Token, s.accountPath("/zones/"+zone+"/traffic"))
					return json.Unmarshal(a.Body, &got) == nil && got.Result.Total >= 20
				})
				if got.Result.Total != 20 || got.Result.Bad != 6 {
					t.Errorf("%+v", got.Result)
				}
			})
		}
	}
}
