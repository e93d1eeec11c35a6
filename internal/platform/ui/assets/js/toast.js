// Sentences that go away by themselves; those about a failure stay until they
// are dismissed.
import { asksAgain } from "./refresh.js";

export function toasts(root) {
  for (const element of root.querySelectorAll("[data-toast]:not([data-timed])")) {
    element.dataset.timed = "";
    if (!element.classList.contains("bad")) setTimeout(() => element.remove(), 5000);
  }
}

export function toast(text, tone = "") {
  const element = document.createElement("div");
  element.className = `toast ${tone}`;
  element.dataset.toast = "";
  const words = document.createElement("span");
  words.textContent = text;
  element.append(words);
  document.getElementById("toasts")?.append(element);
  toasts(document);
}

document.addEventListener("click", (event) => {
  event.target.closest("[data-toast-close]")?.closest("[data-toast]")?.remove();
});
document.addEventListener("htmx:error", (event) => {
  if (asksAgain(event.detail?.ctx?.sourceElement)) return; // refresh.js says that
  toast("Belfry did not answer. Check the connection and try again.", "bad");
});
