// What the reader asks: mode, fields (flat, by the API's own dotted names), columns of a comparison, and
// what is looked at. It lives in the address; nothing else holds state that a link would lose.

import { boot } from "./boot.js";
import { fieldOf, fieldsOf, typed } from "./fields.js";

const MODES = ["inference", "training", "fine-tuning", "compare"];
const VIEW_KEYS = ["view", "part", "x", "unit", "axis", "show", "over", "sort"];
const LETTERS = [..."bcdefghijkl"]; // of the columns beside the base
export const MOST_COLUMNS = LETTERS.length;
const MODEL_KEYS = ["model_name", "model_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
  "num_key_value_heads", "head_dim", "intermediate_size", "vocab_size"];

export const state = { mode: "inference", fields: {}, config: null, columns: [], calculation: "inference", view: {}, unknown: {} };
const remembered = {};
const listeners = [];

export const subscribe = (listener) => listeners.push(listener);

/** The mode whose fields are in force: a comparison has those of what it compares. */
export const fieldMode = () => (state.mode !== "compare" ? state.mode : state.calculation === "inference" ? "inference" : state.fields.method && state.fields.method !== "full" ? "fine-tuning" : "training");

/** Which calculation the mode asks for. */
export const calculation = () => (state.mode === "compare" ? state.calculation : state.mode === "inference" ? "inference" : "training");

export const unit = () => (state.view.unit === "GiB" ? "GiB" : "GB");

let timer = 0;

/** Change the state by a function, tell who listens, and write the address: at once, or after sliding. */
export function change(edit, { push = true } = {}) {
  edit(state);
  for (const listener of listeners) listener();
  clearTimeout(timer);
  if (push) writeAddress(true);
  else timer = setTimeout(() => writeAddress(false), 250);
}

/** Set fields; undefined puts one back to its default. */
export function setFields(values, options) {
  change((now) => {
    for (const [key, value] of Object.entries(values)) {
      if (value === undefined || value === null || value === "" || Number.isNaN(value)) delete now.fields[key];
      else now.fields[key] = value;
    }
  }, options);
}

/** Another mode, with the model and card at hand and what that mode was last asked. */
export function setMode(mode) {
  if (mode === state.mode || !MODES.includes(mode)) return;
  change((now) => {
    remembered[now.mode] = { fields: now.fields, columns: now.columns, calculation: now.calculation };
    const kept = pick(now.fields, ["model_name", "gpu", ...MODEL_KEYS, "gpu.memory_gb", "gpu.memory_bandwidth_gb_s", "gpu.price_per_hour"]);
    const comparing = mode === "compare";
    const before = comparing ? null : remembered[mode] ?? defaults(mode);
    if (comparing) {
      now.calculation = now.mode === "inference" ? "inference" : "training";
      now.columns = now.columns.length ? now.columns : firstColumns(now);
    } else if (now.mode === "compare" && (now.calculation === "inference") === (mode === "inference")) {
      now.fields = { ...now.fields };
    } else {
      const others = Object.fromEntries(Object.entries(before.fields).filter(([key]) => !isModelOrCard(key)));
      now.fields = { ...others, ...kept };
    }
    if (mode === "fine-tuning" && (now.fields.method ?? "full") === "full") now.fields.method = "qlora";
    if (mode === "training") delete now.fields.method;
    now.mode = mode;
    now.view = pick(now.view, ["unit"]);
  });
}

const isModelOrCard = (key) => key.split(".")[0] === "gpu" || MODEL_KEYS.includes(key);
const pick = (from, keys) => Object.fromEntries(keys.filter((key) => key in from).map((key) => [key, from[key]]));

function firstColumns(now) {
  if (now.mode === "inference") return [{ quantization: now.fields.quantization === "fp8" ? "awq" : "fp8" }];
  return now.fields.method === "lora" ? [{ method: "qlora" }] : [{ method: "lora" }, { method: "qlora" }];
}

/** What a mode shows before anything was asked: its first preset. */
function defaults(mode) {
  const preset = boot.presets.find((each) => each.mode === mode) ?? boot.presets[0];
  return { fields: flatten(preset.body) };
}

/** Load a preset. */
export function applyPreset(preset) {
  change((now) => Object.assign(now, fromPreset(preset), { view: { ...pick(now.view, ["unit"]), ...(preset.view ? { view: preset.view } : {}) } }));
}

function fromPreset(preset) {
  return {
    mode: preset.mode, fields: flatten(preset.body), config: null, unknown: {},
    columns: (preset.columns ?? []).map((column) => flatten(column)),
    calculation: preset.calculation_type ?? "inference",
  };
}

/** Nested objects as dotted keys; lists stay. */
export function flatten(body, prefix = "") {
  const flat = {};
  for (const [key, value] of Object.entries(body)) {
    if (value && typeof value === "object" && !Array.isArray(value)) Object.assign(flat, flatten(value, `${prefix}${key}.`));
    else flat[prefix + key] = value;
  }
  return flat;
}

/** The body of a request: `part` is "memory", "performance" or "recommend". */
export function body(part = "memory", fields = state.fields) {
  const mode = fieldMode();
  const nested = {};
  for (const [key, value] of Object.entries(fields)) {
    const only = fieldOf(mode, key)?.only;
    if (only && only !== part && !(part === "recommend" && only === "performance")) continue;
    if (state.config && MODEL_KEYS.includes(key)) continue;
    place(nested, key.split("."), value);
  }
  if (nested.input_length !== undefined) delete nested.sequence_length;
  if (state.config) nested.config = state.config.config;
  if (mode === "fine-tuning" && nested.method === undefined) nested.method = "qlora";
  if (nested.lora && ["full", "freeze"].includes(nested.method)) delete nested.lora;
  if (unit() === "GiB") nested.unit = "GiB";
  return nested;
}

function place(into, [first, ...rest], value) {
  if (!rest.length) {
    into[first] = first in into && typeof into[first] === "object" && first === "gpu" ? { name: value, ...into[first] } : value;
    return;
  }
  if (typeof into[first] === "string") into[first] = { name: into[first] };
  into[first] ??= {};
  place(into[first], rest, value);
}

/** All the bodies of a comparison, the base first. */
export function bodies() {
  const unlike = (column) => {
    const fields = { ...state.fields, ...column };
    if ("model_name" in column) for (const key of MODEL_KEYS.slice(1)) delete fields[key];
    return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
  };
  return [state.fields, ...state.columns.map(unlike)].map((fields) => body("memory", fields));
}

// The address.

/** The query of the state: the API's own names, sorted, only what was set. */
export function query(now = state) {
  const pairs = Object.entries(now.fields).map(([key, value]) => [key, write(value)]);
  now.columns.forEach((column, index) => {
    for (const [key, value] of Object.entries(column)) pairs.push([`${LETTERS[index]}.${key}`, write(value)]);
    if (!Object.keys(column).length) pairs.push([LETTERS[index], ""]);
  });
  if (now.mode === "compare" && now.calculation === "training") pairs.push(["calculation_type", "training"]);
  pairs.push(...Object.entries(now.view), ...Object.entries(now.unknown));
  pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const search = new URLSearchParams([["mode", now.mode], ...pairs]);
  return `?${search}`.replaceAll("%2C", ",").replaceAll("%2F", "/");
}

const write = (value) => (Array.isArray(value) ? value.join(",") : String(value ?? ""));

function writeAddress(push) {
  const address = query() + fragment;
  if (address === location.search + location.hash) return;
  history[push ? "pushState" : "replaceState"](null, "", `/${address}`);
}

/** Read the address into the state; what is not known is kept, named and not sent. */
export function readAddress() {
  const search = new URLSearchParams(location.search);
  const mode = MODES.includes(search.get("mode")) ? search.get("mode") : "inference";
  const fresh = { mode, fields: {}, columns: [], calculation: search.get("calculation_type") ?? "inference", view: {}, unknown: {} };
  const known = knownKeys(mode, fresh.calculation);
  for (const [key, value] of search) {
    const [head, ...rest] = key.split(".");
    const column = mode === "compare" ? LETTERS.indexOf(head) : -1;
    if (key === "mode" || key === "calculation_type") continue;
    if (VIEW_KEYS.includes(key)) fresh.view[key] = value;
    else if (column >= 0) columnAt(fresh, column, rest.join("."), value, known);
    else if (known.has(key)) fresh.fields[key] = typed(known.get(key), value);
    else fresh.unknown[key] = value;
  }
  const named = "model_name" in fresh.fields || "model_size" in fresh.fields || location.hash.startsWith("#c=");
  if (!named && !Object.keys(fresh.fields).length) {
    const preset = boot.presets.find((each) => each.mode === mode);
    Object.assign(fresh, fromPreset(preset), { view: fresh.view, unknown: fresh.unknown });
  }
  Object.assign(state, fresh);
}

function knownKeys(mode, calculates) {
  const modes = mode !== "compare" ? [mode] : calculates === "training" ? ["training", "fine-tuning"] : ["inference"];
  return new Map(modes.flatMap((each) => fieldsOf(each).map((field) => [field.key, field])));
}

function columnAt(fresh, index, key, value, known) {
  while (fresh.columns.length <= index) fresh.columns.push({});
  if (key) fresh.columns[index][key] = value === "" ? null : typed(known.get(key), value);
}

// A pasted configuration travels in the fragment, which no server sees.
let fragment = "";

/** Use a configuration of the reader's own; null goes back to names. */
export async function setConfig(named) {
  fragment = named ? `#c=${await squeeze(JSON.stringify(named))}` : "";
  change((now) => {
    now.config = named;
    if (named) for (const key of MODEL_KEYS) delete now.fields[key];
  });
}

/** Read the fragment of the address. */
export async function readFragment() {
  fragment = location.hash.startsWith("#c=") ? location.hash : "";
  state.config = fragment ? JSON.parse(await unsqueeze(fragment.slice(3))) : null;
}

async function squeeze(text) {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  return btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join("")).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

async function unsqueeze(text) {
  const packed = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"))).text();
}
