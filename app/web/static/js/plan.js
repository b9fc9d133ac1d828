// Ranked recommendations with their launch commands, from /api/recommend.

import { ask, later } from "./api.js";
import { h } from "./dom.js";
import { bytes, count, money, percent, rate, time } from "./format.js";
import { paint } from "./engine.js";
import { body, calculation, state, unit } from "./state.js";
import { t } from "./words.js";

let shown = { key: "", answer: null, failure: null };

/** 250 ms after the last answer, ask for plans. */
export function followPlan() {
  later("plan", 250, load);
}

async function load() {
  const request = { task: calculation(), ...body("recommend") };
  for (const key of ["gpu", "tensor_parallel", "pipeline_parallel", "data_parallel", "expert_parallel", "num_gpus", "solve_for", "explain"]) delete request[key];
  request.max_gpus ??= Math.max(8, state.fields.num_gpus ?? 0, state.fields.tensor_parallel ?? 0);
  const key = JSON.stringify(request);
  if (key === shown.key) return;
  try {
    const answer = await ask("plan", "POST", "/api/recommend", request);
    if (!answer) return;
    shown = { key, answer, failure: null };
  } catch (failure) {
    shown = { key: failure.missing ? key : "", answer: null, failure };
  }
  paint("views");
}

/** The view. */
export function plan() {
  const { answer, failure } = shown;
  if (failure) return h("p", { class: "empty" }, failure.missing ? t("plan.no_api") : failure.status ? failure.body.error : t("stale.unreachable"));
  if (!answer) return h("p", { class: "empty" }, t("plan.waiting"));
  const options = answer.options ?? [];
  return [
    options.length ? h("ol", { class: "options" }, options.slice(0, 12).map(option)) : h("p", { class: "empty" }, t("plan.none"), " ", answer.change ? answer.change.message ?? JSON.stringify(answer.change) : ""),
    rejected(answer.rejected ?? []),
  ];
}

function option(each) {
  const price = each.price?.per_hour;
  const { headroom_bytes: free } = each.memory ?? {};
  return h("li", { class: "option" },
    h("h3", { class: "big", translate: "no" }, `${each.rank}. ${count(each.num_gpus)} × ${each.gpu.label}`),
    h("p", { class: "chips" }, free !== undefined ? h("span", { class: "pill fits" }, t("verdict.free", { size: bytes(free, unit()) })) : null,
      h("span", { class: "pill" }, price === null || price === undefined ? t("plan.no_price") : `${money(price)}/h · ${each.price.date ?? ""}`)),
    h("p", { class: "small" }, [layoutOf(each.layout), each.quantization && each.quantization !== "none" ? each.quantization : each.precision, speedOf(each.performance)].filter(Boolean).join(" · ")),
    h("ul", { class: "small muted" }, (each.why ?? []).map((reason) => h("li", {}, reason.message))),
    h("p", {}, h("button", { type: "button", class: "btn small no-print", "data-act": "apply", "data-arg": JSON.stringify(changeOf(each)) }, t("fix.apply"))),
    each.launch ? commands(each.launch) : null);
}

/** The fields that make the question that of an option; null puts a field back to its default. */
function changeOf(each) {
  const layout = Object.fromEntries(Object.keys(SHORT).map((key) => [key, each.layout?.[key] > 1 ? each.layout[key] : null]));
  const quantized = each.quantization && each.quantization !== "none" ? { quantization: each.quantization } : {};
  const training = calculation() === "training" ? { num_gpus: each.num_gpus, ...pick(each.layout, ["zero_stage", "fsdp", "sequence_parallel"]) } : {};
  return { gpu: each.gpu.name, ...layout, ...quantized, ...training };
}

const pick = (from, keys) => Object.fromEntries(keys.filter((key) => from?.[key] !== undefined).map((key) => [key, from[key]]));
const SHORT = { tensor_parallel: "TP", pipeline_parallel: "PP", data_parallel: "DP", expert_parallel: "EP", context_parallel: "CP" };

function layoutOf(layout) {
  return Object.entries(SHORT).filter(([key]) => layout?.[key] > 1).map(([key, name]) => `${name} ${layout[key]}`).join(" ");
}

function speedOf(from) {
  if (from?.ttft_ms !== undefined) return `TTFT ${time(from.ttft_ms)} · TPOT ${time(from.tpot_ms)} · ${rate(from.output_tokens_per_sec)} tok/s`;
  if (from?.tokens_per_sec !== undefined) return `${rate(from.tokens_per_sec)} tok/s · MFU ${percent(from.mfu)}`;
  return "";
}

/** Launch commands and files by what they are for, each ready to copy. */
function commands(launch) {
  const texts = Object.entries(launch).flatMap(([name, value]) => [value].flat().map((each) => [name, typeof each === "string" ? each : JSON.stringify(each, null, 2)]));
  return h("details", {}, h("summary", {}, t("plan.launch")), texts.map(([name, text]) => h("div", {},
    h("p", { class: "small muted mono" }, name, " ", h("button", { type: "button", class: "btn small no-print", "data-act": "copy", "data-arg": text, "aria-label": `${t("plan.copy")}: ${name}` }, t("plan.copy"))),
    h("pre", { class: "code", tabindex: "0" }, text))));
}

function rejected(list) {
  if (!list.length) return null;
  return h("details", {}, h("summary", {}, t("plan.rejected", { count: list.length })),
    h("ul", { class: "small muted" }, list.slice(0, 200).map((each) => h("li", {}, `${typeof each.gpu === "string" ? each.gpu : each.gpu?.name}: ${each.reason}`))));
}
