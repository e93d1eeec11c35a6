// Menus are <details>: a script closes them when one looks elsewhere and moves
// between their items by the arrows.
const items = (menu) => [...menu.querySelectorAll(".menu-item, .menu-list input, .menu-list .button")].filter((item) => item.checkVisibility());

function close(menu, focus) {
  menu.open = false;
  if (focus) menu.querySelector("summary").focus();
}

export function menus() {
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!event.composedPath().includes(menu)) close(menu, false); // also when the click redrew its target
    }
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.target.closest?.("details.menu");
    if (!menu) return;
    if (event.key === "Escape" && menu.open) {
      event.stopImmediatePropagation();
      close(menu, true);
    }
    if ((event.key !== "ArrowDown" && event.key !== "ArrowUp") || event.target.matches("input")) return;
    event.preventDefault();
    menu.open = true;
    const all = items(menu);
    const at = all.indexOf(document.activeElement);
    const step = event.key === "ArrowDown" ? 1 : -1;
    all[at < 0 ? (step > 0 ? 0 : all.length - 1) : (at + step + all.length) % all.length]?.focus();
  });
}
