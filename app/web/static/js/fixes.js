// What would make it fit: single changes built from the options at hand, priced in one compare call,
// kept if they fit, ranked by what they cost the user.

import { ask, drop, later, list } from "./api.js";
import { h } from "./dom.js";
import { optionsOf } from "./controls.js";
import { bytes, count } from "./format.js";
import { paint, results } from "./engine.js";
import { shardingOf } from "./fields.js";
import { total } from "./parts.js";
import { body, calculation, state, unit } from "./state.js";
import { t } from "./words.js";

const MOST = 24;
let found = [];
let combined = null;
let open = null;

/** 250 ms after the last answer, look for changes. */
export function followFixes() {
  if (state.mode !== "compare" && results.answer?.fit) return later("fixes", 250, search);
  drop("fixes");
  found = [];
  return undefined;
}

async function search() {
  const answer = results.answer;
  const candidates = [...(state.mode === "inference" ? forServing(answer) : forTraining(answer)), ...(await moreHardware(answer))]
    .filter((each) => Object.entries(each.set).some(([key, value]) => state.fields[key] !== value)).slice(0, MOST);
  try {
    const priced = await price(candidates, answer);
    if (!priced) return;
    found = priced.filter((each) => each.fits && each.saved > 0).toSorted((a, b) => a.rank - b.rank || b.saved - a.saved);
    combined = answer.fit.fits || found.some((each) => each.rank <= 2) ? null : await together(priced, answer);
    paint("fixes");
  } catch {
    found = [];
  }
}

async function price(candidates, answer) {
  if (!candidates.length) return [];
  const configurations = candidates.map((each) => changedBody(each.set));
  const reply = await ask("fixes", "POST", "/api/memory/compare", { calculation_type: calculation(), configurations });
  return reply && candidates.map((each, index) => {
    const result = reply.results[index];
    if (result.error) return { ...each, fits: false, saved: 0 };
    return { ...each, fits: result.fit?.fits ?? false, free: result.fit?.free_bytes, saved: total(answer) - total(result) || (each.rank === 5 ? 1 : 0), total: total(result) };
  });
}

function changedBody(set) {
  const fields = { ...state.fields };
  for (const [key, value] of Object.entries(set)) {
    if (value === undefined) delete fields[key];
    else fields[key] = value;
  }
  const request = body("memory", fields);
  delete request.solve_for;
  return request;
}

/** Several changes at once, where none is enough: the largest savings of the gentlest kinds, one by one. */
async function together(priced, answer) {
  const helpful = priced.filter((each) => each.saved > 1 && each.rank < 5).toSorted((a, b) => b.saved - a.saved);
  const chains = [2, 4].map((rank) => helpful.filter((each) => each.rank <= rank)).flatMap((kind) => chainsOf(kind));
  const found = await price(chains.slice(0, MOST), answer);
  return found?.filter((each) => each.fits).toSorted((a, b) => a.rank - b.rank || a.steps - b.steps)[0] ?? null;
}

function chainsOf(changes) {
  const chains = [];
  let last = { rank: 1, words: "", set: {}, steps: 0 };
  for (const each of changes) {
    if (Object.keys(each.set).some((key) => key in last.set)) continue;
    last = { rank: Math.max(last.rank, each.rank), words: last.words ? `${last.words} + ${each.words}` : each.words, set: { ...last.set, ...each.set }, steps: last.steps + 1 };
    chains.push(last);
  }
  return chains.slice(1);
}

const change = (rank, field, value, words = `${field} → ${typeof value === "number" ? count(value) : value}`) => ({ rank, set: { [field]: value }, words });
const offered = (field, value) => optionsOf(field)?.some((each) => each.value === value) ?? false;

function forServing(answer) {
  const p = answer.parameters;
  const room = answer.capacity ?? {};
  const all = [change(1, "enforce_eager", true), p.max_num_seqs > p.batch_size ? change(1, "max_num_seqs", p.batch_size) : null, change(1, "max_num_batched_tokens", 2048)];
  if (room.max_batch_size > 0 && room.max_batch_size < p.batch_size) all.push(change(3, "batch_size", room.max_batch_size));
  else if (p.batch_size > 1) all.push(change(3, "batch_size", Math.floor(p.batch_size / 2)));
  if (room.max_sequence_length > 0 && room.max_sequence_length < p.sequence_length) all.push(change(3, "sequence_length", room.max_sequence_length));
  else if (p.sequence_length > 512) all.push(change(3, "sequence_length", Math.floor(p.sequence_length / 2)));
  for (const value of ["fp8", "q8_0"]) if (offered("kv_cache_dtype", value)) all.push(change(4, "kv_cache_dtype", value));
  const gguf = ["llama.cpp", "ollama"].includes(p.backend);
  for (const value of gguf ? ["q8_0", "q4_k_m"] : ["fp8", "awq", "gptq", "mxfp4"]) if (offered("quantization", value)) all.push(change(4, "quantization", value));
  for (const by of [2, 4, 8]) all.push(change(5, "tensor_parallel", p.tensor_parallel * by, t("fix.gpus", { count: p.tensor_parallel * by })));
  return all.filter(Boolean);
}

function forTraining(answer) {
  const p = answer.parameters;
  const all = [change(1, "fused_cross_entropy", true), change(1, "attention", "flash_attention_2")];
  for (const value of ["selective", "full"]) if (p.gradient_checkpointing !== value) all.push(change(2, "gradient_checkpointing", value));
  if ((p.num_gpus ?? 1) > 1 && shardingOf(p) === "none") {
    all.push({ rank: 2, set: { fsdp: "fsdp2" }, words: t("sharding.fsdp2") });
    for (const stage of [1, 2, 3]) all.push({ rank: 2, set: { zero_stage: stage }, words: t(`sharding.zero${stage}`) });
  }
  for (const part of ["optimizer", "parameters", "activations"]) if (offered(`offload.${part}`, "cpu")) all.push(change(2, `offload.${part}`, "cpu"));
  for (let size = Math.floor(p.batch_size / 2), tries = 0; size >= 1 && tries < 3; size = Math.floor(size / 2), tries += 1) all.push(change(3, "batch_size", size));
  if (p.sequence_length > 512) all.push(change(3, "sequence_length", Math.floor(p.sequence_length / 2)));
  if (p.method === "full") {
    if (offered("optimizer", "Quantized AdamW")) all.push({ rank: 4, set: { optimizer: "Quantized AdamW", optimizer_dtype: "auto" }, words: "optimizer → Quantized AdamW" });
  }
  if (state.mode === "fine-tuning") for (const method of ["lora", "qlora"]) if (p.method !== method && offered("method", method)) all.push(change(4, "method", method));
  if (p.mixed_precision === "none" && offered("mixed_precision", "bf16")) all.push(change(4, "mixed_precision", "bf16"));
  const gpus = (p.num_gpus ?? 1) * 2;
  all.push({ rank: 5, set: { num_gpus: gpus, fsdp: "fsdp2", zero_stage: undefined, data_parallel: undefined }, words: `${t("fix.gpus", { count: gpus })} + ${t("sharding.fsdp2")}` });
  return all;
}

async function moreHardware(answer) {
  const reply = await list("/api/gpus").catch(() => null);
  const mine = reply?.gpus.find((gpu) => gpu.name === state.fields.gpu);
  if (!mine) return [];
  const larger = reply.gpus.filter((gpu) => gpu.vendor === mine.vendor && gpu.device_type === mine.device_type && gpu.memory_bytes_usable > Math.max(answer.fit.usable_bytes * 1.1, total(answer)) && (gpu.release_year ?? 0) >= 2020)
    .toSorted((a, b) => a.memory_bytes_usable - b.memory_bytes_usable);
  const sizes = new Map();
  for (const gpu of larger) if (!sizes.has(gpu.memory_gb) || (gpu.price_per_hour && !sizes.get(gpu.memory_gb).price_per_hour)) sizes.set(gpu.memory_gb, gpu);
  return [...sizes.values()].slice(0, 3).map((gpu) => ({ rank: 5, set: { gpu: gpu.name }, words: gpu.label }));
}

/** The card: open where it does not fit, folded as cheaper ways where it does. */
export function fixes() {
  const over = Boolean(results.answer.fit && !results.answer.fit.fits);
  const shown = combined ? [combined, ...found] : found;
  if (!shown.length && !over) return null;
  const isOpen = open ?? over;
  return h("section", { class: "card" },
    h("h2", {}, t(over ? "fix.title" : "fix.cheaper"),
      h("button", { type: "button", class: "btn small quiet push no-print", "data-act": "fixes", "aria-expanded": String(isOpen) }, t(isOpen ? "fix.hide" : "fix.show", { count: shown.length }))),
    isOpen ? (shown.length ? h("ol", { class: "fixes", id: "fix-list" }, shown.slice(0, 8).map(row)) : h("p", { class: "empty" }, t("fix.none"))) : null);
}

function row(each, index) {
  return h("li", {}, h("span", { class: "rank" }, String(index + 1)), h("span", { class: "what" }, each.words),
    h("span", { class: "save" }, each.saved > 1 ? bytes(-each.saved, unit()) : ""), h("span", { class: "cost" }, `${t(`fix.cost${each.rank}`)} · ${t("verdict.free", { size: bytes(each.free, unit()) })}`),
    h("button", { type: "button", class: "btn small no-print", "data-act": "apply", "data-arg": JSON.stringify(each.set), "aria-label": `${t("fix.apply")}: ${each.words}` }, t("fix.apply")));
}

/** Fold or open the list. */
export function toggleFixes() {
  open = !(open ?? results.answer?.fit?.fits === false);
  paint("fixes");
}

