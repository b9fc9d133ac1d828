// The dialog of what was asked before: search, stars, notes, side by side, export and import.

import { h, on } from "./dom.js";
import { unlike } from "./compare.js";
import { closeDialog, isOpen, openDialog, redraw } from "./dialog.js";
import { download } from "./export.js";
import { entries, forget, forgetAll, importEntries, keep, search, update } from "./history.js";
import { bytes } from "./format.js";
import { onAnswer, results } from "./engine.js";
import { gpuCount, gpuName, MARKS, stateOf, total } from "./parts.js";
import { body, change, flatten, query, readAddress, readFragment, state, unit } from "./state.js";
import { t } from "./words.js";

let all = [];
let words = "";
let selected = new Set();
let timer = 0;
let say = () => {};

/** What an answer is called: "Llama-3.3-70B-Instruct fp8 · 2 × H100 · ✔ 17.08 GB". */
function titleOf(answer) {
  const now = stateOf(answer);
  const { quantization, method, precision } = answer.parameters;
  const card = gpuName(answer);
  const format = answer.calculation_type === "training" ? method : quantization ?? precision;
  return [`${answer.model.name} ${format ?? ""}`.trim(), card && `${gpuCount(answer)} × ${card}`, `${MARKS[now]} ${bytes(answer.fit ? answer.fit.free_bytes : total(answer), unit())}`].filter(Boolean).join(" · ");
}

function rest(answer) {
  clearTimeout(timer);
  if (!answer || state.mode === "compare" || results.saved) return;
  const entry = { mode: state.mode, address: query() + location.hash, request: body(), answer, title: titleOf(answer) };
  timer = setTimeout(() => keep({ ...entry, speed: results.speed?.answer ? results.speed : null }).then(() => isOpen() && reload(), () => {}), 2000);
}

/** Open the dialog. */
export async function showHistory() {
  selected = new Set();
  openDialog("tool.history", draw);
  all = await entries().catch(() => []);
  redraw(draw);
}

function draw() {
  const found = search(all, words);
  return [
    h("input", { type: "search", id: "history-words", value: words, placeholder: t("history.search"), "aria-label": t("history.search"), "data-input": "history-words", autocomplete: "off" }),
    h("div", { class: "chips" },
      h("button", { type: "button", class: "btn small", "data-act": "history-compare", disabled: selected.size < 2 || selected.size > 6 }, t("history.compare", { count: selected.size })),
      h("button", { type: "button", class: "btn small", "data-act": "history-export", disabled: !all.length }, t("history.export")),
      h("label", { class: "btn small" }, t("history.import"), h("input", { type: "file", accept: "application/json,.json", class: "unseen", "data-input": "history-import" })),
      h("button", { type: "button", class: "btn small", "data-act": "history-clear", disabled: !all.length }, t("history.clear"))),
    found.length ? h("ul", { class: "list", id: "history-list" }, byModel(found)) : h("p", { class: "empty" }, t(all.length ? "history.nothing" : "history.empty")),
    h("p", { class: "muted small" }, t("history.note")),
  ];
}

function byModel(found) {
  const groups = Map.groupBy ? Map.groupBy(found.slice(0, 200), (entry) => entry.answer.model.name) : new Map([["", found.slice(0, 200)]]);
  return [...groups].map(([, group]) => group.map(row));
}

function row(entry) {
  return h("li", { class: "row", "data-key": entry.id },
    h("div", { class: "column-head" },
      h("input", { type: "checkbox", "data-input": "history-select", "data-arg": entry.id, checked: selected.has(entry.id), "aria-label": t("history.select", { title: entry.title }) }),
      h("button", { type: "button", class: "link title", "data-act": "history-open", "data-arg": entry.id, translate: "no" }, entry.title)),
    h("span", { class: "sub" }, `${t(`mode.${entry.mode}`)} · ${new Date(entry.at).toLocaleString()}`, " ",
      h("textarea", { class: "note", rows: 1, value: entry.note ?? "", placeholder: t("history.note_label"), "aria-label": t("history.note_label"), "data-input": "history-note", "data-arg": entry.id })),
    h("span", { class: "side" },
      h("button", { type: "button", class: `btn small quiet${entry.starred ? " on" : ""}`, "data-act": "history-star", "data-arg": entry.id, "aria-pressed": String(Boolean(entry.starred)), "aria-label": t("history.star") }, entry.starred ? "★" : "☆"),
      h("button", { type: "button", class: "btn small quiet", "data-act": "history-forget", "data-arg": entry.id, "aria-label": t("history.forget") }, "✕")));
}

const byId = (id) => all.find((entry) => entry.id === Number(id));

async function reload() {
  all = await entries().catch(() => []);
  redraw(draw);
}

async function note(entry, words) {
  entry.note = words;
  await update(entry);
}

async function openEntry(id) {
  const entry = byId(id);
  closeDialog();
  history.pushState(null, "", `/${entry.address}`);
  readAddress();
  await readFragment();
  change(() => {});
}

/** The chosen entries as one comparison: the first is the base, the others say what differs. */
function compareEntries() {
  const chosen = [...selected].map(byId).filter(Boolean);
  const kind = chosen[0].answer.calculation_type;
  const flat = chosen.filter((entry) => entry.answer.calculation_type === kind).map((entry) => flatten(entry.request));
  const [base, ...others] = flat;
  closeDialog();
  change((now) => Object.assign(now, { mode: "compare", calculation: kind, fields: base, columns: others.map((one) => unlike(one, base)), config: null, view: {} }));
}

async function importFile(file) {
  if (!file) return;
  try {
    const count = await importEntries(JSON.parse(await file.text()).entries);
    say(t("history.imported", { count }));
  } catch {
    say(t("history.bad_file"));
  }
  await reload();
}

/** Begin to keep, and wire the dialog. */
export function startHistory(tell) {
  say = tell;
  onAnswer(rest);
  on("history-words", (_argument, _event, element) => { words = element.value; redraw(draw); });
  on("history-open", openEntry);
  on("history-compare", compareEntries);
  on("history-select", (id, event, element) => { if (event.type !== "change") return; if (element.checked) selected.add(Number(id)); else selected.delete(Number(id)); redraw(draw); });
  on("history-star", async (id) => { const entry = byId(id); await update({ ...entry, starred: !entry.starred }); await reload(); });
  on("history-note", async (id, event, element) => { if (event.type === "change") await note(byId(id), element.value); });
  on("history-forget", async (id) => { await forget(Number(id)); selected.delete(Number(id)); await reload(); });
  on("history-clear", async () => { await forgetAll(); selected.clear(); await reload(); });
  on("history-export", () => download("llm-estimate-history.json", "application/json", JSON.stringify({ entries: all }, null, 2)));
  on("history-import", (_argument, event, element) => event.type === "change" && importFile(element.files[0]));
}

