// A secret in a URL's fragment, as in a one-time link, is sent to no server and
// no proxy. A form with data-fragment="NAME" takes the value of NAME in the
// fragment into its field of that name and appears; what has
// data-no-fragment="NAME" gives way to it. Nothing is sent until the form is.
export function fragmentForms() {
  const values = new URLSearchParams(location.hash.slice(1));
  for (const form of document.querySelectorAll("form[data-fragment]")) {
    const name = form.dataset.fragment;
    const value = values.get(name);
    if (!value) continue;
    form.elements[name].value = value;
    form.hidden = false;
    for (const other of document.querySelectorAll(`[data-no-fragment="${CSS.escape(name)}"]`)) other.hidden = true;
    form.querySelector("button")?.focus();
  }
}
