// The menu "Display" of a list: density and columns, kept by the list's name in
// localStorage. theme.js applies them, before the page is painted.
const key = "belfry-lists";

function read() {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "{}");
  } catch {
    return {};
  }
}

function write(name, choice) {
  try {
    localStorage.setItem(key, JSON.stringify({ ...read(), [name]: choice }));
  } catch { /* a frame without storage: the choice is lost */ }
  document.dispatchEvent(new CustomEvent("belfry:lists"));
}

const of = (name) => ({ density: "comfortable", off: [], ...read()[name] });

export function displays(root) {
  for (const menu of root.querySelectorAll("[data-display]:not([data-ready])")) {
    menu.dataset.ready = "";
    const name = menu.dataset.display;
    const show = () => {
      const { density, off } = of(name);
      for (const button of menu.querySelectorAll("[data-density]")) button.setAttribute("aria-pressed", String(button.dataset.density === density));
      for (const box of menu.querySelectorAll("[data-column]")) box.checked = !off.includes(box.dataset.column);
    };
    menu.addEventListener("click", (event) => {
      const button = event.target.closest("[data-density]");
      if (!button) return;
      write(name, { ...of(name), density: button.dataset.density });
      show();
    });
    menu.addEventListener("change", (event) => {
      const column = event.target.dataset.column;
      if (!column) return;
      const off = of(name).off.filter((c) => c !== column);
      write(name, { ...of(name), off: event.target.checked ? off : [...off, column] });
    });
    show();
  }
}
