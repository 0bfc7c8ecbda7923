// The playground: edits go to the server and come back as the form; runs stream into their cards.

import { copy, element, isTyping, offer, onKey, send, showTimes, toast } from "./shell.js";

const form = document.getElementById("ask");
const editor = document.getElementById("editor");
const better = document.getElementById("better");
const grid = document.getElementById("targets");
// A form with a button named `action` has no other `action` for scripts.
const PATH = "/playground";
const STRIP_BARS = 120;
const LARGE = 200_000;
const STORED = `briggs.playground.${document.querySelector(".playground").dataset.key}`;
const running = new Map();

document.documentElement.classList.add("scripted");
const cards = () => [...grid.querySelectorAll("[data-target]")];
const fieldsOf = (action) => {
  const fields = new URLSearchParams(new FormData(form));
  fields.set("action", action);
  return fields;
};

// ---- The request.

let asked = 0;

async function ask(action, { whole = true } = {}) {
  const number = ++asked;
  const answer = await send("POST", PATH, { fields: fieldsOf(action), quiet: !whole }).catch(() => null);
  if (!answer?.ok || number !== asked) return;
  const page = element("template");
  page.innerHTML = await answer.text();
  if (number !== asked) return;
  const isOpen = document.getElementById("changes")?.open;
  if (whole) replaceEditor(page.content);
  else showMarks(page.content);
  const changes = document.getElementById("changes");
  if (changes) changes.open = Boolean(isOpen);
  countChanges();
  if (whole) keepDraft();
}

// The whole form. The focus stays on what has the same name.
function replaceEditor(content) {
  const { name, value, type } = document.activeElement ?? {};
  const scrolled = editor.scrollTop;
  editor.replaceChildren(content);
  editor.scrollTop = scrolled;
  const named = name && editor.querySelectorAll(`[name="${CSS.escape(name)}"]`);
  [...named || []].find((each) => type !== "submit" || each.value === value)?.focus();
}

// Only the marks: what is being typed stays as it is.
function showMarks(page) {
  const changes = page.getElementById("changes");
  if (changes) document.getElementById("changes")?.replaceWith(changes);
  for (const mirror of page.querySelectorAll("[data-mirror]")) {
    const name = CSS.escape(mirror.dataset.mirror);
    const text = editor.querySelector(`textarea[name="${name}"]`);
    if (text && mirror.textContent === `${text.value}\u00a0`) editor.querySelector(`[data-mirror="${name}"]`)?.replaceWith(mirror);
  }
}

function countChanges() {
  const changes = document.getElementById("changes");
  if (!changes) return;
  const count = Number(changes.dataset.changes);
  const pill = element("span", count ? "pill mended" : "pill", count === 1 ? "1 change" : `${count} changes`);
  document.getElementById("change-count").replaceChildren(pill);
}

let timer = 0;
let isKept = true;
form.addEventListener("input", changed);
// The models belong to the form, but are not in it.
grid.addEventListener("input", changed);

function changed(event) {
  isKept = false;
  const text = event.target;
  if (text.matches?.("textarea.text")) {
    const mirror = text.parentElement.querySelector(".mirror");
    mirror.textContent = `${text.value}\u00a0`;
  }
  clearTimeout(timer);
  const isLarge = (form.elements.request?.value.length ?? 0) > LARGE;
  timer = setTimeout(() => {
    keepDraft();
    if (document.getElementById("changes") && !isLarge) ask("look", { whole: false });
  }, 350);
}

form.addEventListener("change", (event) => {
  if (event.target.name?.startsWith("role.")) ask("look");
});
form.addEventListener("scroll", (event) => {
  const mirror = event.target.parentElement?.querySelector?.(".mirror");
  if (event.target.matches?.("textarea.text") && mirror) mirror.scrollTop = event.target.scrollTop;
}, true);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const action = event.submitter?.value ?? "run";
  if (action === "run") return void runAll();
  if (action.startsWith("targets.")) {
    setTargets(Number(action.slice(8)));
    return keepDraft();
  }
  if (action === "curl") {
    const answer = await send("POST", PATH, { fields: fieldsOf("curl") });
    if (answer.headers.get("content-type")?.startsWith("text/plain")) copy(await answer.text());
    else toast("Correct the request first.", { kind: "bad" });
    return;
  }
  clearTimeout(timer);
  await ask(action);
  const texts = [...editor.querySelectorAll("textarea.text")];
  if (action === "add") texts.at(-1)?.focus();
  if (action === "add-system") texts[0]?.focus();
});

document.getElementById("show-changes")?.addEventListener("click", (event) => {
  const changes = document.getElementById("changes");
  changes.open = !changes.open;
  event.currentTarget.setAttribute("aria-pressed", String(changes.open));
  if (changes.open) changes.scrollIntoView({ block: "nearest" });
});

// ---- The draft, in this browser.

function keepDraft() {
  isKept = true;
  const fields = fieldsOf("look");
  fields.delete("csrf");
  const at = new Date();
  const draft = { at: at.getTime(), address: location.search, fields: fields.toString() };
  try {
    localStorage.setItem(STORED, JSON.stringify(draft));
    tellDraft(`draft kept ${at.toTimeString().slice(0, 8)}`);
  } catch {
    tellDraft("too large to keep a draft");
  }
}

window.addEventListener("pagehide", () => { if (!isKept) keepDraft(); });

function tellDraft(text, address) {
  const place = document.getElementById("draft");
  place.replaceChildren(text);
  if (!address) return;
  const link = element("a", "", "continue");
  link.href = `/playground${address}`;
  place.append(link);
}

function readDraft() {
  try {
    return JSON.parse(localStorage.getItem(STORED));
  } catch {
    return null;
  }
}

async function restoreDraft() {
  const draft = readDraft();
  if (typeof draft?.fields !== "string") return;
  const clock = new Date(draft.at).toTimeString().slice(0, 8);
  if (draft.address !== location.search) {
    if (!location.search && draft.address) tellDraft(`draft of ${clock}`, draft.address);
    return;
  }
  const fields = new URLSearchParams(draft.fields);
  const models = fields.getAll("model");
  if (models.length) {
    setTargets(models.length);
    cards().forEach((card, place) => { if (models[place]) card.querySelector(".model").value = models[place]; });
  }
  const answer = await send("POST", PATH, { fields, quiet: true }).catch(() => null);
  if (!answer?.ok) return;
  const page = element("template");
  page.innerHTML = await answer.text();
  replaceEditor(page.content);
  countChanges();
  tellDraft(`draft of ${clock}`);
}

// ---- Targets and runs.

function setTargets(count) {
  while (cards().length > count) {
    const last = cards().at(-1);
    running.get(last)?.abort();
    last.remove();
  }
  while (cards().length < count) {
    grid.append(document.getElementById("new-target").content.cloneNode(true));
  }
  grid.dataset.count = String(count);
  cards().forEach((card, place) => {
    card.setAttribute("aria-label", `Target ${place + 1}`);
    card.querySelector("label .hidden").textContent = `Model of target ${place + 1}`;
  });
  for (const button of document.querySelectorAll('[value^="targets."]')) {
    button.setAttribute("aria-pressed", String(button.value === `targets.${count}`));
  }
  document.querySelector("#run span").textContent = count === 1 ? "Run on 1 target" : `Run on ${count} targets`;
  number();
}

// Which key says that an answer is better. It takes two answers to prefer one.
function number() {
  const answered = cards().filter((card) => card.querySelector(".better"));
  cards().forEach((card, place) => {
    const button = card.querySelector(".better");
    if (!button) return;
    button.hidden = answered.length < 2;
    button.querySelector("kbd").textContent = String(place + 1);
  });
}

async function runAll() {
  const chosen = cards().filter((card) => card.querySelector(".model").value.trim());
  if (!chosen.length) {
    toast("Choose a model first, such as local/briggs-tiny.", { kind: "bad" });
    cards()[0].querySelector(".model").focus();
    return;
  }
  for (const card of chosen) running.get(card)?.abort();
  keepDraft();
  if (window.innerWidth <= 1000) grid.scrollIntoView();
  await Promise.all(chosen.map(start));
  if (!running.size) showTried();
}

// The address of the answers that are shown, so that a reload shows them again.
function keepAddress() {
  const list = (selector) => cards().map((card) => card.querySelector(selector)?.dataset.run).filter(Boolean).join(",");
  const [from, runs] = [form.elements.from.value, list("[data-run]")];
  form.elements.runs.value = better.elements.runs.value = runs;
  better.elements.compared.value = list("[data-status=finished]");
  const address = new URLSearchParams({ ...(from && { from }), ...(runs && { runs }) });
  history.replaceState(history.state, "", `${PATH}${address.size ? "?" : ""}${address}`);
  keepDraft();
}

// Run on one target.
async function start(card) {
  const controller = new AbortController();
  running.set(card, controller);
  const fields = fieldsOf("run");
  fields.delete("model");
  fields.append("model", card.querySelector(".model").value);
  const live = new Live(card);
  let id = null;
  try {
    const answer = await send("POST", "/playground/run", { fields, quiet: true, signal: controller.signal });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    for await (const event of readLines(answer)) {
      if (event.is === "begun") id = event.id;
      else if (event.is === "ended") return live.end(event.status, event.card);
      else live.add(event);
    }
    throw new Error("The answer broke off.");
  } catch (error) {
    if (running.get(card) !== controller) return;
    if (!(id && await showRecorded(live, id))) {
      live.fail(controller.signal.aborted ? "You stopped it." : error.message === "unreachable" ? "Briggs cannot be reached. Is it running?" : error.message);
    }
  } finally {
    live.close();
    if (running.get(card) === controller) {
      running.delete(card);
      card.querySelector(".stop").hidden = true;
      number();
      keepAddress();
    }
  }
}

// What was recorded of a run whose end we did not see.
async function showRecorded(live, id) {
  for (let attempt = 0; attempt < 20; attempt++) {
    const answer = await send("GET", `/playground/runs/${id}`, { quiet: true }).catch(() => null);
    if (answer?.ok) {
      const html = await answer.text();
      const status = /data-status="(\w+)"/.exec(html)?.[1];
      if (status !== "started" || attempt === 19) {
        live.end(status, html);
        return true;
      }
    }
    await new Promise((done) => setTimeout(done, 150));
  }
  return false;
}

async function* readLines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

// A card while its answer comes.
class Live {
  constructor(card) {
    this.card = card;
    this.began = performance.now();
    this.first = null;
    this.tokens = null;
    this.levels = [];
    this.texts = new Map();
    this.run = card.querySelector(".run");
    this.figures = element("dl", "run-figures");
    this.strip = element("div", "run-strip");
    this.body = element("div", "run-body");
    const shown = element("div", "run-card");
    this.body.append(this.strip);
    shown.append(this.figures, this.body, element("footer"));
    this.run.replaceChildren(shown);
    this.run.setAttribute("aria-busy", "true");
    this.say("streams", "accent");
    card.querySelector(".stop").hidden = false;
    this.timer = setInterval(() => this.measure(), 100);
    this.measure();
  }

  say(text, kind) {
    const pill = this.card.querySelector(".state");
    pill.textContent = text;
    pill.className = `pill state ${kind}`;
    pill.hidden = false;
  }

  add(event) {
    this.first ??= performance.now() - this.began;
    const text = this.find(event.is, event.choice ?? 0);
    if (event.is !== "text") text.insertBefore(document.createTextNode(event.text), this.caret);
    for (const [said, level] of event.pieces ?? []) {
      const word = said.trimStart();
      const space = said.slice(0, said.length - word.length);
      if (space) text.insertBefore(document.createTextNode(space), this.caret);
      if (word) text.insertBefore(level ? element("span", `p${level}`, word) : document.createTextNode(word), this.caret);
      if (level !== null && !event.choice) this.levels.push(level);
    }
    if (event.tokens) this.tokens = (this.tokens ?? 0) + event.tokens;
    this.drawn ??= requestAnimationFrame(() => { this.drawn = null; this.strip.replaceChildren(drawStrip(this.levels)); });
    const { scrollTop, scrollHeight, clientHeight } = this.body;
    if (scrollHeight - scrollTop - clientHeight < 60) this.body.scrollTop = scrollHeight;
  }

  // The place of a kind of text of one choice. The caret stands at its end.
  find(kind, choice) {
    const name = `${kind} ${choice}`;
    if (!this.texts.has(name)) {
      const place = element("div", kind === "text" ? "prose pre-wrap" : "pre-wrap second");
      if (kind === "call") place.classList.add("mono");
      place.dir = "auto";
      this.texts.set(name, place);
      this.body.append(place);
    }
    const place = this.texts.get(name);
    this.caret ??= element("i", "caret");
    if (this.caret.parentElement !== place) place.append(this.caret);
    return place;
  }

  measure() {
    const time = performance.now() - this.began;
    const writing = this.first === null ? 0 : time - this.first;
    const figures = [
      ["first", this.first === null ? "—" : seconds(this.first)],
      ["so far", seconds(time)],
      ["tokens", this.tokens ?? "—"],
      ["a second", this.tokens && writing > 200 ? Math.round(this.tokens / writing * 1000) : "—"],
    ];
    this.figures.replaceChildren(...figures.map(([name, value]) => {
      const figure = element("div");
      figure.append(element("dt", "", name), element("dd", "", String(value)));
      return figure;
    }));
  }

  end(status, html) {
    this.run.removeAttribute("aria-busy");
    const page = element("template");
    page.innerHTML = html;
    this.run.replaceChildren(page.content);
    this.say(status === "finished" ? "done" : status, status === "finished" ? "good" : status === "failed" ? "bad" : "accent");
  }

  fail(text) {
    this.run.removeAttribute("aria-busy");
    const failure = element("p", "run-body");
    failure.append(element("strong", "", text));
    this.run.replaceChildren(failure);
    this.say("failed", "bad");
  }

  close() {
    clearInterval(this.timer);
    if (this.drawn) cancelAnimationFrame(this.drawn);
  }
}

const seconds = (ms) => ms < 99.5 ? `${Math.round(ms)} ms` : ms < 9995 ? `${(ms / 1000).toFixed(2)} s` : `${(ms / 1000).toFixed(1)} s`;

// As `strip` of web/drawings.py.
function drawStrip(levels) {
  const size = Math.max(1, Math.ceil(levels.length / STRIP_BARS));
  const bars = [];
  for (let start = 0; start < levels.length; start += size) bars.push(Math.max(...levels.slice(start, start + size)));
  const svg = (name, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const width = Math.max(40, bars.length);
  const strip = svg("svg", { class: "strip", viewBox: `-.5 0 ${width} 8.2`, width: width * 3, height: 16, preserveAspectRatio: "none", "aria-hidden": "true" });
  strip.append(svg("path", { d: `M0 8H${bars.length}` }));
  for (let level = 1; level <= 7; level++) {
    strip.append(svg("path", { d: bars.map((each, place) => each === level ? `M${place} 0z` : "").join("") }));
  }
  return strip;
}

async function showTried() {
  const place = document.getElementById("tried");
  const answer = await send("GET", `/playground/tried?${new URLSearchParams({ from: form.elements.from.value, runs: form.elements.runs.value })}`, { quiet: true }).catch(() => null);
  if (!answer?.ok) return;
  place.innerHTML = await answer.text();
  showTimes(place);
}

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const card = target?.closest("[data-target]");
  if (!card) return;
  if (target.closest(".stop")) running.get(card)?.abort();
  if (target.closest("[data-choose]")) card.querySelector(".model").select();
  if (target.closest("[data-copies-answer]")) {
    copy([...card.querySelectorAll(".said > :is(.prose, .call)")].map((each) => each.innerText.trim()).join("\n"));
  }
});

better.addEventListener("submit", async (event) => {
  event.preventDefault();
  const best = event.submitter?.value;
  const fields = new URLSearchParams(new FormData(better));
  fields.set("best", best);
  const answer = await send("POST", "/playground/better", { fields });
  if (!answer.ok) return;
  for (const button of document.querySelectorAll(".better")) button.classList.toggle("chosen", button.value === best);
  toast("Recorded as the better answer");
});

// Menus close like menus do.
const closeMenus = (except) => {
  for (const menu of form.querySelectorAll("details.menu[open]")) if (!menu.contains(except)) menu.open = false;
};
document.addEventListener("click", (event) => closeMenus(event.target));
document.addEventListener("keydown", (event) => { if (event.key === "Escape") closeMenus(null); });

// ---- Keys, models, and what a reload finds.

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit(document.getElementById("run"));
  }
  if (event.key === "Enter" && isTyping(event.target) && event.target.matches(".model") && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    runAll();
  }
});
for (const key of ["1", "2", "3", "4"]) {
  onKey(key, "", () => {
    const button = cards()[Number(key) - 1]?.querySelector(".better");
    if (button && !button.hidden) button.click();
  });
}
offer("Run the request", () => form.requestSubmit(document.getElementById("run")));
offer("Start with an empty request", () => { localStorage.removeItem(STORED); location.assign("/playground"); });

async function listModels() {
  const answer = await send("GET", "/playground/models", { quiet: true }).catch(() => null);
  if (!answer?.ok) return;
  const options = (await answer.json()).map((id) => {
    const option = element("option");
    option.value = id;
    return option;
  });
  document.getElementById("models").replaceChildren(...options);
}

number();
restoreDraft();
listModels();
