// The one dialog of the page: what is in it is drawn anew with the page, focus goes back when it closes.
//
// Closing is done at once, not when the browser gets around to the dialog's own "close" event: on a busy
// machine that event can come after the next key has opened the dialog again, and a box that is no longer
// shown still takes the keys until the next frame.

import { $, h, render } from "./dom.js";
import { t } from "./words.js";

let content = null;
let before = null;
let chosen = null; // the data-key of the option that the arrow keys stand on
let eager = false; // Enter was pressed before there was anything to take

/** Open with a title and a function that draws the inside. */
export function openDialog(title, draw, { onClose = null } = {}) {
  const dialog = $("dialog");
  content?.onClose?.();
  if (!dialog.open) before = document.activeElement;
  content = { title, draw, onClose };
  chosen = null;
  eager = false;
  drawDialog();
  if (!dialog.open) dialog.showModal();
  (dialog.querySelector(".dialog-body input:not([type='file'])") ?? dialog.querySelector(".dialog-body :is(textarea, button)"))?.focus();
}

/** Draw what is open again; the option that was stood on stays so while it is there. */
export function drawDialog() {
  if (!content) return;
  render($("dialog"),
    h("div", { class: "dialog-head" }, h("h2", { id: "dialog-title" }, t(content.title)), h("button", { type: "button", class: "btn quiet close", "data-act": "close", "aria-label": t("dialog.close") }, "✕")),
    h("div", { class: "dialog-body", "data-key": content.title }, content.draw()));
  const all = choices();
  const kept = chosen === null ? null : all.find((each) => each.dataset.key === chosen);
  if (kept) choose(all, kept);
  if (eager && all.length) take(kept ?? all[0]);
}

/** Draw again if this very inside is still what is open. */
export function redraw(draw) {
  if (content?.draw === draw) drawDialog();
}

export const isOpen = () => Boolean(content) && $("dialog").open;

/** Close, and give focus back. */
export function closeDialog() {
  if (!content) return;
  const { onClose } = content;
  content = null;
  $("dialog").close();
  $("dialog").replaceChildren();
  onClose?.();
  const again = before?.isConnected ? before : before?.id && $(before.id);
  if (again && again !== document.body) again.focus?.();
  else document.activeElement?.blur?.();
}

$("dialog").setAttribute("aria-labelledby", "dialog-title");
// The browser's own ways out (Escape, a gesture) end here too; after `closeDialog` there is nothing to do.
$("dialog").addEventListener("close", () => {
  if (!$("dialog").open) closeDialog();
});
$("dialog").addEventListener("click", (event) => {
  if (event.target === $("dialog")) closeDialog();
});
$("dialog").addEventListener("input", (event) => {
  if (!event.target.closest?.('[role="combobox"]')) return;
  chosen = null;
  eager = false;
}, true);

const choices = () => [...$("dialog").querySelectorAll('[role="option"]')];

function choose(all, next) {
  for (const each of all) each.setAttribute("aria-selected", String(each === next));
  $("dialog").querySelector('[role="combobox"]')?.setAttribute("aria-activedescendant", next.id);
}

function take(option) {
  eager = false;
  option.click();
}

/** Arrow keys move the chosen option of a list whose box has the focus; Enter takes it. */
export function moveChoice(event) {
  const box = event.target.closest?.('[role="combobox"]');
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
  if (!box || (!by && event.key !== "Enter")) return false;
  const all = choices();
  const now = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
  event.preventDefault();
  if (event.key === "Enter") {
    if (all.length) take(all[now] ?? all[0]);
    else eager = true;
    return true;
  }
  const next = all[Math.max(0, Math.min(all.length - 1, now + by))];
  if (!next) return true;
  chosen = next.dataset.key;
  choose(all, next);
  next.scrollIntoView({ block: "nearest" });
  return true;
}
