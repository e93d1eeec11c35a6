// The menu "Filter": each key is a fold with a form. When it opens, its field
// suggests values with their counts; choosing one sends the form, and with Alt
// excludes the value.
import { Suggest, fromList, fromServer } from "./suggest.js";

function prepare(fold) {
  const form = fold.querySelector("form");
  const input = form.querySelector("input[role=combobox]");
  const options = form.querySelector('script[type="application/json"]');
  input.disabled = false;
  for (const plain of form.querySelectorAll(".only-no-js [name]")) plain.disabled = true;
  const { source, kind, use, filterKey, strict } = fold.dataset;
  const send = (value, event) => {
    input.value = value;
    if (event?.altKey) input.name = `${filterKey}.not`;
    form.requestSubmit();
  };
  const from = source ? fromServer(source, kind) : fromList(JSON.parse(options?.textContent ?? "[]"));
  const suggest = new Suggest({
    input,
    pop: form.querySelector(".filter-found"),
    list: form.querySelector(".picker-list"),
    state: form.querySelector(".picker-state"),
    sprite: fold.closest("[data-sprite]").dataset.sprite,
    source: from,
    pick: (item, event) => send(String(item.other ? item.id : item[use || "id"] ?? item.id), event),
    other: strict === undefined,
    stay: true,
  });
  form.addEventListener("submit", (event) => { if (!input.value.trim()) event.preventDefault(); });
  return suggest;
}

export function addFilters(root) {
  for (const fold of root.querySelectorAll(".filter-key:not([data-ready])")) {
    fold.dataset.ready = "";
    let suggest;
    fold.addEventListener("toggle", () => {
      if (!fold.open) return;
      suggest ??= prepare(fold);
      suggest.input.focus();
      suggest.ask(0);
    });
  }
}
