// The numbered flags of a chart's marks, in a band above the plot. All flags are one
// stop of the Tab key: arrows, Home and End move between them, and the flag that has
// the focus or the pointer shows its marks in a tooltip, which Escape hides.
import { clock, shortDay } from "./time.js";

const apart = 30; // CSS pixels between two flags; marks that are closer share one

// flags are groups of the marks in the time that is shown, in the order of time.
export function flags(u, data) {
  const { min, max } = u.scales.x;
  const groups = [];
  const marks = (data.marks ?? []).map((mark, i) => ({ ...mark, n: i + 1 })).filter((m) => m.at >= min && m.at <= max).sort((a, b) => a.at - b.at);
  for (const mark of marks) {
    const at = u.valToPos(mark.at, "x");
    const last = groups.at(-1);
    if (last && at - last.at < apart) last.marks.push(mark);
    else groups.push({ at, marks: [mark] });
  }
  return groups;
}

export const worst = (marks) => ["bad", "warn", "info", "good"].find((tone) => marks.some((m) => m.tone === tone)) ?? "";
const numbers = (marks) => (marks.length === 1 ? `${marks[0].n}` : `${Math.min(...marks.map((m) => m.n))}–${Math.max(...marks.map((m) => m.n))}`);
const when = (mark) => `${shortDay(new Date(mark.at * 1000))}, ${clock(new Date(mark.at * 1000))}`;
const sentence = (mark) => `${mark.label}, ${when(mark)}`;

// bar is the element of a chart's flags. It is made once: the focus stays in it while the chart is drawn again.
function bar(u, data, tip) {
  const row = Object.assign(document.createElement("div"), { className: "chart-flags" });
  row.setAttribute("role", "toolbar");
  row.setAttribute("aria-label", `Marks of ${data.label}`);
  const show = (event) => { if (event.target.matches(".flag")) tip.show(event.target); };
  const hide = () => tip.hide();
  row.addEventListener("pointerover", show);
  row.addEventListener("pointerout", hide);
  row.addEventListener("focusin", show);
  row.addEventListener("focusout", hide);
  row.addEventListener("click", (event) => { if (event.target.matches("button")) tip.show(event.target); });
  row.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && tip.hide()) {
      event.preventDefault();
      return;
    }
    const all = [...row.children];
    const at = all.indexOf(event.target);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || !all[to]) return;
    event.preventDefault();
    for (const flag of all) flag.tabIndex = flag === all[to] ? 0 : -1;
    all[to].focus();
  });
  return u.root.querySelector(".u-wrap").appendChild(row);
}

function flagOf({ marks }) {
  const link = marks.length === 1 && marks[0].href;
  const flag = document.createElement(link ? "a" : "button");
  if (link) flag.href = link;
  else flag.type = "button";
  flag.className = `flag ${worst(marks)}`;
  flag.textContent = numbers(marks);
  flag.setAttribute("aria-label", `${numbers(marks)}: ${marks.map(sentence).join("; ")}`);
  flag.tabIndex = -1;
  return flag;
}

// place puts the flags where their marks are. Flags that are the same keep their elements.
export function place(u, data, tip) {
  const groups = flags(u, data);
  let row = u.root.querySelector(".chart-flags");
  if (groups.length === 0) { row?.remove(); return; }
  row ??= bar(u, data, tip);
  row.style.left = `${u.over.offsetLeft}px`;
  row.style.width = `${u.over.offsetWidth}px`;
  const key = JSON.stringify(groups.map(({ marks }) => marks));
  if (row.dataset.shown !== key) {
    row.dataset.shown = key;
    const at = [...row.children].indexOf(document.activeElement);
    row.replaceChildren(...groups.map(flagOf));
    const stop = row.children[Math.min(Math.max(at, 0), groups.length - 1)];
    stop.tabIndex = 0;
    if (at >= 0) stop.focus({ preventScroll: true });
  }
  groups.forEach((group, n) => {
    row.children[n].style.left = `${group.at}px`;
    row.children[n].marks = group.marks;
  });
}

// tooltip shows the marks of a flag.
export function tooltip(u) {
  const box = Object.assign(document.createElement("div"), { className: "chart-tip", hidden: true });
  box.setAttribute("aria-hidden", "true"); // a flag's name says the same
  u.root.append(box);
  return {
    show(flag) {
      box.replaceChildren(...flag.marks.map((m) => {
        const p = document.createElement("p");
        p.append(Object.assign(document.createElement("b"), { textContent: m.n }), ` ${m.label} `,
          Object.assign(document.createElement("span"), { className: "muted", textContent: when(m) }));
        return p;
      }));
      box.hidden = false;
      const at = flag.parentElement.offsetLeft + flag.offsetLeft;
      box.style.left = `${Math.max(0, Math.min(at - box.offsetWidth / 2, u.root.offsetWidth - box.offsetWidth))}px`;
    },
    // hide reports whether the tooltip was shown.
    hide() {
      const shown = !box.hidden;
      box.hidden = true;
      return shown;
    },
  };
}
