// Times in the zone that the viewer has chosen: the browser's, or UTC. The server
// writes UTC; the title keeps it.
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n) => String(n).padStart(2, "0");
const key = "belfry-zone";

export function inUTC() {
  try {
    return localStorage.getItem(key) === "utc";
  } catch {
    return false; // a frame without storage
  }
}

export function setZone(zone) {
  try {
    if (zone === "utc") localStorage.setItem(key, zone);
    else localStorage.removeItem(key);
  } catch { /* a frame without storage: the choice is lost */ }
  document.dispatchEvent(new CustomEvent("belfry:zone"));
}

export const zoneName = () => (inUTC() ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone);

// wall is a date whose UTC parts are those of the clock on the viewer's wall;
// moment is its inverse.
export const wall = (d) => (inUTC() ? d : new Date(d.getTime() - d.getTimezoneOffset() * 60_000));
export const fromWall = (...parts) => (inUTC() ? new Date(Date.UTC(...parts)) : new Date(...parts));

export const clock = (d) => { const w = wall(d); return `${two(w.getUTCHours())}:${two(w.getUTCMinutes())}:${two(w.getUTCSeconds())}`; };
export const day = (d) => { const w = wall(d); return `${w.getUTCDate()} ${months[w.getUTCMonth()]} ${w.getUTCFullYear()}`; };
export const shortDay = (d) => { const w = wall(d); return `${w.getUTCDate()} ${months[w.getUTCMonth()]}`; };
export const isoDay = (d) => wall(d).toISOString().slice(0, 10);
const today = (d) => isoDay(d) === isoDay(new Date());

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
  for (const note of root.querySelectorAll("[data-zone]")) note.textContent = `Times in ${zoneName()}`;
  for (const element of root.querySelectorAll("time[data-local]")) show(element);
}

document.addEventListener("belfry:zone", () => localTimes(document));
setInterval(() => {
  if (document.hidden) return;
  for (const element of document.querySelectorAll('time[data-local="ago"]')) show(element);
}, 10_000);
