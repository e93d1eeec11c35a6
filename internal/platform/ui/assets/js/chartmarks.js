// What a chart shows beside its lines: limits with their names in the gutter at
// the right, numbered flags for changes in a band above (chartflags.js), and a
// sign where a line leaves the axis.
import { flags, place, tooltip, worst } from "./chartflags.js";

export const band = 20; // height of the flags, in CSS pixels
const font = "500 11px Inter, system-ui, sans-serif";
const measure = document.createElement("canvas").getContext("2d");

// write puts the unit where it reads well: 99.9%, 14.4×, 120 ms.
export const write = (unit) => (v) => (v == null ? "" : `${Number(v.toPrecision(4)).toLocaleString("en")}${unit && unit.length > 1 ? " " : ""}${unit ?? ""}`);

// nameOf is the label of a level, or its value alone where there is little room.
const nameOf = (level, unit, width) => (width < 500 ? level.short || write(unit)(level.y) : level.label);

// gutter is the room that the names of the levels need.
export function gutter(data, width) {
  measure.font = font;
  const widths = (data.levels ?? []).map((level) => measure.measureText(nameOf(level, data.unit, width)).width);
  return Math.min(Math.max(20, ...widths.map((w) => w + 14)), width * 0.34);
}

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

// levels draws the limits. Names that would overlap move apart, and a short line
// leads from the limit to its name.
function levels(u, data, c, scale) {
  const { ctx, bbox } = u;
  const right = bbox.left + bbox.width;
  const { min, max } = u.scales.y;
  const shown = (data.levels ?? []).filter((l) => l.y >= min && l.y <= max)
    .map((l) => ({ ...l, at: u.valToPos(l.y, "y", true) })).sort((a, b) => a.at - b.at);
  const step = 14 * scale;
  let free = -Infinity;
  for (const l of shown) { l.text = Math.max(l.at, free); free = l.text + step; }
  // The lowest must not leave the plot: push back up.
  let floor = bbox.top + bbox.height;
  for (const l of shown.toReversed()) { l.text = Math.min(l.text, floor); floor = l.text - step; }
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  for (const l of shown) {
    ctx.strokeStyle = ctx.fillStyle = c(l.tone || "bad");
    ctx.setLineDash([4 * scale, 4 * scale]);
    line(ctx, bbox.left, l.at, right, l.at, scale);
    ctx.setLineDash([]);
    if (l.text !== l.at) line(ctx, right, l.at, right + 6 * scale, l.text, scale);
    const name = nameOf(l, data.unit, u.width);
    ctx.fillText(fitting(ctx, name, u.width * scale - right - 9 * scale), right + 8 * scale, l.text);
  }
}

// peaks are the highest points of the parts of a line that are above the axis.
function peaks(u, i) {
  const [x, y] = [u.data[0], u.data[i]];
  const { min, max } = u.scales.x;
  const found = [];
  let peak = null;
  for (let k = 0; k <= x.length; k++) {
    const above = y[k] != null && y[k] > u.scales.y.max && x[k] >= min && x[k] <= max;
    if (above && (peak == null || y[k] > y[peak])) peak = k;
    if (above || peak == null) continue;
    found.push({ i, at: u.valToPos(x[peak], "x", true), y: y[peak] });
    peak = null;
  }
  return found;
}

// cuts marks where a line leaves the top of the axis, with its highest value.
function cuts(u, data, c, scale) {
  const { ctx, bbox } = u;
  const all = data.series.flatMap((_, i) => peaks(u, i + 1));
  ctx.textBaseline = "top";
  ctx.textAlign = "left";
  const ink = (i) => c(data.series[i - 1].tone || "accent");
  for (const { i, at } of all) {
    ctx.fillStyle = ink(i);
    ctx.beginPath();
    ctx.moveTo(at - 5 * scale, bbox.top + 7 * scale);
    ctx.lineTo(at, bbox.top);
    ctx.lineTo(at + 5 * scale, bbox.top + 7 * scale);
    ctx.fill();
  }
  for (const [row, { i, at, y }] of all.sort((a, b) => b.y - a.y).slice(0, 2).entries()) {
    const text = `up to ${write(data.unit)(y)}`;
    const wide = ctx.measureText(text).width;
    const left = at + wide + 14 * scale > bbox.left + bbox.width ? at - wide - 10 * scale : at + 10 * scale;
    const top = bbox.top + (2 + 16 * row) * scale;
    ctx.fillStyle = c("surface");
    ctx.fillRect(left - 3 * scale, top - scale, wide + 6 * scale, 14 * scale);
    ctx.fillStyle = ink(i);
    ctx.fillText(text, left, top);
  }
}

export function marks(state, c) {
  let tip;
  return {
    hooks: {
      ready: [(u) => {
        tip = tooltip(u);
        place(u, state.data, tip);
        if (state.focus >= 0) u.root.querySelectorAll(".chart-flags .flag")[state.focus]?.focus({ preventScroll: true });
        state.focus = -1;
      }],
      draw: [(u) => {
        const { ctx, bbox } = u;
        const scale = devicePixelRatio;
        ctx.save();
        ctx.font = font.replace("11", String(11 * scale));
        ctx.setLineDash([2 * scale, 3 * scale]);
        for (const { at, marks: group } of flags(u, state.data)) {
          ctx.strokeStyle = c(worst(group) || "muted");
          line(ctx, bbox.left + at * scale, bbox.top, bbox.left + at * scale, bbox.top + bbox.height, scale);
        }
        levels(u, state.data, c, scale);
        cuts(u, state.data, c, scale);
        ctx.restore();
        if (tip) place(u, state.data, tip);
      }],
    },
  };
}
