// The search over the index that the server also uses for the page without scripts
// (search.go); both rank by the same rules.
const limit = 12;

function score(entry, terms) {
  let total = 0;
  for (const t of terms) {
    const n = entry.title.startsWith(t) ? 20
      : entry.title.includes(` ${t}`) ? 14
      : entry.title.includes(t) ? 9
      : entry.sub.includes(t) ? 6
      : entry.words.startsWith(t) || entry.words.includes(` ${t}`) ? 3
      : entry.words.includes(t) ? 1 : 0;
    if (n === 0) return 0;
    total += n;
  }
  return entry.raw.k === "operation" ? total + 1 : total;
}

export function find(index, query) {
  const terms = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (terms.length === 0) return [];
  return index.map((entry) => ({ entry: entry.raw, score: score(entry, terms) }))
    .filter((hit) => hit.score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, limit)
    .map((hit) => hit.entry);
}

let index;

function load(url) {
  index ??= fetch(url)
    .then((answer) => answer.json())
    .then((list) => list.map((raw) => ({ raw, title: raw.t.toLowerCase(), sub: raw.s.toLowerCase(), words: raw.w })));
  return index;
}

function option(hit, i) {
  const link = document.createElement("a");
  link.href = hit.h;
  link.id = `ref-hit-${i}`;
  link.className = "ref-hit";
  link.tabIndex = -1;
  link.setAttribute("role", "option");
  link.setAttribute("aria-selected", "false");
  const title = Object.assign(document.createElement("b"), { textContent: hit.t });
  const sub = Object.assign(document.createElement("span"), { textContent: hit.s });
  link.append(title, sub);
  return link;
}

export function search() {
  const field = document.querySelector("[data-docs-search]");
  const box = document.getElementById("ref-hits");
  if (!field || !box) return;
  field.setAttribute("role", "combobox");
  field.setAttribute("aria-autocomplete", "list");
  field.setAttribute("aria-controls", box.id);
  let at = -1;

  const options = () => [...box.querySelectorAll(".ref-hit")];
  const open = (yes) => { box.hidden = !yes; field.setAttribute("aria-expanded", String(yes)); };
  const choose = (i) => {
    const all = options();
    at = all.length === 0 ? -1 : (i + all.length) % all.length;
    all.forEach((o, n) => o.setAttribute("aria-selected", String(n === at)));
    if (at >= 0) {
      field.setAttribute("aria-activedescendant", all[at].id);
      all[at].scrollIntoView({ block: "nearest" });
    } else field.removeAttribute("aria-activedescendant");
  };
  const show = async () => {
    const query = field.value.trim();
    if (query === "") { open(false); return; }
    let hits;
    try {
      hits = find(await load(field.dataset.docsSearch), query);
    } catch {
      return; // Enter still asks the server
    }
    if (field.value.trim() !== query) return;
    box.replaceChildren(...hits.map(option));
    if (hits.length === 0) box.append(Object.assign(document.createElement("p"), { className: "note", textContent: "Nothing found" }));
    open(true);
    choose(hits.length > 0 ? 0 : -1);
  };

  open(false);
  field.addEventListener("focus", () => { load(field.dataset.docsSearch).catch(() => {}); show(); });
  field.addEventListener("input", show);
  field.addEventListener("keydown", (event) => {
    if (box.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(at + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      options()[at].click();
    } else if (event.key === "Escape") open(false);
  });
  document.addEventListener("pointerdown", (event) => {
    if (!field.form.contains(event.target)) open(false);
  });
  field.addEventListener("blur", () => setTimeout(() => open(document.activeElement === field && !box.hidden), 150));
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    field.focus();
    field.select();
  });
}
