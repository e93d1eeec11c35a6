// The live tail. A button with data-live="URL" opens an event stream; each
// event "row" is HTML that goes to the start of its target list. Who has
// scrolled down is not moved: the rows wait behind a pill. The list is bounded.
const keep = 400;
const waitMost = 1000;

class Tail {
  constructor(button, upgrade) {
    this.button = button;
    this.upgrade = upgrade;
    this.list = document.getElementById(button.dataset.liveTarget);
    this.waiting = [];
    this.missed = 0;
    this.onScroll = () => { if (this.atTop()) this.flush(); };
  }

  atTop() { return window.scrollY < 80; }

  start() {
    this.source = new EventSource(this.button.dataset.live);
    this.source.addEventListener("row", (event) => this.take(event.data));
    this.source.addEventListener("open", () => this.state("live"));
    this.source.addEventListener("error", () => this.state("lost"));
    window.addEventListener("scroll", this.onScroll, { passive: true });
    this.button.setAttribute("aria-pressed", "true");
    // A page that is left keeps no connection open.
    window.addEventListener("pagehide", () => this.stop(), { once: true });
  }

  stop() {
    this.source?.close();
    this.source = null;
    window.removeEventListener("scroll", this.onScroll);
    this.button.setAttribute("aria-pressed", "false");
    this.state("");
    this.flush();
  }

  state(word) { this.button.dataset.state = word; }

  take(html) {
    this.waiting.push(html);
    if (this.waiting.length > waitMost) { this.waiting.shift(); this.missed++; }
    if (this.atTop() && !document.hidden) this.flush();
    else this.pill();
  }

  flush() {
    this.bar?.remove();
    this.bar = null;
    if (this.waiting.length === 0) return;
    const template = document.createElement("template");
    template.innerHTML = this.waiting.reverse().join("");
    const fresh = [...template.content.children];
    this.waiting = [];
    for (const row of fresh) {
      const old = row.id && document.getElementById(row.id);
      if (old) old.remove();
      row.classList.add("fresh");
    }
    this.list.prepend(template.content);
    for (const row of fresh) window.htmx?.process(row);
    this.upgrade(this.list);
    const rows = this.list.querySelectorAll(":scope > [data-row]");
    for (let i = keep; i < rows.length; i++) rows[i].remove();
    document.dispatchEvent(new CustomEvent("belfry:live", { detail: { rows: fresh.length } }));
  }

  pill() {
    if (!this.bar) {
      this.bar = Object.assign(document.createElement("button"), { type: "button", className: "button primary small pill" });
      this.bar.addEventListener("click", () => { window.scrollTo({ top: 0, behavior: "smooth" }); this.flush(); });
      this.list.before(this.bar);
    }
    this.bar.textContent = `${this.waiting.length + this.missed} new`;
  }
}

export function liveTail(upgrade) {
  const tails = new WeakMap();
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-live]");
    if (!button) return;
    if (!tails.has(button)) tails.set(button, new Tail(button, upgrade));
    const tail = tails.get(button);
    tail.source ? tail.stop() : tail.start();
  });
  document.addEventListener("visibilitychange", () => {
    const button = document.querySelector("[data-live]");
    const tail = button && tails.get(button);
    if (!document.hidden && tail?.atTop()) tail.flush();
  });
  // A page can be live from its start: data-live-on.
  for (const button of document.querySelectorAll("[data-live][data-live-on]")) button.click();
}
