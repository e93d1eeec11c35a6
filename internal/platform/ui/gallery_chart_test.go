package ui_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// galleryCharts is the data of the page of charts.
type galleryCharts struct{ Charts []ui.Chart }

// chartsData has a burn rate that spikes to 1,217 times, drawn whole and cut.
func chartsData() galleryCharts {
	const points, step = 241, 15
	x := make([]int64, points)
	long := make([]*float64, points)
	short := make([]*float64, points)
	left := make([]*float64, points)
	for i := range points {
		x[i] = galleryNow.Unix() - int64(points-1-i)*step
		d := float64(i)
		s := 0.6 + 0.3*math.Sin(d/7) + 1217*math.Exp(-(d-170)*(d-170)/90)
		l := 0.7 + 160*math.Exp(-(d-185)*(d-185)/700)
		b := 91 - 17/(1+math.Exp(-(d-172)/4))
		short[i] = &s
		long[i] = &l
		left[i] = &b
	}
	for i := 40; i < 52; i++ {
		short[i] = nil // nothing was counted
	}
	levels := []ui.ChartLevel{
		{Y: 14.4, Label: "1h/5m fires at 14.4×", Tone: ui.Bad},
		{Y: 6, Label: "6h/30m fires at 6×", Tone: ui.Bad},
		{Y: 3, Label: "1d/2h fires at 3×", Tone: ui.Warn},
		{Y: 1, Label: "sustainable", Tone: ui.Good},
	}
	marks := []ui.ChartMark{
		{At: x[60], Label: "Ben Okafor changed the checkout button text", Href: "/record?event=1", Tone: ui.Info},
		{
			At: x[158], Label: "Ana Lima lowered the payment timeout from 3000 ms to 80 ms", Href: "/record?event=0",
			Tone: ui.Info,
		},
		{At: x[166], Label: "1h/5m fired", Tone: ui.Bad},
		{At: x[168], Label: "6h/30m fired", Tone: ui.Bad},
		{At: x[205], Label: "Ana Lima raised the payment timeout", Href: "/record?event=2", Tone: ui.Info},
		{At: x[228], Label: "1h/5m ended", Tone: ui.Good},
	}
	burn := ui.Chart{
		Label: "Burn rate", Unit: "×", X: x, Min: new(float64), Log: true, Levels: levels, Marks: marks,
		Summary:   "The highest rate over 5 min was 1,217×.",
		AuditHref: "/record?zone=shop.example&since={from}&before={to}",
		Series: []ui.ChartSeries{
			{Name: "over 5m", Tone: ui.Accent, Y: short}, {Name: "over 1h", Tone: ui.Warn, Y: long},
		},
	}
	limit, full := 43.2, 100.0
	cut := burn
	cut.Label = "Burn rate, cut"
	cut.Log = false
	cut.Max = &limit
	cut.Levels = levels[:2]
	budget := ui.Chart{
		Label: "Error budget left", Unit: "%", X: x, Min: new(float64), Max: &full, AuditHref: burn.AuditHref,
		Series: []ui.ChartSeries{{Name: "Budget left", Fill: true, Y: left}}, Marks: marks[1:2],
	}
	var many []ui.ChartMark
	for i := range 14 {
		many = append(many, ui.ChartMark{
			At: x[30+i*14-i%3*9], Label: fmt.Sprintf("Change %d", i+1), Href: "/record", Tone: ui.Info,
		})
	}
	crowd := ui.Chart{
		Label: "Requests", Unit: "/s", X: x, Marks: many,
		Series: []ui.ChartSeries{{Name: "Requests", Tone: ui.Good, Y: long}},
	}
	return galleryCharts{[]ui.Chart{burn, cut, budget, crowd, {Label: "Nothing counted"}}}
}

func TestChartsShareTheirZoomAndTheURLKeepsIt(t *testing.T) {
	ctx := browser(t)
	s := gallery(t)
	openPath(t, ctx, s.URL+"/charts", "light", 1400)
	evaluate(t, ctx, dragged)
	until(t, ctx, `document.querySelectorAll(".chart-tools").length === 4`)
	until(t, ctx, `new URLSearchParams(location.search).has("from") && new URLSearchParams(location.search).has("to")`)
	link := evaluate(t, ctx, `document.querySelector(".chart-tools a").getAttribute("href")`)
	evaluate(t, ctx, `(document.querySelector(".chart-tools a").click(), "")`)
	until(t, ctx, `document.readyState === "complete" && location.pathname === "/record" &&
		/since=20.*&before=20/.test(location.search)`)
	evaluate(t, ctx, `(history.back(), "")`)
	until(t, ctx, `document.readyState === "complete" &&
		document.querySelectorAll(".chart-tools").length === 4 &&
		document.querySelector(".chart-tools a").getAttribute("href") === `+fmt.Sprintf("%q", link))
	evaluate(t, ctx, `(document.querySelector(".chart-tools button").click(), "")`)
	until(t, ctx, `!document.querySelector(".chart-tools") && location.search === ""`)
}

// dragged selects the second quarter of the first chart.
const dragged = `(() => {
	const over = document.querySelector(".u-over"), box = over.getBoundingClientRect();
	const at = (type, share) => over.dispatchEvent(new MouseEvent(type, {bubbles: true, button: 0, movementX: 9,
		clientX: box.left + box.width * share, clientY: box.top + 20}));
	at("mouseenter", 0.25);
	at("mousemove", 0.25);
	at("mousedown", 0.25);
	at("mousemove", 0.5);
	document.dispatchEvent(new MouseEvent("mouseup",
		{button: 0, clientX: box.left + box.width * 0.5, clientY: box.top + 20}));
	return "";
})()`
