// Times in the zone that the viewer has chosen: the browser's, or UTC. Without a
// choice it is the account's zone (data-time-zone of the page), and the browser's
// where the account has none. The server writes UTC; the title keeps it.
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n) => String(n).padStart(2, "0");
const key = "belfry-zone";

// zoneChoice is "utc", "local" or "account" (the default where the account has a zone).
export function zoneChoice() {
  const fallback = accountZone() ? "account" : "local";
  try {
    const chosen = localStorage.getItem(key);
    return chosen === "utc" || chosen === "local" ? chosen : fallback;
  } catch {
    return fallback; // a frame without storage
  }
}

export function setZone(zone) {
  try {
    if (zone === "utc" || zone === "local") localStorage.setItem(key, zone);
    else localStorage.removeItem(key);
  } catch { /* a frame without storage: the choice is lost */ }
  document.dispatchEvent(new CustomEvent("belfry:zone"));
}

// format writes the parts of a time in the account's zone; null where the browser does not know the zone.
const formats = {};
function format(zone) {
  try {
    return (formats[zone] ??= new Intl.DateTimeFormat("en-US", {
      timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric",
      hour: "numeric", minute: "numeric", second: "numeric",
    }));
  } catch {
    return null;
  }
}

function accountZone() {
  const zone = document.documentElement.dataset.timeZone;
  return zone && format(zone) ? zone : "";
}

const browserZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

export const zoneName = () => ({ utc: "UTC", account: accountZone(), local: browserZone() })[zoneChoice()];

// wall is a date whose UTC parts are those of the clock on the viewer's wall;
// fromWall is its inverse.
export function wall(d) {
  const choice = zoneChoice();
  if (choice === "utc" || Number.isNaN(d.getTime())) return d;
  if (choice === "local") return new Date(d.getTime() - d.getTimezoneOffset() * 60_000);
  const p = {};
  for (const { type, value } of format(accountZone()).formatToParts(d)) p[type] = Number(value);
  return new Date(Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second));
}

export function fromWall(...parts) {
  const choice = zoneChoice();
  if (choice === "local") return new Date(...parts);
  const at = Date.UTC(...parts);
  if (choice === "utc") return new Date(at);
  // The offset at the result may differ from that at the first guess, where the clock changes.
  const guess = at - (wall(new Date(at)) - at);
  return new Date(at - (wall(new Date(guess)) - guess));
}

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

// pressed shows which zone is chosen.
function pressed(root) {
  for (const button of root.querySelectorAll("[data-zone-choice]")) {
    if (button.dataset.zoneChoice === "account") button.hidden = !accountZone();
    button.setAttribute("aria-pressed", String(button.dataset.zoneChoice === zoneChoice()));
  }
}

export function localTimes(root) {
  pressed(root);
  for (const note of root.querySelectorAll("[data-zone]")) note.textContent = `Times in ${zoneName()}`;
  for (const element of root.querySelectorAll("time[data-local]")) show(element);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-zone-choice]");
  if (button) setZone(button.dataset.zoneChoice);
});
document.addEventListener("belfry:zone", () => localTimes(document));
setInterval(() => {
  if (document.hidden) return;
  for (const element of document.querySelectorAll('time[data-local="ago"]')) show(element);
}, 10_000);
