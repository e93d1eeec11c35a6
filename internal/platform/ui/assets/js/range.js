// The two fields of a time range: shown in the viewer's zone, sent as UTC.
const two = (n) => String(n).padStart(2, "0");
const field = (d) => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;

// read takes "2026-11-22", "2026-11-22 17:59" and with seconds, in the viewer's
// zone; null for nothing.
function read(value) {
  const m = /^\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?\s*$/.exec(value);
  if (m) return new Date(m[1], m[2] - 1, m[3], m[4] ?? 0, m[5] ?? 0, m[6] ?? 0);
  return value.trim() ? new Date(Number.NaN) : null;
}

export function ranges(root) {
  for (const form of root.querySelectorAll("form[data-range]:not([data-ready])")) {
    form.dataset.ready = "";
    const inputs = [...form.querySelectorAll("input[data-utc], input[placeholder]")];
    for (const input of inputs) if (input.dataset.utc) input.value = field(new Date(input.dataset.utc));
    form.addEventListener("input", (event) => event.target.setCustomValidity(""));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const url = new URL(form.action);
      for (const input of form.querySelectorAll("input[type=hidden]")) url.searchParams.append(input.name, input.value);
      for (const input of inputs) {
        const at = read(input.value);
        input.setCustomValidity(at && Number.isNaN(at.getTime()) ? "A time as 2026-11-22 17:59:00" : "");
        if (!input.reportValidity()) return;
        if (at) url.searchParams.set(input.name, at.toISOString());
      }
      location.assign(url);
    });
  }
}
