// The page works without this script. With it, a form is sent without a reload: the server's answer is the same page,
// and what has changed is put into this one.

const at = (id) => document.getElementById(id);
let isBusy = false;

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  // A second click sends nothing.
  if (isBusy) return;
  isBusy = true;
  at("main").setAttribute("aria-busy", "true");
  try {
    await send(event.target, event.submitter);
  } catch {
    complain("The shop did not answer. What you entered is still here: try again.");
  } finally {
    isBusy = false;
    at("main").removeAttribute("aria-busy");
  }
});

async function send(form, button) {
  const address = button?.getAttribute("formaction") ?? form.getAttribute("action");
  const answer = await load(address, { method: "POST", body: new URLSearchParams(new FormData(form, button)) });
  const problem = answer.page.getElementById("problem-text");
  if (!problem) {
    show(answer, form);
    return;
  }
  const trouble = `${answer.page.getElementById("problem-title").textContent}. ${problem.textContent}`;
  // What was typed stays; the rest, and the forms' tokens with it, is as the server has it now.
  const now = await load(location.pathname);
  if (now.page.getElementById("main")) show(now, null);
  complain(trouble);
}

async function load(address, options) {
  const response = await fetch(address, { ...options, headers: { accept: "text/html" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return { page, address: response.redirected ? response.url : null, timing: response.headers.get("server-timing") ?? "" };
}

/** Puts the server's page in place of this one. What was typed into forms other than `sent` stays. */
function show({ page, address, timing }, sent) {
  const focused = document.activeElement;
  const section = focused?.closest("section")?.id;
  const typed = [...document.querySelectorAll("main input:not([type=hidden])")]
    .filter((input) => input.form !== sent && isChanged(input))
    .map(({ id, value, checked }) => ({ id, value, checked }));
  for (const id of ["skip", "who", "main"]) at(id).replaceChildren(...page.getElementById(id).childNodes);
  for (const { id, value, checked } of typed) if (at(id)) Object.assign(at(id), { value, checked });
  document.title = page.title;
  if (address) history.replaceState(null, "", address);
  tellCommit(steps(timing));
  at("trouble").textContent = "";
  const summary = at("summary");
  at("told").textContent = summary ? "" : [...document.querySelectorAll("#notices li")].map((li) => li.textContent).join(". ");
  const next = summary ?? (focused?.id && at(focused.id)) ?? (section && document.querySelector(`#${section} :is(h1, h2)`));
  next?.focus();
}

const isChanged = (input) => input.value !== input.defaultValue || input.checked !== input.defaultChecked;

function complain(text) {
  at("told").textContent = "";
  at("trouble").textContent = text;
}

/** The metrics of a `Server-Timing` header. */
function steps(header) {
  return [...header.matchAll(/([\w-]+);desc="([^"]*)"(?:;dur=([\d.]+))?/g)]
    .map(([, name, description, duration = 0]) => ({ name, description, duration: Number(duration) }));
}

/** The page was made before its own commit; its header tells of it. */
function tellCommit(metrics) {
  const [load, commit] = ["load", "commit"].map((name) => metrics.find((metric) => metric.name === name));
  const about = document.querySelector("#this-request .commit dd");
  if (!load || !commit || !about) return;
  const outcome = document.createElement("b");
  outcome.textContent = commit.description;
  const ms = document.createElement("span");
  ms.className = "ms";
  ms.textContent = `${commit.duration.toFixed(2)} ms`;
  const told = document.createElement("dd");
  told.append(outcome, " ", ms);
  about.before(told);
  about.textContent = about.dataset[commit.description] ?? "Not saved.";
  const share = commit.duration > 0 ? (100 * load.duration) / (load.duration + commit.duration) : 100;
  const [first, second] = document.querySelectorAll("#this-request rect");
  first.setAttribute("width", share);
  second.setAttribute("x", share);
  second.setAttribute("width", 100 - share);
}

const [navigation] = performance.getEntriesByType("navigation");
tellCommit(navigation?.serverTiming ?? []);

// A page that a browser kept as a whole may be of a session that has ended since.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
