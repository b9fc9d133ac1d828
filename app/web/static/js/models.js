// Picking a model: from the list, by hub id, from a pasted config.json, or by size alone.

import { ask, forget, later, list } from "./api.js";
import { h } from "./dom.js";
import { closeDialog, openDialog, redraw } from "./dialog.js";
import { SIZE_FIELDS } from "./fields.js";
import { bytes, count, parameters, parseNumber } from "./format.js";
import { setConfig, setFields, state } from "./state.js";
import { labelOf } from "./controls.js";
import { t } from "./words.js";

const WINDOW = 40;
const SIZES = { small: [0, 8e9], medium: [8e9, 40e9], large: [40e9, 150e9], huge: [150e9, Infinity] };
let models = [];
const details = new Map();
let look = { tab: "known", words: "", size: null, family: null, inspected: null, problem: null, busy: false, text: "" };

/** Open the picker. */
export async function pickModel() {
  look = { ...look, tab: "known", words: "", problem: null, inspected: null };
  openDialog("model.pick", draw);
  models = (await list("/api/models").catch(() => null))?.models ?? models;
  redraw(draw);
}

function draw() {
  const tabs = ["known", "hub", "paste", "size"];
  return [
    h("div", { class: "chips", role: "group", "aria-label": t("model.ways") }, tabs.map((tab) => h("button", { type: "button", class: "btn small", "data-act": "model-tab", "data-arg": tab, "aria-pressed": String(tab === look.tab) }, t(`model.tab_${tab}`)))),
    { known, hub, paste, size }[look.tab](),
  ];
}

/** Switch between the ways. */
export function modelTab(tab) {
  look = { ...look, tab, problem: null, inspected: null };
  redraw(draw);
}

// Known

function known() {
  const found = matches();
  askDetails(found);
  return [
    h("input", { type: "search", role: "combobox", id: "model-words", "aria-controls": "model-list", "aria-expanded": "true", "aria-autocomplete": "list", "aria-activedescendant": found.length ? "model-0" : null, value: look.words, placeholder: t("model.search"), "aria-label": t("model.search"), "data-input": "model-words", autocomplete: "off", spellcheck: "false" }),
    h("div", { class: "chips" }, Object.keys(SIZES).map((name) => h("button", { type: "button", class: "btn small", "data-act": "model-size", "data-arg": name, "aria-pressed": String(name === look.size) }, t(`model.size_${name}`))),
      families().map((name) => h("button", { type: "button", class: "btn small", "data-act": "model-family", "data-arg": name, "aria-pressed": String(name === look.family) }, name))),
    h("div", { class: "list", role: "listbox", id: "model-list", "aria-label": t("model.pick"), tabindex: "-1" }, found.slice(0, WINDOW).map(row)),
    h("p", { class: "muted small", role: "status" }, models.length ? t("model.found", { count: count(found.length), all: count(models.length) }) : t("model.loading")),
  ];
}

function families() {
  const all = new Map();
  for (const model of models) all.set(model.model_type, (all.get(model.model_type) ?? 0) + 1);
  return [...all].sort((a, b) => b[1] - a[1]).slice(0, 8).map(([name]) => name);
}

function matches() {
  const words = look.words.toLowerCase().split(/[\s/]+/).filter(Boolean);
  const [low, high] = SIZES[look.size] ?? [0, Infinity];
  const scored = [];
  for (const model of models) {
    if (look.family && model.model_type !== look.family) continue;
    if (!(model.parameters >= low && model.parameters < high)) continue;
    const text = [model.name, model.repo_id, model.model_type, ...(model.aliases ?? [])].join(" ").toLowerCase();
    const score = words.reduce((sum, word) => sum + (text.includes(word) ? 2 : near(text, word) ? 1 : -100), 0);
    if (score >= 0) scored.push([score, model]);
  }
  return scored.sort(([a, one], [b, other]) => b - a || (words.length ? one.name.length - other.name.length : 0) || (other.released ?? "").localeCompare(one.released ?? "") || one.name.localeCompare(other.name)).map(([, model]) => model);
}

/** Whether a word of five letters or more is in the text but for one edit; for finding only. */
function near(text, word) {
  if (word.length < 5) return false;
  for (let at = 0; at < word.length; at += 1) {
    const [before, after] = [word.slice(0, at), word.slice(at + 1)];
    for (let from = text.indexOf(before); from >= 0 && from < text.length; from = text.indexOf(before, from + 1)) {
      const rest = from + before.length;
      if ([rest, rest + 1].some((place) => text.startsWith(after, place)) || text.startsWith(word.slice(at), rest + 1)) return true;
      if (!before) break;
    }
  }
  return false;
}

/** Ask what the rows in sight hold beside their size, once each. */
function askDetails(found) {
  const names = found.slice(0, WINDOW).map((model) => model.name).filter((name) => !details.has(name) && !name.includes(","));
  if (!names.length) return;
  later("model-details", 120, async () => {
    const reply = await ask("model-details", "GET", `/api/models?details=true&names=${encodeURIComponent(names.join(","))}`).catch(() => null);
    for (const model of reply?.models ?? []) details.set(model.name, model);
    redraw(draw);
  });
}

function row(model, index) {
  const known = details.get(model.name);
  const active = known?.active_parameters && known.active_parameters !== model.parameters ? ` (${t("model.active", { size: parameters(known.active_parameters) })})` : "";
  const facts = [model.model_type, known?.context_length && t("model.context", { tokens: count(known.context_length) }), known?.cache_bytes_per_token && t("model.cache", { size: count(known.cache_bytes_per_token) }), model.license, model.released].filter(Boolean).join(" · ");
  return h("div", { role: "option", id: `model-${index}`, "data-key": model.name, "aria-selected": String(index === 0), "data-act": "take-model", "data-arg": model.name },
    h("span", { class: "title", translate: "no" }, model.name), h("span", { class: "sub" }, [model.repo_id, facts].filter(Boolean).join(" · ")), h("span", { class: "side" }, parameters(model.parameters), h("small", { class: "muted" }, active)));
}

/** Filter by size or family; the same one again clears it. */
export function filterModels(change) {
  for (const [key, value] of Object.entries(change)) look[key] = key !== "words" && look[key] === value ? null : value;
  redraw(draw);
}

/** Use a model by its name. */
export async function takeModel(name) {
  closeDialog();
  if (state.config) await setConfig(null);
  const cleared = Object.fromEntries(SIZE_FIELDS.map((field) => [field.key, undefined]));
  setFields({ ...cleared, model_name: name });
}

// Hub id

function hub() {
  return [
    h("label", {}, t("model.hub_id"), h("input", { id: "hub-id", initial: look.words.includes("/") ? look.words : "", placeholder: "org/name", spellcheck: "false", autocomplete: "off" })),
    h("p", {}, h("button", { type: "button", class: "primary", "data-act": "hub-model", disabled: look.busy }, t(look.busy ? "model.asking" : "model.fetch"))),
    look.problem && h("p", { class: "problem", role: "alert" }, look.problem, " ", h("button", { type: "button", class: "btn small", "data-act": "model-tab", "data-arg": "paste" }, t("model.paste_instead"))),
    h("p", { class: "muted small" }, t("model.hub_note")),
  ];
}

/** Register the id that was typed, and use it. */
export async function hubModel() {
  const id = document.getElementById("hub-id").value.trim();
  look = { ...look, words: id, busy: true, problem: null };
  redraw(draw);
  try {
    const model = await ask("hub", "POST", "/api/models", { repo_id: id });
    look.busy = false;
    forget("/api/models");
    if (model) await takeModel(model.name);
  } catch (failure) {
    look = { ...look, busy: false, problem: failure.status ? failure.body.error : t("stale.unreachable") };
    redraw(draw);
  }
}

// A configuration of the reader's own

function paste() {
  const found = look.inspected;
  return [
    h("label", { for: "config-text" }, t("model.paste_label")),
    h("textarea", { id: "config-text", rows: 10, spellcheck: "false", class: "mono", "data-input": "config-text", "data-drop": "config", value: look.text, placeholder: '{"model_type": "llama", "hidden_size": 4096, …}' }),
    h("p", { class: "chips" }, h("input", { type: "file", accept: "application/json,.json", "data-input": "config-file", "aria-label": t("model.file") })),
    look.problem && h("p", { class: "problem", role: "alert" }, look.problem),
    found && h("div", { class: "option" }, h("strong", { translate: "no" }, found.model_type),
      h("p", {}, t("model.inspected", { total: parameters(found.parameters.total), active: parameters(found.parameters.active), layers: count(found.config?.num_hidden_layers ?? found.layers?.reduce((most, layer) => Math.max(most, layer.count), 0)), cache: bytes(found.cache_bytes_per_token).replace(" GB", "") === "0.00" ? `${count(found.cache_bytes_per_token)} B` : bytes(found.cache_bytes_per_token), context: count(found.context_length) })),
      found.warnings?.length ? h("ul", { class: "small muted" }, found.warnings.map((warning) => h("li", {}, warning.message))) : null,
      h("p", {}, h("button", { type: "button", class: "primary", "data-act": "use-config" }, t("model.use")))),
    h("p", { class: "muted small" }, t("model.paste_note")),
  ];
}

let timer = 0;

/** Text was typed or dropped: look at it. */
export function configText(text) {
  look.text = text;
  clearTimeout(timer);
  timer = setTimeout(inspect, 200);
}

/** A file was chosen or dropped. */
export async function configFile(file) {
  if (!file) return;
  look = { ...look, tab: "paste", text: await file.text() };
  redraw(draw);
  await inspect();
}

async function inspect() {
  if (!look.text.trim()) return;
  try {
    const config = JSON.parse(look.text);
    const found = await ask("inspect", "POST", "/api/models/inspect", { config });
    if (!found) return;
    look = { ...look, inspected: { ...found, config }, problem: null };
  } catch (failure) {
    const words = failure instanceof SyntaxError ? t("model.not_json") : failure.status ? [failure.body.error, ...failure.body.details.map((each) => each.message)].filter((each, at, all) => all.indexOf(each) === at).join(" ") : t("stale.unreachable");
    look = { ...look, inspected: null, problem: words };
  }
  redraw(draw);
}

/** Use the configuration that was looked at. */
export async function useConfig() {
  const { config, model_type: type } = look.inspected;
  closeDialog();
  const named = config._name_or_path || config.name || type;
  await setConfig({ name: `${named} (config.json)`, config });
}

// Size only

function size() {
  return [
    h("p", { class: "muted" }, t("model.size_note")),
    h("div", { class: "form-row" }, SIZE_FIELDS.map((field) => h("label", {}, labelOf(field), h("input", { name: field.key, class: "size-field", initial: state.fields[field.key] ?? "", inputmode: "decimal", autocomplete: "off" })))),
    h("p", {}, h("button", { type: "button", class: "primary", "data-act": "use-size" }, t("model.use"))),
  ];
}

/** Use the size and dimensions that were typed. */
export async function useSize() {
  const inputs = [...document.querySelectorAll(".size-field")];
  const values = Object.fromEntries(inputs.map((input) => [input.name, input.value.trim() ? parseNumber(input.value) : undefined]));
  if (!(values.model_size > 0)) return;
  closeDialog();
  if (state.config) await setConfig(null);
  setFields({ ...values, model_name: undefined });
}
