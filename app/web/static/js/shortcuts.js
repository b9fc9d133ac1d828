// Single keys, only outside text fields; they can be switched off or given to other keys. The sheet lists
// this very table.

import { $, act, h, on } from "./dom.js";
import { closeDialog, isOpen, openDialog, redraw } from "./dialog.js";
import { change, setMode, state } from "./state.js";
import { step, toggleMore } from "./controls.js";
import { t } from "./words.js";

let number = "batch_size";
let waiting = null; // what the next key is to do
let problem = null;

const focus = (id) => () => {
  document.body.classList.add("sheet-open");
  $(id)?.focus();
};
const press = (name, argument) => () => act(name, argument);
const halve = (by) => () => step(`${number} ${by}`);

/** Usual key, name of what it does (its words are `key.<name>`), and the doing. */
export const KEYS = [
  ["1", "inference", () => setMode("inference")], ["2", "training", () => setMode("training")],
  ["3", "fine-tuning", () => setMode("fine-tuning")], ["4", "compare", () => setMode("compare")],
  ["m", "model", press("pick-model")], ["g", "gpu", press("pick-gpu")], ["u", "users", focus("f-batch_size")], ["l", "length", focus("f-sequence_length")],
  ["[", "halve", halve(0.5)], ["]", "double", halve(2)], ["Ctrl K", "presets", press("presets")], ["x", "more", () => toggleMore()],
  ["w", "why", press("why")], ["f", "fixes", press("fixes")], ["a", "add", addToCompare], ["y", "copy", press("copy-body")], ["j", "body", press("body")], ["s", "share", press("share")],
  ["h", "history", press("history")], ["e", "export", press("export")], ["d", "theme", press("theme")], ["z", "language", press("language")],
  ["b", "unit", press("unit")], ["?", "sheet", press("shortcuts")], ["Esc", "leave", leave],
];
const FIXED = ["presets", "leave"];

let own = JSON.parse(localStorage.getItem("keymap") ?? "{}");

/** The key that does something now. */
export const keyFor = (name) => own[name] ?? KEYS.find(([, each]) => each === name)[0];

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
const off = () => localStorage.getItem("keys") === "off";

function pressed(event) {
  if (waiting) return given(event);
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    return act("presets");
  }
  if (event.key === "Escape") {
    if (isOpen()) event.preventDefault(); // closed here and now, not by the browser a moment later
    return leave();
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isOpen() || event.target.closest?.(TYPING) || off()) return undefined;
  const found = KEYS.find(([, name]) => keyFor(name) === event.key);
  if (!found) return undefined;
  event.preventDefault();
  return found[2]();
}

// The sheet, where keys can be given anew.

/** Open the sheet. */
export function showKeys() {
  waiting = null;
  problem = null;
  openDialog("tool.shortcuts", draw, { onClose: () => { waiting = null; } });
}

function draw() {
  return [h("ul", { class: "keys" }, KEYS.map(row)),
    problem && h("p", { class: "problem", role: "alert" }, problem),
    h("p", { class: "muted small" }, t("key.note")),
    h("p", { class: "chips" }, h("label", { class: "check" }, h("input", { type: "checkbox", "data-input": "keys-on", checked: !off() }), t("key.on")),
      h("button", { type: "button", class: "btn small", "data-act": "keys-usual", disabled: !Object.keys(own).length }, t("key.usual")))];
}

function row([, name]) {
  const words = t(`key.${name}`);
  const key = h("kbd", {}, waiting === name ? "…" : keyFor(name));
  return h("li", { "data-key": name }, words, FIXED.includes(name) ? key
    : h("button", { type: "button", class: "link", "data-act": "give-key", "data-arg": name, "aria-label": t("key.give", { what: words, key: keyFor(name) }) }, key));
}

function give(name) {
  waiting = name;
  problem = null;
  redraw(draw);
}

/** The key that was waited for: it changes places with whatever had it. */
function given(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
  if (["Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
  const name = waiting;
  waiting = null;
  const plain = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (plain) take(name, event.key);
  else problem = event.key === "Escape" ? null : t("key.plain");
  redraw(draw);
}

function take(name, key) {
  const other = KEYS.find(([, each]) => keyFor(each) === key)?.[1];
  if (other && other !== name) own[other] = keyFor(name);
  own[name] = key;
  for (const [usual, each] of KEYS) if (own[each] === usual) delete own[each];
  localStorage.setItem("keymap", JSON.stringify(own));
}

/** Begin to listen. */
export function startKeys() {
  on("shortcuts", showKeys);
  on("give-key", give);
  on("keys-usual", () => { own = {}; localStorage.removeItem("keymap"); redraw(draw); });
  on("keys-on", (_argument, _event, element) => localStorage.setItem("keys", element.checked ? "on" : "off"));
  document.addEventListener("keydown", pressed);
  document.addEventListener("focusin", (event) => {
    const key = event.target.dataset?.arg;
    if (event.target.matches?.("[data-input='field'], [data-input='slide']")) number = key;
  });
}
