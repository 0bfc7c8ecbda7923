// The grading page: keys, drafts, the lease, and on phones one field at a time.

import { ago, isTyping, onKey, send, showTimes, toast } from "./shell.js";

const DRAFT_DAYS = 30;
const AHEAD_MAX = 50;

// The completion at hand. The next one takes its place without loading the page anew: a browser
// drops keys while a page loads, and the next key would then answer the wrong field.
let page, form, fields, task, version, item, reviewer, draftKey, until;
let current = 0;
let isSaving = false;
let ahead = [];

// ---- Drafts: kept in this browser on every change, until the answer is saved.

const kept = (name) => name.startsWith("value.") || name.startsWith("reason.") || name === "comment";

function keepDraft() {
  const said = [...new FormData(form)].filter(([name]) => kept(name));
  try {
    localStorage.setItem(draftKey, JSON.stringify({ version, at: Date.now(), said }));
  } catch {
    return;
  }
  const shown = document.getElementById("draft");
  shown.hidden = false;
  shown.textContent = `draft kept ${new Date().toTimeString().slice(0, 8)}`;
}

function restoreDraft() {
  let draft = null;
  try {
    draft = JSON.parse(localStorage.getItem(draftKey) ?? "null");
  } catch { /* A draft that cannot be read is none. */ }
  if (!draft?.said?.some(([, value]) => value) || form.querySelector(".problem")) return;
  // Each field that the draft knows is as the draft says. What no longer fits is left out.
  for (const [name, value] of draft.said) {
    const control = form.elements.namedItem(name);
    if (!control) continue;
    const inputs = control instanceof RadioNodeList ? [...control] : [control];
    for (const input of inputs) {
      if (!["radio", "checkbox"].includes(input.type)) input.value = value;
      else if (draft.version === version && input.value === value) input.checked = true;
    }
  }
  for (const details of form.querySelectorAll(".field-reason")) {
    if (details.querySelector("textarea").value) details.open = true;
  }
  const shown = document.getElementById("draft");
  shown.hidden = false;
  shown.textContent = `draft from ${ago(draft.at)}`;
}

function forgetOldDrafts() {
  for (const key of Object.keys(localStorage).filter((each) => each.startsWith("briggs-draft "))) {
    try {
      const { at } = JSON.parse(localStorage.getItem(key));
      if (Date.now() - at > DRAFT_DAYS * 86_400_000) localStorage.removeItem(key);
    } catch {
      localStorage.removeItem(key);
    }
  }
}

// ---- Fields.

const isAnswered = (field) => field.querySelector("input:checked")
  ? !field.querySelector('input:checked[value=""]:not([data-none])')
  : [...field.querySelectorAll('[name^="value."]:is(textarea, select, [type="text"])')].some((each) => each.value.trim());

function showState() {
  const missing = fields.filter((field) => "required" in field.dataset && !isAnswered(field)).length;
  const required = fields.filter((field) => "required" in field.dataset).length;
  document.getElementById("missing").textContent = missing
    ? `${missing} of ${required} missing`
    : "ready to save";
  document.getElementById("place").textContent = `${current + 1} of ${fields.length}`;
}

function goTo(place, { focus = false } = {}) {
  current = Math.max(0, Math.min(fields.length - 1, place));
  fields.forEach((field, index) => field.classList.toggle("is-current", index === current));
  form.classList.toggle("at-end", current === fields.length - 1);
  fields[current].scrollIntoView({ block: "nearest" });
  if (focus) fields[current].querySelector('textarea:not([name^="reason."]), input[type="text"], select')?.focus();
  showState();
}

function goOn() {
  const next = fields.findIndex((field, index) => index > current && "required" in field.dataset && !isAnswered(field));
  if (next >= 0) goTo(next);
}

function choose(key) {
  const find = (field) => field.querySelector(`.choice[data-key="${CSS.escape(key)}"] input`);
  // "y" and "n" stand on their buttons, so they also answer a field that is not the current one.
  const open = "yn".includes(key) ? fields.filter((each) => !isAnswered(each)) : [];
  const field = [fields[current], ...open].find(find);
  const input = field && find(field);
  if (!input) return false;
  if (input.type === "radio" && input.checked && !("required" in field.dataset)) input.checked = false;
  else input.checked = input.type === "radio" ? true : !input.checked;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
}

function picked(input) {
  const field = input.closest(".field");
  current = fields.indexOf(field);
  if (input.type === "checkbox" && input.checked) {
    for (const other of field.querySelectorAll("input[type=checkbox]")) {
      if (other !== input && ("none" in other.dataset || "none" in input.dataset)) other.checked = false;
    }
  }
  goTo(current);
  if (input.type === "radio" && input.checked) {
    if ("savesOnPick" in page.dataset && !("given" in page.dataset)) save();
    else if (matchMedia("(min-width: 721px)").matches) goOn();
  }
}

// ---- Saving.

function save() {
  const missing = fields.findIndex((field) => "required" in field.dataset && !isAnswered(field));
  if (missing >= 0) {
    goTo(missing, { focus: true });
    toast("Please answer this field first.");
    return;
  }
  form.requestSubmit(document.getElementById("save"));
}

async function submit(submitter) {
  isSaving = true;
  const body = new URLSearchParams(new FormData(form, submitter));
  let answer, text;
  try {
    // `form.action` would be its buttons of that name.
    answer = await fetch(form.getAttribute("action"), { method: "POST", body, headers: { accept: "text/html" }, credentials: "same-origin" });
    text = await answer.text();
  } catch {
    toast("Briggs cannot be reached. Your draft is kept: try again.", { kind: "bad" });
    isSaving = false;
    ahead = [];
    return;
  }
  // The draft is kept until the server has answered.
  if (answer.ok) localStorage.removeItem(draftKey);
  const next = new DOMParser().parseFromString(text, "text/html");
  if (answer.ok && !next.querySelector(".grading")) {
    location.assign(answer.url);
    return;
  }
  if (answer.redirected) history.replaceState(null, "", answer.url);
  document.body.replaceWith(document.adoptNode(next.body));
  document.title = next.title;
  showTimes();
  isSaving = false;
  const pressed = answer.ok ? ahead : [];
  ahead = [];
  if (!document.querySelector(".grading")) return;
  begin();
  document.getElementById("main").focus({ preventScroll: true });
  for (const { key, ctrlKey } of pressed) press(key, ctrlKey);
}

function press(key, ctrlKey) {
  const event = new KeyboardEvent("keydown", { key, ctrlKey, bubbles: true, cancelable: true });
  (document.activeElement ?? document.body).dispatchEvent(event);
}

// ---- The lease.

let lastWork = Date.now();
for (const kind of ["keydown", "pointerdown", "scroll"]) {
  addEventListener(kind, () => { lastWork = Date.now(); }, { capture: true, passive: true });
}

async function watchLease() {
  if (!until || !page.isConnected) return;
  const left = until - Date.now();
  const held = item;
  if (left < 600_000 && left > 0 && Date.now() - lastWork < 300_000) {
    const answer = await send("POST", `/feedback/${task}/grade/renew`, { fields: { completion_id: held }, quiet: true });
    if (held !== item) return;
    if (answer.ok) until = Number(await answer.text());
    else document.getElementById("ended").hidden = false;
  }
  if (until < Date.now()) document.getElementById("ended").hidden = false;
}
setInterval(watchLease, 15_000);

// ---- Keys. Letters are never taken from a text field.

document.addEventListener("keydown", (event) => {
  if (!page.isConnected) return;
  if (isSaving) {
    // What is pressed now is meant for the next completion.
    const isSave = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (event.isComposing || event.altKey || ((event.ctrlKey || event.metaKey) && !isSave)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (ahead.length < AHEAD_MAX) ahead.push({ key: event.key, ctrlKey: isSave });
    return;
  }
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") { event.preventDefault(); save(); return; }
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]") || isTyping(event.target)) return;
  if (event.target instanceof Element && event.target.closest(".tokens")) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    document.activeElement?.blur();
    goTo(current + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter" && !(event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement)) {
    const field = fields[current];
    if (field.dataset.shape !== "tiles") { event.preventDefault(); goTo(current, { focus: true }); }
  } else if (event.key.length === 1 && choose(event.key.toLowerCase())) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}, { capture: true });

function open(details, input) {
  details.open = true;
  input.focus();
}

onKey("r", "", () => {
  const details = fields[current].querySelector(".field-reason");
  if (details) open(details, details.querySelector("textarea"));
});
onKey("c", "", () => goTo(fields.length - 1, { focus: true }));
onKey("s", "", () => open(form.querySelector(".skipping"), document.getElementById("skip-reason")));
onKey("i", "", () => {
  const details = document.getElementById("instruction");
  if (details) details.open = !details.open;
});
for (const key of ["+", "=", "-"]) {
  onKey(key, "", () => form.querySelector(`[data-suggests="${key}"]`)?.click());
}
onKey("p", "", () => document.getElementById("tint")?.click());

function switchTint(button) {
  const off = page.classList.toggle("no-tint");
  button.setAttribute("aria-pressed", String(!off));
  try {
    localStorage.setItem("briggs-no-tint", off ? "1" : "");
  } catch { /* The choice holds for this page only. */ }
}

// ---- Begin with a completion.

function begin() {
  page = document.querySelector(".grading");
  form = document.getElementById("grade");
  fields = [...form.querySelectorAll(".field")];
  ({ task, version, item, reviewer } = page.dataset);
  until = Number(page.dataset.until ?? 0);
  draftKey = `briggs-draft ${reviewer} ${task} ${item}`;
  const tint = document.getElementById("tint");
  tint?.addEventListener("click", () => switchTint(tint));
  if (localStorage.getItem("briggs-no-tint")) tint?.click();
  document.getElementById("next-field").addEventListener("click", () => goTo(current + 1));
  form.querySelector(".sheet-handle").addEventListener("click", () => form.classList.toggle("is-low"));
  form.addEventListener("focusin", (event) => {
    const place = fields.indexOf(event.target.closest(".field"));
    if (place >= 0 && place !== current) goTo(place);
  });
  form.addEventListener("input", () => { keepDraft(); showState(); });
  form.addEventListener("change", (event) => {
    if (event.target.matches("input[type=radio], input[type=checkbox]")) picked(event.target);
    keepDraft();
  });
  form.querySelector("#skip-reason").addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      form.requestSubmit(form.querySelector('button[value="skip"]'));
    }
  });
  form.addEventListener("click", ({ target }) => {
    // Who opens a box by a click types into it next, and no letter may choose an answer then.
    const box = target.closest("summary")?.closest(".skipping, .field-reason");
    if (box && !box.open) setTimeout(() => box.querySelector("input, textarea")?.focus());
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!isSaving) submit(event.submitter ?? document.getElementById("save"));
  });
  form.classList.add("has-steps");
  restoreDraft();
  // What was answered before, or suggested and filled in, is looked through from the first field.
  // The comment never comes first: it would take the keys that choose.
  const isFilled = "given" in page.dataset || form.elements.namedItem("suggestion")?.value === "fill";
  const isOpen = (field) => field.dataset.shape !== "comment" && !isAnswered(field);
  goTo(isFilled ? 0 : Math.max(0, fields.findIndex(isOpen)));
}

forgetOldDrafts();
begin();
