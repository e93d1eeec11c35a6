package slo_test

import (
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/account"
)

// TestAbsurdObjectivesNameTheField sends descriptions over HTTP that no objective can have.
func TestAbsurdObjectivesNameTheField(t *testing.T) {
	s := newDashboard(t)
	write := s.token(account.SLORead, account.SLOWrite)
	spec := func(target, rest string) string {
		return `{"name":"x","match":{"zone":"shop.example"},"target":` + target + rest + `}`
	}
	pair := func(long, short, factor string) string {
		return `,"pairs":[{"long":"` + long + `","short":"` + short + `","factor":` + factor + `,"severity":"page"}]`
	}
	for _, c := range []struct{ body, pointer, text string }{
		{spec("0", ""), "/target", "50 to 99.999"},
		{spec("100", ""), "/target", "50 to 99.999"},
		{spec("100.0001", ""), "/target", "50 to 99.999"},
		{spec("99.9999", ""), "/target", "50 to 99.999"},
		{spec("49.99999", ""), "/target", "50 to 99.999"},
		{spec("-99", ""), "/target", "50 to 99.999"},
		{spec("0.999", ""), "/target", "50 to 99.999"},
		{spec("1e308", ""), "/target", "50 to 99.999"},
		{spec(`"NaN"`, ""), "/target", ""},
		{spec("99.1234567", ""), "/target", "5 decimals"},
		// A factor that can never be reached: all requests fail, and the rate is still below it.
		{spec("90", ""), "/pairs", "never fire"},
		{spec("93.05", `,"pairs":"standard+2x"`), "/pairs", "never fire"},
		{spec("99", pair("1h", "5m", "100")), "/pairs/0/factor", "never fire"},
		{spec("99.9", pair("3d", "6h", "1000")), "/pairs/0/factor", "never fire"},
		{spec("50", pair("1d", "2h", "2")), "/pairs/0/factor", "never fire"},
		{spec("99", pair("1h", "5m", "1e9")), "/pairs/0/factor", "0.1 to 1000"},
		{spec("99", pair("1h", "5m", "-1")), "/pairs/0/factor", "0.1 to 1000"},
		{spec("99", pair("1h", "5m", "0")), "/pairs/0/factor", "0.1 to 1000"},
		{spec("99", pair("1h", "1h", "10")), "/pairs/0/short", "shorter"},
		{spec("99", pair("30d", "1h", "10")), "/pairs/0/long", "30m, 1h"},
		{spec("99", `,"window":"1000d"`), "/window", "7d to 90d"},
		{spec("99", `,"window":"-7d"`), "/window", "7d to 90d"},
		{spec("99", `,"guard":{"alpha":1}`), "/guard/alpha", ""},
		{spec("99", `,"guard":{"min_total":1e18}`), "/guard/min_total", ""},
		{spec("99", `,"no_data":"1s"`), "/no_data", "5m to 24h"},
		{spec("99", `,"no_data":"-15m"`), "/no_data", "5m to 24h"},
		{spec("99", `,"no_data":"999h"`), "/no_data", "5m to 24h"},
		{spec("99", `,"composite":{"mode":"all","members":[]}`), "/composite/members", "2 to 20"},
	} {
		a := s.call(write, "POST", "", c.body)
		if a.Status != 400 || len(a.Errors) == 0 || a.Errors[0].Source.Pointer != c.pointer ||
			!strings.Contains(a.Errors[0].Message, c.text) {
			t.Errorf("%s: %d %s, want %s with %q", c.body, a.Status, a.Text, c.pointer, c.text)
		}
	}
	// The nearest ones that can fire.
	for i, body := range []string{
		spec("93.06", ""), spec("99", pair("1h", "5m", "99.9")), spec("50", pair("1d", "2h", "1.999")),
		spec("99.999", `,"no_data":"24h"`), spec("99", `,"no_data":"off"`),
	} {
		body = strings.Replace(body, `"x"`, `"x`+strings.Repeat("y", i)+`"`, 1)
		if a := s.call(write, "POST", "", body); a.Status != 200 {
			t.Errorf("%s: %d %s", body, a.Status, a.Text)
		}
	}
}
