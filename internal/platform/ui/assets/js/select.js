// Choosing rows of a list: a click on a box, Shift and a click for all between,
// x on the row that has the focus, Esc for none. The boxes belong to the form of
// the bar below, so that its buttons send them; without scripts that works too.
const boxes = (list) => [...list.querySelectorAll(".pick input[name=id]")];
const last = new WeakMap(); // by list: the box that was used last

function show(list) {
  const all = boxes(list);
  const checked = all.filter((box) => box.checked);
  for (const count of list.querySelectorAll("[data-select-count]")) count.textContent = checked.length.toLocaleString("en");
  for (const box of list.querySelectorAll("[data-select-all]")) {
    box.checked = all.length > 0 && checked.length === all.length;
    box.indeterminate = checked.length > 0 && checked.length < all.length;
  }
}

function between(list, box) {
  const all = boxes(list);
  const from = all.indexOf(last.get(list));
  const to = all.indexOf(box);
  if (from < 0) return;
  for (const other of all.slice(Math.min(from, to), Math.max(from, to) + 1)) other.checked = box.checked;
}

function none(list) {
  for (const box of boxes(list)) box.checked = false;
  show(list);
}

export function selections(root) {
  for (const list of root.querySelectorAll("[data-selectable]")) show(list);
}

// toggleRow is the key x.
export function toggleRow() {
  document.activeElement?.closest?.("[data-row], tr")?.querySelector(".pick input")?.click();
}

export function selecting() {
  document.addEventListener("click", (event) => {
    const list = event.target.closest?.("[data-selectable]");
    if (!list) return;
    if (event.target.closest("[data-select-none]")) none(list);
    const box = event.target.closest(".pick input");
    if (!box) return;
    if (box.dataset.selectAll !== undefined) {
      for (const other of boxes(list)) other.checked = box.checked;
    } else {
      if (event.shiftKey) between(list, box);
      last.set(list, box);
    }
    show(list);
  });
  // Shift and a click would mark text.
  document.addEventListener("mousedown", (event) => { if (event.shiftKey && event.target.closest?.(".pick")) event.preventDefault(); });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    for (const list of document.querySelectorAll("[data-selectable]")) {
      if (!boxes(list).some((box) => box.checked)) continue;
      event.preventDefault();
      none(list);
    }
  });
}
