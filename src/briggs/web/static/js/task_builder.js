// The page that makes a task: the preview follows what is typed.

import { send } from "./shell.js";

const form = document.getElementById("task-form");
const preview = document.getElementById("preview");
const written = form.elements.written;
let timer = 0;
let asked = 0;

async function refresh() {
  const number = ++asked;
  const answer = await send("POST", form.dataset.preview, { fields: new FormData(form), quiet: true });
  const text = await answer.text();
  if (number !== asked) return;
  if (!answer.ok) { preview.textContent = text.trim(); return; }
  preview.innerHTML = text;
  written.placeholder = preview.querySelector("[data-schema]").textContent;
}

form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(refresh, 250);
});
form.addEventListener("change", (event) => {
  if (event.target.name?.startsWith("kind.")) {
    event.target.closest(".draft").dataset.kind = event.target.value;
  }
});
