// Marks the section that is being read in the contents of a guide, brings the current
// page into view in the navigation, and closes the menu of a narrow window.
export function contents() {
  const nav = document.getElementById("ref-nav");
  nav?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  const links = [...document.querySelectorAll(".ref-contents a")];
  if (links.length === 0) return;
  const targets = links.map((l) => document.getElementById(decodeURIComponent(l.hash.slice(1))));
  const mark = () => {
    let at = 0;
    targets.forEach((t, i) => { if (t && t.getBoundingClientRect().top < 120) at = i; });
    links.forEach((l, i) => l.classList.toggle("here", i === at));
  };
  addEventListener("scroll", mark, { passive: true });
  mark();
}
