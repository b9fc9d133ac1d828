// How fast, and what it costs; said quietly where the service does not offer it.

import { h, s } from "./dom.js";
import { table } from "./figure.js";
import { bytes, count, money, percent, rate, time } from "./format.js";
import { results } from "./engine.js";
import { calculation, unit } from "./state.js";
import { has, t } from "./words.js";

/** The card under the memory. */
export function speedCard() {
  return h("section", { class: "card" }, h("h2", {}, t("speed.title")), content());
}

function content() {
  const { speed } = results;
  if (!speed) return h("p", { class: "empty" }, t("speed.waiting"));
  if (speed.missing) return h("p", { class: "empty" }, t(`speed.no_${speed.missing}`));
  if (speed.failure) return h("p", { class: "empty" }, speed.failure.status ? speed.failure.body.error : t("stale.unreachable"));
  const shown = calculation() === "inference" ? serving(speed) : training(speed);
  return results.answer.fit?.fits === false ? [h("p", { class: "muted small" }, t("speed.if_it_fit")), ...shown] : shown;
}

function serving({ request, answer }) {
  const shape = t("speed.shape", { input: count(request.input_length), output: count(request.output_length) });
  return [h("div", { class: "speed-grid" }, h("div", {},
    h("dl", { class: "metrics" }, metric("speed.ttft", time(answer.ttft_ms)), metric("speed.tpot", time(answer.tpot_ms)), metric("speed.e2e", time(answer.e2e_latency_ms)),
      metric("speed.output", `${rate(answer.output_tokens_per_sec)} tok/s`), metric("speed.requests", `${rate(answer.requests_per_sec)}/s`), cost(answer)),
    h("p", { class: "muted small" }, `${bound(answer)} · ${shape}`)), meters(answer)), saturation(answer), latencies(answer), operations(answer),
  ];
}

function training({ answer }) {
  return [h("div", { class: "speed-grid" }, h("div", {},
    h("dl", { class: "metrics" }, metric("speed.per_gpu", `${rate(answer.tokens_per_sec_per_gpu)} tok/s`), metric("speed.all", `${rate(answer.tokens_per_sec)} tok/s`), metric("speed.step", time(answer.step_ms)),
      metric("speed.mfu", percent(answer.mfu)), answer.days !== null && answer.days !== undefined ? metric("speed.days", time(answer.days * 864e5)) : null,
      answer.gpu_hours !== null && answer.gpu_hours !== undefined ? metric("speed.gpu_hours", rate(answer.gpu_hours)) : null, answer.cost_usd !== undefined ? metric("speed.cost", money(answer.cost_usd)) : null),
    h("p", { class: "muted small" }, bound(answer))), meters(answer)), operations(answer),
  ];
}

const metric = (key, value) => h("div", {}, h("dt", {}, t(key)), h("dd", {}, value));

function cost(answer) {
  const date = answer.parameters?.price_date ?? answer.parameters?.price_per_hour_date ?? "";
  return metric("speed.per_million", `${money(answer.cost_per_million_tokens)}${date ? ` (${date})` : ""}`);
}

function bound(answer) {
  const key = `bound.${answer.bottleneck}`;
  return has(key) ? t(key) : answer.bottleneck ?? "";
}

function meters(answer) {
  const use = answer.utilization ?? {};
  const rows = ["compute", "memory_bandwidth", "memory_capacity"].filter((key) => use[key] !== undefined && use[key] !== null);
  return h("div", { class: "meters" }, rows.map((key) => [h("span", {}, t(`meter.${key}`)), meter(use[key], t(`meter.${key}`)), h("span", {}, percent(use[key]))]));
}

function meter(share, label) {
  return h("span", { class: `meter${share > 0.7 ? " high" : ""}`, role: "img", "aria-label": `${label} ${percent(share)}` },
    s("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" }, s("rect", { x: 0, y: 0, width: Math.min(100, share * 100), height: 8 })));
}

function saturation(answer) {
  const load = answer.saturation;
  if (load === undefined || load === null) return null;
  const state = load >= 1 ? "over" : load >= 0.9 ? "tight" : "fits";
  return h("p", {}, h("span", { class: `pill ${state}` }, t(`speed.load_${state}`, { share: percent(load) })));
}

function latencies(answer) {
  const rows = Object.entries(answer.percentiles ?? {}).filter(([, value]) => value && typeof value === "object");
  if (!rows.length) return null;
  return table([t("speed.latency"), "p50", "p90", "p99"], rows.map(([name, value]) => [has(`latency.${name}`) ? t(`latency.${name}`) : name, time(value.p50), time(value.p90), time(value.p99)]));
}

function operations(answer) {
  const all = answer.operations ?? [];
  if (!all.length) return null;
  const top = all.toSorted((a, b) => (b.ms ?? 0) - (a.ms ?? 0)).slice(0, 10);
  const rows = top.map((each) => [each.name ?? each.operation, time(each.ms), each.flops === undefined ? "—" : each.flops.toExponential(2), bytes(each.bytes, unit()), each.bound ?? each.bound_by ?? each.bottleneck ?? ""]);
  return h("details", {}, h("summary", {}, t("speed.operations")), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("speed.operations") }, table([t("speed.operation"), t("speed.time"), "FLOPs", t("speed.bytes"), t("speed.bound")], rows)));
}
