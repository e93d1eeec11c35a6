// Two months of days. The first choice of a day begins a range, the second ends
// it; a range goes to the end of its last day. Arrows move by day and week, Page
// Up and Page Down by month.
import { fromWall, wall } from "./time.js";
import { icon } from "./suggest.js";

const names = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const weekdays = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const make = (name, className, text = "") => Object.assign(document.createElement(name), { className, textContent: text });
const key = (y, m, d) => new Date(Date.UTC(y, m, d)).toISOString().slice(0, 10);
const parts = (iso) => iso.split("-").map(Number);
const start = (iso, days = 0) => { const [y, m, d] = parts(iso); return fromWall(y, m - 1, d + days); };
const iso = (at) => wall(at).toISOString().slice(0, 10);

export function calendar(root, sprite, { get, set }) {
  if (!root) return () => {};
  const now = wall(new Date());
  let shown = [now.getUTCFullYear(), now.getUTCMonth() - 1]; // the left month
  let half = ""; // the first day of a range whose last is not chosen yet

  function chosen() {
    const [since, before] = get();
    if (half) return [half, half];
    const end = before ?? (since ? new Date() : null);
    return [since ? iso(since) : "", end ? iso(new Date(end - 1)) : ""];
  }

  function choose(day) {
    if (half) {
      const [from, to] = [half, day].sort();
      half = "";
      set(start(from), start(to, 1));
    } else {
      half = day;
      set(start(day), start(day, 1));
    }
    draw(day);
  }

  function go(step, focus) {
    shown = [shown[0], shown[1] + step];
    draw(focus);
  }

  function month(year, at, side) {
    const first = new Date(Date.UTC(year, at, 1));
    const [y, m] = [first.getUTCFullYear(), first.getUTCMonth()];
    const box = make("div", "month");
    const head = make("div", "month-head");
    // The arrows between two months are only for a place that shows one of them.
    const arrow = (name, label, step, inner) => {
      const button = Object.assign(make("button", `button ghost${inner ? " inner" : ""}`), { type: "button" });
      button.setAttribute("aria-label", label);
      button.append(icon(sprite, name));
      button.addEventListener("click", () => go(step));
      return button;
    };
    head.append(arrow("chevron-left", "Earlier month", -1, side === 1), make("span", "month-name", `${names[m]} ${y}`), arrow("chevron-right", "Later month", 1, side === 0));
    box.append(head, ...weekdays.map((d) => make("span", "month-day", d)));
    const [from, to] = chosen();
    const count = new Date(Date.UTC(y, m + 1, 0)).getUTCDate();
    for (let d = 1; d <= count; d++) {
      const day = key(y, m, d);
      const cell = Object.assign(make("button", "day-cell", String(d)), { type: "button", tabIndex: -1 });
      cell.dataset.day = day;
      cell.setAttribute("aria-label", `${d} ${names[m]} ${y}`);
      cell.setAttribute("aria-pressed", String(day === from || day === to));
      if (from && day > from && day < to) cell.dataset.in = "";
      if (day === iso(new Date())) cell.dataset.today = "";
      cell.disabled = day > iso(new Date());
      if (d === 1) cell.classList.add(`from-${(first.getUTCDay() + 6) % 7}`);
      box.append(cell);
    }
    return box;
  }

  function draw(focus) {
    root.replaceChildren(month(...shown, 0), month(shown[0], shown[1] + 1, 1));
    const days = [...root.querySelectorAll(".day-cell:not(:disabled)")];
    const [from] = chosen();
    const stop = days.find((d) => d.dataset.day === (focus || from)) ?? days.at(-1);
    if (stop) stop.tabIndex = 0;
    if (focus) stop?.focus();
  }

  root.addEventListener("click", (event) => {
    const cell = event.target.closest(".day-cell");
    if (cell) choose(cell.dataset.day);
  });
  root.addEventListener("keydown", (event) => {
    const day = event.target.dataset?.day;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 }[event.key];
    const page = { PageUp: -1, PageDown: 1 }[event.key];
    if (!day || (!step && !page)) return;
    event.preventDefault();
    event.stopPropagation();
    const [y, m, d] = parts(day);
    const next = step ? key(y, m - 1, d + step) : key(y, m - 1 + page, Math.min(d, 28));
    if (next > iso(new Date())) return;
    const there = root.querySelector(`[data-day="${next}"]`);
    if (there?.checkVisibility()) {
      event.target.tabIndex = -1;
      there.tabIndex = 0;
      there.focus();
    } else {
      go(next < day ? -1 : 1, next);
    }
  });
  draw();
  return draw.bind(null, "");
}
