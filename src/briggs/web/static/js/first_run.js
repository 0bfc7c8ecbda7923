// The first run: the first call appears by itself, and its time is marked on the rule.

import { element, onKey, send, showTimes } from "./shell.js";

const POLL_MS = 700;
const shown = document.getElementById("first-call");
const DECADE = 427;

document.getElementById("live")?.removeAttribute("hidden");

async function look() {
  let answer;
  try {
    answer = await send("GET", "/first-call", { quiet: true });
  } catch {
    return;
  }
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const rows = fresh.querySelector("[data-arrived]");
  if (!rows) return;
  clearInterval(timer);
  shown.replaceChildren(...document.importNode(fresh.body, true).childNodes);
  showTimes(shown);
  const look = shown.querySelector(".button.primary");
  onKey("Enter", "look at the first call", () => look.click());
  mark(Number(rows.dataset.arrived));
}

function mark(ms) {
  const rule = document.querySelector(".first-rule");
  if (!rule || ms < 1) return;
  const line = element("div", "mark");
  line.append(element("span", "", ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`));
  line.style.left = `${Math.min(Math.log10(ms) * DECADE, rule.clientWidth - 60)}px`;
  rule.append(line);
}

const timer = setInterval(() => { if (!document.hidden) look(); }, POLL_MS);
