// The bell opens what is new in a panel beside it; on a phone, and without scripts,
// it leads to the page.
const wide = () => matchMedia("(min-width: 40.0625rem)").matches;

export function bellCount(n) {
  const bell = document.querySelector("[data-bell]");
  const count = bell?.querySelector("[data-bell-count]");
  if (!count) return;
  const text = n > 0 ? String(n) : "";
  if (count.textContent.trim() !== text) count.textContent = text;
  count.hidden = n === 0;
  bell.setAttribute("aria-label", n > 0 ? `News, ${n} new` : "News");
}

export function bells(upgrade) {
  const bell = document.querySelector("[data-bell]");
  const panel = document.getElementById("bell-panel");
  if (!bell || !panel) return;
  async function fill() {
    const answer = await fetch(bell.href, { headers: { "HX-Request": "true", "HX-Target": "div#bell-panel" } });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    panel.innerHTML = await answer.text();
    upgrade(panel);
  }
  // "Mark all as seen" leaves the page as it is.
  panel.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sent = await fetch(event.target.action, { method: "POST", body: new URLSearchParams(new FormData(event.target)) }).catch(() => null);
    if (!sent?.ok) { location.assign(bell.href); return; }
    await fill().catch(() => panel.hidePopover());
    bellCount(0);
    panel.querySelector("a, button")?.focus();
  });
  bell.setAttribute("aria-haspopup", "dialog");
  bell.setAttribute("aria-expanded", "false");
  panel.addEventListener("toggle", (event) => {
    bell.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState === "closed" && (document.activeElement === document.body || panel.contains(document.activeElement))) bell.focus();
  });
  bell.addEventListener("click", async (event) => {
    if (!wide() || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (panel.matches(":popover-open")) { panel.hidePopover(); return; }
    try {
      await fill();
    } catch {
      location.assign(bell.href);
      return;
    }
    const box = bell.getBoundingClientRect();
    panel.style.setProperty("--bell-left", `${Math.round(box.left)}px`);
    panel.style.setProperty("--bell-top", `${Math.round(box.bottom + 6)}px`);
    panel.showPopover();
    panel.querySelector("a, button")?.focus();
  });
}
