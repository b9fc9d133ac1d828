// Why configurations differ: by part from the base to each other one, and what each field alone changes.

import { h, s } from "./dom.js";
import { chart, figure, line, round, table, text } from "./figure.js";
import { signed } from "./format.js";
import { PARTS, totalKey } from "./parts.js";
import { state, unit } from "./state.js";
import { t } from "./words.js";

const ROW = 24;

/** The figure under the columns. */
export function differences(comparison, answers, width, { letters, nameOf }) {
  const found = comparison.summary?.differences ?? [];
  const fields = [t("compare.field"), ...answers.map((_, index) => letters[index])];
  const whole = totalKey(answers.find((answer) => !answer.error));
  const causes = found.map((each) => [nameOf(each.field), ...each.values.map(written)]);
  const effect = found.map((each) => [nameOf(each.field), ...(each.bytes[whole] ?? answers.map(() => null)).map((size) => (size === null ? "—" : size === 0 ? "0" : signed(size, unit())))]);
  const drawn = state.view.show === "difference" || answers.length > 6 ? null : h("div", { class: "columns" }, answers.slice(1).map((answer, index) => answer.error ? null : partDifferences(answers[0], answer, width, `A → ${letters[index + 1]}`)));
  return figure("differences", t("compare.why"), drawn, h("div", {}, table(fields, causes), h("p", { class: "muted small" }, t("compare.effect")), table(fields, effect)));
}

const written = (value) => (value === null ? "—" : typeof value === "object" ? JSON.stringify(value) : String(value));

/** What another answer saves (left) and costs (right), part by part, the largest first. */
export function partDifferences(base, answer, width, title) {
  const parts = PARTS[answer.calculation_type];
  const by = (key) => answer.memory_bytes[key] - base.memory_bytes[key];
  const changed = parts.filter(by).map((key) => ({ key, by: by(key) })).toSorted((a, b) => Math.abs(b.by) - Math.abs(a.by));
  const same = parts.filter((key) => !by(key)).map((key) => t(`part.${key}`));
  return h("div", {}, changed.length ? drawn(changed, width, title) : null, same.length ? h("p", { class: "muted small" }, t("compare.same", { parts: same.join(", ") })) : null);
}

function drawn(changed, width, title) {
  const largest = Math.max(1, ...changed.map((each) => Math.abs(each.by)));
  const middle = width / 2;
  const height = changed.length * ROW + 26;
  const side = middle - 120;
  return chart(width, height, title, text(0, 14, title, { class: "strong" }), text(middle - 8, 14, t("compare.saves"), { "text-anchor": "end" }), text(middle + 8, 14, t("compare.costs"), {}),
    line(middle, 18, middle, height, "axis"), changed.map((each, index) => {
      const wide = round(Math.max(1, (Math.abs(each.by) / largest) * side));
      const saves = each.by < 0;
      const y = ROW + index * ROW;
      return [s("rect", { class: saves ? "saves" : "costs", x: round(saves ? middle - wide : middle), y, width: wide, height: 16, rx: 2 }),
        text(saves ? middle + 8 : middle - 8, y + 13, `${t(`part.${each.key}`)} ${signed(each.by, unit())}`, { "text-anchor": saves ? "start" : "end", class: "strong" })];
    }));
}
