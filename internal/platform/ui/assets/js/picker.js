// Pickers: chips of what is chosen, and a combobox that suggests more. The server
// has drawn both; here the hidden fields of the chips take over from the plain
// field, which is for browsers without scripts.
import { Suggest, fromList, fromServer, icon } from "./suggest.js";

class Picker {
  constructor(root) {
    this.root = root;
    this.name = root.dataset.picker;
    this.multiple = root.dataset.multiple !== undefined;
    this.chips = root.querySelector(".picker-chips");
    this.input = root.querySelector(".picker-input");
    this.sprite = root.dataset.sprite;
    for (const plain of root.querySelectorAll(".only-no-js [name]")) plain.disabled = true;
    for (const hidden of this.chips.querySelectorAll("input")) hidden.disabled = false;
    const options = root.querySelector('script[type="application/json"]');
    this.suggest = new Suggest({
      input: this.input,
      pop: root.querySelector(".picker-pop"),
      list: root.querySelector(".picker-list"),
      state: root.querySelector(".picker-state"),
      sprite: this.sprite,
      source: root.dataset.source ? fromServer(root.dataset.source, root.dataset.kind) : fromList(JSON.parse(options?.textContent ?? "[]")),
      chosen: (item) => Boolean(this.find(this.valueOf(item))),
      pick: (item) => this.toggle(item),
      other: root.dataset.other !== undefined,
    });
    root.querySelector(".picker-box").addEventListener("click", (event) => {
      const remove = event.target.closest(".chip-x");
      if (remove) this.remove(remove.closest("li"));
      else if (!event.target.closest(".chip")) this.input.focus();
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Backspace" && this.input.value === "" && this.chips.lastElementChild) this.remove(this.chips.lastElementChild);
    });
    this.input.addEventListener("input", () => this.input.setCustomValidity(""));
    // Text that was typed and not chosen must not be lost without a word.
    this.input.form?.addEventListener("click", (event) => { if (event.target.closest("[type=submit]")) this.settle(); });
    this.changed(false);
  }

  valueOf(item) {
    return String(item.other ? item.id : item[this.root.dataset.use || "id"] ?? item.id);
  }

  find(value) { return [...this.chips.children].find((li) => li.dataset.value === value); }

  toggle(item) {
    const old = this.find(this.valueOf(item));
    if (!this.multiple) this.chips.replaceChildren();
    if (old && this.multiple) old.remove();
    else this.chips.append(this.chip(item));
    this.input.value = "";
    this.changed(true);
    if (this.multiple) this.suggest.ask(0);
    else this.suggest.close();
  }

  chip(item) {
    const make = (name, className, text = "") => Object.assign(document.createElement(name), { className, textContent: text });
    const value = this.valueOf(item);
    const li = make("li", `chip chosen ${item.tone ?? ""}`);
    li.dataset.value = value;
    if (item.icon && !item.other) li.append(icon(this.sprite, item.icon));
    li.append(make("b", "", item.title));
    const detail = item.other ? "" : item.detail;
    if (detail) li.append(make("span", "pick-detail", detail));
    const x = Object.assign(make("button", "chip-x"), { type: "button" });
    x.setAttribute("aria-label", `Remove ${item.title}`);
    x.append(icon(this.sprite, "x"));
    const chosen = JSON.stringify({ value, label: item.title, detail, icon: item.other ? "" : item.icon, tone: item.tone });
    li.append(x, this.hidden(this.name, value), this.hidden(`${this.name}.chosen`, chosen));
    return li;
  }

  hidden(name, value) { return Object.assign(document.createElement("input"), { type: "hidden", name, value }); }

  remove(li) {
    li.remove();
    this.changed(true);
    this.input.focus();
  }

  settle() {
    if (!this.input.value.trim()) return;
    if (this.suggest.other) this.suggest.type();
    else this.input.setCustomValidity("Choose one of the suggestions, or clear this text.");
  }

  changed(byHand) {
    this.chips.hidden = this.chips.children.length === 0;
    this.input.required = this.root.dataset.required !== undefined && this.chips.hidden;
    this.input.setCustomValidity("");
    if (byHand) this.root.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

export function pickers(root) {
  for (const element of root.querySelectorAll("[data-picker]:not([data-ready])")) {
    element.dataset.ready = "";
    new Picker(element);
  }
}
