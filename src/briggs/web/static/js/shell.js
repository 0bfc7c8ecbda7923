// What every page does: local times, keys, the palette, toasts, and requests with the session's token.

const token = document.querySelector('meta[name="csrf"]')?.content ?? "";

// Send a form's fields (an object or FormData) or, as `json`, any value. Failures become toasts.
export async function send(method, path, { fields, json, quiet = false, signal } = {}) {
  const options = { method, signal, headers: { "x-csrf-token": token }, credentials: "same-origin" };
  if (fields) options.body = new URLSearchParams(fields);
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers["content-type"] = "application/json";
  }
  options.headers["hx-request"] = "true";
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    if (!quiet) toast("Briggs cannot be reached. Is it running?", { kind: "bad" });
    throw new Error("unreachable");
  }
  const next = answer.headers.get("hx-redirect");
  if (next) location.assign(next);
  if (!answer.ok && !quiet) toast((await answer.clone().text()).trim(), { kind: "bad" });
  return answer;
}

// Show a message for a while, with one action such as undo, which `u` presses too.
export function toast(text, { kind = "", action = "", onAction, seconds = 8 } = {}) {
  const shown = element("div", `toast ${kind}`);
  shown.append(element("span", "", text.slice(0, 500)));
  const close = () => shown.remove();
  if (action) {
    const button = element("button", "", action);
    button.type = "button";
    const key = element("kbd", "", "U");
    button.append(key);
    button.addEventListener("click", () => { close(); onAction?.(); });
    shown.append(button);
    shown.act = () => button.click();
  }
  document.getElementById("toasts")?.append(shown);
  let timer = setTimeout(close, seconds * 1000);
  shown.addEventListener("mouseenter", () => clearTimeout(timer));
  shown.addEventListener("mouseleave", () => { timer = setTimeout(close, 2000); });
  return shown;
}

export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

// Copy text, and say so.
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS on another machine's address, browsers have no clipboard for pages.
    const area = element("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast("Copied");
}

// ---- Times, in the viewer's zone.

const pad = (value) => String(value).padStart(2, "0");
const clock = (at) => `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
const day = (at) => `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;

export function ago(at) {
  const s = Math.round((Date.now() - at) / 1000);
  const [size, unit] = Math.abs(s) < 90 ? [1, "s"] : Math.abs(s) < 5400 ? [60, "min"]
    : Math.abs(s) < 129600 ? [3600, "h"] : [86400, "d"];
  const count = Math.round(Math.abs(s) / size);
  return s < 2 && s > -2 ? "now" : s < 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
}

export function showTimes(root = document) {
  for (const time of root.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const style = time.dataset.style ?? time.closest("[data-times]")?.dataset.times;
    const whole = `${day(at)} ${clock(at)}`;
    time.textContent = style === "ago" ? ago(at) : style === "day" ? day(at)
      : style === "clock" ? (day(at) === day(new Date()) ? clock(at) : `${day(at).slice(5)} ${clock(at).slice(0, 5)}`)
      : whole;
    time.title = `${whole} (${time.dateTime})`;
  }
}
showTimes();
document.addEventListener("htmx:load", (event) => showTimes(event.target));
setInterval(() => showTimes(), 30_000);

// ---- Keys.

const keys = new Map();

// Press a key outside of text fields. `what` is for the key help; without it the key is not listed.
export function onKey(key, what, act) {
  keys.set(key, { what, act });
}

export function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable
    || target.matches("textarea, select, input:not([type=checkbox]):not([type=radio]):not([type=button]):not([type=submit])"));
}

// A menu closes with a click elsewhere and with Escape, which then closes nothing else.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && !document.querySelector("dialog[open]") && document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true });

let waitsForLetter = 0;
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    openPalette();
    return;
  }
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  if (Date.now() < waitsForLetter) {
    waitsForLetter = 0;
    const place = document.querySelector(`.nav-place[data-letter="${CSS.escape(event.key)}"]`);
    if (place) { event.preventDefault(); place.click(); }
    return;
  }
  const known = keys.get(event.key);
  if (known) { event.preventDefault(); known.act(event); }
});

onKey("g", "", () => { waitsForLetter = Date.now() + 1500; });
onKey("?", "", openKeyHelp);
onKey("u", "", () => {
  const last = [...document.querySelectorAll(".toast")].findLast((each) => each.act);
  if (last) last.act(); else document.getElementById("undo")?.click();
});
onKey("/", "", () => { (document.querySelector("[data-query]") ?? { focus: openPalette }).focus(); });

function openKeyHelp() {
  const help = element("dialog", "key-help");
  help.append(element("h2", "", "Keys of this page"));
  const list = element("dl");
  const rows = document.getElementById("page-keys")?.content.cloneNode(true);
  if (rows) list.append(rows);
  for (const [key, { what }] of keys) if (what) list.append(keyRow([key], what));
  for (const place of document.querySelectorAll(".nav-place[data-letter]")) {
    list.append(keyRow(["g", place.dataset.letter], place.title.toLowerCase()));
  }
  list.append(keyRow(["Ctrl", "k"], "go to or do"), keyRow(["/"], "search"), keyRow(["?"], "this list"));
  help.append(list);
  show(help);
}

function keyRow(pressed, what) {
  const row = element("div", "key-row");
  const term = element("dt");
  term.append(createKeys(pressed));
  row.append(term, element("dd", "", what));
  return row;
}

function createKeys(pressed) {
  const group = element("span", "keys");
  for (const key of pressed) group.append(element("kbd", "", key.length === 1 ? key.toUpperCase() : key));
  return group;
}

function show(dialog) {
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
}

// ---- The palette: places to go, and what the page can do.

const commands = [];

// Offer something in the palette. `act` is a path or a function.
export function offer(name, act, { more = "", keys: pressed = [], place = "" } = {}) {
  commands.push({ name, act, more, pressed, place });
}

function openPalette() {
  if (document.querySelector("dialog[open]")) return;
  const palette = element("dialog", "palette");
  palette.setAttribute("aria-label", "Go to or do");
  const input = element("input");
  const list = element("div", "palette-list");
  for (const [name, value] of Object.entries({
    type: "text", placeholder: "Go to or do", role: "combobox", autocomplete: "off", spellcheck: "false",
    "aria-label": "Go to or do", "aria-expanded": "true", "aria-controls": "palette-list",
  })) input.setAttribute(name, value);
  list.id = "palette-list";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Places and commands");
  const head = element("div", "palette-head");
  head.append(cloneIcon(""), input, element("kbd", "", "Esc"));
  palette.append(head, list);

  let options = [];
  let chosen = 0;
  let told = [];
  const choose = (place) => {
    chosen = options.length ? (place + options.length) % options.length : 0;
    options.forEach((option, index) => option.setAttribute("aria-selected", String(index === chosen)));
    input.setAttribute("aria-activedescendant", options[chosen]?.id ?? "");
    options[chosen]?.scrollIntoView({ block: "nearest" });
  };
  const fill = () => {
    const text = input.value.trim();
    list.replaceChildren();
    options = [...findOffers(text), ...told].map((each, index) => {
      const option = createOption(each, text, index);
      option.addEventListener("click", () => { palette.close(); go(each.act); });
      option.addEventListener("mousemove", () => { if (chosen !== index) choose(index); });
      list.append(option);
      return option;
    });
    if (!options.length) list.append(element("p", "palette-none", "Nothing has this name."));
    choose(0);
  };
  let asked = 0;
  const ask = async () => {
    const number = ++asked;
    const answer = await send("GET", `/palette?${new URLSearchParams({ text: input.value })}`, { quiet: true }).catch(() => null);
    if (!answer?.ok || number !== asked || !palette.isConnected) return;
    told = (await answer.json()).map((each) => ({ ...each, act: each.path, pressed: [] }));
    fill();
  };
  let timer;
  input.addEventListener("input", () => {
    told = [];
    fill();
    clearTimeout(timer);
    timer = setTimeout(ask, 80);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { event.preventDefault(); choose(chosen + 1); }
    if (event.key === "ArrowUp") { event.preventDefault(); choose(chosen - 1); }
    if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); options[chosen]?.click(); }
  });
  show(palette);
  fill();
  input.focus();
  ask();
}

function createOption({ name, more, pressed, place }, text, index) {
  const option = element("div");
  option.id = `palette-${index}`;
  option.setAttribute("role", "option");
  option.append(cloneIcon(place), mark(name, text));
  if (more) option.append(element("span", "quiet cut", more));
  if (pressed.length) option.append(createKeys(pressed));
  return option;
}

// The icon of a place in the navigation, or that of the search.
function cloneIcon(place) {
  const from = document.querySelector(`.nav-place[href="${CSS.escape(place)}"] .icon`)
    ?? document.querySelector(".nav-palette .icon");
  return from?.cloneNode(true) ?? element("span");
}

function go(act) {
  if (typeof act === "string") location.assign(act);
  else act();
}

function findOffers(text) {
  const places = [...document.querySelectorAll(".nav-place[data-letter]")].map((place) => ({
    name: place.title, act: place.getAttribute("href"), more: "", pressed: ["g", place.dataset.letter],
    place: place.getAttribute("href"),
  }));
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return [...places, ...commands].filter(({ name, more }) => {
    const whole = `${name} ${more}`.toLowerCase();
    return words.every((word) => whole.includes(word));
  });
}

function mark(name, text) {
  const span = element("span", "cut");
  span.dir = "auto";
  const at = text ? name.toLowerCase().indexOf(text.toLowerCase()) : -1;
  if (at < 0) span.textContent = name;
  else span.append(name.slice(0, at), element("b", "", name.slice(at, at + text.length)), name.slice(at + text.length));
  return span;
}

for (const theme of ["light", "dark", "system"]) {
  offer(`Theme: ${theme}`, () => chooseTheme(theme));
}

offer("Sign out", async () => {
  await send("POST", "/sign-out");
  location.assign("/sign-in");
});

export function chooseTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  return send("POST", "/theme", { fields: { theme } });
}

// A form that only a browser with scripts sends by itself, such as that of a sign-in link.
document.querySelector("form[data-sends-itself]")?.requestSubmit();

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target.closest("[data-copies], [data-opens]") : null;
  if (target?.dataset.copies) copy(document.getElementById(target.dataset.copies)?.textContent ?? "");
  if (target?.dataset.opens === "palette") openPalette();
  if (target?.dataset.opens === "keys") openKeyHelp();
});
document.addEventListener("htmx:responseError", (event) => toast(event.detail.xhr.responseText.trim(), { kind: "bad" }));
document.addEventListener("htmx:sendError", () => toast("Briggs cannot be reached. Is it running?", { kind: "bad" }));
