// The accelerators: a table by price and performance with "fits this job" for all of them in one call.

import { ask, list } from "./api.js";
import { h } from "./dom.js";
import { bytes, count, money, rate } from "./format.js";
import { paint, results } from "./engine.js";
import { MARKS, stateOf } from "./parts.js";
import { body, calculation, state, unit } from "./state.js";
import { t } from "./words.js";

let gpus = [];
let fits = { key: "", byName: new Map() };
let sort = { by: "memory", down: true };
let wanted = { words: "", kind: "data_centre" };
const MINE = /^(rtx|gtx|rx|arc-[ab])/;

const KINDS = {
  all: () => true,
  data_centre: (gpu) => ["gpu", "npu", "tpu"].includes(gpu.device_type) && !MINE.test(gpu.name),
  consumer: (gpu) => MINE.test(gpu.name),
  mac: (gpu) => gpu.vendor === "Apple",
  other: (gpu) => ["cpu", "soc"].includes(gpu.device_type) && gpu.vendor !== "Apple",
};
const CHINA = /^(h20|h800|a800|l20|rtx-\d+-d|ascend|atlas|mlu|hygon|mtt|biren)/;
KINDS.china = (gpu) => CHINA.test(gpu.name);
const GPU_KINDS = Object.keys(KINDS);

/** Load the list and what fits. */
export async function followGpus() {
  await loadGpus();
  await followFits();
}

/** Which of all cards this job fits on, in one call. */
async function followFits() {
  if (!results.answer || !gpus.length) return;
  const request = body();
  delete request.solve_for;
  const configurations = gpus.map((gpu) => ({ ...request, gpu: gpu.name }));
  const key = JSON.stringify([configurations[0], calculation()]);
  if (fits.key === key) return;
  const reply = await ask("gpus", "POST", "/api/memory/compare", { calculation_type: calculation(), configurations }).catch(() => null);
  if (!reply) return;
  fits = { key, byName: new Map(gpus.map((gpu, index) => [gpu.name, reply.results[index]])) };
  paint("views");
}

/** Load the list, so that cards can be called by the names people know. */
export async function loadGpus() {
  gpus = (await list("/api/gpus").catch(() => null))?.gpus ?? gpus;
  paint();
}

/** What a card is called. */
export const cardName = (name) => gpus.find((gpu) => gpu.name === name)?.label ?? name;

export const allGpus = () => gpus;
const sixteen = (gpu) => gpu.tflops?.bf16 ?? gpu.tflops?.fp16 ?? null;
const stateFor = (gpu) => {
  const answer = fits.byName.get(gpu.name);
  return !answer || answer.error ? null : stateOf(answer);
};
const ORDER = { fits: 0, tight: 1, over: 2, unknown: 3, null: 4 };
const VALUES = {
  name: (gpu) => gpu.label, memory: (gpu) => gpu.memory_bytes_usable, bandwidth: (gpu) => gpu.memory_bandwidth_gb_s, tflops: sixteen,
  price: (gpu) => gpu.price_per_hour, fits: (gpu) => -ORDER[stateFor(gpu)],
  value: (gpu) => (gpu.price_per_hour ? gpu.memory_bandwidth_gb_s / gpu.price_per_hour : null),
};

/** The cards that pass words and kind, sorted. */
export function selected(words = wanted.words, kind = wanted.kind) {
  const parts = words.toLowerCase().split(/\s+/).filter(Boolean);
  const good = gpus.filter((gpu) => KINDS[kind](gpu) && parts.every((part) => [gpu.name, gpu.label, gpu.vendor, gpu.architecture, ...(gpu.aliases ?? [])].join(" ").toLowerCase().includes(part)));
  const of = VALUES[sort.by];
  return good.toSorted((a, b) => {
    const [one, other] = [of(a), of(b)];
    if (one === null || one === undefined) return 1;
    if (other === null || other === undefined) return -1;
    const order = typeof one === "string" ? one.localeCompare(other) : one - other;
    return sort.down ? -order : order;
  });
}

/** The view: a table sorted by a click on its heads. */
export function gpuTable() {
  if (!gpus.length) return h("p", { class: "empty" }, t("gpus.waiting"));
  const head = (key, optional) => h("th", { scope: "col", class: optional ? "optional" : "", "aria-sort": sort.by === key ? (sort.down ? "descending" : "ascending") : null },
    h("button", { type: "button", "data-act": "sort-gpus", "data-arg": key }, `${t(`gpus.${key}`)}${sort.by === key ? (sort.down ? " ↓" : " ↑") : ""}`));
  return [
    h("div", { class: "chips no-print" }, h("input", { type: "search", id: "gpu-words", value: wanted.words, placeholder: t("gpus.search"), "aria-label": t("gpus.search"), "data-input": "gpu-words" }), kindChips("gpu-kind", wanted.kind)),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("view.gpus") }, h("table", { class: "data" },
      h("thead", {}, h("tr", {}, head("name"), head("memory"), head("bandwidth", true), head("tflops", true), head("price"), head("value", true), head("fits"), h("td", { class: "optional" }))),
      h("tbody", {}, selected().map(row)))),
    h("p", { class: "muted small" }, t("gpus.note")),
  ];
}

/** Chips that filter by kind. */
export function kindChips(action, now) {
  return GPU_KINDS.map((kind) => h("button", { type: "button", class: "btn small", "data-act": action, "data-arg": kind, "aria-pressed": String(kind === now) }, t(`gpus.kind_${kind}`)));
}

function row(gpu) {
  const price = gpu.cloud_price;
  return h("tr", { "data-key": gpu.name, class: gpu.name === state.fields.gpu ? "on" : "" },
    h("th", { scope: "row", translate: "no" }, h("button", { type: "button", class: "link", "data-act": "set", "data-arg": `gpu=${gpu.name}` }, gpu.label)),
    h("td", { title: gpu.memory_mib_source ?? "" }, bytes(gpu.memory_bytes_usable, unit())), h("td", { class: "optional" }, gpu.memory_bandwidth_gb_s ? `${count(gpu.memory_bandwidth_gb_s)} GB/s` : "—"),
    h("td", { class: "optional" }, sixteen(gpu) ? rate(sixteen(gpu)) : "—"), h("td", { title: price ? `${price.date} · ${price.source}` : t("gpus.no_price") }, gpu.price_per_hour ? `${money(gpu.price_per_hour)}` : "—", price && gpu.price_per_hour ? h("small", { class: "muted" }, ` ${price.date}`) : null),
    h("td", { class: "optional" }, gpu.price_per_hour ? count(Math.round(gpu.memory_bandwidth_gb_s / gpu.price_per_hour)) : "—"), h("td", {}, fitPill(gpu)),
    h("td", { class: "optional" }, h("a", { href: `/api/gpus/${gpu.name}`, target: "_blank", rel: "noopener", class: "small" }, t("gpus.facts"))));
}

/** Whether the job fits on a card: word and shape. */
export function fitPill(gpu) {
  const now = stateFor(gpu);
  const answer = fits.byName.get(gpu.name);
  if (!now) return h("span", { class: "pill", title: answer?.error ?? "" }, "—");
  const free = answer.fit?.free_bytes;
  return h("span", { class: `pill ${now}` }, `${MARKS[now]} ${free === undefined ? t(`state.${now}`) : bytes(free, unit())}`);
}

/** Sort by a column, or turn the order around. */
export function sortGpus(by) {
  sort = { by, down: sort.by === by ? !sort.down : by !== "name" && by !== "price" };
  paint("views");
}

/** Filter the table. */
export function filterGpus(change) {
  wanted = { ...wanted, ...change };
  paint("views");
}
