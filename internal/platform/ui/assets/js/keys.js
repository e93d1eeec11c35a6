// The keyboard. Single keys, only when no field has the focus and no dialog is open.
import { toggleRow } from "./select.js";
import { nextTheme } from "./toggle.js";

const typing = (element) => element?.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
let leader = 0;

const rows = () => [...document.querySelectorAll("[data-row]")].filter((row) => row.querySelector("[data-open]") && row.checkVisibility());

function move(step) {
  const all = rows();
  if (all.length === 0) return;
  const focused = document.activeElement?.closest?.("[data-row]") ?? document.querySelector("[data-row][aria-current]");
  const at = all.indexOf(focused);
  const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step))];
  const link = [...next.querySelectorAll("[data-open]")].find((l) => l.closest("[data-row]") === next);
  link?.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  // With a detail open, moving shows the next one, as a mail reader does.
  if (document.querySelector(".detail > *") && link?.hasAttribute("hx-get")) link.click();
}

// The dialog of keys lists those of the page's own actions first.
export function showKeys() {
  const dialog = document.getElementById("shortcuts");
  const part = dialog?.querySelector("[data-page-keys]");
  if (!part) return;
  const list = part.querySelector("dl");
  list.replaceChildren(...[...document.querySelectorAll("[data-key]")].map((action) => {
    const line = document.createElement("div");
    const name = document.createElement("dt");
    const keys = document.createElement("dd");
    const key = document.createElement("kbd");
    name.textContent = action.querySelector("span:not(.keys)")?.textContent ?? action.title;
    key.textContent = action.dataset.key;
    keys.append(key);
    line.append(name, keys);
    return line;
  }));
  part.hidden = list.children.length === 0;
  dialog.showModal();
}

const actions = {
  j: () => move(1),
  k: () => move(-1),
  "/": () => { const field = document.querySelector("[data-search]"); field?.focus(); field?.select(); },
  "?": showKeys,
  x: toggleRow,
  t: nextTheme,
  l: () => document.querySelector("[data-live]")?.click(),
  g: () => { leader = Date.now(); },
  Escape: () => document.querySelector("[data-close]")?.click(),
};

// Closing a detail loads the list again. The row that was open takes the focus, as the list is where the reader was.
const closedRow = "belfry:closed";

function remember(event) {
  if (!event.target.closest?.("[data-close]")) return;
  const row = document.querySelector("[data-row][aria-current]");
  try { if (row?.id) sessionStorage.setItem(closedRow, row.id); } catch { /* no storage in this frame */ }
}

function focusClosed() {
  try {
    const id = sessionStorage.getItem(closedRow);
    sessionStorage.removeItem(closedRow);
    if (id && !document.querySelector(".detail > *")) document.getElementById(id)?.querySelector("[data-open]")?.focus({ preventScroll: true });
  } catch { /* no storage in this frame */ }
}

export function keyboard() {
  document.addEventListener("click", remember, true);
  focusClosed();
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open], .bell-panel:popover-open")) return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (Date.now() - leader < 1200) {
      leader = 0;
      const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    const own = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    const act = own ? () => own.click() : actions[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
