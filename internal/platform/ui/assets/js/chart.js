// Charts by uPlot: lines over time, changes as marks, limits as levels. Colours
// are those of the page, so a chart follows the theme.
import { clock, shortDay } from "./time.js";

const library = new URL("../third_party/uplot.js", import.meta.url);
let loading;

// uPlot is a classic script; it is loaded when the first chart is there.
function load() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = library;
    script.onload = () => resolve(window.uPlot);
    script.onerror = () => reject(new Error("uPlot did not load"));
    document.head.append(script);
  });
  return loading;
}

// colour resolves a custom property: a canvas does not know light-dark().
function colour(element, name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  element.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

const faded = (c, share) => `color-mix(in oklab, ${c} ${share}%, transparent)`;
const names = { good: "good", warn: "warn", bad: "bad", info: "info", accent: "accent" };
const two = (n) => String(n).padStart(2, "0");

function tick(span) {
  return (_, values) => values.map((v) => {
    const d = new Date(v * 1000);
    if (span > 3 * 86400 || (d.getHours() === 0 && d.getMinutes() === 0)) return shortDay(d);
    return span < 600 ? clock(d) : `${two(d.getHours())}:${two(d.getMinutes())}`;
  });
}

// write puts the unit where it reads well: 99.9%, 14.4×, 120 ms.
const write = (unit) => (v) => (v == null ? "–" : `${Number(v.toPrecision(5)).toLocaleString("en")}${unit && unit.length > 1 ? " " : ""}${unit ?? ""}`);

function annotations(state, c) {
  return {
    hooks: {
      draw: [(u) => {
        const { ctx, bbox } = u;
        const { data } = state;
        const scale = devicePixelRatio;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top - 18 * scale, bbox.width, bbox.height + 18 * scale);
        ctx.clip();
        ctx.font = `500 ${11 * scale}px Inter, system-ui, sans-serif`;
        ctx.textBaseline = "alphabetic"; // uPlot leaves that of its axes
        for (const level of data.levels ?? []) {
          const y = u.valToPos(level.y, "y", true);
          ctx.strokeStyle = ctx.fillStyle = c(level.tone || "bad");
          ctx.setLineDash([4 * scale, 4 * scale]);
          line(ctx, bbox.left, y, bbox.left + bbox.width, y, scale);
          ctx.textAlign = "left"; // the newest values, which matter most, are on the right
          ctx.fillText(level.label, bbox.left + 4 * scale, y - 5 * scale);
        }
        let taken = -Infinity; // until where a label stands; one that has no room is in the list below
        for (const mark of data.marks ?? []) {
          const x = u.valToPos(mark.at, "x", true);
          ctx.strokeStyle = ctx.fillStyle = c(mark.tone || "text");
          ctx.setLineDash([2 * scale, 3 * scale]);
          line(ctx, x, bbox.top, x, bbox.top + bbox.height, scale);
          ctx.beginPath();
          ctx.arc(x, bbox.top, 3.5 * scale, 0, 7);
          ctx.fill();
          const label = fitting(ctx, mark.label, bbox.width * 0.45);
          const wide = ctx.measureText(label).width + 14 * scale;
          const right = x + wide > bbox.left + bbox.width;
          if ((right ? x - wide : x) < taken) continue;
          taken = right ? x : x + wide;
          ctx.textAlign = right ? "right" : "left";
          ctx.fillText(label, x + (right ? -7 : 7) * scale, bbox.top - 3 * scale);
        }
        ctx.restore();
      }],
    },
  };
}

// latest fills the legend with the newest values while no cursor is over the
// chart.
function latest(u) {
  if (u.cursor.idx == null) u.setLegend({ idx: u.data[0].length - 1 }, false);
}

// fitting cuts a text to a width.
function fitting(ctx, text, width) {
  if (ctx.measureText(text).width <= width) return text;
  while (text.length > 1 && ctx.measureText(`${text}…`).width > width) text = text.slice(0, -1);
  return `${text.trimEnd()}…`;
}

function line(ctx, x1, y1, x2, y2, width) {
  ctx.lineWidth = width;
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

function draw(uPlot, plot, state) {
  const { data } = state;
  const seen = {};
  const c = (name) => (seen[name] ??= colour(plot, names[name] ?? (name || "accent")));
  const span = data.x.at(-1) - data.x[0];
  const value = write(data.unit);
  const axis = { stroke: c("muted"), font: "11px Inter, system-ui, sans-serif", grid: { stroke: c("line"), width: 1 }, ticks: { show: false } };
  const range = (_, low, high) => {
    const pad = (high - low || Math.abs(high) || 1) * 0.08;
    return [state.data.min ?? low - pad, state.data.max ?? high + pad];
  };
  const chart = new uPlot({
    width: plot.clientWidth,
    height: data.small ? 120 : 230,
    padding: [18, 16, 0, 0],
    cursor: { points: { size: 6 }, drag: { x: true, y: false } },
    legend: { show: !data.small, live: true, markers: { width: 0, fill: (u, i) => u.series[i].stroke(u, i) } },
    scales: { y: { range } },
    axes: [
      { ...axis, values: tick(span), space: 70, size: 30, grid: { show: false } },
      { ...axis, values: (_, all) => all.map(value), size: 56, space: 36 },
    ],
    series: [
      { value: (_, v) => (v == null ? "–" : `${shortDay(new Date(v * 1000))}, ${clock(new Date(v * 1000))}`), label: "At" },
      ...data.series.map((s) => ({
        label: s.name,
        stroke: s.dash && !s.tone ? c("faint") : c(s.tone || "accent"),
        width: s.dash ? 1 : 1.75,
        dash: s.dash ? [4, 4] : undefined,
        fill: s.fill ? faded(c(s.tone || "accent"), 10) : undefined,
        points: { show: () => state.data.x.length < 3 },
        value: (_, v) => value(v),
      })),
    ],
    plugins: [annotations(state, c)],
    hooks: {
      setScale: [(_, key) => { if (key === "x") offerAll(plot, state); }],
      draw: [latest],
      setLegend: [latest],
    },
  }, values(data), plot);
  return chart;
}

const values = (data) => [data.x, ...data.series.map((s) => s.y)];
const lines = (data) => JSON.stringify([data.unit, data.small, data.series.map(({ y, ...how }) => how)]);

// zoomed is the part of the time that a visitor looks at; null for all of it.
function zoomed({ chart, data }) {
  const { min, max } = chart.scales.x;
  const full = min - data.x[0] < 0.001 && data.x.at(-1) - max < 0.001;
  return full ? null : { min, max };
}

// offerAll shows a button that leads back to the whole time while a part of it
// is looked at.
function offerAll(plot, state) {
  const button = plot.querySelector(":scope > .chart-all");
  if (!state.chart || !zoomed(state)) {
    button?.remove();
  } else if (!button) {
    const all = Object.assign(document.createElement("button"), { type: "button", className: "button small chart-all", textContent: "Whole time" });
    all.addEventListener("click", () => state.chart.setScale("x", { min: state.data.x[0], max: state.data.x.at(-1) }));
    plot.append(all);
  }
}

// renew draws a chart anew, with the zoom that it had.
function renew(uPlot, plot, state) {
  const zoom = zoomed(state);
  state.chart.destroy();
  state.chart = draw(uPlot, plot, state);
  if (zoom) state.chart.setScale("x", zoom);
}

// update gives a chart that is drawn its new values.
function update(uPlot, plot, state, data) {
  const zoom = zoomed(state);
  const alike = lines(data) === lines(state.data);
  if (!alike) {
    state.data = data;
    state.chart.destroy();
    state.chart = draw(uPlot, plot, state);
  } else {
    state.data = data;
    state.chart.setData(values(data));
  }
  if (zoom) state.chart.setScale("x", zoom);
}

const drawn = new WeakMap(); // by plot: what it shows

export function charts(root) {
  for (const figure of root.querySelectorAll("[data-chart]")) {
    const source = figure.querySelector('script[type="application/json"]');
    const plot = figure.querySelector(".chart-plot");
    if (!source || !plot || drawn.get(plot)?.text === source.textContent) continue;
    const text = source.textContent;
    const data = JSON.parse(text);
    const old = drawn.get(plot);
    if (old) {
      old.text = text;
      load().then((uPlot) => { if (old.chart) update(uPlot, plot, old, data); else old.data = data; });
      continue;
    }
    const state = { text, data, chart: null };
    drawn.set(plot, state);
    load().then((uPlot) => {
      plot.replaceChildren();
      state.chart = draw(uPlot, plot, state);
      new ResizeObserver(() => state.chart.setSize({ width: plot.clientWidth, height: state.chart.height })).observe(plot);
      const again = () => { if (plot.isConnected) renew(uPlot, plot, state); };
      document.addEventListener("belfry:theme", again);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    }).catch(() => { plot.textContent = "The chart could not be drawn."; });
  }
}
