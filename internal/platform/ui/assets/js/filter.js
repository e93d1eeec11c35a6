// A click on a value includes it, with Alt or Shift it excludes it. The URL is
// the state: KEY=value and KEY.not=value, as in the API.
function filtered(key, value, not) {
  const url = new URL(location.href);
  for (const name of [key, `${key}.not`]) {
    const rest = url.searchParams.getAll(name).filter((v) => v !== value);
    url.searchParams.delete(name);
    for (const v of rest) url.searchParams.append(name, v);
  }
  url.searchParams.append(not ? `${key}.not` : key, value);
  url.searchParams.delete("cursor");
  return url;
}

export function filters() {
  document.addEventListener("click", (event) => {
    const element = event.target.closest("[data-filter]");
    if (!element || event.ctrlKey || event.metaKey || event.button !== 0) return;
    event.preventDefault();
    event.stopPropagation();
    location.assign(filtered(element.dataset.filter, element.dataset.value, event.altKey || event.shiftKey));
  }, true);
}
