package ui_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

func TestNumbersReadWell(t *testing.T) {
	num := func(n any) string { s, _ := ui.Num(n); return s }
	compact := func(n any) string { s, _ := ui.Compact(n); return s }
	for got, want := range map[string]string{
		num(0):                            "0",
		num(999):                          "999",
		num(12480):                        "12,480",
		num(-1000):                        "-1,000",
		num(uint64(1234567)):              "1,234,567",
		compact(999) + " ":                "999 ",
		compact(1250):                     "1.2k",
		compact(999_999):                  "999k",
		compact(3_100_000):                "3.1M",
		ui.Pct(0.91):                      "91%",
		ui.Pct(0.9995):                    "99.95%",
		ui.Pct(1):                         "100%",
		ui.Pct(0.282):                     "28.2%",
		ui.Pct(0.999993):                  "99.9993%",
		ui.Pct(0.99932):                   "99.932%",
		ui.Bytes(512):                     "512 B",
		ui.Bytes(1536):                    "1.5 KiB",
		ui.Bytes(8 << 20):                 "8 MiB",
		ui.Words(43 * time.Second):        "43 s",
		ui.Words(296 * time.Second):       "4 min 56 s",
		ui.Words(11 * 24 * time.Hour):     "11 days",
		ui.Words(3 * time.Hour):           "3 h",
		ui.Words(1500 * time.Millisecond): "1.5 s",
		ui.Words(2 * time.Millisecond):    "2 ms",
		ui.Ago(galleryNow, galleryNow.Add(-3*time.Minute)): "3 min ago",
		ui.Ago(galleryNow, galleryNow.Add(49*time.Hour)):   "in 2 days",
		ui.Ago(galleryNow, galleryNow):                     "now",
	} {
		if got != want {
			t.Errorf("got %q, expected %q", got, want)
		}
	}
	if _, err := ui.Num("12"); err == nil {
		t.Error("a string is no number: expected an error")
	}
}

func TestTimesSayUTCUntilAScriptKnowsTheZone(t *testing.T) {
	const want = `<time datetime="2026-11-22T17:59:00.000000Z" data-local="time" ` +
		`title="2026-11-22 17:59:00.000000 UTC">17:59:00 UTC</time>`
	if got := html(t, `{{time .}}`, galleryNow); got != want {
		t.Error(got)
	}
	if got := html(t, `{{time .}}`, galleryNow.AddDate(0, 0, -1)); !strings.Contains(got, ">21 Nov 2026, 17:59:00 UTC<") {
		t.Error(got)
	}
	if got := html(t, `{{ago .}}`, galleryNow.Add(-43*time.Second)); !strings.Contains(got, ">43 s ago<") {
		t.Error(got)
	}
	if got := html(t, `{{time .}}`, time.Time{}); strings.Contains(got, "0001") {
		t.Error(got)
	}
}

func diffText(lines []ui.DiffLine) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Op + l.Text + "|")
	}
	return b.String()
}

func TestADiffShowsWhatChangedAndNotTheCommaBeforeIt(t *testing.T) {
	got, err := ui.LineDiff(json.RawMessage(`{"a":1,"b":[1]}`), json.RawMessage(`{"a":2,"b":[1,2]}`))
	if want := `{|-  "a": 1,|+  "a": 2,|  "b": [|    1,|+    2|  ]|}|`; err != nil || diffText(got) != want {
		t.Errorf("got %s, %v, expected %s", diffText(got), err, want)
	}
	if got, err := ui.LineDiff(nil, map[string]int{"a": 1}); err != nil || diffText(got) != `+{|+  "a": 1|+}|` {
		t.Errorf("created: got %s, %v", diffText(got), err)
	}
	large := make([]int, 3000)
	other := append([]int{7}, make([]int, 2999)...)
	for i := range large {
		large[i] = i
		other[i] = -i - 1
	}
	if got, err := ui.LineDiff(large, other); err != nil || len(got) != 6002 {
		t.Errorf("too large to compare: %d lines, %v", len(got), err)
	}
	if _, err := ui.LineDiff(json.RawMessage(`{`), nil); err == nil {
		t.Error("broken JSON: expected an error")
	}
}

func TestJSONKeepsTheDigitsOfLargeNumbersAndShowsWhatIsNotJSON(t *testing.T) {
	if got := html(t, `{{json .}}`, json.RawMessage(`{"n":12345678901234567890}`)); !strings.Contains(got,
		`<span class="jn">12345678901234567890</span>`) || !strings.Contains(got, `<span class="jk">&#34;n&#34;</span>`) {
		t.Error(got)
	}
	if got := html(t, `{{json .}}`, []byte(`not <json>`)); got != `not &lt;json&gt;` {
		t.Error(got)
	}
}

func FuzzJSONIsNeverMarkup(f *testing.F) {
	for _, s := range []string{`{"a":"<b>"}`, `"\"`, `[1e9,-0.5,null]`, "<script>", "\xff\"", ""} {
		f.Add([]byte(s))
	}
	u, err := ui.New(ui.Options{})
	if err != nil {
		f.Fatal(err)
	}
	page, err := u.Parse(templateFiles(`{{define "x"}}{{json .}}{{end}}`), "page.html")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := page.HTML("x", b)
		if err != nil {
			t.Fatal(err)
		}
		for _, class := range []string{"jk", "js", "jn", "jl"} {
			got = strings.ReplaceAll(got, `<span class="`+class+`">`, "")
		}
		if got = strings.ReplaceAll(got, "</span>", ""); strings.ContainsAny(got, "<>") {
			t.Errorf("markup of its own: %q", got)
		}
	})
}

func TestTheURLIsTheStateOfTheFilters(t *testing.T) {
	u, err := url.Parse("/record?actor=ana&actor=jo&action.not=view&cursor=abc&q=tls")
	if err != nil {
		t.Fatal(err)
	}
	chips := ui.Chips(u, ui.FilterKey{Key: "actor", Label: "Actor"}, ui.FilterKey{Key: "action", Label: "Action"})
	if len(chips) != 3 || chips[0].Value != "ana" || chips[0].Not || !chips[2].Not {
		t.Fatalf("got %+v", chips)
	}
	for got, want := range map[string]string{
		chips[0].Remove:                            "/record?action.not=view&actor=jo&q=tls",
		chips[2].Flip:                              "/record?action=view&actor=ana&actor=jo&q=tls",
		ui.Filtered(u, "ip", "::1", true):          "/record?action.not=view&actor=ana&actor=jo&ip.not=%3A%3A1&q=tls",
		ui.With(u, "q", "", "actor", "", "x", "1"): "/record?action.not=view&x=1",
	} {
		if got != want {
			t.Errorf("got %s, expected %s", got, want)
		}
	}
	if keep := ui.KeepQuery(u, "q", "actor"); len(keep) != 1 || keep[0] != (ui.Hidden{Name: "action.not", Value: "view"}) {
		t.Errorf("got %v", keep)
	}
}

func TestARangeIsAPresetOrTwoTimes(t *testing.T) {
	in := func(query string) ui.Range {
		return ui.ParseRange(&url.URL{Path: "/r", RawQuery: query}, galleryNow, "30d")
	}
	if r := in(""); r.Label != "Last 30 days" || !r.Since.Equal(galleryNow.AddDate(0, 0, -30)) || !r.Before.IsZero() {
		t.Errorf("default: %+v", r)
	}
	if r := in("since=1h"); r.Label != "Last hour" || !r.Since.Equal(galleryNow.Add(-time.Hour)) {
		t.Errorf("preset: %+v", r)
	}
	if r := in("since=2026-11-01T00:00:00Z&before=2026-11-02+03:04"); r.Label != "" || r.Since.Day() != 1 ||
		r.Before.Minute() != 4 {
		t.Errorf("times: %+v", r)
	}
	if r := in("since=nonsense"); !r.Since.IsZero() || !r.Before.IsZero() {
		t.Errorf("nonsense: %+v", r)
	}
}

func TestAChartIsATableForBrowsersWithoutScripts(t *testing.T) {
	c := ui.Chart{Unit: "%"}
	one := 99.951
	for i := range int64(100) {
		c.X = append(c.X, 1_000_000_000+i)
	}
	c.Series = []ui.ChartSeries{{Name: "Left", Y: make([]*float64, 100)}}
	c.Series[0].Y[99] = &one
	rows := c.Sampled()
	if len(rows) != 12 || rows[0].Values[0] != "99.95%" || rows[1].Values[0] != "–" ||
		rows[0].At.Unix() != 1_000_000_099 || rows[11].At.Unix() != 1_000_000_000 {
		t.Errorf("%+v", rows)
	}
	got := html(t, `{{template "chart" (dict "Chart" .)}}`, c)
	if !strings.Contains(got, `<details class="chart-table">`) || !strings.Contains(got, "99.95%") {
		t.Error(got)
	}
	if rows := (ui.Chart{X: []int64{5}, Series: []ui.ChartSeries{{Y: []*float64{&one}}}}).Sampled(); len(rows) != 1 ||
		len((ui.Chart{}).Sampled()) != 0 {
		t.Errorf("%+v", rows)
	}
}
