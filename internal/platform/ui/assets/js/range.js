// The two fields of a time range: shown in the viewer's zone, sent as UTC.
const two = (n) => String(n).padStart(2, "0");
const field = (d) => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;

export function ranges(root) {
  for (const form of root.querySelectorAll("form[data-range]:not([data-ready])")) {
    form.dataset.ready = "";
    const note = form.querySelector("[data-zone]");
    if (note) note.textContent = `Times in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
    const inputs = [...form.querySelectorAll("input[type=datetime-local]")];
    for (const input of inputs) if (input.dataset.utc) input.value = field(new Date(input.dataset.utc));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const url = new URL(form.action);
      for (const input of form.querySelectorAll("input[type=hidden]")) url.searchParams.append(input.name, input.value);
      for (const input of inputs) if (input.value) url.searchParams.set(input.name, new Date(input.value).toISOString());
      location.assign(url);
    });
  }
}
