// Keeps what was typed in a form over a sign-in. A form that is sent after the
// session has ended is answered by a page with data-signed-out, whose link leads
// to the sign-in page and from there back to the form. Passwords, hidden fields
// and the forms of the sign-in itself are not kept, and nothing outlives the tab.
import { toast } from "./toast.js";

const key = "belfry-draft";
const here = () => location.pathname + location.search;

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null; // a frame without storage
  }
}

function write(draft) {
  try {
    if (draft) sessionStorage.setItem(key, JSON.stringify(draft));
    else sessionStorage.removeItem(key);
  } catch { /* a frame without storage, or too much text: nothing is kept */ }
}

const typed = (form) => [...form.elements].filter((e) => e.name && !["hidden", "password", "submit", "button", "file"].includes(e.type));

function keep(event) {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || location.pathname.startsWith("/sign-in")) return;
  const fields = typed(form).map((e) => [e.name, ["checkbox", "radio"].includes(e.type) ? e.checked : e.value]);
  if (fields.length > 0) write({ page: here(), action: form.getAttribute("action"), fields });
}

function restore(draft) {
  const form = [...document.forms].find((f) => f.method === "post" && f.getAttribute("action") === draft.action);
  if (!form) return;
  const elements = typed(form);
  for (const [name, value] of draft.fields) {
    const at = elements.findIndex((e) => e.name === name);
    if (at < 0) continue;
    const [element] = elements.splice(at, 1);
    if (typeof value === "boolean") element.checked = value;
    else element.value = value;
  }
  form.dispatchEvent(new Event("change", { bubbles: true })); // a preview follows
  toast("You are signed in again. What you typed is back, and not saved yet.", "info");
}

export function drafts() {
  document.addEventListener("submit", keep);
  const draft = read();
  if (!draft) return;
  if (document.querySelector("[data-signed-out]")) {
    write({ ...draft, kept: true });
  } else if (!location.pathname.startsWith("/sign-in")) {
    write(null);
    if (draft.kept && draft.page === here()) restore(draft);
  }
}
