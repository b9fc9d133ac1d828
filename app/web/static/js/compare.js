// Configurations side by side: bars on one axis, each with its own card line; from seven on, a table.
// What is looked at (axis, figures, whose bytes, order) is in the address like everything else.

import { h } from "./dom.js";
import { bar, reach } from "./bar.js";
import { differences, partDifferences } from "./differences.js";
import { cardName } from "./gpus.js";
import { labelOf } from "./controls.js";
import { fieldOf, fieldsOf, fromText } from "./fields.js";
import { timelines } from "./timelines.js";
import { bytes, signed } from "./format.js";
import { MARKS, PARTS, stateOf, total } from "./parts.js";
import { MOST_COLUMNS, change, fieldMode, state, unit } from "./state.js";
import { t } from "./words.js";

export const LETTERS = "ABCDEFGHIJKL";
const MOST_BARS = 6;
// Of each switch the view key, the value that the address carries, and the one that goes without saying.
const SWITCHES = [["axis", "own", "shared"], ["show", "difference", "absolute"], ["over", "cluster", "gpu"], ["sort", "size", "given"]];

/** All columns of a comparison, why they differ, and the steps of a training over each other. */
export function columns(comparison, width) {
  const answers = comparison.results.map(seen);
  const good = answers.filter((answer) => !answer.error);
  const base = answers[0].error ? null : answers[0];
  const order = answers.map((_, index) => index);
  if (state.view.sort === "size") order.sort((a, b) => (answers[a].error ? Infinity : total(answers[a])) - (answers[b].error ? Infinity : total(answers[b])));
  const scale = Math.max(1, ...good.map(reach));
  const many = answers.length > MOST_BARS;
  return [
    h("h2", {}, t("compare.title"), h("span", { class: "push" }, h("button", { type: "button", class: "btn small no-print", "data-act": "add-column", disabled: state.columns.length >= MOST_COLUMNS }, t("compare.add")))),
    switches(), legend(good[0]),
    many ? listed(answers, order, base) : h("ol", { class: "columns" }, order.map((index) => column(answers[index], index, base, width, state.view.axis === "own" ? undefined : scale))),
    good.length > 1 && base ? differences(comparison, answers, width, { letters: LETTERS, nameOf }) : null,
    good.length > 1 && base && !many ? timelines(answers, width, LETTERS) : null,
  ];
}

/** The answer as it is looked at: of one GPU, or of all of them together (which no card's line fits). */
function seen(answer) {
  if (answer.error || state.view.over !== "cluster") return answer;
  return { ...answer, memory_bytes: { ...answer.memory_bytes, ...answer.cluster_bytes }, memory_range_bytes: {}, fit: undefined, judged: answer };
}

function switches() {
  return h("p", { class: "chips no-print" }, SWITCHES.map(([key, special, usual]) => h("span", { class: "switch", role: "group", "aria-label": t(`compare.by_${key}`) },
    [usual, special].map((value) => h("button", { type: "button", class: "btn small", "data-act": "look", "data-arg": `${key}=${value === usual ? "" : value}`, "aria-pressed": String((state.view[key] ?? usual) === value) }, t(`compare.by_${key}_${value}`))))));
}

/** Change how a comparison is looked at. */
export function look(argument) {
  const [key, value] = argument.split("=");
  change((now) => { if (value) now.view[key] = value; else delete now.view[key]; });
}

function legend(answer) {
  if (!answer) return null;
  return h("p", { class: "chips small muted" }, PARTS[answer.calculation_type].map((key) => h("span", { class: "pill" }, h("span", { class: `swatch ${key}` }), t(`part.${key}`))));
}

function column(answer, index, base, width, scale) {
  const letter = LETTERS[index];
  if (answer.error) return h("li", { class: "column", "data-key": letter }, head(index), h("p", { class: "problem" }, answer.error));
  const caption = `${letter}: ${bytes(total(answer), unit())}`;
  const apart = state.view.show === "difference" && index && base;
  return h("li", { class: "column", "data-key": letter }, head(index, verdict(answer),
    h("span", { class: "numbers" }, h("strong", {}, bytes(total(answer), unit())), h("span", { class: "muted" }, against(answer, index, base)))),
  apart ? partDifferences(base, answer, width, `A → ${letter}`) : bar(answer, width, 26, caption, scale, true));
}

const against = (answer, index, base) => (index && base ? signed(total(answer) - total(base), unit()) : t("compare.base"));

function verdict(answer) {
  const now = stateOf(answer.judged ?? answer);
  return h("span", { class: `pill ${now}` }, `${MARKS[now]} ${t(`state.${now}`)}`);
}

function head(index, ...more) {
  return h("div", { class: "column-head" }, h("strong", { class: "big" }, LETTERS[index]), what(index), ...more, index ? tools(index) : null);
}

/** What a column is: all of it for the base, else what differs. */
function what(index) {
  if (!index) return h("span", { class: "muted", translate: "no" }, [state.config?.name ?? state.fields.model_name, cardName(state.fields.gpu), state.fields.quantization ?? state.fields.method].filter(Boolean).join(" · "));
  return Object.entries(state.columns[index - 1] ?? {}).map(([key, value]) => h("span", { class: "pill" }, `${nameOf(key)}: ${value ?? "—"}`));
}

function tools(index) {
  const tool = (name, words, label) => h("button", { type: "button", class: "btn small quiet no-print", "data-act": name, "data-arg": String(index - 1), "aria-label": `${label} (${LETTERS[index]})` }, words);
  return h("span", { class: "column-tools" }, tool("edit-column", t("compare.edit"), t("compare.edit")), tool("base-column", t("compare.make_base"), t("compare.make_base")), tool("drop-column", "✕", t("compare.drop", { letter: LETTERS[index] })));
}

/** Seven configurations or more: a row each. */
function listed(answers, order, base) {
  const parts = PARTS[answers.find((answer) => !answer.error)?.calculation_type ?? "inference"];
  const cell = (answer, key, index) => (state.view.show === "difference" && index && base ? signed(answer.memory_bytes[key] - base.memory_bytes[key], unit()) : bytes(answer.memory_bytes[key], unit()));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("compare.title") }, h("table", { class: "data", id: "compare-table" },
    h("thead", {}, h("tr", {}, [t("compare.field"), t("gpus.fits"), t("compare.total"), "Δ", ...parts.map((key) => t(`part.${key}`)), ""].map((each) => h("th", { scope: "col" }, each)))),
    h("tbody", {}, order.map((index) => {
      const answer = answers[index];
      const name = h("th", { scope: "row" }, h("span", { class: "chips" }, h("strong", {}, LETTERS[index]), what(index)));
      if (answer.error) return h("tr", { "data-key": LETTERS[index] }, name, h("td", { colspan: parts.length + 3, class: "problem" }, answer.error), h("td", {}, index ? tools(index) : null));
      return h("tr", { "data-key": LETTERS[index] }, name, h("td", {}, verdict(answer)), h("td", {}, bytes(total(answer), unit())), h("td", {}, against(answer, index, base)),
        parts.map((key) => h("td", {}, cell(answer, key, index))), h("td", {}, index ? tools(index) : null));
    }))));
}

const nameOf = (key) => labelOf(fieldOf(fieldMode(), key) ?? { key });

/** The form that says what a column changes. */
export function columnForm(index) {
  const edits = state.columns[index] ?? {};
  const keys = [...new Set(fieldsOf(fieldMode()).map((field) => field.key))].filter((key) => !key.startsWith("targets."));
  const rows = [...Object.entries(edits), ["", ""], ["", ""]];
  return [
    h("p", { class: "muted" }, t("compare.form")), h("datalist", { id: "field-names" }, keys.map((key) => h("option", { value: key }, labelOf({ key })))),
    rows.map(([key, value], row) => h("div", { class: "form-row", "data-row": row },
      h("label", {}, t("compare.field"), h("input", { list: "field-names", name: "key", initial: key, spellcheck: "false", autocomplete: "off" })),
      h("label", {}, t("compare.value"), h("input", { name: "value", initial: String(value ?? ""), spellcheck: "false", autocomplete: "off" })))),
    h("p", {}, h("button", { type: "button", class: "primary", "data-act": "save-column", "data-arg": String(index) }, t("compare.save"))),
  ];
}

/** Read the form back into the column; a field without a value is one that the column leaves to its default. */
export function saveColumn(index, dialog) {
  const edits = {};
  for (const row of dialog.querySelectorAll("[data-row]")) {
    const [key, value] = [...row.querySelectorAll("input")].map((input) => input.value.trim());
    if (!key) continue;
    edits[key] = value === "" ? null : fromText(fieldOf(fieldMode(), key), value);
  }
  change((now) => { now.columns = now.columns.map((column, at) => (at === index ? edits : column)); });
}

const NEXT = {
  inference: ["fp8", "awq", "nf4", "gptq", "int8", "mxfp4", "nvfp4", "q4_k_m"].map((value) => ({ quantization: value })),
  training: [{ gradient_checkpointing: "full" }, { gradient_checkpointing: "selective" }, { method: "lora" }, { method: "qlora" }, { fused_cross_entropy: true }, { batch_size: 1 }, { batch_size: 2 }],
};

/** Another column, ready to be edited. */
export function addColumn() {
  const there = new Set([state.fields, ...state.columns].flatMap((each) => Object.entries(each).map(String)));
  const next = NEXT[state.calculation].find((each) => Object.entries(each).every((pair) => !there.has(String(pair)))) ?? { batch_size: 2 ** state.columns.length };
  change((now) => { now.columns = [...now.columns, next].slice(0, MOST_COLUMNS); });
}

/** Take a column away. */
export function dropColumn(index) {
  change((now) => { now.columns = now.columns.filter((_, at) => at !== index); });
}

/** Make a column the base: the others, and what was the base, say what differs from it. */
export function baseColumn(index) {
  const all = [state.fields, ...state.columns.map((column) => ({ ...state.fields, ...column }))];
  const base = Object.fromEntries(Object.entries(all[index + 1]).filter(([, value]) => value !== null));
  const others = all.filter((_, at) => at !== index + 1).map((each) => unlike(each, base));
  change((now) => Object.assign(now, { fields: base, columns: others }));
}

/** What one set of fields has other than another; null for what it lacks. */
export function unlike(one, base) {
  const keys = [...new Set([...Object.keys(one), ...Object.keys(base)])];
  return Object.fromEntries(keys.filter((key) => String(one[key] ?? null) !== String(base[key] ?? null)).map((key) => [key, one[key] ?? null]));
}
