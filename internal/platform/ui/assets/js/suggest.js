// Suggestions for a text field: the ARIA combobox with a list box. What is typed
// asks for items after a short rest, an older question is aborted, and answers
// are kept for the life of the page. Used by pickers and by the filter menu.
const rest = 140; // ms
const answers = new Map(); // by URL

// source gives a function text -> groups: from the server, or from a list.
export function fromServer(path, kind) {
  return async (text, signal) => {
    const url = new URL(path, location.href);
    if (kind) url.searchParams.set("kind", kind);
    url.searchParams.set("q", text);
    if (!answers.has(url.href)) {
      const response = await fetch(url, { signal, headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(String(response.status));
      answers.set(url.href, (await response.json()).groups ?? []);
    }
    return answers.get(url.href);
  };
}

export function fromList(choices) {
  const items = choices.map((c) => ({ id: c.value, title: c.label || c.value, ...c }));
  return async (text) => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const hit = (item) => words.every((w) => `${item.title} ${item.detail ?? ""}`.toLowerCase().includes(w));
    return [{ items: items.filter(hit) }];
  };
}

const make = (name, className, text = "") => Object.assign(document.createElement(name), { className, textContent: text });

export function icon(sprite, name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(svg.namespaceURI, "use"));
  svg.firstChild.setAttribute("href", `${sprite}#${name}`);
  return svg;
}

// marked is a label with the typed text marked in it.
function marked(label, text) {
  const span = make("span", "option-label");
  const at = text ? label.toLowerCase().indexOf(text.toLowerCase()) : -1;
  if (at < 0) span.textContent = label;
  else span.append(label.slice(0, at), make("mark", "", label.slice(at, at + text.length)), label.slice(at + text.length));
  return span;
}

export class Suggest {
  // source as above; pick(item, event) takes the choice; chosen(id) says whether it
  // is chosen already; other allows text that is no suggestion.
  constructor({ input, pop, list, state, sprite, source, pick, chosen = () => false, other = false, stay = false }) {
    Object.assign(this, { input, pop, list, state, sprite, source, pick, chosen, other, stay, items: [], active: -1 });
    input.addEventListener("input", () => this.ask(rest));
    input.addEventListener("focus", () => this.ask(0));
    input.addEventListener("click", () => { if (this.pop.hidden) this.ask(0); });
    input.addEventListener("blur", () => this.close());
    input.addEventListener("keydown", (event) => this.key(event));
    // Enter chooses; it must not send a form by the way.
    input.addEventListener("keypress", (event) => { if (event.key === "Enter" && !stay) event.preventDefault(); });
    // The list must not take the focus from the field.
    pop.addEventListener("mousedown", (event) => event.preventDefault());
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.take(Number(option.dataset.at), event);
    });
  }

  ask(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fetch(), wait);
  }

  async fetch() {
    this.abort?.abort();
    const { signal } = this.abort = new AbortController();
    const text = this.input.value.trim();
    this.open();
    const slow = setTimeout(() => this.say("Searching…", "busy"), 120);
    try {
      const groups = await this.source(text, signal);
      if (!signal.aborted) this.show(groups, text);
    } catch (error) {
      if (signal.aborted) return;
      this.clear();
      this.say(error.message === "403" ? "You may not search here." : "The search failed. Type again to retry.", "bad");
    } finally {
      clearTimeout(slow);
    }
  }

  show(groups, text) {
    this.clear();
    const exact = groups.some((g) => (g.items ?? []).some((i) => i.title === text || i.id === text));
    const all = this.other && text && !exact ? [{ items: [{ id: text, title: text, detail: "add", icon: "plus", other: true }] }, ...groups] : groups;
    for (const group of all) {
      if (!group.items?.length) continue;
      const box = make("div", "");
      box.setAttribute("role", "group");
      if (group.label) {
        box.setAttribute("aria-label", group.label);
        const head = make("div", "picker-group", group.label);
        head.setAttribute("aria-hidden", "true");
        box.append(head);
      }
      for (const item of group.items) box.append(this.option(item, text));
      this.list.append(box);
    }
    this.say(this.items.length ? "" : text ? `Nothing matches “${text}”.` : "Nothing to choose from.");
    if (this.items.length && text) this.activate(0);
  }

  option(item, text) {
    const option = make("div", `picker-option ${item.tone ?? ""}`);
    option.id = `${this.list.id || "options"}-${this.items.length}`;
    option.dataset.at = this.items.length;
    option.setAttribute("role", "option");
    const chosen = this.chosen(item);
    option.setAttribute("aria-selected", String(chosen));
    if (item.icon) option.append(icon(this.sprite, item.icon));
    option.append(marked(item.title, text));
    if (item.detail) option.append(make("span", "option-detail", item.detail));
    if (item.count) option.append(make("span", "option-count", item.count.toLocaleString("en")));
    if (chosen) { const check = make("span", "option-check"); check.append(icon(this.sprite, "check")); option.append(check); }
    this.items.push({ item, option });
    return option;
  }

  key(event) {
    const open = !this.pop.hidden;
    const last = this.items.length - 1;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      event.stopPropagation();
      if (!open || last < 0) { if (!open) this.ask(0); return; }
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.activate(this.active < 0 ? (step > 0 ? 0 : last) : (this.active + step + last + 1) % (last + 1));
    } else if ((event.key === "Home" || event.key === "End") && open && this.active >= 0) {
      event.preventDefault();
      this.activate(event.key === "Home" ? 0 : last);
    } else if (event.key === "Enter") {
      if (open && this.active >= 0) { event.preventDefault(); this.take(this.active, event); }
      else if (this.other && this.input.value.trim()) { event.preventDefault(); this.type(event); }
    } else if (event.key === "Escape" && open && !this.stay) {
      event.stopPropagation();
      this.close();
    }
  }

  type(event) {
    const text = this.input.value.trim();
    if (text) this.pick({ id: text, title: text, other: true }, event);
  }

  take(at, event) { this.pick(this.items[at].item, event); }

  activate(at) {
    this.items[this.active]?.option.removeAttribute("data-active");
    this.active = at;
    const option = this.items[at].option;
    option.dataset.active = "";
    option.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", option.id);
  }

  clear() {
    this.items = [];
    this.active = -1;
    this.list.replaceChildren();
    this.input.removeAttribute("aria-activedescendant");
    this.say("");
  }

  say(text, how = "") {
    this.state.textContent = text;
    this.state.className = `picker-state ${how}`;
  }

  open() { this.pop.hidden = false; this.input.setAttribute("aria-expanded", "true"); }

  close() {
    clearTimeout(this.timer);
    this.abort?.abort();
    if (this.stay) return;
    this.pop.hidden = true;
    this.clear();
    this.input.setAttribute("aria-expanded", "false");
  }
}
