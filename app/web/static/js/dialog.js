// The one dialog of the page: what is in it is drawn anew with the page, focus goes back when it closes.

import { $, h, render } from "./dom.js";
import { t } from "./words.js";

let content = null;
let closed = null;
let before = null;

/** Open with a title and a function that draws the inside. */
export function openDialog(title, draw, { onClose = null } = {}) {
  const dialog = $("dialog");
  content = { title, draw };
  closed = onClose;
  if (!dialog.open) before = document.activeElement;
  drawDialog();
  if (!dialog.open) dialog.showModal();
  (dialog.querySelector(".dialog-body input:not([type='file'])") ?? dialog.querySelector(".dialog-body :is(textarea, button)"))?.focus();
}

/** Draw what is open again. */
export function drawDialog() {
  if (!content) return;
  render($("dialog"),
    h("div", { class: "dialog-head" }, h("h2", { id: "dialog-title" }, t(content.title)), h("button", { type: "button", class: "btn quiet close", "data-act": "close", "aria-label": t("dialog.close") }, "✕")),
    h("div", { class: "dialog-body", "data-key": content.title }, content.draw()));
}

export const isOpen = () => $("dialog").open;

/** Close, and give focus back. */
export function closeDialog() {
  $("dialog").close();
}

$("dialog").setAttribute("aria-labelledby", "dialog-title");
$("dialog").addEventListener("close", () => {
  content = null;
  closed?.();
  closed = null;
  const again = before?.isConnected ? before : before?.id && document.getElementById(before.id);
  again?.focus?.();
});
$("dialog").addEventListener("click", (event) => {
  if (event.target === $("dialog")) closeDialog();
});

/** Arrow keys move the chosen option of a list whose box has the focus; Enter takes it. */
export function moveChoice(event) {
  const box = event.target.closest?.('[role="combobox"]');
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
  if (!box || (!by && event.key !== "Enter")) return false;
  const options = [...$("dialog").querySelectorAll('[role="option"]')];
  const now = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
  event.preventDefault();
  if (event.key === "Enter") {
    (options[now] ?? options[0])?.click();
    return true;
  }
  const next = options[Math.max(0, Math.min(options.length - 1, now + by))];
  options[now]?.setAttribute("aria-selected", "false");
  next?.setAttribute("aria-selected", "true");
  next?.scrollIntoView({ block: "nearest" });
  if (next) box.setAttribute("aria-activedescendant", next.id);
  return true;
}
