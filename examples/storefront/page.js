"use strict";

const at = (id) => document.getElementById(id);

/** Calls the API, and shows what the server said of the session on the way. */
async function call(method, path, body) {
  const response = await fetch(`/api/${path}`, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  at("call").textContent = `${method} /api/${path} → ${response.status}`;
  at("timing").textContent = response.headers.get("server-timing") ?? "";
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return response.status === 204 ? null : response.json();
}

/** Does something, then shows the session and its notices; what went wrong is shown as well. */
async function act(what) {
  at("error").hidden = true;
  try {
    await what();
    const [said, timing] = [at("call").textContent, at("timing").textContent];
    show(await call("GET", "session"));
    tell((await call("GET", "notices")).notices);
    // The call that the visitor made is of more interest than the two that follow it.
    if (said !== "No call yet.") [at("call").textContent, at("timing").textContent] = [said, timing];
  } catch (error) {
    at("error").textContent = error.message;
    at("error").hidden = false;
  }
}

function show(session) {
  at("who").textContent = session.user === null
    ? (session.is_new ? "A new visitor." : "A visitor.")
    : `Customer ${session.user}.`;
  at("visits").textContent = session.visits;
  const note = at("write-note").elements.text;
  if (document.activeElement !== note) note.value = session.note ?? "";
  const rows = Object.entries(session.lines).map(([sku, qty]) => row(cell(sku), cell(qty)));
  const nothing = cell("Nothing yet.");
  nothing.className = "empty";
  nothing.colSpan = 2;
  at("lines").replaceChildren(...(rows.length ? rows : [row(nothing)]));
}

function tell(notices) {
  at("notices").replaceChildren(...notices.map((text) => element("li", text)));
}

function element(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

const cell = (text) => element("td", text);

function row(...cells) {
  const row = document.createElement("tr");
  row.append(...cells);
  return row;
}

function onSubmit(id, send) {
  at(id).addEventListener("submit", (event) => {
    event.preventDefault();
    act(() => send(event.target.elements));
  });
}

onSubmit("add-line", ({ sku, qty }) => call("POST", "lines", { sku: sku.value, qty: qty.valueAsNumber }));
onSubmit("write-note", ({ text }) => call("POST", `note?text=${encodeURIComponent(text.value)}`));
onSubmit("login", ({ user }) => call("POST", "login", { user: user.valueAsNumber }));
at("visit").addEventListener("click", () => act(() => call("POST", "visit")));
at("fail").addEventListener("click", () => act(() => call("POST", "fail")));
at("logout").addEventListener("click", () => act(() => call("POST", "logout")));
act(() => undefined);
