// Single keys, only outside text fields; they can be switched off. The sheet lists this very table.

import { $, act } from "./dom.js";
import { closeDialog, isOpen } from "./dialog.js";
import { change, setMode, state } from "./state.js";
import { step, toggleMore } from "./controls.js";

let number = "batch_size";

const focus = (id) => () => {
  document.body.classList.add("sheet-open");
  $(id)?.focus();
};
const press = (name, argument) => () => act(name, argument);
const halve = (by) => () => step(`${number} ${by}`);

/** Key, name of what it does (its words are `key.<name>`), and the doing. */
export const KEYS = [
  ["1", "inference", () => setMode("inference")], ["2", "training", () => setMode("training")],
  ["3", "fine-tuning", () => setMode("fine-tuning")], ["4", "compare", () => setMode("compare")],
  ["m", "model", press("pick-model")], ["g", "gpu", press("pick-gpu")], ["u", "users", focus("f-batch_size")], ["l", "length", focus("f-sequence_length")],
  ["[", "halve", halve(0.5)], ["]", "double", halve(2)], ["Ctrl K", "presets", press("presets")], ["x", "more", () => toggleMore()],
  ["w", "why", press("why")], ["f", "fixes", press("fixes")], ["a", "add", addToCompare], ["y", "copy", press("copy-body")], ["s", "share", press("share")],
  ["h", "history", press("history")], ["e", "export", press("export")], ["d", "theme", press("theme")], ["z", "language", press("language")],
  ["b", "unit", press("unit")], ["?", "sheet", press("shortcuts")], ["Esc", "leave", leave],
];

function addToCompare() {
  if (state.mode === "compare") act("add-column");
  else setMode("compare");
}

function leave() {
  if (isOpen()) return closeDialog();
  if (document.body.classList.contains("sheet-open")) return act("sheet");
  if ($("why").classList.contains("open")) return act("why-close");
  if (state.view.part) return change((now) => { delete now.view.part; });
  return document.activeElement?.blur?.();
}

const TYPING = 'input:not([type="range"], [type="checkbox"]), textarea, select';

function pressed(event) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    return act("presets");
  }
  if (event.key === "Escape") {
    if (isOpen()) event.preventDefault(); // closed here and now, not by the browser a moment later
    return leave();
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isOpen() || event.target.closest?.(TYPING) || localStorage.getItem("keys") === "off") return undefined;
  const found = KEYS.find(([key]) => key === event.key);
  if (!found) return undefined;
  event.preventDefault();
  return found[2]();
}

/** Begin to listen. */
export function startKeys() {
  document.addEventListener("keydown", pressed);
  document.addEventListener("focusin", (event) => {
    const key = event.target.dataset?.arg;
    if (event.target.matches?.("[data-input='field'], [data-input='slide']")) number = key;
  });
}

