// Home: the viewer's zone, figures that stay fresh, keys, and zooming into a chart by dragging.

import { onKey, send, showTimes } from "./shell.js";

const POLL_S = 5;
const dashboard = document.getElementById("dashboard");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

// The server writes times in the zone of this cookie, and begins days where it does.
function tellZone() {
  const told = document.cookie.split("; ").includes(`zone=${zone}`);
  if (!told && zone) {
    document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;
    return zone !== "UTC";
  }
  return false;
}

// ---- Fresh figures. Only what changed is replaced, and nothing that is being used.

const seen = new Map([...dashboard.querySelectorAll("[data-part]")].map((part) => [part.id, ""]));

async function refresh() {
  let answer;
  try {
    answer = await send("GET", location.href, { quiet: true });
  } catch {
    return;
  }
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const edges = answer.headers.get("x-edges");
  if (edges) dashboard.dataset.edges = edges;
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const old = document.getElementById(part.id);
    const text = part.innerHTML;
    if (!old || seen.get(part.id) === text) continue;
    if (old.contains(document.activeElement) || old.querySelector(".zoom")) continue;
    seen.set(part.id, text);
    const open = [...old.querySelectorAll("details[open]")].map((each) => each.id);
    const scrolled = old.querySelector(".table-scroll")?.scrollLeft ?? 0;
    old.replaceChildren(...document.importNode(part, true).childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    const table = old.querySelector(".table-scroll");
    if (table) table.scrollLeft = scrolled;
    showTimes(old);
  }
}

document.getElementById("live")?.removeAttribute("hidden");
if (tellZone()) refresh();
if (dashboard.dataset.live === "yes") {
  setInterval(() => { if (!document.hidden) refresh(); }, POLL_S * 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
}

// ---- Zoom: drag over a chart from one slot to another.

let drag = null;

function slotAt(frame, x) {
  const box = frame.getBoundingClientRect();
  const count = dashboard.dataset.edges.split(",").length - 1;
  const place = Math.floor(((x - box.left) / box.width) * count);
  return Math.max(0, Math.min(count - 1, place));
}

function draw() {
  const count = dashboard.dataset.edges.split(",").length - 1;
  const [first, last] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
  drag.shown.style.left = `${(first / count) * 100}%`;
  drag.shown.style.width = `${((last - first + 1) / count) * 100}%`;
}

dashboard.addEventListener("pointerdown", (event) => {
  const frame = event.target.closest?.("[data-zooms] .plot-frame");
  if (!frame || event.button !== 0 || event.pointerType === "touch") return;
  drag = { frame, x: event.clientX, from: slotAt(frame, event.clientX), to: 0, shown: null };
});
dashboard.addEventListener("dragstart", (event) => {
  if (event.target.closest?.("[data-zooms]")) event.preventDefault();
});
addEventListener("pointermove", (event) => {
  if (!drag || (!drag.shown && Math.abs(event.clientX - drag.x) < 6)) return;
  if (!drag.shown) {
    drag.shown = document.createElement("div");
    drag.shown.className = "zoom";
    drag.frame.append(drag.shown);
  }
  drag.to = slotAt(drag.frame, event.clientX);
  draw();
});
addEventListener("pointerup", () => {
  const ended = drag;
  drag = null;
  if (!ended?.shown) return;
  const edges = dashboard.dataset.edges.split(",").map(Number);
  const [first, last] = [Math.min(ended.from, ended.to), Math.max(ended.from, ended.to)];
  // The click that follows must not open the slot's list.
  addEventListener("click", (event) => event.preventDefault(), { capture: true, once: true });
  setTimeout(() => {
    location.assign(`/?${new URLSearchParams({ from: iso(edges[first] * 1000), to: iso(edges[last + 1] * 1000) })}`);
  });
});
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !drag) return;
  drag.shown?.remove();
  drag = null;
});

function iso(at) {
  return new Date(at).toISOString().replace(/:00\.000Z$/, "Z");
}

// ---- Another range: written in the viewer's zone.

const form = document.querySelector("[data-local-times]");
const inputs = [...(form?.querySelectorAll("input[type=datetime-local]") ?? [])];
for (const input of inputs) {
  const at = new Date(`${input.value}Z`);
  input.value = new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
const note = form?.querySelector("[data-zone-note]");
if (note) note.textContent = `Times are in ${zone || "your zone"}.`;
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const [from, to] = inputs.map((input) => iso(new Date(input.value)));
  location.assign(`/?${new URLSearchParams({ from, to })}`);
});

for (const [key, range] of [["1", "1h"], ["2", "24h"], ["3", "7d"], ["4", "30d"]]) {
  onKey(key, "", () => location.assign(`/?range=${range}`));
}
