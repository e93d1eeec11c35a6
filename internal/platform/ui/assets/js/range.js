// A time range: two fields that are read in the viewer's zone and sent as UTC, a
// calendar that fills them, and the choice of the zone. Without scripts the
// fields are the browser's own and mean UTC.
import { calendar } from "./calendar.js";
import { fromWall, setZone, wall } from "./time.js";

export const field = (d) => wall(d).toISOString().slice(0, 19).replace("T", " ");

// read takes "2026-11-22", "2026-11-22 17:59" and with seconds, in the viewer's
// zone; null for nothing.
function read(value) {
  const m = /^\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?\s*$/.exec(value);
  if (m) return fromWall(m[1], m[2] - 1, m[3], m[4] ?? 0, m[5] ?? 0, m[6] ?? 0);
  return value.trim() ? new Date(Number.NaN) : null;
}

const valid = (at) => (at && !Number.isNaN(at.getTime()) ? at : null);

function prepare(form) {
  const { since, before } = form.elements;
  for (const input of [since, before]) {
    input.type = "text"; // year first, and the same in every browser
    input.placeholder = "2026-11-22 17:59:00";
    input.spellcheck = false;
    input.value = input.dataset.utc ? field(new Date(input.dataset.utc)) : "";
  }
  const redraw = calendar(form.querySelector("[data-calendar]"), form.dataset.sprite, {
    get: () => [valid(read(since.value)), valid(read(before.value))],
    set: (from, to) => { since.value = from ? field(from) : ""; before.value = to ? field(to) : ""; },
  });
  form.addEventListener("input", (event) => { event.target.setCustomValidity(""); redraw(); });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-zone-choice]");
    if (!button) return;
    event.stopPropagation(); // the fields follow the choice
    const times = [since, before].map((input) => valid(read(input.value)));
    setZone(button.dataset.zoneChoice);
    for (const [i, input] of [since, before].entries()) if (times[i]) input.value = field(times[i]);
    redraw();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const url = new URL(form.action);
    for (const input of form.querySelectorAll("input[type=hidden]")) url.searchParams.append(input.name, input.value);
    for (const input of [since, before]) {
      const at = read(input.value);
      input.setCustomValidity(at && Number.isNaN(at.getTime()) ? "A time as 2026-11-22 17:59:00" : "");
      if (!input.reportValidity()) return;
      if (at) url.searchParams.set(input.name, at.toISOString());
    }
    location.assign(url);
  });
}

export function ranges(root) {
  for (const form of root.querySelectorAll("form[data-range]:not([data-ready])")) {
    form.dataset.ready = "";
    prepare(form);
  }
}
