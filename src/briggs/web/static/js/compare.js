// Compare: keys that choose the best answer, and swap.

import { onKey } from "./shell.js";

for (const button of document.querySelectorAll("[data-best]")) {
  onKey(button.dataset.best, "", () => button.click());
}
onKey("x", "", () => document.querySelector("[data-swap]")?.click());
