// Charts by uPlot: lines over time, with marks and limits (chartmarks.js) and a
// zoom that all charts of a page share (chartzoom.js). Colours are those of the
// page, so a chart follows the theme.
import { band, gutter, marks, write } from "./chartmarks.js";
import { join, leave, selected, setZoom, show } from "./chartzoom.js";
import { clock, shortDay, wall, zoneChoice, zoneName } from "./time.js";

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
const two = (n) => String(n).padStart(2, "0");

function tick(u, values) {
  const span = u.scales.x.max - u.scales.x.min;
  return values.map((v) => {
    const d = new Date(v * 1000);
    const w = wall(d);
    if (span > 3 * 86400 || (w.getUTCHours() === 0 && w.getUTCMinutes() === 0)) return shortDay(d);
    return span < 600 ? clock(d) : `${two(w.getUTCHours())}:${two(w.getUTCMinutes())}`;
  });
}

// latest fills the legend with the newest values that are shown while no cursor
// is over the chart.
function latest(u) {
  if (u.cursor.idx != null) return;
  const idx = u.data[0].findLastIndex((x) => x <= u.scales.x.max);
  u.setLegend({ idx: idx < 0 ? u.data[0].length - 1 : idx }, false);
}

// range leaves a little room around the values. A logarithmic axis is linear near
// zero (the inverse hyperbolic sine), so that zero is on it.
const range = (state) => (_, low, high) => {
  const { min, max, log } = state.data;
  if (log) return [min ?? Math.min(0, low), max ?? Math.max(high, 1) * 1.6];
  const pad = (high - low || Math.abs(high) || 1) * 0.08;
  return [min ?? low - pad, max ?? high + pad];
};

// decades are the lines of a logarithmic axis: zero, and powers of ten.
function decades(_u, _axis, min, max) {
  const steps = max > 200 ? [1] : [1, 2, 5];
  const list = [0];
  for (let power = 1; power <= max; power *= 10) list.push(...steps.map((s) => s * power));
  return list.filter((v) => v >= min && v <= max);
}

function series(state, c, value) {
  return (s) => ({
    label: s.name,
    stroke: s.dash && !s.tone ? c("faint") : c(s.tone || "accent"),
    width: s.dash ? 1 : 1.75,
    dash: s.dash ? [4, 4] : undefined,
    fill: s.fill ? faded(c(s.tone || "accent"), 10) : undefined,
    points: { show: () => state.data.x.length < 3 },
    value: (_, v) => value(v) || "–",
  });
}

function draw(uPlot, state) {
  const { data, plot } = state;
  const seen = {};
  const c = (name) => (seen[name] ??= colour(plot, name || "accent"));
  const value = write(data.unit);
  const narrow = plot.clientWidth < 480;
  const axis = { stroke: c("muted"), font: "11px Inter, system-ui, sans-serif", grid: { stroke: c("line"), width: 1 }, ticks: { show: false } };
  return new uPlot({
    width: plot.clientWidth,
    height: data.small ? 120 : narrow ? 210 : 240,
    padding: [() => (data.marks?.length ? band + 6 : 10), (u) => gutter(data, u.width), 0, 0],
    tzDate: zoneChoice() === "local" ? undefined : (at) => uPlot.tzDate(new Date(at * 1000), zoneName()),
    cursor: {
      points: { size: 6 },
      drag: { x: true, y: false, setScale: false },
      sync: { key: "belfry", scales: ["x", null], setSeries: false },
      bind: { dblclick: () => () => { setZoom(null); return null; } },
    },
    legend: { show: !data.small, live: true, markers: { width: 0, fill: (u, i) => u.series[i].stroke(u, i) } },
    scales: { y: { range: range(state), ...(data.log ? { distr: 4, asinh: 1 } : {}) } },
    axes: [
      { ...axis, values: tick, space: narrow ? 54 : 70, size: 28, grid: { show: false } },
      { ...axis, values: (_, all) => all.map(value), size: narrow ? 46 : 54, space: data.log ? 22 : 36, ...(data.log ? { splits: decades, filter: (_, all) => all } : {}) },
    ],
    series: [
      { value: (_, v) => (v == null ? "–" : `${shortDay(new Date(v * 1000))}, ${clock(new Date(v * 1000))}`), label: "At" },
      ...data.series.map(series(state, c, value)),
    ],
    plugins: [marks(state, c)],
    hooks: { setSelect: [selected], draw: [latest], setLegend: [latest] },
  }, values(data), plot);
}

const values = (data) => [data.x, ...data.series.map((s) => s.y)];
const lines = (data) => JSON.stringify([data.unit, data.small, data.log, data.audit, Boolean(data.marks?.length), data.levels, data.series.map(({ y, ...how }) => how)]);

// renew draws a chart again, with its zoom and the focus in its flags: for another theme or zone.
function renew(uPlot, state) {
  state.focus = [...state.plot.querySelectorAll(".chart-flags .flag")].indexOf(document.activeElement);
  state.chart.destroy();
  state.chart = draw(uPlot, state);
  show(state);
}

// update gives a chart that is drawn its new values.
function update(uPlot, state, data) {
  const alike = lines(data) === lines(state.data);
  state.data = data;
  if (!alike) { renew(uPlot, state); return; }
  state.chart.setData(values(data));
  show(state);
}

function watch(uPlot, state) {
  const { plot } = state;
  new ResizeObserver(() => {
    if (plot.clientWidth > 0) state.chart.setSize({ width: plot.clientWidth, height: state.chart.height });
  }).observe(plot);
  const again = () => {
    if (plot.isConnected) renew(uPlot, state);
    else leave(state);
  };
  for (const event of ["belfry:theme", "belfry:zone"]) document.addEventListener(event, again);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
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
      load().then((uPlot) => { if (old.chart) update(uPlot, old, data); else old.data = data; });
      continue;
    }
    const state = { text, data, plot, chart: null };
    drawn.set(plot, state);
    load().then((uPlot) => {
      plot.replaceChildren();
      state.chart = draw(uPlot, state);
      watch(uPlot, state);
      join(state);
    }).catch(() => { plot.textContent = "The chart could not be drawn."; });
  }
}
