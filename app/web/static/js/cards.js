// Picking a GPU: by search and kind, with "fits this job" for each, or a card of the reader's own.

import { h } from "./dom.js";
import { closeDialog, openDialog, redraw } from "./dialog.js";
import { CARD_OVERRIDES } from "./fields.js";
import { bytes, count, money, parseNumber, rate } from "./format.js";
import { allGpus, fitPill, followGpus, kindChips, selected } from "./gpus.js";
import { onPaint } from "./engine.js";
import { setFields, state, unit } from "./state.js";
import { labelOf } from "./controls.js";
import { t } from "./words.js";

let look = { words: "", kind: "all", custom: false };

/** Open the picker. */
export async function pickGpu() {
  look = { words: "", kind: "all", custom: false };
  openDialog("gpu.pick", draw);
  await followGpus();
  redraw(draw);
}

onPaint(() => redraw(draw));

function draw() {
  if (look.custom) return custom();
  const found = selected(look.words, look.kind);
  return [
    h("input", { type: "search", role: "combobox", id: "card-words", "aria-controls": "card-list", "aria-expanded": "true", "aria-autocomplete": "list", "aria-activedescendant": found.length ? "card-0" : null, value: look.words, placeholder: t("gpus.search"), "aria-label": t("gpus.search"), "data-input": "card-words", autocomplete: "off", spellcheck: "false" }),
    h("div", { class: "chips" }, kindChips("card-kind", look.kind)),
    h("div", { class: "list", role: "listbox", id: "card-list", "aria-label": t("gpu.pick"), tabindex: "-1" }, found.map(row)),
    h("p", { class: "muted small", role: "status" }, t("model.found", { count: count(found.length), all: count(allGpus().length) })),
    h("p", { class: "chips" }, h("button", { type: "button", class: "btn", "data-act": "card-custom" }, t("gpu.custom")), h("button", { type: "button", class: "btn quiet", "data-act": "take-gpu", "data-arg": "" }, t("gpu.none"))),
  ];
}

function row(gpu, index) {
  const facts = [gpu.memory_bandwidth_gb_s && `${count(gpu.memory_bandwidth_gb_s)} GB/s`, gpu.tflops?.bf16 ?? gpu.tflops?.fp16 ? `${rate(gpu.tflops.bf16 ?? gpu.tflops.fp16)} TFLOPS` : null, gpu.price_per_hour ? `${money(gpu.price_per_hour)}/h` : null, gpu.vendor].filter(Boolean).join(" · ");
  return h("div", { role: "option", id: `card-${index}`, "data-key": gpu.name, "aria-selected": String(index === 0), "data-act": "take-gpu", "data-arg": gpu.name },
    h("span", { class: "title", translate: "no" }, gpu.label), h("span", { class: "sub" }, facts), h("span", { class: "side" }, bytes(gpu.memory_bytes_usable, unit()), " ", fitPill(gpu)));
}

/** Search and filter. */
export function filterCards(change) {
  look = { ...look, ...change };
  redraw(draw);
}

const NO_OVERRIDES = Object.fromEntries(CARD_OVERRIDES.map((field) => [field.key, undefined]));

/** Use a card by its name; the empty name takes it away. */
export function takeGpu(name) {
  closeDialog();
  setFields({ ...NO_OVERRIDES, gpu: name || undefined });
}

function custom() {
  return [
    h("p", { class: "muted" }, state.fields.gpu ? t("gpu.custom_over", { gpu: state.fields.gpu }) : t("gpu.custom_note")),
    h("div", { class: "form-row" }, CARD_OVERRIDES.map((field) => h("label", {}, labelOf(field), h("input", { name: field.key, class: "card-field", initial: state.fields[field.key] ?? "", inputmode: "decimal", autocomplete: "off" })))),
    h("p", { class: "chips" }, h("button", { type: "button", class: "primary", "data-act": "use-card" }, t("model.use"))),
  ];
}

/** Use the numbers that were typed. */
export function useCard() {
  const inputs = [...document.querySelectorAll(".card-field")];
  const values = Object.fromEntries(inputs.map((input) => [input.name, input.value.trim() ? parseNumber(input.value) : undefined]));
  closeDialog();
  setFields({ ...values, ...(values["gpu.memory_gb"] && !state.fields.gpu ? { gpu: undefined } : {}) });
}
