// The command palette: Ctrl-K, Cmd-K or the search in the navigation. Pages and
// actions are matched here; everything else is asked for at data-find. The focus
// stays in the field, and the chosen option is its active descendant.
import { showKeys } from "./keys.js";
import { theme, setTheme } from "./toggle.js";

const wait = 120; // ms between the last key and the request
const mostRecent = 10;
const shown = { recent: 5, action: 6, page: 6 };

const apple = /Mac|iP(hone|ad|od)/.test(navigator.platform);

class Palette {
  constructor(dialog) {
    this.dialog = dialog;
    this.field = dialog.querySelector("[role=combobox]");
    this.list = dialog.querySelector("[role=listbox]");
    this.status = dialog.querySelector("[role=status]");
    this.actions = [];
    this.remote = [];
    this.field.addEventListener("input", () => this.typed());
    this.field.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("pointermove", (event) => {
      const option = event.target.closest("[role=option]");
      if (option && option !== this.active) this.choose(option, false);
    });
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (!option) return;
      if (event.ctrlKey || event.metaKey || event.shiftKey) { this.remember(option); return; }
      event.preventDefault();
      this.open(option, false);
    });
    dialog.addEventListener("close", () => this.request?.abort());
  }

  show() {
    if (this.dialog.open) { this.field.select(); return; }
    if (document.querySelector("dialog[open]")) return;
    document.getElementById("nav")?.matches(":popover-open") && document.getElementById("nav").hidePopover();
    this.field.value = "";
    this.asked = "";
    this.remote = [];
    this.goWhenFound = false;
    this.dialog.showModal();
    this.field.focus();
    this.draw();
    this.load();
  }

  // What can be done now depends on the state of the account, such as the alerts that fire.
  async load() {
    try {
      const answer = await fetch(this.dialog.dataset.actions, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      this.actions = (await answer.json()).actions;
      if (this.dialog.open) this.draw();
    } catch { /* the pages and the search work without */ }
  }

  query() { return this.field.value.trim(); }

  typed() {
    this.request?.abort();
    clearTimeout(this.timer);
    this.goWhenFound = false;
    this.partial = [];
    if (this.query() === "") { this.remote = []; this.asked = ""; this.pending = false; this.draw(); return; }
    this.pending = true;
    this.draw();
    this.timer = setTimeout(() => this.search(), wait);
  }

  async search() {
    const query = this.query();
    this.request = new AbortController();
    const signal = this.request.signal;
    try {
      const answer = await fetch(this.dialog.dataset.find + "?q=" + encodeURIComponent(query), { signal, headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const found = await answer.json();
      this.remote = found.groups;
      this.partial = found.late ?? [];
      this.failed = false;
    } catch (fault) {
      if (signal.aborted) return;
      this.remote = [];
      this.failed = true;
    }
    this.asked = query;
    this.pending = false;
    this.draw();
    if (this.goWhenFound && this.active) this.open(this.active, false);
  }

  // groups are what is shown for the query, in their order.
  groups() {
    const query = this.query();
    const local = [
      { label: "Recent", items: recent(this.dialog.dataset.scope), most: shown.recent },
      { label: "Actions", items: [...this.actions, ...here()], most: shown.action },
      { label: "Pages", items: pages(), most: query ? shown.page : 99 },
    ].map((g) => ({ ...g, items: best(query, g.items).slice(0, g.most) }));
    const groups = query === "" ? local : [...local, ...this.remote].map((g) => ({ ...g, rank: rank(query, g) })).sort((a, b) => a.rank - b.rank);
    if (query !== "") groups.push({ label: "", items: [{ title: `All results for “${query}”`, href: this.dialog.dataset.page + "?q=" + encodeURIComponent(query), icon: "search", every: true }] });
    // A page that is recent is not shown again among the objects.
    const seen = new Set();
    for (const g of groups) g.items = g.items.filter((item) => !item.id && !item.recent || !seen.has(item.href) && seen.add(item.href));
    return groups.filter((g) => g.items.length > 0);
  }

  draw() {
    const before = this.moved ? this.active?.dataset.key : null;
    this.list.replaceChildren();
    let n = 0;
    let results = 0;
    this.options = [];
    for (const g of this.groups()) {
      const group = element("div", "palette-group");
      group.setAttribute("role", "group");
      if (g.label) {
        const label = element("div", "palette-label", g.label);
        label.id = "palette-group-" + n;
        group.setAttribute("aria-labelledby", label.id);
        group.append(label);
      } else {
        group.setAttribute("aria-label", "Search page");
      }
      for (const item of g.items) {
        const option = this.option(item, n++);
        if (!item.every) results++;
        this.options.push(option);
        group.append(option);
      }
      this.list.append(group);
    }
    const same = before && this.options.find((o) => o.dataset.key === before);
    this.moved = Boolean(same);
    this.choose(same ?? this.options[0], Boolean(same));
    this.say(results);
  }

  option(item, n) {
    const option = element("a", "palette-option");
    option.id = "palette-option-" + n;
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", "false");
    option.tabIndex = -1;
    option.dataset.key = item.href ?? item.title;
    if (item.href && !item.post) option.href = item.href;
    option.item = item;
    option.append(this.icon(item.icon ?? "arrow-right"), element("span", "palette-title", item.title ?? item.label));
    if (item.detail) option.append(element("span", "palette-detail" + (item.tone ? " text-" + item.tone : ""), item.detail));
    if (item.count) option.append(element("span", "count", item.count.toLocaleString("en")));
    if (item.keys) option.append(keys(...item.keys));
    return option;
  }

  icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", this.dialog.dataset.icons + "#" + name);
    svg.append(use);
    return svg;
  }

  say(results) {
    let text = "";
    if (this.pending) text = "Searching";
    else if (this.failed) text = "The search did not answer";
    else if (this.query() === "") text = "";
    else if (results === 0) text = "Nothing found";
    else text = results === 1 ? "1 result" : `${results} results`;
    if (this.partial?.length) text += `. Left out, too slow: ${this.partial.join(", ")}`;
    if (this.status.textContent !== text) this.status.textContent = text;
    this.dialog.toggleAttribute("data-pending", Boolean(this.pending));
  }

  choose(option, scroll = true) {
    this.active?.setAttribute("aria-selected", "false");
    this.active = option ?? null;
    if (!option) { this.field.removeAttribute("aria-activedescendant"); return; }
    option.setAttribute("aria-selected", "true");
    this.field.setAttribute("aria-activedescendant", option.id);
    if (scroll) option.scrollIntoView({ block: "nearest" });
    if (option === this.options[0]) this.list.scrollTop = 0;
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 6, PageUp: -6 }[event.key];
    if (step && this.options.length > 0) {
      event.preventDefault();
      const last = this.options.length - 1;
      let at = this.options.indexOf(this.active) + step;
      if (Math.abs(step) === 1) at = (at + last + 1) % (last + 1);
      this.moved = true;
      this.choose(this.options[Math.min(last, Math.max(0, at))]);
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      // What was pasted and sent at once is found first.
      if (this.pending && !this.moved) { this.goWhenFound = true; return; }
      if (this.active) this.open(this.active, event.ctrlKey || event.metaKey);
    }
  }

  open(option, tab) {
    const item = option.item;
    this.remember(option);
    if (item.act) { this.dialog.close(); item.act(); return; }
    if (item.post) { post(item.href); return; }
    if (tab) { window.open(item.href, "_blank", "noopener"); return; }
    this.dialog.close();
    location.assign(item.href);
  }

  remember(option) {
    const item = option.item;
    if (item.id && item.href && !item.post) remember(this.dialog.dataset.scope, { title: item.title, href: item.href, icon: item.icon });
  }
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function keys(...names) {
  const list = element("span", "keys");
  list.setAttribute("aria-hidden", "true");
  for (const name of names) list.append(element("kbd", "", name));
  return list;
}

function post(action) {
  const form = Object.assign(document.createElement("form"), { method: "post", action });
  document.body.append(form);
  form.submit();
}

// pages are the entries of the navigation and of the menus in it.
function pages() {
  const list = [];
  for (const link of document.querySelectorAll(".side a.nav-item")) {
    const section = link.closest("nav") ? sectionOf(link) : "";
    list.push({ title: link.querySelector("span").textContent, detail: section === link.querySelector("span").textContent ? "" : section, href: link.getAttribute("href"), icon: iconOf(link), keys: link.dataset.go ? ["g", link.dataset.go] : null });
  }
  for (const link of document.querySelectorAll(".side .whose .menu-list a:not([aria-current])")) {
    list.push({ title: "Switch to " + link.textContent.trim(), words: "account change", href: link.getAttribute("href"), icon: "building-2" });
  }
  return list;
}

function sectionOf(link) {
  for (let e = link.previousElementSibling; e; e = e.previousElementSibling) if (e.matches(".nav-section")) return e.textContent;
  return "";
}

const iconOf = (link) => link.querySelector("use")?.getAttribute("href").split("#")[1];

// rank orders the groups: the object whose id was pasted, names that begin with the
// query, objects, and what matches only by its synonyms.
function rank(query, group) {
  if (group.items.some((item) => item.id === query)) return 0;
  if (group.kind) return 2;
  const first = query.toLowerCase().split(/\s+/)[0];
  return group.items.some((item) => rate(first, (item.title ?? item.label).toLowerCase()) >= 9) ? 1 : 3;
}

// here are the actions of this page, which need no server.
function here() {
  const list = ["light", "dark", "system"].filter((name) => name !== theme()).map((name) => ({
    title: "Theme: " + name, words: "colours mode appearance", icon: { light: "sun", dark: "moon", system: "monitor" }[name], act: () => setTheme(name),
  }));
  list.push({ title: "Keyboard shortcuts", words: "keys help", icon: "keyboard", keys: ["?"], act: showKeys });
  const signOut = document.querySelector('form[action="/sign-out"]');
  if (signOut) list.push({ title: "Sign out", words: "log out leave", icon: "log-out", act: () => signOut.requestSubmit() });
  return list;
}

// best are the items that match, the best first. Each word of the query matches the
// letters of a title in their order, best at the beginnings of its words.
export function best(query, items) {
  if (query === "") return items;
  const words = query.toLowerCase().split(/\s+/);
  const scored = [];
  for (const item of items) {
    const title = (item.title ?? item.label).toLowerCase();
    let score = 0;
    for (const word of words) {
      const one = Math.max(rate(word, title), rate(word, (item.words ?? "").toLowerCase()) - 3, rate(word, (item.detail ?? "").toLowerCase()) - 4);
      score = one <= 0 ? -Infinity : score + one;
    }
    if (score > 0) scored.push({ item, score: score - title.length / 100 });
  }
  return scored.sort((a, b) => b.score - a.score).map((s) => s.item);
}

const startsAt = (text, i) => i === 0 || !/[\p{L}\p{N}]/u.test(text[i - 1]);

// rate says how well a word matches a text: 12 where a word of it begins with it,
// less for letters that are apart; 0 = not at all.
export function rate(word, text) {
  let begins = false;
  for (let i = text.indexOf(word); i >= 0 && !begins; i = text.indexOf(word, i + 1)) begins = startsAt(text, i);
  if (begins) return 12 + (text.startsWith(word) ? 2 : 0);
  if (word.length < 2) return 0;
  let at = -1;
  let gaps = 0;
  for (const letter of word) {
    const next = text.indexOf(letter, at + 1);
    if (next < 0) return 0;
    if (at < 0 && !startsAt(text, next)) return 0;
    if (next !== at + 1 && at >= 0) gaps += startsAt(text, next) ? 1 : 3;
    at = next;
  }
  return gaps > 6 ? 0 : 9 - gaps;
}

// Recent pages: titles and paths, kept by account and person in this browser.
const place = (scope) => "belfry-recent:" + scope;

function recent(scope) {
  try {
    const list = JSON.parse(localStorage.getItem(place(scope)) ?? "[]");
    return Array.isArray(list) ? list.filter((item) => item?.title && item.href?.startsWith("/") && item.href !== location.pathname).map((item) => ({ icon: "history", ...item, recent: true })) : [];
  } catch { return []; }
}

function remember(scope, item) {
  try {
    const list = recent(scope).filter((old) => old.href !== item.href);
    localStorage.setItem(place(scope), JSON.stringify([item, ...list].slice(0, mostRecent).map(({ title, href, icon }) => ({ title, href, icon }))));
  } catch { /* a frame without storage has no recent pages */ }
}

const passing = /\/(new|edit|delete|revoke|remove|rotate|replay|test|search|news|accept)$/;

// visited keeps the page that is open, unless the navigation leads to it anyway.
function visited(scope) {
  const path = location.pathname;
  const ok = performance.getEntriesByType("navigation")[0]?.responseStatus;
  if ((ok && ok !== 200) || passing.test(path) || !path.startsWith("/")) return;
  const nav = [...document.querySelectorAll(".side a.nav-item, .side a.brand")];
  if (nav.some((link) => link.getAttribute("href") === path)) return;
  const title = document.title.replace(/^\([^)]*\) /, "").replace(/ · Belfry$/, "");
  if (title === "" || title === "Belfry") return;
  remember(scope, { title, href: path, icon: iconOf(document.querySelector('.side a.nav-item[aria-current="page"]') ?? document.body) ?? "history" });
}

function forget() {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith("belfry-recent:")) localStorage.removeItem(key);
  } catch { /* nothing is kept there */ }
}

export function palettes() {
  if (apple) for (const key of document.querySelectorAll("[data-modifier]")) key.textContent = "⌘";
  document.addEventListener("submit", (event) => {
    if (event.target.matches?.('form[action="/sign-out"]')) forget();
  });
  const dialog = document.getElementById("palette");
  if (!dialog) return;
  const palette = new Palette(dialog);
  visited(dialog.dataset.scope);
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    palette.show();
  });
  document.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || !event.target.closest("[data-palette-open]")) return;
    event.preventDefault();
    palette.show();
  });
}
