package ui_test

import (
	"fmt"
	"testing"

	chromium "github.com/belfryhq/belfry/test/browser"
)

// written records the texts of each canvas, with their places in CSS pixels. A chart begins to draw by clearing.
const written = `(() => {
	const canvas = CanvasRenderingContext2D.prototype;
	const {fillText, clearRect} = canvas;
	canvas.clearRect = function (...box) { this.canvas.texts = []; return clearRect.apply(this, box); };
	canvas.fillText = function (text, x, y, ...rest) {
		const m = this.measureText(text);
		const at = this.getTransform().transformPoint({x, y});
		const turned = Math.abs(this.getTransform().b) > 0.5;
		const s = devicePixelRatio;
		if (!turned) (this.canvas.texts ??= []).push({text,
			left: (at.x - m.actualBoundingBoxLeft) / s, right: (at.x + m.actualBoundingBoxRight) / s,
			top: (at.y - m.actualBoundingBoxAscent) / s, bottom: (at.y + m.actualBoundingBoxDescent) / s});
		return fillText.call(this, text, x, y, ...rest);
	};
})()`

// overlapping lists texts of a chart that overlap, or that are cut off by its edge.
const overlapping = `(() => {
	const faults = [];
	for (const canvas of document.querySelectorAll("[data-chart] canvas")) {
		const list = canvas.texts ?? [];
		const width = canvas.width / devicePixelRatio;
		const say = (what) => faults.push(canvas.closest("[data-chart]").getAttribute("aria-label") + ": " + what);
		if (list.length < 4) say("only " + list.length + " texts were drawn");
		for (const [n, a] of list.entries()) {
			if (a.left < -1 || a.right > width + 1) say(a.text + " leaves the chart");
			for (const b of list.slice(n + 1)) {
				const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
				const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
				if (across > 0.5 && down > 0.5) say(a.text + " overlaps " + b.text);
			}
		}
		const flags = [...canvas.closest("[data-chart]").querySelectorAll(".chart-flags .flag")]
			.map((e) => e.getBoundingClientRect());
		for (let n = 1; n < flags.length; n++)
			if (flags[n].left < flags[n - 1].right) say("flags " + n + " and the next overlap");
	}
	return faults.join("\n");
})()`

func TestTheLabelsOfChartsDoNotOverlap(t *testing.T) {
	b := chromium.Start(t)
	s := gallery(t)
	b.Before(written)
	for _, width := range []int64{1400, 800, 390} {
		b.Open(s.URL+"/charts", "light", width)
		if faults := b.Evaluate(overlapping); faults != "" {
			t.Errorf("%d px: %s", width, faults)
		}
	}
}

func TestAnExtremeValueIsShownOnALogarithmicAxisOrAsACut(t *testing.T) {
	b := chromium.Start(t)
	s := gallery(t)
	b.Before(written)
	b.Open(s.URL+"/charts", "light", 1400)
	got := b.Evaluate(`JSON.stringify([...document.querySelectorAll("[data-chart] canvas")].slice(0, 2).map((canvas) =>
		["0×", "10×", "1,000×", "up to 1,217×"].filter((text) => canvas.texts.some((drawn) => drawn.text === text))))`)
	if want := `[["0×","10×","1,000×"],["0×","10×","up to 1,217×"]]`; got != want {
		t.Errorf("the axes show %s, want %s", got, want)
	}
}

// legends are the times in the legends of the charts.
const legends = `JSON.stringify([...document.querySelectorAll("[data-chart] .u-legend .u-series:first-child .u-value")]
	.map((e) => e.textContent))`

func TestChartsShareTheirCursorAndShowTheLastValuesWithoutIt(t *testing.T) {
	b := chromium.Start(t)
	s := gallery(t)
	b.Open(s.URL+"/charts", "light", 1400)
	last := b.Evaluate(legends)
	want := b.Evaluate(`JSON.stringify([...document.querySelectorAll("[data-chart] script")].map((script) => {
		const at = new Date(JSON.parse(script.textContent).x.at(-1) * 1000);
		return String(at.getMinutes()).padStart(2, "0") + ":" + String(at.getSeconds()).padStart(2, "0");
	}))`)
	check := `(() => {
		const [legends, ends] = [%s, %s];
		const same = legends.length === ends.length && legends.every((text, n) => text.endsWith(ends[n]));
		return same ? "" : JSON.stringify([legends, ends]);
	})()`
	if fault := b.Evaluate(fmt.Sprintf(check, last, want)); fault != "" {
		t.Errorf("without a cursor the legend does not show the last values: %s", fault)
	}
	b.Evaluate(`(() => {
		const over = document.querySelector(".u-over"), box = over.getBoundingClientRect();
		for (const type of ["mouseenter", "mousemove"]) over.dispatchEvent(new MouseEvent(type, {bubbles: true, movementX: 9,
			clientX: box.left + box.width / 2, clientY: box.top + 20}));
		return "";
	})()`)
	b.Drawn()
	got := b.Evaluate(legends)
	if fault := b.Evaluate(fmt.Sprintf(`(() => {
		const [now, before] = [%s, %s];
		return now.length > 2 && now.every((text) => text === now[0]) && now[0] !== before[0] ? "" : now.join();
	})()`, got, last)); fault != "" {
		t.Errorf("the charts do not share their cursor: %s", fault)
	}
}

func TestTheFlagsOfAChartAreReachedByKeyboard(t *testing.T) {
	b := chromium.Start(t)
	s := gallery(t)
	b.Open(s.URL+"/charts", "light", 1400)
	state := `(() => {
		const flag = document.activeElement;
		const tip = flag.closest("[data-chart]")?.querySelector(".chart-tip");
		return [flag.className.split(" ")[0], flag.textContent, tip?.hidden ? "" : tip?.textContent.slice(0, 24)].join("|");
	})()`
	expect := func(want string) {
		t.Helper()
		if got := b.Evaluate(state); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	focus := `(document.querySelector(".chart-flags [tabindex='0']").focus(), "")`
	b.Evaluate(focus)
	expect("flag|1|1 Ben Okafor changed the")
	b.Press("ArrowRight")
	expect("flag|2–4|2 Ana Lima lowered the p")
	b.Press("Escape")
	expect("flag|2–4|")
	b.Press("ArrowRight")
	expect("flag|5|5 Ana Lima raised the pa")
	// Drawing again, for another theme or with new values, leaves the focus where it is.
	b.Evaluate(`(document.dispatchEvent(new CustomEvent("belfry:theme")), "")`)
	b.Drawn()
	expect("flag|5|5 Ana Lima raised the pa")
	b.Press("Tab")
	if got := b.Evaluate(`String(document.activeElement.matches(".flag"))`); got != "false" {
		t.Error("the flags are more than one stop of the Tab key")
	}
	b.Evaluate(focus)
	b.Press("Enter")
	b.Arrives("/record")
}

func TestEscapeShowsTheWholeTimeAgain(t *testing.T) {
	b := chromium.Start(t)
	s := gallery(t)
	b.Open(s.URL+"/charts?from=1795368600&to=1795369500", "light", 1400)
	if got := b.Evaluate(`String(document.querySelectorAll(".chart-tools").length)`); got != "4" {
		t.Fatalf("%s of 4 charts have the zoom of the address", got)
	}
	b.Evaluate(`(document.querySelector(".chart-tools [data-close]").focus(), "")`)
	b.Press("Escape")
	if got := b.Evaluate(`document.querySelectorAll(".chart-tools").length + location.search`); got != "0" {
		t.Errorf("after Escape there is still a zoom: %s", got)
	}
	if got := b.Evaluate(`String(document.activeElement.matches("[data-chart] summary"))`); got != "true" {
		t.Error("the focus of the button is lost with it")
	}
}
