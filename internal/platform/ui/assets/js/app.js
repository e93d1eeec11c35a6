// Wires the modules. Each takes a root and upgrades what it finds below by its
// data attributes; it is called again for what htmx or a live stream puts in.
import { addFilters } from "./addfilter.js";
import { bells } from "./bell.js";
import { charts } from "./chart.js";
import { copyButtons } from "./copy.js";
import { dialogs } from "./dialog.js";
import { displays } from "./display.js";
import { drafts } from "./draft.js";
import { filters } from "./filter.js";
import { fragmentForms } from "./fragment.js";
import { keyboard } from "./keys.js";
import { liveTail } from "./live.js";
import { menus } from "./menu.js";
import { palettes } from "./palette.js";
import { pickers } from "./picker.js";
import { ranges } from "./range.js";
import { refresh, refreshExtension } from "./refresh.js";
import { selecting, selections } from "./select.js";
import { localTimes } from "./time.js";
import { themeToggle } from "./toggle.js";
import { toasts } from "./toast.js";

function upgrade(root) {
  localTimes(root);
  charts(root);
  pickers(root);
  ranges(root);
  addFilters(root);
  displays(root);
  selections(root);
  toasts(root);
}

// Nothing may be evaluated from a string: the policy forbids it, and with this
// htmx says which attribute tried.
window.htmx?.registerExtension("belfry", {
  init(api) {
    const refuse = function (...code) { throw new Error(`refused to evaluate: ${code.at(-1)}`); };
    api.initSecurity(null, refuse, refuse);
  },
  ...refreshExtension,
});

themeToggle();
copyButtons();
dialogs();
filters();
fragmentForms();
drafts();
addEventListener("hashchange", fragmentForms); // a link that is opened on the page itself
menus();
selecting();
keyboard();
palettes();
bells(upgrade);
liveTail(upgrade);
refresh();
upgrade(document);
// Fired for every root that htmx puts in, also by a sentinel that is gone by then.
document.addEventListener("htmx:after:process", () => upgrade(document));

// A detail that was opened takes the focus, so that a screen reader and the
// keyboard are where the eye is.
document.addEventListener("htmx:after:swap", (event) => {
  const target = event.detail?.ctx?.target;
  if (!target?.classList?.contains("detail")) return;
  const opened = event.detail.ctx.sourceElement?.closest?.("[data-row]");
  if (opened) { // not a tab of the detail, whose row stays the open one
    for (const row of document.querySelectorAll("[data-row][aria-current]")) row.removeAttribute("aria-current");
    opened.setAttribute("aria-current", "true");
  }
  target.querySelector("h2")?.focus?.();
});
