// Configurations side by side: bars on one axis, each with its own card line, and why they differ.

import { h, s } from "./dom.js";
import { bar, reach } from "./bar.js";
import { cardName } from "./gpus.js";
import { labelOf } from "./controls.js";
import { fieldOf, fieldsOf, fromText } from "./fields.js";
import { chart, figure, line, round, table, text } from "./figure.js";
import { bytes, signed } from "./format.js";
import { MARKS, PARTS, stateOf, total, totalKey } from "./parts.js";
import { change, fieldMode, state, unit } from "./state.js";
import { has, t } from "./words.js";

const LETTERS = "ABCDEF";

/** All columns of a comparison, the chart of differences and the table. */
export function columns(comparison, width) {
  const answers = comparison.results;
  const good = answers.filter((answer) => !answer.error);
  const scale = Math.max(1, ...good.map(reach));
  const base = answers[0].error ? null : answers[0];
  return [
    h("h2", {}, t("compare.title"), h("span", { class: "push" }, h("button", { type: "button", class: "btn small no-print", "data-act": "add-column", disabled: state.columns.length >= 5 }, t("compare.add")))),
    legend(good[0]), h("ol", { class: "columns" }, answers.map((answer, index) => column(answer, index, base, width, scale))),
    good.length > 1 && base ? differences(comparison, width) : null,
  ];
}

function legend(answer) {
  if (!answer) return null;
  return h("p", { class: "chips small muted" }, PARTS[answer.calculation_type].map((key) => h("span", { class: "pill" }, h("span", { class: `swatch ${key}` }), t(`part.${key}`))));
}

function column(answer, index, base, width, scale) {
  const letter = LETTERS[index];
  if (answer.error) return h("li", { class: "column", "data-key": letter }, head(answer, index), h("p", { class: "problem" }, answer.error));
  const now = stateOf(answer);
  const caption = `${letter}: ${bytes(total(answer), unit())}`;
  return h("li", { class: "column", "data-key": letter }, head(answer, index,
    h("span", { class: `pill ${now}` }, `${MARKS[now]} ${t(`state.${now}`)}`),
    h("span", { class: "numbers" }, h("strong", {}, bytes(total(answer), unit())), index && base ? h("span", { class: "muted" }, signed(total(answer) - total(base), unit())) : h("span", { class: "muted" }, t("compare.base")))),
  bar(answer, width, 26, caption, scale, true));
}

function head(answer, index, ...more) {
  const edits = index ? state.columns[index - 1] : null;
  return h("div", { class: "column-head" }, h("strong", { class: "big" }, LETTERS[index]),
    edits ? Object.entries(edits).map(([key, value]) => h("span", { class: "pill" }, `${nameOf(key)}: ${value}`)) : h("span", { class: "muted", translate: "no" }, [state.config?.name ?? state.fields.model_name, cardName(state.fields.gpu), state.fields.quantization ?? state.fields.method].filter(Boolean).join(" · ")),
    edits ? h("button", { type: "button", class: "btn small quiet no-print", "data-act": "edit-column", "data-arg": String(index - 1) }, t("compare.edit")) : null,
    edits ? h("button", { type: "button", class: "btn small quiet no-print", "data-act": "drop-column", "data-arg": String(index - 1), "aria-label": t("compare.drop", { letter: LETTERS[index] }) }, "✕") : null, ...more);
}

const nameOf = (key) => (has(`field.${key}`) ? t(`field.${key}`) : key);

function differences(comparison, width) {
  const answers = comparison.results;
  const caption = t("compare.why");
  const rows = [];
  const parts = PARTS[comparison.calculation_type];
  answers.slice(1).forEach((answer, index) => {
    if (answer.error) return;
    const changed = parts.map((key) => ({ key, by: answer.memory_bytes[key] - answers[0].memory_bytes[key] })).filter((each) => each.by).toSorted((a, b) => Math.abs(b.by) - Math.abs(a.by));
    const same = parts.filter((key) => answer.memory_bytes[key] === answers[0].memory_bytes[key]);
    rows.push({ letter: LETTERS[index + 1], changed, same });
  });
  const fields = [t("compare.field"), ...answers.map((_, index) => LETTERS[index])];
  const causes = (comparison.summary?.differences ?? []).map((each) => [nameOf(each.field), ...each.values.map((value) => (value === null ? "—" : typeof value === "object" ? JSON.stringify(value) : String(value)))]);
  const effect = (comparison.summary?.differences ?? []).map((each) => [nameOf(each.field), ...(each.bytes[totalKey(answers.find((answer) => !answer.error))] ?? answers.map(() => null)).map((size) => (size === null ? "—" : size === 0 ? "0" : signed(size, unit())))]);
  return figure("differences", caption, h("div", { class: "columns" }, rows.map((row) => drawDifference(row, width))),
    h("div", {}, table(fields, causes), h("p", { class: "muted small" }, t("compare.effect")), table(fields, effect)));
}

function drawDifference({ letter, changed, same }, width) {
  const largest = Math.max(1, ...changed.map((each) => Math.abs(each.by)));
  const middle = width / 2;
  const height = changed.length * 24 + 26;
  const side = middle - 120;
  return h("div", {}, chart(width, height, `A → ${letter}`, text(0, 14, `A → ${letter}`, { class: "strong" }), text(middle - 8, 14, t("compare.saves"), { "text-anchor": "end" }), text(middle + 8, 14, t("compare.costs"), {}),
    line(middle, 18, middle, height, "axis"), changed.map((each, index) => {
      const wide = round(Math.max(1, (Math.abs(each.by) / largest) * side));
      const y = 24 + index * 24;
      const left = each.by < 0 ? middle - wide : middle;
      const words = `${t(`part.${each.key}`)} ${signed(each.by, unit())}`;
      return [s("rect", { class: each.by < 0 ? "saves" : "costs", x: round(left), y, width: wide, height: 16, rx: 2 }),
        text(each.by < 0 ? middle + 8 : middle - 8, y + 13, words, { "text-anchor": each.by < 0 ? "start" : "end", class: "strong" })];
    })), same.length ? h("p", { class: "muted small" }, t("compare.same", { parts: same.map((key) => t(`part.${key}`)).join(", ") })) : null);
}

/** The form that says what a column changes. */
export function columnForm(index) {
  const edits = state.columns[index] ?? {};
  const keys = [...new Set(fieldsOf(fieldMode()).map((field) => field.key))].filter((key) => !key.startsWith("targets."));
  const rows = [...Object.entries(edits), ["", ""]];
  return [
    h("p", { class: "muted" }, t("compare.form")), h("datalist", { id: "field-names" }, keys.map((key) => h("option", { value: key }, labelOf({ key })))),
    rows.map(([key, value], row) => h("div", { class: "form-row", "data-row": row },
      h("label", {}, t("compare.field"), h("input", { list: "field-names", name: "key", initial: key, spellcheck: "false", autocomplete: "off" })),
      h("label", {}, t("compare.value"), h("input", { name: "value", initial: String(value), spellcheck: "false", autocomplete: "off" })))),
    h("p", {}, h("button", { type: "button", class: "primary", "data-act": "save-column", "data-arg": String(index) }, t("compare.save"))),
  ];
}

/** Read the form back into the column. */
export function saveColumn(index, dialog) {
  const edits = {};
  for (const row of dialog.querySelectorAll("[data-row]")) {
    const [key, value] = [...row.querySelectorAll("input")].map((input) => input.value.trim());
    if (!key) continue;
    edits[key] = fromText(fieldOf(fieldMode(), key), value);
  }
  change((now) => { now.columns = now.columns.map((column, at) => (at === index ? edits : column)); });
}

/** Another column, ready to be edited. */
export function addColumn() {
  const used = new Set(state.columns.map((column) => column.quantization));
  const next = ["fp8", "awq", "nf4", "gptq", "int8"].find((name) => !used.has(name) && name !== state.fields.quantization);
  change((now) => { now.columns = [...now.columns, now.calculation === "inference" ? { quantization: next } : { gradient_checkpointing: "full" }]; });
}

/** Take a column away. */
export function dropColumn(index) {
  change((now) => { now.columns = now.columns.filter((_, at) => at !== index); });
}
