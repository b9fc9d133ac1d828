// Ranked recommendations with their launch commands, from /api/recommend.

import { ask } from "./api.js";
import { h } from "./dom.js";
import { bytes, count, money, percent, rate, time } from "./format.js";
import { paint } from "./engine.js";
import { body, calculation, state, unit } from "./state.js";
import { t } from "./words.js";

let shown = { key: "", answer: null, failure: null };
let timer = 0;

/** 250 ms after the last answer, ask for plans. */
export function followPlan() {
  clearTimeout(timer);
  timer = setTimeout(load, 250);
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
  paint();
}

/** The view. */
export function plan() {
  const { answer, failure } = shown;
  if (failure) return h("p", { class: "empty" }, failure.missing ? t("plan.no_api") : failure.status ? failure.body.error : t("stale.unreachable"));
  if (!answer) return h("p", { class: "empty" }, t("plan.waiting"));
  const options = answer.options ?? [];
  return [
    options.length ? h("ol", { class: "options" }, options.slice(0, 12).map(option)) : h("p", { class: "empty" }, t("plan.none"), " ", said(answer.change ?? answer.single_change)),
    rejected(answer.rejected ?? []),
  ];
}

const said = (value) => (!value ? "" : typeof value === "string" ? value : value.message ?? value.why ?? JSON.stringify(value));

function option(each, index) {
  const gpus = each.num_gpus ?? each.gpus ?? each.count ?? 1;
  const free = each.free_bytes ?? each.headroom_bytes ?? each.memory_headroom_bytes ?? each.fit?.free_bytes;
  const price = each.price_per_hour;
  const launch = each.launch;
  return h("li", { class: "option" },
    h("h3", { class: "big", translate: "no" }, `${index + 1}. ${typeof gpus === "number" ? `${count(gpus)} × ` : ""}${gpuOf(each)}`),
    h("p", {}, free !== undefined ? h("span", { class: "pill fits" }, t("verdict.free", { size: bytes(free, unit()) })) : null, " ", h("span", { class: "pill" }, price === null || price === undefined ? t("plan.no_price") : `${money(price)}/h`)),
    h("p", { class: "small" }, [layoutOf(each), each.quantization ?? each.precision, speedOf(each)].filter(Boolean).join(" · ")),
    h("p", { class: "small muted" }, Array.isArray(each.why) ? each.why.map(said).join(" ") : said(each.why)),
    launch ? commands(launch) : null);
}

const gpuOf = (each) => (typeof each.gpu === "string" ? each.gpu : each.gpu?.label ?? each.gpu?.name ?? "");

function layoutOf(each) {
  const from = each.layout ?? each.parameters ?? {};
  if (typeof from === "string") return from;
  const short = { tensor_parallel: "TP", pipeline_parallel: "PP", data_parallel: "DP", expert_parallel: "EP", context_parallel: "CP" };
  return Object.entries(short).filter(([key]) => from[key] > 1).map(([key, name]) => `${name} ${from[key]}`).join(" ");
}

function speedOf(each) {
  const from = each.performance ?? each.speed ?? each;
  if (from.ttft_ms !== undefined) return `TTFT ${time(from.ttft_ms)} · TPOT ${time(from.tpot_ms)} · ${rate(from.output_tokens_per_sec ?? from.throughput_tokens_per_sec)} tok/s`;
  if (from.tokens_per_sec !== undefined) return `${rate(from.tokens_per_sec)} tok/s · MFU ${percent(from.mfu)}`;
  return "";
}

function commands(launch) {
  const entries = typeof launch === "string" ? [["", launch]] : Object.entries(launch).flatMap(([name, value]) => (Array.isArray(value) ? value.map((each) => [each.name ?? name, each.command ?? each.content ?? String(each)]) : typeof value === "object" && value ? Object.entries(value) : [[name, value]]));
  return h("details", {}, h("summary", {}, t("plan.launch")), entries.map(([name, text]) => h("div", {}, name && h("p", { class: "small muted mono" }, name), h("pre", { class: "code", tabindex: "0" }, String(text)),
    h("button", { type: "button", class: "btn small no-print", "data-act": "copy", "data-arg": String(text) }, t("plan.copy")))));
}

function rejected(list) {
  if (!list.length) return null;
  return h("details", {}, h("summary", {}, t("plan.rejected", { count: list.length })),
    h("ul", { class: "small muted" }, list.slice(0, 100).map((each) => h("li", {}, `${gpuOf(each) || said(each)}${each.count || each.num_gpus ? ` × ${each.count ?? each.num_gpus}` : ""}: ${said(each.reason ?? each.why)}`))));
}
