// The tabs of code are radio buttons and need no script; it only remembers the choice.
const key = "belfry-docs-language";

export function languages() {
  const all = [...document.querySelectorAll("[data-language]")];
  try {
    const chosen = localStorage.getItem(key);
    const radio = all.find((r) => r.value === chosen);
    if (radio) radio.checked = true;
  } catch { /* storage is closed: the first tab stays */ }
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-language]")) return;
    try {
      localStorage.setItem(key, event.target.value);
    } catch { /* the choice lasts for this page */ }
  });
}
