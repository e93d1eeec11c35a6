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

const actions = {
  j: () => move(1),
  k: () => move(-1),
  "/": () => { const field = document.querySelector("[data-search]"); field?.focus(); field?.select(); },
  "?": () => document.getElementById("shortcuts")?.showModal(),
  x: toggleRow,
  t: nextTheme,
  l: () => document.querySelector("[data-live]")?.click(),
  g: () => { leader = Date.now(); },
  Escape: () => document.querySelector("[data-close]")?.click(),
};

export function keyboard() {
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
