// Behind each number: its formula, the values put into it, where they come from, and how far off it may be.

import { h } from "./dom.js";
import { about } from "./bar.js";
import { bare, bytes, count } from "./format.js";
import { results } from "./engine.js";
import { PARTS, gpuCount, totalKey } from "./parts.js";
import { state, unit } from "./state.js";
import { has, t } from "./words.js";

/** The panel: about the part chosen, or the largest one. */
export function why() {
  const { answer } = results;
  if (!answer) return [];
  const part = chosen(answer);
  return [h("section", { class: "card", "data-key": "why" },
    h("h2", {}, t("why.title"), h("span", { class: "push no-print" }, h("button", { type: "button", class: "btn small quiet", "data-act": "copy-why" }, t("why.copy")),
      h("button", { type: "button", class: "btn small quiet drawer-only", "data-act": "why-close", "aria-label": t("dialog.close") }, "✕"))),
    h("div", { class: "why-body" }, body(answer, part)))];
}

/** The part that the panel is about. */
export function chosen(answer) {
  const asked = state.view.part;
  if (asked && (asked === totalKey(answer) || PARTS[answer.calculation_type].includes(asked))) return asked;
  return PARTS[answer.calculation_type].reduce((best, key) => (answer.memory_bytes[key] > answer.memory_bytes[best] ? key : best));
}

function body(answer, part) {
  const isTotal = part === totalKey(answer);
  const spread = answer.memory_range_bytes?.[part];
  const terms = (answer.explanation ?? []).filter((term) => term.term === part);
  return [
    h("h3", {}, t(`part.${part}`)), about(part) && h("p", { class: "muted small" }, about(part)),
    h("dl", {},
      h("dt", {}, t("why.per_gpu")), h("dd", {}, h("strong", {}, bytes(answer.memory_bytes[part], unit()))),
      h("dt", {}, t("why.exact")), h("dd", { class: "mono" }, count(answer.memory_bytes[part])),
      gpuCount(answer) > 1 ? [h("dt", {}, t("why.cluster", { gpus: gpuCount(answer) })), h("dd", {}, bytes(answer.cluster_bytes?.[part], unit()))] : null,
      spread ? [h("dt", {}, t("why.range")), h("dd", {}, spread.low === spread.high ? t("legend.exact") : `${bare(spread.low, unit())} – ${bytes(spread.high, unit())}`)] : null),
    isTotal ? sum(answer) : terms.map(term),
    !isTotal && !terms.length ? h("p", { class: "muted" }, t("why.nothing")) : null,
    h("button", { type: "button", class: "btn small no-print", "data-act": "check-log" }, t("why.check_log")),
  ];
}

function sum(answer) {
  const names = PARTS[answer.calculation_type].map((key) => `${t(`part.${key}`)} ${bare(answer.memory_bytes[key], unit())}`);
  return h("p", { class: "formula" }, `${names.join(" + ")} = ${bytes(answer.memory_bytes[totalKey(answer)], unit())}`);
}

function term(each) {
  return h("div", { class: "why-body" },
    h("p", { class: "formula" }, each.formula, " = ", h("strong", {}, bytes(each.bytes, unit()))),
    h("dl", { class: "values" }, Object.entries(each.values ?? {}).map(([name, value]) => [h("dt", { translate: "no" }, name), h("dd", {}, valueOf(name, value))])),
    h("p", { class: "small muted" }, `${t("why.source")}: ${each.source}`));
}

function valueOf(name, value) {
  const label = typeof value === "number" ? count(value) : value === null ? "—" : String(value);
  const control = document.getElementById(`f-${name}`);
  return control ? h("button", { type: "button", class: "link", "data-act": "focus", "data-arg": `f-${name}` }, label) : label;
}

/** The panel as Markdown, for a report. */
export function whyMarkdown(answer, parts = [chosen(answer)]) {
  return parts.map((part) => {
    const terms = (answer.explanation ?? []).filter((each) => each.term === part);
    const name = has(`part.${part}`) ? t(`part.${part}`) : part;
    const lines = terms.map((each) => `- ${each.formula} = ${bytes(each.bytes, unit())}\n  - ${Object.entries(each.values ?? {}).map(([key, value]) => `${key} = ${value}`).join(", ")}\n  - ${t("why.source")}: ${each.source}`);
    return `### ${name}: ${bytes(answer.memory_bytes[part], unit())}\n\n${lines.join("\n")}`;
  }).join("\n\n");
}
