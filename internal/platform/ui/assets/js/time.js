// Times in the viewer's zone. The server writes UTC; the title keeps it.
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n) => String(n).padStart(2, "0");

export const clock = (d) => `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
export const day = (d) => `${d.getDate()} ${months[d.getMonth()]} ${d.getFullYear()}`;
export const shortDay = (d) => `${d.getDate()} ${months[d.getMonth()]}`;
const today = (d) => d.toDateString() === new Date().toDateString();

function ago(d) {
  const seconds = Math.trunc((Date.now() - d) / 1000);
  const n = Math.abs(seconds);
  if (n < 1) return "now";
  const words = n < 60 ? `${n} s`
    : n < 3600 ? `${Math.trunc(n / 60)} min`
    : n < 48 * 3600 ? `${Math.trunc(n / 3600)} h`
    : `${Math.trunc(n / 86400)} days`;
  return seconds < 0 ? `in ${words}` : `${words} ago`;
}

const moment = (d) => `${day(d)}, ${clock(d)}`;
const forms = { time: (d) => (today(d) ? clock(d) : moment(d)), moment, day, ago };

function show(element) {
  const at = new Date(element.dateTime);
  const form = forms[element.dataset.local];
  if (form && !Number.isNaN(at.getTime())) element.textContent = form(at);
}

export function localTimes(root) {
  for (const note of root.querySelectorAll("[data-zone]")) note.textContent = `Times in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
  for (const element of root.querySelectorAll("time[data-local]")) show(element);
}

setInterval(() => {
  if (document.hidden) return;
  for (const element of document.querySelectorAll('time[data-local="ago"]')) show(element);
}, 10_000);
