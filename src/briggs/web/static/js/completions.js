// The list of completions: the query, the panel beside it, what is selected, and what is new.

import { element, isTyping, offer, onKey, send, showTimes, toast } from "./shell.js";

const $ = (id) => document.getElementById(id);
const rows = () => [...document.querySelectorAll("#rows > li")];
const boxOf = (row) => row.querySelector("input");
const linkOf = (row) => row.querySelector("a");
const idOf = (row) => decodeURIComponent(linkOf(row).getAttribute("href").split("/").pop());
const parse = (html) => new DOMParser().parseFromString(html, "text/html");
const state = () => new URL(location.href);

// ---- The list: another address, in place.

let going = 0;

async function go(address, { push = true } = {}) {
  const turn = ++going;
  $("results").classList.add("htmx-request");
  const answer = await send("GET", address).catch(() => null);
  if (turn !== going) return;
  $("results").classList.remove("htmx-request");
  if (!answer?.ok) return;
  const page = parse(await answer.text());
  const wrong = page.querySelector(".problem-box");
  for (const id of ["problem", "query-form", ...(wrong ? [] : ["list", "view-state", "columns-form"])]) {
    const [old, fresh] = [$(id), page.getElementById(id)];
    if (!old || !fresh) continue;
    if (id === "query-form") {
      $("presets").replaceWith(fresh.querySelector("#presets"));
      $("query-before").value = fresh.querySelector("#query-before").value;
      $("query").value = fresh.querySelector("#query").value;
      $("query").closest(".query").classList.toggle("wrong", Boolean(wrong));
      for (const hidden of old.querySelectorAll("input[type=hidden]:not(#query-before)")) hidden.remove();
      for (const hidden of fresh.querySelectorAll("input[type=hidden]:not(#query-before)")) old.append(hidden);
      $("facets-button").innerHTML = fresh.querySelector("#facets-button").innerHTML;
    } else old.replaceWith(fresh);
  }
  for (const link of page.querySelectorAll("[data-export]")) {
    document.querySelector(`[data-export="${link.dataset.export}"]`).href = link.href;
  }
  if (!wrong && push) history.pushState(null, "", address);
  paint();
  if (!wrong) { $("view-name")?.remove(); begin(); }
}

function begin() {
  document.body.classList.toggle("narrow-nav", !$("peek").hidden);
  showTimes($("list"));
  select(null);
  listen();
  shownNewest = null;
  fetchOverview();
  grip();
}

async function fetchOverview() {
  const results = $("results");
  if (document.querySelector("#facets b") && results.dataset.counted) return;
  results.dataset.counted = "yes";
  const answer = await send("GET", results.dataset.overview, { quiet: true }).catch(() => null);
  if (!answer?.ok || results !== $("results")) return;
  const page = parse(await answer.text());
  const open = [...document.querySelectorAll("#facets .more")].map((each) => each.open);
  $("facets").replaceChildren(...page.getElementById("new-facets").childNodes);
  document.querySelectorAll("#facets .more").forEach((each, place) => { each.open = open[place] ?? false; });
  $("count").replaceChildren(...page.getElementById("new-count").childNodes);
  readFields(page.getElementById("vocabulary").content.textContent);
  // What is suggested comes from these, so whoever types already waits for them.
  if (document.activeElement === $("query") && picked < 0) suggest();
  const bars = page.getElementById("histogram");
  if (bars) $("histogram").replaceWith(bars);
  showTimes($("results"));
  select(null);
}

// Links that only change the list stay on this page.
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
  if (!link || link.hasAttribute("download") || link.origin !== location.origin) return;
  const url = new URL(link.href);
  if (link.closest("#peek")) {
    const here = $("peek").querySelector("[data-path]")?.dataset.path;
    if (link.hasAttribute("data-close")) { event.preventDefault(); closePeek(); }
    else if (url.pathname === here && url.search) { event.preventDefault(); fetchPeek(`${here}/peek${url.search}`); }
    return;
  }
  if (url.pathname === "/completions" && !link.closest(".nav, .view-row")) {
    event.preventDefault();
    link.closest("details.menu")?.removeAttribute("open");
    $("facets").classList.remove("open");
    go(url.pathname + url.search);
    return;
  }
  const row = link.closest("#rows > li");
  // On phones there is no room for a panel.
  if (row && innerWidth > 720) { event.preventDefault(); openPeek(row); }
});
addEventListener("popstate", () => {
  const list = new URL(location.href);
  go(list.pathname + list.search, { push: false });
});
$("query-form").addEventListener("submit", (event) => {
  event.preventDefault();
  closeSuggestions();
  const fields = [...new FormData(event.target)].filter(([, value]) => value);
  go(`/completions?${new URLSearchParams(fields)}`);
  $("query").blur();
});
$("facets-button").hidden = $("select-button").hidden = false;
$("select-button").addEventListener("click", () => document.body.classList.toggle("choosing"));
$("facets-button").addEventListener("click", () => {
  const isOpen = $("facets").classList.toggle("open");
  $("facets-button").setAttribute("aria-expanded", String(isOpen));
});
document.addEventListener("submit", (event) => {
  if (event.target.id !== "columns-form") return;
  event.preventDefault();
  const url = state();
  const columns = [...event.target.querySelectorAll("[name=column]:checked")].map((box) => box.value);
  url.searchParams.set("columns", columns.join(",") || "none");
  event.target.closest("details").open = false;
  go(url.pathname + url.search);
});

// ---- The panel.

let peeked = 0;

async function fetchPeek(path) {
  const turn = ++peeked;
  const answer = await send("GET", path).catch(() => null);
  if (!answer?.ok || turn !== peeked) return;
  const page = parse(await answer.text());
  const panel = $("peek");
  panel.replaceChildren(...page.body.childNodes);
  panel.hidden = false;
  $("list").classList.add("with-peek");
  document.body.classList.add("narrow-nav");
  globalThis.htmx?.process(panel);
  showTimes(panel);
  grip();
}

function openPeek(row) {
  mark(row);
  const url = state();
  url.searchParams.set("peek", idOf(row));
  history.replaceState(null, "", url);
  return fetchPeek(`${linkOf(row).getAttribute("href")}/peek`);
}

function closePeek() {
  peeked += 1;
  $("peek").hidden = true;
  $("peek").replaceChildren();
  $("list").classList.remove("with-peek");
  document.body.classList.remove("narrow-nav");
  const url = state();
  url.searchParams.delete("peek");
  history.replaceState(null, "", url);
}

function mark(row) {
  for (const each of rows()) {
    each.classList.toggle("current", each === row);
    if (each === row) linkOf(each).setAttribute("aria-current", "true");
    else linkOf(each).removeAttribute("aria-current");
  }
  row?.scrollIntoView({ block: "nearest" });
}

const current = () => document.querySelector("#rows > .current");

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(current());
  const row = all[Math.max(0, Math.min(all.length - 1, at + (at < 0 && step < 0 ? 1 : step)))];
  if ($("peek").hidden) { mark(row); openPeek(row); } else openPeek(row);
}

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-move]") : null;
  if (button) move(Number(button.dataset.move));
});

// The panel's width is remembered.
const kept = Number(localStorage.getItem("peek"));
const resize = (width) => document.documentElement.style.setProperty("--peek", `${width}px`);
if (kept >= 360 && kept <= 1200) resize(kept);

function grip() {
  const panel = $("peek");
  if (panel.hidden || panel.querySelector(".peek-grip")) return;
  const handle = element("div", "peek-grip");
  handle.tabIndex = 0;
  handle.setAttribute("role", "separator");
  handle.setAttribute("aria-orientation", "vertical");
  handle.setAttribute("aria-label", "Width of the panel");
  const set = (width) => {
    const bounded = Math.round(Math.max(360, Math.min(innerWidth - 480, width)));
    resize(bounded);
    localStorage.setItem("peek", bounded);
    handle.setAttribute("aria-valuenow", bounded);
  };
  handle.setAttribute("aria-valuenow", Math.round(panel.getBoundingClientRect().width));
  handle.addEventListener("pointerdown", (down) => {
    handle.setPointerCapture(down.pointerId);
    handle.onpointermove = (event) => set(innerWidth - event.clientX);
    handle.onpointerup = () => { handle.onpointermove = null; };
  });
  handle.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: 20, ArrowRight: -20 }[event.key];
    if (step) { event.preventDefault(); event.stopPropagation(); set(panel.getBoundingClientRect().width + step); }
  });
  panel.prepend(handle);
}

// ---- What is selected.

let last = null;
const chosen = () => rows().filter((row) => boxOf(row).checked);
const allBox = () => document.querySelector("#selection [name=all]");
const isAll = () => Boolean(allBox()?.checked);
const named = (count) => (count === 1 ? "1 completion" : `${count.toLocaleString("en")} completions`);

function select(row, { range = false } = {}) {
  if (row) {
    const box = boxOf(row);
    const all = rows();
    const [from, to] = [all.indexOf(last), all.indexOf(row)].sort((a, b) => a - b);
    if (range && from >= 0) for (const each of all.slice(from, to + 1)) boxOf(each).checked = true;
    else box.checked = !box.checked;
    last = row;
    if (!box.checked) allBox().checked = false;
  }
  const count = chosen().length;
  document.body.classList.toggle("selecting", count > 0);
  if (!count) return;
  const bar = $("selection");
  bar.querySelector("[data-count]").textContent = isAll() ? `All ${countAll()} selected` : `${count} selected`;
  bar.querySelector("[data-all]").textContent = countAll();
  bar.querySelector("[value=compare]").disabled = isAll() || count < 2 || count > 4;
}

function countAll() {
  const told = document.querySelector("#count [data-matching]");
  return told ? Number(told.dataset.matching).toLocaleString("en") + ("more" in told.dataset ? " or more" : "") : "";
}

function selectNone() {
  for (const row of chosen()) boxOf(row).checked = false;
  if (allBox()) allBox().checked = false;
  select(null);
}

document.addEventListener("click", (event) => {
  const box = event.target instanceof Element && event.target.matches("#rows input") ? event.target : null;
  if (box) {
    const row = box.closest("#rows > li");
    if (event.shiftKey) { box.checked = true; select(row, { range: true }); } else { box.checked = !box.checked; select(row); }
  } else if (event.target.closest?.("#selection [data-none]")) selectNone();
});
document.addEventListener("change", (event) => {
  if (event.target !== allBox()) return;
  for (const row of rows()) boxOf(row).checked = event.target.checked;
  select(null);
});
document.addEventListener("submit", (event) => {
  // Not by `id`, which is the name of its boxes.
  const act = event.target.matches("#chosen") && event.submitter?.value;
  if (!acts[act]) return;
  event.preventDefault();
  acts[act]();
});

// The fields of what is selected now, for this and any later step.
function choose(act) {
  const fields = new URLSearchParams(new FormData($("chosen")));
  if (isAll()) fields.delete("id");
  fields.set("act", act);
  return fields;
}

// Step by step, because all that match may be many. Says how far it is, and stops when asked to.
async function change(fields, total, doing) {
  const done = { count: 0, before: {} };
  let isStopped = false;
  const shown = fields.has("all") ? toast(doing, { action: "Stop", onAction: () => { isStopped = true; }, seconds: 3600 }) : null;
  do {
    const answer = await send("POST", "/completions/selected", { fields }).catch(() => null);
    if (!answer?.ok) break;
    const step = await answer.json();
    done.count += step.count;
    Object.assign(done.before, step.before);
    fields.set("after", step.after);
    if (shown) shown.firstChild.textContent = `${doing} ${done.count.toLocaleString("en")} of ${total} are done.`;
  } while (fields.get("after") && !isStopped);
  shown?.remove();
  return done;
}

async function restore(before) {
  const ids = Object.keys(before);
  for (let start = 0; start < ids.length; start += 500) {
    const some = Object.fromEntries(ids.slice(start, start + 500).map((id) => [id, before[id]]));
    if (!(await send("POST", "/completions/tags/restore", { json: some })).ok) return;
  }
}

const reload = () => go(location.pathname + location.search, { push: false });

async function addTags(fields, said) {
  const total = isAll() ? countAll() : String(chosen().length);
  selectNone();
  const { count, before } = await change(fields, total, "Adding tags.");
  if (!count) return;
  await reload();
  toast(said(count), { action: "Undo", onAction: async () => { await restore(before); reload(); } });
}

const acts = {
  tag() {
    const input = $("selection").querySelector("[name=tag]");
    const tag = input.value.trim();
    if (!tag) { input.focus(); return; }
    addTags(choose("tag"), (count) => `${count.toLocaleString("en")} tagged “${tag}”`);
  },
  task() {
    const name = $("selection").querySelector("[name=task]").selectedOptions[0].text;
    addTags(choose("task"), (count) => `${named(count)} sent to “${name}”`);
  },
  // Deleting cannot be undone, so it waits until the toast is gone.
  delete() {
    const fields = choose("delete");
    const going = chosen();
    const [all, total] = [isAll(), isAll() ? countAll() : String(going.length)];
    selectNone();
    for (const row of going) row.hidden = true;
    let isDue = true;
    const finish = () => { isDue = false; removeEventListener("pagehide", leave); removeEventListener("beforeunload", warn); };
    const remove = async () => {
      finish();
      const { count } = await change(fields, total, "Deleting.");
      if (all) { await reload(); toast(`${named(count)} deleted`); } else if (count) for (const row of going) row.remove();
    };
    // A request of a page that is left would be cancelled, and many steps do not fit into a beacon.
    const leave = () => {
      if (!isDue || all) return;
      fields.set("sure", "yes");
      navigator.sendBeacon("/completions/selected", fields);
    };
    const warn = (event) => { if (all) event.preventDefault(); };
    addEventListener("pagehide", leave);
    addEventListener("beforeunload", warn);
    const timer = setTimeout(remove, 8000);
    toast(all ? `All ${total} that match are about to be deleted` : `${named(going.length)} deleted`, {
      action: "Undo",
      onAction: () => { clearTimeout(timer); finish(); for (const row of going) row.hidden = false; },
    });
  },
};

// ---- What is new: counted every few seconds, and shown when asked for.

let shownNewest = null;
let timer = 0;

function listen() {
  clearInterval(timer);
  const isLive = $("results").dataset.live === "yes" && !state().searchParams.has("after");
  $("live").hidden = !isLive;
  if (isLive) timer = setInterval(countNews, 3000);
}

async function countNews() {
  const results = $("results");
  if (document.hidden) return;
  shownNewest ??= results.dataset.newest === "0" ? String((Date.now() - 5000) * 1000) : results.dataset.newest;
  const answer = await send("GET", results.dataset.news.replace("SINCE", shownNewest), { quiet: true }).catch(() => null);
  $("live").hidden = !answer?.ok;
  if (!answer?.ok || results !== $("results")) return;
  const { count, has_more: hasMore } = await answer.json();
  const bar = $("new-bar");
  bar.hidden = !count;
  bar.textContent = count ? `${count}${hasMore ? " or more" : ""} new` : "";
}

const showNews = () => go(location.pathname + location.search, { push: false });
document.addEventListener("click", (event) => {
  if (event.target.id === "new-bar") showNews().then(() => { $("results").scrollTop = 0; });
});

// ---- Drag over the bars to choose a time.

document.addEventListener("pointerdown", (down) => {
  const box = down.target instanceof Element ? down.target.closest(".bars-box") : null;
  if (!box) return;
  down.preventDefault();
  const { left, width } = box.getBoundingClientRect();
  const { begin: first, end } = box.closest("figure").dataset;
  const share = (x) => Math.max(0, Math.min(1, (x - left) / width));
  const shown = element("div", "zoom");
  box.append(shown);
  const place = (event) => [share(down.clientX), share(event.clientX)].sort((a, b) => a - b);
  const draw = (event) => {
    const [from, to] = place(event);
    shown.style.left = `${from * 100}%`;
    shown.style.width = `${(to - from) * 100}%`;
  };
  const finish = (event) => {
    removeEventListener("pointermove", draw);
    let [from, to] = place(event);
    if (to - from < 0.005) { from = Math.floor(from * 96) / 96; to = from + 1 / 96; }
    const at = (part) => new Date((Number(first) + part * (Number(end) - Number(first))) / 1000).toISOString();
    const url = state();
    for (const name of ["range", "after", "peek"]) url.searchParams.delete(name);
    url.searchParams.set("from", at(from));
    url.searchParams.set("to", at(to));
    go(url.pathname + url.search);
  };
  addEventListener("pointermove", draw);
  addEventListener("pointerup", finish, { once: true });
});

// ---- The query: its colours, and names to choose from.

let fields = [];

function readFields(lines) {
  fields = lines.trim().split("\n").map((line) => {
    const [name, choices, about] = line.split("|");
    return { name, choices: choices ? choices.split(",") : [], about };
  });
}
const TOKENS = /\s+|<=|>=|!=|[<>=()]|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s()<>=!"']+|./gs;

function paint() {
  const shown = $("query-shown");
  const wrong = document.querySelector("#problem .wrong-word")?.textContent;
  shown.replaceChildren();
  let before = "";
  for (const [token] of $("query").value.matchAll(TOKENS)) {
    const isBlank = /^\s+$/.test(token);
    const isText = /^["']/.test(token);
    const kind = isBlank ? "" : /^(and|or|not)$/i.test(token) || /^[<>=!()]/.test(token) ? "q-quiet"
      : /^[<>=!]/.test(before) ? "q-value" : isText ? "q-words" : "";
    shown.append(element("span", `${kind}${token === wrong ? " q-wrong" : ""}`, token));
    if (!isBlank) before = token;
  }
  shown.scrollLeft = $("query").scrollLeft;
}

let options = [];
let picked = -1;

function closeSuggestions() {
  document.querySelector(".suggestions")?.remove();
  $("query").removeAttribute("aria-activedescendant");
  $("query").setAttribute("aria-expanded", "false");
  options = [];
  picked = -1;
}

function suggest() {
  closeSuggestions();
  const input = $("query");
  const text = input.value.slice(0, input.selectionStart);
  const [, field, word] = /([\w.]+)\s*(?:=|!=)\s*([^\s"'=<>]*)$/.exec(text) ?? [];
  let found;
  let typed = word ?? "";
  if (field) {
    const known = fields.find((each) => each.name === field);
    const seen = [...document.querySelectorAll("#facets .choice")].filter((each) => each.href.includes(encodeURIComponent(`${field} =`).replaceAll("%20", "+"))).map((each) => each.querySelector("span").textContent);
    found = (known?.choices.length ? known.choices : [...new Set(seen)]).filter((each) => each.toLowerCase().startsWith(typed.toLowerCase()))
      .map((each) => [/^[^\s()<>=!"'\\]+$/.test(each) ? each : JSON.stringify(each), ""]);
  } else {
    const begun = /(?:^|[\s(])([\w.]*)$/.exec(text);
    if (!begun || /[<>=!]\s*$/.test(text.slice(0, text.length - begun[1].length))) return;
    typed = begun[1];
    if (!typed && text.trim() && !/\b(and|or|not)\s+$|\($/i.test(text)) return;
    found = fields.filter((each) => each.name.startsWith(typed.toLowerCase())).map((each) => [each.name, each.about]);
  }
  found = found.slice(0, 12);
  if (!found.length || (found.length === 1 && found[0][0] === typed)) return;
  const list = element("div", "suggestions");
  list.id = "suggestions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "What may be written here");
  options = found.map(([name, about], place) => {
    const option = element("div");
    option.id = `suggestion-${place}`;
    option.setAttribute("role", "option");
    option.append(element("b", "", name));
    if (about) option.append(element("span", "", about));
    option.addEventListener("pointerdown", (event) => { event.preventDefault(); take(place); });
    option.take = () => {
      const rest = input.value.slice(input.selectionStart);
      const start = text.slice(0, text.length - typed.length);
      const suffix = field ? " " : name.endsWith(".KEY") || name.endsWith(".FIELD") ? "" : " ";
      const written = name.replace(/KEY$|TASK\.FIELD$/, "");
      input.value = start + written + suffix + rest;
      const at = (start + written + suffix).length;
      input.setSelectionRange(at, at);
      paint();
      suggest();
    };
    list.append(option);
    return option;
  });
  input.closest(".query").append(list);
  input.setAttribute("aria-expanded", "true");
}

function take(place) { options[place]?.take(); }

function pick(place) {
  picked = (place + options.length) % options.length;
  options.forEach((option, index) => option.setAttribute("aria-selected", String(index === picked)));
  $("query").setAttribute("aria-activedescendant", options[picked].id);
  options[picked].scrollIntoView({ block: "nearest" });
}

const query = $("query");
query.closest(".query").classList.add("painted");
query.setAttribute("role", "combobox");
query.setAttribute("aria-controls", "suggestions");
query.setAttribute("aria-expanded", "false");
query.addEventListener("input", () => { paint(); suggest(); });
query.addEventListener("scroll", paint);
query.addEventListener("focus", suggest);
query.addEventListener("blur", closeSuggestions);
query.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" && options.length) { event.preventDefault(); pick(picked + 1); }
  if (event.key === "ArrowUp" && options.length) { event.preventDefault(); pick(picked - 1); }
  if ((event.key === "Enter" || event.key === "Tab") && picked >= 0) { event.preventDefault(); take(picked); }
  if (event.key === "Escape" && options.length) { event.preventDefault(); event.stopPropagation(); closeSuggestions(); }
});

// ---- Keys.

onKey("j", "", () => move(1));
onKey("k", "", () => move(-1));
onKey("ArrowDown", "", () => move(1));
onKey("ArrowUp", "", () => move(-1));
onKey("Escape", "", () => { if (!$("peek").hidden) closePeek(); else selectNone(); });
onKey("Enter", "", () => { const row = current(); if (row) location.assign(linkOf(row).href); });
for (const key of ["x", "X"]) onKey(key, "", (event) => { const row = current() ?? rows()[0]; if (row) { mark(row); select(row, { range: event.shiftKey }); } });
onKey("c", "", () => { if (chosen().length > 1) $("selection").querySelector("[value=compare]").click(); else document.querySelector('#peek a[href^="/compare"]')?.click(); });
onKey("e", "", () => document.querySelector("#peek .peek-foot a.primary")?.click());
onKey("n", "", () => { if (!$("new-bar").hidden) showNews(); });
offer("Save this list as a view", () => { document.querySelector("#view-name-input")?.closest("details").setAttribute("open", ""); $("view-name-input")?.focus(); }, { more: "completions" });

paint();
begin();
if (isTyping(document.activeElement)) suggest();
