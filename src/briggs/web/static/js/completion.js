// One completion: looking at tokens, walking the uncertain ones, the tint, and copying.
// It works on what is marked `data-completion`, also in the panel beside the list.

import { copy, element, isTyping, onKey, send, showTimes } from "./shell.js";

const UNCERTAIN = ".p3, .p4, .p5, .p6, .p7";
const CARDS = 100;

let looked = null;
let pinned = false;
const windows = new Map();

const box = () => document.querySelector("[data-completion]");
const tokensBox = () => box()?.querySelector(".tokens[data-tokens]") ?? null;
const cardBox = () => document.getElementById("card");
const spansOf = (token) => tokensBox()?.querySelectorAll(`[data-t="${CSS.escape(String(token))}"]`) ?? [];

// The tokens of the page in order, each once.
function tokensHere(selector = "[data-t]") {
  const seen = new Set();
  for (const span of tokensBox()?.querySelectorAll(selector) ?? []) seen.add(Number(span.dataset.t));
  return [...seen];
}

async function fetchCard(token) {
  const address = tokensBox()?.dataset.tokens;
  if (!address) return null;
  const from = Math.floor(token / CARDS) * CARDS;
  const path = `${address}&from=${from}`;
  if (!windows.has(path)) {
    windows.set(path, send("GET", path, { quiet: true }).then(async (answer) => {
      if (!answer.ok) throw new Error("no cards");
      const template = element("template");
      template.innerHTML = await answer.text();
      return template.content;
    }).catch(() => { windows.delete(path); return null; }));
  }
  const cards = await windows.get(path);
  return cards?.querySelector(`[data-card="${token}"]`)?.cloneNode(true) ?? null;
}

async function lookAt(token, { pin = false, scroll = false } = {}) {
  looked = token;
  pinned = pin || pinned;
  for (const span of tokensBox()?.querySelectorAll(".looked-at") ?? []) span.classList.remove("looked-at");
  const spans = [...spansOf(token)];
  if (!spans.length) return;
  for (const span of spans) span.classList.add("looked-at");
  if (scroll) spans[0].scrollIntoView({ block: window.innerWidth > 720 ? "nearest" : "center" });
  pointAlong(token);
  const card = await fetchCard(token);
  if (!card || looked !== token) return;
  const shown = cardBox();
  shown.replaceChildren(card);
  shown.hidden = false;
  shown.setAttribute("role", "status");
  place(shown, spans[0]);
}

function place(card, span) {
  if (window.innerWidth <= 720) return card.classList.remove("placed");
  card.classList.add("placed");
  const at = span.getClientRects()[0];
  if (!at) return;
  const { offsetWidth: width, offsetHeight: height } = card;
  const left = Math.max(10, Math.min(at.left - 24, window.innerWidth - width - 10));
  const below = at.bottom + 10;
  const top = below + height < window.innerHeight ? below : Math.max(10, at.top - height - 10);
  card.style.left = `${left}px`;
  card.style.top = `${top}px`;
}

function close() {
  looked = null;
  pinned = false;
  for (const span of tokensBox()?.querySelectorAll(".looked-at") ?? []) span.classList.remove("looked-at");
  const card = cardBox();
  if (card) { card.hidden = true; card.replaceChildren(); }
  pointAlong(null);
}

// The next token of a kind in one direction from the one that is looked at.
function walk(step, selector) {
  const tokens = tokensHere(selector);
  if (!tokens.length) return;
  const at = looked ?? (step > 0 ? -1 : Infinity);
  const next = step > 0 ? tokens.find((token) => token > at) : tokens.findLast((token) => token < at);
  lookAt(next ?? (step > 0 ? tokens[0] : tokens.at(-1)), { pin: true, scroll: true });
}

function pointAlong(token) {
  const along = box()?.querySelector("[data-along]");
  const cursor = along?.querySelector(".cursor");
  if (!cursor) return;
  const x = 30 + ((token ?? 0) + 0.5) / Number(along.dataset.along) * 360;
  cursor.setAttribute("d", token === null ? "" : `M${x.toFixed(1)} 0V53m-3.5 1l3.5-5 3.5 5z`);
}

document.addEventListener("mouseover", (event) => {
  if (pinned || !(event.target instanceof Element)) return;
  const span = event.target.closest(".tokens [data-t]");
  if (span) {
    const token = Number(span.dataset.t);
    if (token !== looked) { looked = token; setTimeout(() => { if (looked === token && !pinned) lookAt(token); }, 80); }
  } else if (looked !== null && !event.target.closest("#card")) close();
});

document.addEventListener("click", (event) => {
  if (!(event.target instanceof Element)) return;
  const span = event.target.closest(".tokens [data-t]");
  if (span && !event.target.closest("a")) return void lookAt(Number(span.dataset.t), { pin: true });
  const link = event.target.closest("a[data-token]");
  if (link && !event.metaKey && !event.ctrlKey && spansOf(link.dataset.token).length) {
    event.preventDefault();
    return void lookAt(Number(link.dataset.token), { pin: true, scroll: true });
  }
  const walked = event.target.closest("[data-walk]");
  if (walked) return walk(Number(walked.dataset.walk), UNCERTAIN);
  const along = event.target.closest("[data-along]");
  if (along) {
    const { left, width } = along.getBoundingClientRect();
    const share = ((event.clientX - left) / width * 390 - 30) / 360;
    const token = Math.round(share * Number(along.dataset.along) - 0.5);
    const nearest = tokensHere().reduce((best, each) => Math.abs(each - token) < Math.abs(best - token) ? each : best, Infinity);
    if (nearest !== Infinity) lookAt(nearest, { pin: true, scroll: true });
    return;
  }
  const tint = event.target.closest("[data-tint]");
  if (tint && box()) { event.preventDefault(); return chooseTint(tint.dataset.tint); }
  const reads = event.target.closest("[data-reads]");
  if (reads) return readProbabilities(reads);
  const tab = event.target.closest(".completion-side > .tabs a");
  if (tab && !event.metaKey && !event.ctrlKey && !event.shiftKey) { event.preventDefault(); return void openTab(tab); }
  const raw = event.target.closest("[data-copies-raw]");
  if (raw) return void copy(raw.closest(".panel-body, .tab-body")?.querySelector("pre.raw")?.textContent ?? "");
  const source = event.target.closest("a[data-copies-from]");
  if (source) { event.preventDefault(); return void copyFrom(source.href); }
  if (!event.target.closest("#card")) close();
});

// Open a tab without loading the page again. Without this script, the tab is a link.
async function openTab(link) {
  const address = new URL(link.href);
  const answer = await send("GET", `${address.pathname}/tab${address.search}`);
  if (!answer.ok) return;
  const side = document.querySelector(".completion-side");
  side.innerHTML = await answer.text();
  showTimes(side);
  box().dataset.tab = address.searchParams.get("tab") ?? "messages";
  history.replaceState(history.state, "", address);
  side.querySelector(".tabs [aria-current]")?.focus();
  pointAlong(looked);
}

// For screen readers: say how likely each uncertain token was, after it.
function readProbabilities(button) {
  const reads = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(reads));
  for (const said of tokensBox()?.querySelectorAll(".said-odds") ?? []) said.remove();
  if (!reads) return;
  const ceilings = button.dataset.reads.split(" ");
  for (const span of tokensBox()?.querySelectorAll(".p1, .p2, .p3, .p4, .p5, .p6, .p7") ?? []) {
    const level = Number([...span.classList].find((name) => /^p[1-7]$/.test(name)).slice(1));
    span.append(element("span", "hidden said-odds", ` (below ${ceilings[level - 1]} percent) `));
  }
}

async function copyFrom(address) {
  const answer = await send("GET", address);
  if (answer.ok) copy(await answer.text());
}

function chooseTint(name) {
  const shown = box();
  for (const each of ["all", "half", "off"]) shown.classList.toggle(`tint-${each}`, each === name);
  for (const link of shown.querySelectorAll("[data-tint]")) {
    if (link.dataset.tint === name) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  const address = new URL(location.href);
  if (name === "all") address.searchParams.delete("tint");
  else address.searchParams.set("tint", name);
  history.replaceState(history.state, "", address);
}

document.addEventListener("keydown", (event) => {
  if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && looked !== null) { close(); event.preventDefault(); event.stopPropagation(); }
  if (!(event.target instanceof Element) || !event.target.closest(".tokens[data-tokens]")) return;
  if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
    event.preventDefault();
    walk(event.key === "ArrowRight" ? 1 : -1, "[data-t]");
  }
}, true);

onKey("[", "", () => walk(-1, UNCERTAIN));
onKey("]", "", () => walk(1, UNCERTAIN));
onKey("p", "", () => {
  const order = ["all", "half", "off"];
  const now = order.findIndex((name) => box()?.classList.contains(`tint-${name}`));
  if (box()) chooseTint(order[(now + 1) % order.length]);
});
if (document.querySelector(".bar [data-key]")) {
  for (const link of document.querySelectorAll(".bar [data-key]")) onKey(link.dataset.key, "", () => link.click());
}
onKey("c", "", () => document.querySelector('.bar a[href^="/compare"]')?.click());
onKey("e", "", () => document.querySelector(".bar .primary")?.click());

document.querySelector(".completion-side .tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
const asked = tokensBox()?.dataset.at;
if (asked) lookAt(Number(asked), { pin: true, scroll: true });
