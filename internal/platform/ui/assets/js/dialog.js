// data-dialog="id" opens a <dialog>; data-dialog-close closes it, and so does a
// click beside it. Questions of htmx (hx-confirm) are asked in one of ours.
import { showKeys } from "./keys.js";

export function dialogs() {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
    if (event.target.closest("[data-shortcuts]")) showKeys();
    if (event.target.closest("[data-dialog-close]")) event.target.closest("dialog")?.close();
    if (event.target.nodeName === "DIALOG" && outside(event.target, event)) event.target.close();
  });
  document.addEventListener("htmx:confirm", (event) => {
    const question = event.detail?.ctx?.confirm;
    if (!question) return;
    event.preventDefault();
    ask(question, event.detail.ctx.sourceElement?.textContent.trim() || "Continue").then((yes) =>
      yes ? event.detail.issueRequest() : event.detail.dropRequest());
  });
}

function outside(dialog, event) {
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

function ask(question, label) {
  const make = (name, className, text) => Object.assign(document.createElement(name), { className, textContent: text });
  const dialog = make("dialog", "dialog", "");
  dialog.setAttribute("aria-label", question);
  const foot = make("div", "dialog-foot", "");
  const no = make("button", "button", "Cancel");
  const yes = make("button", "button primary", label);
  foot.append(no, yes);
  dialog.append(make("p", "", question), foot);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    no.addEventListener("click", () => dialog.close("no"));
    yes.addEventListener("click", () => dialog.close("yes"));
  });
}
