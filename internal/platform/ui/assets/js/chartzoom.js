// The part of the time that all charts of a page show. Dragging over one sets it,
// a double click, Escape or the button shows the whole time again. The URL keeps it as
// from and to, in Unix seconds, so that a link shows the same.
const open = new Set(); // states of the charts that are drawn
let zoom = fromURL();

function fromURL() {
  const query = new URLSearchParams(location.search);
  const [min, max] = [Number(query.get("from")), Number(query.get("to"))];
  return min > 0 && max > min ? { min, max } : null;
}

function toURL() {
  const url = new URL(location.href);
  for (const name of ["from", "to"]) url.searchParams.delete(name);
  if (zoom) {
    url.searchParams.set("from", Math.round(zoom.min));
    url.searchParams.set("to", Math.round(zoom.max));
  }
  history.replaceState(history.state, "", url);
}

const whole = ({ x }) => ({ min: x[0], max: x.at(-1) });
// A zoom that has nothing of a chart's time is not for that chart.
const meets = ({ x }) => zoom && zoom.min < x.at(-1) && zoom.max > x[0];

export function join(state) { open.add(state); show(state); }
export function leave(state) { open.delete(state); }

// show is called whenever a chart is drawn or has new values.
export function show(state) {
  if (!state.chart || state.data.x.length < 2) return;
  if (meets(state.data)) state.chart.setScale("x", zoom);
  else state.chart.setScale("x", whole(state.data));
  tools(state);
}

export function setZoom(next) {
  zoom = next;
  for (const state of open) {
    if (state.plot.isConnected) show(state);
    else leave(state);
  }
  toURL();
}

const iso = (seconds) => encodeURIComponent(new Date(seconds * 1000).toISOString());

// tools are the buttons of a chart that shows a part of its time.
function tools(state) {
  const { plot, data } = state;
  let bar = plot.querySelector(":scope > .chart-tools");
  if (!meets(data)) {
    const focused = bar?.contains(document.activeElement);
    bar?.remove();
    if (focused) plot.closest("[data-chart]").querySelector("summary")?.focus({ preventScroll: true });
    return;
  }
  if (!bar) {
    bar = Object.assign(document.createElement("div"), { className: "chart-tools" });
    const all = Object.assign(document.createElement("button"), { type: "button", className: "button small", textContent: "Whole time" });
    all.dataset.close = ""; // Escape presses it (keys.js)
    all.addEventListener("click", () => setZoom(null));
    bar.append(all);
    if (data.audit) bar.prepend(Object.assign(document.createElement("a"), { className: "button small", textContent: "Audit log of this time" }));
    plot.append(bar);
  }
  const link = bar.querySelector("a");
  if (link) link.href = data.audit.replace("{from}", iso(Math.floor(zoom.min))).replace("{to}", iso(Math.ceil(zoom.max)));
}

// selected is the hook of a drag that ends.
export function selected(u) {
  const { left, width } = u.select;
  if (width < 4) return;
  setZoom({ min: u.posToVal(left, "x"), max: u.posToVal(left + width, "x") });
  u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
}
