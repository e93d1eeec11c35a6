// Blocking, in the head: what the visitor has chosen is set before anything is
// painted: the theme, and the density and columns of lists (display.js). The page
// learns that scripts run, so that parts that need them may show.
(() => {
  const root = document.documentElement;
  root.classList.remove("no-js");
  const read = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // storage is closed to us in some frames: follow the system
    }
  };
  const theme = read("belfry-theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;

  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  const word = /^[a-z][a-z-]*$/;
  const rules = (lists) => Object.entries(lists).filter(([name]) => word.test(name)).flatMap(([name, { density, off = [] }]) => [
    density === "compact" ? `[data-list="${name}"] { --row-pad: 0.125rem; --row-height: 1.75rem; }` : "",
    ...off.filter((key) => word.test(key)).map((key) => `[data-list="${name}"] [data-col="${key}"] { display: none !important; }`),
  ]);
  const show = () => {
    let lists = {};
    try {
      lists = JSON.parse(read("belfry-lists") ?? "{}");
    } catch { /* not ours: as if nothing was chosen */ }
    sheet.replaceSync(rules(lists).join("\n"));
  };
  show();
  document.addEventListener("belfry:lists", show);
})();
