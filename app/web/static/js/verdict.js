// The first question: does it fit, with how much room. One sentence, the facts behind it, the notes.

import { h } from "./dom.js";
import { bar } from "./bar.js";
import { bare, bytes, count } from "./format.js";
import { gpuCount, gpuName, MARKS, partsOf, range, stateOf, total } from "./parts.js";
import { cardName } from "./gpus.js";
import { results } from "./engine.js";
import { trainingRoom } from "./room.js";
import { state, unit } from "./state.js";
import { t } from "./words.js";

/** The sentence of an answer. */
export function sentence(answer) {
  if (!answer) return t("verdict.choose_model");
  const now = stateOf(answer);
  if (now === "unknown") return t("verdict.no_card", { need: bytes(total(answer), unit()) });
  const free = answer.fit.free_bytes;
  const size = t(free >= 0 ? "verdict.free" : "verdict.missing", { size: bytes(Math.abs(free), unit()) });
  return `${t(`state.${now}`)}${t("verdict.joint")}${size}`;
}

/** The section on top of the result. */
export function verdict(width) {
  const { answer, failure } = results;
  if (state.mode === "compare" && results.comparison) return compareVerdict();
  if (!answer && failure) {
    return h("section", { class: "verdict unknown", id: "verdict" }, h("h1", {}, failure.status ? failure.body.error : t("verdict.no_service")), again(failure));
  }
  const now = stateOf(answer);
  return h("section", { class: `verdict ${now}`, id: "verdict" },
    h("h1", { "data-state": now }, h("span", { class: "state-mark", "aria-hidden": "true" }, MARKS[now]), ` ${sentence(answer)}`),
    answer && h("p", { class: "facts" }, facts(answer).flatMap((fact, index) => [index ? " · " : "", h("span", {}, fact)])),
    answer && h("div", { class: "mini", "aria-hidden": "true" }, bar(answer, Math.max(120, width - 34), 12, "", undefined, true)),
    stale());
}

function compareVerdict() {
  const answers = results.comparison.results;
  const good = answers.filter((answer) => !answer.error);
  const fitting = good.filter((answer) => ["fits", "tight"].includes(stateOf(answer))).length;
  const now = good.every((answer) => stateOf(answer) === "unknown") ? "unknown" : fitting ? (fitting === answers.length ? "fits" : "tight") : "over";
  const words = now === "unknown" ? t("compare.sizes", { count: good.length }) : t("compare.fitting", { fitting, count: answers.length });
  return h("section", { class: `verdict ${now}`, id: "verdict" },
    h("h1", { "data-state": now }, h("span", { class: "state-mark", "aria-hidden": "true" }, MARKS[now]), ` ${words}`), stale());
}

function facts(answer) {
  const gpus = gpuCount(answer);
  const card = cardName(gpuName(answer));
  const spread = range(answer);
  const need = bytes(total(answer), unit());
  const found = [answer.fit ? t("verdict.of_budget", { need, budget: bytes(answer.fit.budget_bytes, unit()) }) : t("verdict.need", { need })];
  if (spread && spread.high > spread.low) found.push(t("verdict.range", { low: bare(spread.low, unit()), high: bytes(spread.high, unit()) }));
  if (card) found.push(gpus > 1 ? t("verdict.on_each", { gpus: count(gpus), card }) : t("verdict.on_one", { card }));
  if (answer.peak_phase) found.push(t("verdict.peak_in", { phase: t(`phase.${answer.peak_phase}`) }));
  if (answer.per_gpu?.length > 1) found.push(t("verdict.fullest", { role: answer.per_gpu[0].role }));
  const { backend, backend_version: version, framework } = answer.parameters;
  found.push(backend ? `${backend}${version ? ` ${version}` : ""}` : framework);
  if (stateOf(answer) === "over") found.push(largest(answer));
  return found.filter(Boolean);
}

function largest(answer) {
  const part = partsOf(answer).toSorted((a, b) => b.bytes - a.bytes)[0];
  return t("verdict.largest", { part: t(`part.${part.key}`), size: bytes(part.bytes, unit()) });
}

/** Why the answer shown is not the one asked for, if it is not. */
function stale() {
  const { failure, saved, at } = results;
  if (!failure && !saved) return null;
  const when = saved ? t("stale.saved", { at: new Date(saved).toLocaleString() }) : at ? t("stale.as_of", { at: at.toLocaleTimeString() }) : "";
  const reason = failure ? (failure.status ? failure.body.error : t(navigator.onLine ? "stale.unreachable" : "stale.offline")) : "";
  return h("p", { class: "stale", role: "alert" }, `${when} ${reason} `, again(failure));
}

/** What to name when asking for help, and the way to ask again at once. */
function again(failure) {
  return [failure?.body?.request_id ? h("small", { class: "muted mono" }, ` ${failure.body.request_id} `) : null,
    results.retry && h("button", { type: "button", class: "btn small", "data-act": "retry" }, t("stale.try_now"))];
}

/** What the API wants known: the first in sight, all of them behind it. */
export function notes(answer) {
  const warnings = answer?.warnings ?? [];
  const unknown = Object.keys(state.unknown).map((key) => t("verdict.unknown_key", { key }));
  const all = [...unknown, ...warnings.map((warning) => warning.message)];
  if (!all.length) return null;
  return h("details", { class: "notes" },
    h("summary", {}, h("span", { class: "pill tight" }, `▲ ${t("verdict.notes", { count: all.length })}`), h("span", { class: "first" }, all[0])),
    h("ul", {}, all.map((words) => h("li", {}, words))));
}

/** Room in the reader's own units. */
export function room(answer) {
  const training = answer?.calculation_type === "training";
  const lines = [...capacity(answer, training ? trainingRoom() : answer?.capacity, training ? "room.batch" : "room"), solution(answer?.solution)].filter(Boolean);
  if (!lines.length) return null;
  return h("section", { class: "card", id: "room" }, h("h2", {}, t("room.title")), h("ul", { class: "room" }, lines));
}

function capacity(answer, room, words) {
  const { max_batch_size: users, max_sequence_length: tokens } = room ?? {};
  if (!users && !tokens) return [];
  const p = answer.parameters;
  const length = p.sequence_length ?? (p.input_length ?? 0) + (p.output_length ?? 0);
  const now = { length: count(length), users: count(p.batch_size) };
  return [
    users && line(t(`${words}.${users < p.batch_size ? "fewer" : "more"}`, { ...now, now: now.users, most: count(users) }), "batch_size", users),
    tokens && line(t(`${words}.${tokens < length ? "shorter" : "longer"}`, { ...now, now: now.length, most: count(tokens) }), "sequence_length", tokens),
    room.kv_cache_tokens && h("li", { class: "muted" }, t("room.cache", { tokens: count(room.kv_cache_tokens), times: room.max_concurrency ?? "—" })),
  ];
}

/** What `solve_for` found: a number, with the layout that it needs, or nothing that fits. */
function solution(found) {
  if (!found || Array.isArray(found.value)) return null;
  if (found.value === null) return h("li", { class: "big" }, t("room.nothing"));
  const layout = found.tensor_parallel ? ` (TP ${found.tensor_parallel}${found.pipeline_parallel > 1 ? ` × PP ${found.pipeline_parallel}` : ""})` : "";
  return h("li", { class: "big" }, t(`solved.${found.solve_for}`, { value: count(found.value) }) + layout);
}

function line(words, field, value) {
  const usable = value > 0 && value !== state.fields[field] && state.fields.input_length === undefined;
  return h("li", {}, h("span", { class: "big" }, words),
    usable ? h("button", { type: "button", class: "btn small no-print", "data-act": "set", "data-arg": `${field}=${value}` }, t("room.use")) : null);
}

