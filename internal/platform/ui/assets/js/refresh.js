// Parts of a page that ask for themselves again (hx-trigger="every ..."). This
// is the one mechanism for all of them: the answer is merged into what is there,
// element by element, so that focus, selection, scroll position, open menus and
// the zoom of a chart stay. Nothing is asked for while the page is hidden, while
// the visitor types in the part, or while they have selected text in it.
import { bellCount } from "./bell.js";
import { clock } from "./time.js";

export const asksAgain = (element) => /(^|,)\s*every\s/.test(element?.getAttribute?.("hx-trigger") ?? "");

const typing = (part) => part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");

function selecting(part) {
  const selection = document.getSelection();
  return Boolean(selection) && !selection.isCollapsed && selection.containsNode(part, true);
}

// What scripts and visitors have changed, and the server does not know of.
const ours = { DETAILS: ["open"], DIALOG: ["open"], TIME: ["data-shown"], BUTTON: ["aria-pressed", "data-state"] };

// extension is what htmx asks while it merges; false leaves a node or an
// attribute as it is.
export const refreshExtension = {
  htmx_config_request(part, detail) {
    if (!asksAgain(part)) return true;
    // The title and the icon of a hidden tab are what people see of it: its counts go on.
    if ((document.hidden && !counts(part)) || typing(part) || selecting(part)) return false;
    // The server does not count these requests as use of the session: an
    // open tab alone must not keep it alive.
    detail.ctx.request.headers["Belfry-Refresh"] = "true";
    detail.ctx.swap = (part.getAttribute("hx-swap") ?? "").startsWith("outer") ? "outerMorph" : "innerMorph";
    return true;
  },
  htmx_before_morph_node(_, { oldNode, newNode }) {
    // A time that is shown in the viewer's zone already, and a chart that is drawn:
    // chart.js gives it the new values.
    if (oldNode.nodeName === "TIME" && oldNode.dateTime === newNode.dateTime) return oldNode.dataset.local === "ago";
    return !(oldNode.classList?.contains("chart-plot") && oldNode.querySelector("canvas"));
  },
  htmx_before_morph_attr(element, { attrName }) {
    return !ours[element.nodeName]?.includes(attrName);
  },
};

// A part that is not answered stays as it is. One note says since when the page is
// not up to date, and goes when all of its parts are again.
const stale = new Set();

function note(part, isStale, signedOut = false) {
  if (isStale) stale.add(part);
  else stale.delete(part);
  for (const old of stale) if (!old.isConnected) stale.delete(old);
  const shown = document.getElementById("stale");
  if (stale.size === 0) shown?.remove();
  if (stale.size === 0 || shown) return;
  const element = Object.assign(document.createElement("div"), { id: "stale", className: "toast warn" });
  element.append(Object.assign(document.createElement("span"), { className: "spinner" }), signedOut
    ? "You are signed out. Reload the page to sign in." : `Not up to date since ${clock(new Date())}. Trying again.`);
  document.getElementById("toasts")?.append(element);
}

function watchAnswers() {
  document.addEventListener("htmx:before:response", (event) => {
    const { sourceElement: part, response } = event.detail?.ctx ?? {};
    if (!asksAgain(part) || response.status < 400) return;
    event.preventDefault();
    note(part, true, response.status === 401);
  });
  document.addEventListener("htmx:error", (event) => {
    const part = event.detail?.ctx?.sourceElement;
    if (asksAgain(part)) note(part, true);
  });
  document.addEventListener("htmx:after:swap", (event) => {
    const part = event.detail?.ctx?.sourceElement;
    if (asksAgain(part)) note(part, false);
  });
}

const counts = (part) => part.closest("[data-firing], [data-bell]") !== null;

// The number of firing alerts is in the tab's title and icon too, and that of the
// news is in the bell.
function title() {
  const firing = document.querySelector("[data-firing]");
  if (firing) {
    const count = firing.textContent.trim();
    const text = (count ? `(${count}) ` : "") + document.title.replace(/^\([^)]*\) /, "");
    if (document.title !== text) document.title = text;
    const icon = document.querySelector("link[rel=icon][data-alarm]");
    const href = count ? icon?.dataset.alarm : icon?.dataset.calm;
    if (icon && icon.getAttribute("href") !== href) icon.setAttribute("href", href);
  }
  const unseen = document.querySelector("[data-unseen]");
  if (unseen) bellCount(Number(unseen.dataset.unseen));
}

export function refresh() {
  watchAnswers();
  let focused = null;
  // What had the focus and is gone after the merge is looked for by its id or its
  // address, so that the keyboard stays where it was.
  document.addEventListener("htmx:before:swap", (event) => {
    const part = event.detail?.ctx?.sourceElement;
    focused = asksAgain(part) && part.contains(document.activeElement) ? document.activeElement : null;
  });
  document.addEventListener("htmx:after:swap", () => {
    if (focused && !focused.isConnected) {
      const same = (focused.id && document.getElementById(focused.id)) ||
        (focused.getAttribute("href") && document.querySelector(`main a[href="${CSS.escape(focused.getAttribute("href"))}"]`));
      same?.focus({ preventScroll: true });
    }
    focused = null;
    title();
  });
  // A page that was hidden is brought up to date when it is looked at again.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    for (const part of document.querySelectorAll("[hx-trigger]")) if (asksAgain(part)) window.htmx?.trigger(part, "every");
  });
}
