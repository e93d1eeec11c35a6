// Light, dark, or as the system has it; kept in localStorage.
const order = ["system", "light", "dark"];

export const theme = () => document.documentElement.dataset.theme ?? "system";

export function nextTheme() { setTheme(order[(order.indexOf(theme()) + 1) % order.length]); }

export function setTheme(next) {
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "system") localStorage.removeItem("belfry-theme");
    else localStorage.setItem("belfry-theme", next);
  } catch { /* a frame without storage: the choice lasts for this page */ }
  name();
  document.dispatchEvent(new CustomEvent("belfry:theme"));
}

function name() {
  for (const button of document.querySelectorAll("[data-theme-toggle]")) {
    button.setAttribute("aria-label", `Theme: ${theme()}`);
    button.dataset.themeToggle = theme();
  }
}

export function themeToggle() {
  name();
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-toggle]")) nextTheme();
  });
}
