// Days in the viewer's zone: the server groups by UTC, this groups again. A
// day's heading stands before its first row, and nowhere else; new rows of the
// live tail and further pages come without one or with one too many.
const two = (n) => String(n).padStart(2, "0");
const weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const months = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

function relative(day) {
  const today = new Date();
  const days = Math.round((new Date(today.getFullYear(), today.getMonth(), today.getDate()) - day) / 86_400_000);
  if (days === 0) return "today";
  if (days === 1) return "yesterday";
  return days > 1 && days < 60 ? `${days} days ago` : "";
}

function heading(day) {
  const item = document.createElement("li");
  item.className = "day";
  item.dataset.day = "";
  const name = document.createElement("span");
  name.textContent = `${weekdays[day.getDay()]}, ${day.getDate()} ${months[day.getMonth()]} ${day.getFullYear()}`;
  item.append(name);
  const ago = relative(day);
  if (ago) item.append(Object.assign(document.createElement("span"), { className: "faint", textContent: ago }));
  return item;
}

function group(list) {
  for (const old of list.querySelectorAll(":scope > [data-day]")) old.remove();
  let present = "";
  for (const row of list.querySelectorAll(":scope > [data-row]")) {
    const time = row.querySelector("time[data-clock]");
    if (!time) continue;
    const at = new Date(time.dateTime);
    const day = new Date(at.getFullYear(), at.getMonth(), at.getDate());
    if (day.toDateString() === present) continue;
    present = day.toDateString();
    row.before(heading(day));
  }
}

function clocks() {
  for (const time of document.querySelectorAll("time[data-clock]:not([data-shown])")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.dataset.shown = "";
    time.textContent = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
    const ago = time.previousElementSibling?.querySelector("time");
    time.parentElement.toggleAttribute("data-old", Date.now() - at > 86_400_000 && Boolean(ago));
  }
}

function all() {
  clocks();
  for (const list of document.querySelectorAll("[data-days]")) group(list);
}

// A change set opens in its place; without scripts its link leads to its events.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-fold]");
  if (!opener || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const fold = opener.closest("[data-row]").querySelector(".fold");
  fold.open = !fold.open;
});

// New rows of the live tail change the numbers in the head: they are asked for
// at once, and at most once a second.
let asked = 0;
function head() {
  const size = document.getElementById("audit-size");
  if (!size || asked) return;
  // The rows are shown: the server counts new ones from here on.
  asked = setTimeout(() => {
    asked = 0;
    size.setAttribute("hx-get", size.getAttribute("hx-get").replace(/([?&]seen=)\d+/, "$1"));
    window.htmx?.trigger(size, "every");
  }, 1000);
}

all();
document.addEventListener("htmx:after:process", all);
document.addEventListener("belfry:live", () => { all(); head(); });
