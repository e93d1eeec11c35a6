// Blocking, in the head: the theme is set before anything is painted. The page
// is told that scripts run, so what needs them may show.
(() => {
  const root = document.documentElement;
  root.classList.remove("no-js");
  try {
    const theme = localStorage.getItem("belfry-theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch { /* storage is closed to us in some frames: follow the system */ }
})();
