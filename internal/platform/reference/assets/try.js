// Sends the request of an operation's page to this server: with the session of the
// dashboard, or with a token that is kept in this tab only. Requests that change
// something ask first.
const tokenKey = "belfry-docs-token";
const accountKey = "belfry-docs-account";
const longest = 200_000; // characters of an answer that are shown
const headersShown = ["x-request-id", "retry-after", "etag", "content-type", "ratelimit", "ratelimit-policy", "location"];

const stored = (key, value) => {
  try {
    if (value === undefined) return sessionStorage.getItem(key) ?? "";
    sessionStorage.setItem(key, value);
  } catch { /* a closed storage: the value lasts for this page */ }
  return value ?? "";
};

const make = (name, className, text) => Object.assign(document.createElement(name), { className, textContent: text ?? "" });

export function tryForm() {
  const form = document.querySelector("form[data-try]");
  if (!form) return;
  const part = (name) => form.querySelector(`[data-try-${name}]`);
  const fields = (place) => [...form.elements].filter((e) => e.name.startsWith(`${place}:`));
  const account = form.elements["path:account_id"];
  let running;

  form.elements.token.value = stored(tokenKey);
  if (form.elements.token.value) form.elements.auth.value = "token";
  if (account && stored(accountKey)) account.value = stored(accountKey);

  const address = () => {
    let path = form.dataset.path;
    for (const f of fields("path")) {
      const value = encodeURIComponent(f.value).replaceAll("%2F", "/").replaceAll("%3A", ":");
      path = path.replace(`{${f.name.slice(5)}}`, value || `{${f.name.slice(5)}}`);
    }
    const query = new URLSearchParams();
    for (const f of fields("query")) {
      for (const value of f.value.split(/,\s*/)) if (value !== "") query.append(f.name.slice(6), value);
    }
    return query.size > 0 ? `${path}?${query}` : path;
  };
  const update = () => {
    part("url").textContent = `${form.dataset.method} ${address()}`;
    const token = form.elements.auth.value === "token";
    form.elements.token.hidden = !token;
    form.querySelector("[data-token-note]").hidden = !token;
  };
  form.addEventListener("input", update);
  update();

  const question = part("question");
  const ask = (yes) => { question.hidden = !yes; if (yes) question.querySelector("[data-try-yes]").focus(); };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if ("asks" in form.dataset) ask(true);
    else send();
  });
  question.querySelector("[data-try-no]").addEventListener("click", () => ask(false));
  question.querySelector("[data-try-yes]").addEventListener("click", () => { ask(false); send(); });
  part("stop").addEventListener("click", () => running?.abort());

  async function send() {
    const headers = new Headers();
    const init = { method: form.dataset.method, headers, credentials: "same-origin", redirect: "manual", cache: "no-store" };
    if (form.elements.auth.value === "token") {
      stored(tokenKey, form.elements.token.value.trim());
      headers.set("Authorization", `Bearer ${form.elements.token.value.trim()}`);
      init.credentials = "omit";
    } else stored(tokenKey, "");
    if (account) stored(accountKey, account.value);
    for (const f of fields("header")) if (f.value !== "") headers.set(f.name.slice(7), f.value);
    if ("idempotent" in form.dataset && !headers.has("Idempotency-Key")) headers.set("Idempotency-Key", crypto.randomUUID());
    if (form.elements.body && form.elements.body.value !== "") {
      headers.set("Content-Type", form.elements.type.value);
      init.body = form.elements.body.value;
      if (!form.elements.type.value.endsWith("/json") && !init.body.endsWith("\n")) init.body += "\n";
    }
    running = new AbortController();
    init.signal = running.signal;
    part("stop").hidden = false;
    const begin = performance.now();
    const answer = part("answer");
    answer.replaceChildren(make("p", "note", "Sending …"));
    try {
      const got = await fetch(address(), init);
      const shown = frame(answer, got, performance.now() - begin);
      await read(got, shown);
    } catch (fault) {
      if (fault.name !== "AbortError") answer.replaceChildren(make("p", "note bad", `No answer: ${fault.message}`));
    } finally {
      part("stop").hidden = true;
    }
  }

  // frame writes status, time and headers, and returns the element for the body.
  function frame(answer, got, time) {
    const line = make("p", "ref-try-status");
    line.append(make("span", `ref-status ${got.ok ? "good" : "bad"}`, String(got.status)), make("span", "", `${got.statusText} in ${Math.round(time)} ms`.trim()));
    const list = make("dl", "kv");
    for (const name of headersShown) {
      const value = got.headers.get(name);
      if (value) list.append(make("dt", "", name), make("dd", "mono", value));
    }
    const pre = make("pre", "json");
    pre.tabIndex = 0;
    pre.setAttribute("aria-label", "Body of the answer");
    const code = make("div", "code");
    code.append(pre);
    const parts = [line, list, code];
    if (got.status === 401) {
      const note = make("p", "note", "There is no valid session or token. ");
      note.append(Object.assign(make("a", "", "Sign in"), { href: "/sign-in?next=" + encodeURIComponent(location.pathname) }));
      parts.splice(1, 0, note);
    }
    answer.replaceChildren(...parts);
    return pre;
  }

  async function read(got, pre) {
    const reader = got.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (reader && text.length < longest) {
      const { done, value } = await reader.read();
      if (done) break;
      text += value;
      pre.textContent = text;
    }
    reader?.cancel();
    if (text.length >= longest) text = `${text.slice(0, longest)}\n… the rest is not shown`;
    if ((got.headers.get("content-type") ?? "").includes("json")) {
      try {
        text = JSON.stringify(JSON.parse(text), null, 2);
      } catch { /* NDJSON, or an answer that was cut: as it came */ }
    }
    pre.textContent = text || "(no body)";
  }
}
