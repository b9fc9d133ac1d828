// The rail of controls. A field left alone shows what the answer resolved it to; one that was set carries
// a dot and a way back; what the API refused lands on its field.

import { list } from "./api.js";
import { cardName } from "./gpus.js";
import { h } from "./dom.js";
import { CONTROLS, SHARDINGS, fieldOf, fromText, shardingOf } from "./fields.js";
import { count, parameters } from "./format.js";
import { nearest } from "./nearest.js";
import { paint, results } from "./engine.js";
import { calculation, fieldMode, setFields, state } from "./state.js";
import { has, t } from "./words.js";

let options = null;
let more = false;

/** Load the enumerated values; the rail is drawn without them before. */
export async function loadOptions() {
  options = await list("/api/config/options").catch(() => null);
  paint("rail");
}

export const optionsOf = (key) => options?.[calculation()]?.[key]?.values ?? null;

/** Open or close the groups under More. */
export function toggleMore(open = !more) {
  more = open;
  paint("rail");
}

/** The whole rail. */
export function rail() {
  const controls = CONTROLS[fieldMode()];
  return [
    card("model", [modelPick(), ...controls.model.map(draw)]),
    card("gpu", [gpuPick(), ...controls.gpu.map(draw)]),
    card("workload", controls.workload.map(draw)),
    h("section", { class: "card", "data-key": "more" }, moreHead(controls), more ? groups(controls) : null),
  ];
}

function card(name, fields) {
  return h("section", { class: "card", "data-key": name }, h("h2", {}, t(`group.${name}`)), h("div", { class: "fields" }, fields));
}

function moreHead(controls) {
  const set = Object.values(controls.more).flat().filter((field) => field.key in state.fields).length;
  return h("div", { class: "more-head" },
    h("button", { type: "button", class: "btn small", "data-act": "more", "aria-expanded": String(more) }, set ? t("rail.more_set", { count: set }) : t("rail.more")),
    h("button", { type: "button", class: "btn small quiet", id: "rail-body", "data-act": "body" }, t("rail.body")),
    h("button", { type: "button", class: "btn small quiet", "data-act": "reset" }, t("rail.reset")));
}

function groups(controls) {
  return h("div", { class: "fields" }, Object.entries(controls.more).map(([name, fields]) => {
    const drawn = fields.map(draw).filter(Boolean);
    return drawn.length ? [h("h3", { class: "label group", "data-key": `group-${name}` }, t(`group.${name}`)), ...drawn] : [];
  }));
}

function modelPick() {
  const answer = results.answer;
  const name = state.config?.name ?? state.fields.model_name ?? (state.fields.model_size ? t("model.size_of", { size: state.fields.model_size }) : t("model.choose"));
  const p = answer?.model?.parameters;
  const fact = p ? [parameters(p.total), p.active !== p.total && t("model.active", { size: parameters(p.active) }), p.trainable && p.trainable !== p.total && t("model.trainable", { share: ((p.trainable / p.total) * 100).toFixed(2) }), answer.model.model_type].filter(Boolean).join(" · ") : "";
  return h("div", { class: "field wide", "data-key": "model" },
    pick("model", name, t("model.pick"), problemOf("model_name") ?? problemOf("config")), h("span", { class: "fact" }, fact), problem("model_name"), problem("config"));
}

function gpuPick() {
  const custom = Object.keys(state.fields).some((key) => key.startsWith("gpu."));
  const name = state.fields.gpu ? `${cardName(state.fields.gpu)}${custom ? " *" : ""}` : custom ? t("gpu.custom") : t("gpu.choose");
  return h("div", { class: "field wide", "data-key": "gpu" }, pick("gpu", name, t("gpu.pick"), problemOf("gpu")), problem("gpu"));
}

function pick(what, name, label, wrong) {
  return h("button", { type: "button", class: "pick", id: `pick-${what}`, "data-act": `pick-${what}`, "aria-haspopup": "dialog", "aria-label": `${label}: ${name}`, "aria-invalid": wrong ? "true" : null },
    h("span", { translate: "no" }, name));
}

function draw(field) {
  if (field.unless?.includes(state.fields.method ?? "qlora")) return null;
  const drawn = field.kind === "choice" ? choice(field) : field.kind === "sharding" ? sharding() : DRAWN[field.kind](field);
  if (!drawn) return null;
  const set = field.key in state.fields || (field.kind === "sharding" && shardingOf(state.fields) !== "none");
  const wide = field.wide || field.kind === "slider";
  return h("div", { class: `field${wide ? " wide" : ""}${set ? " set" : ""}`, "data-key": field.key },
    h("label", { for: `f-${field.key}`, title: describe(field.key) }, labelOf(field),
      set ? h("button", { type: "button", class: "undo", "data-act": "unset", "data-arg": field.key, title: t("rail.default"), "aria-label": `${t("rail.default")}: ${labelOf(field)}` }, "↺") : null),
    drawn, problem(field.key));
}

/** What a field is called. */
export function labelOf(field) {
  const key = `field.${field.label ?? field.key}`;
  return has(key) ? t(key) : field.key;
}

const describe = (key) => options?.[calculation()]?.[key]?.description;

const DRAWN = {
  number: (field) => (field.stepper ? stepper(field) : box(field)),
  slider: (field) => h("div", { class: "slide" }, range(field), box(field)),
  text: (field) => box(field),
  flag: (field) => flag(field),
};

function resolved(key) {
  const found = key.split(".").reduce((value, name) => value?.[name], results.answer?.parameters);
  if (found === undefined || found === null || typeof found === "object" && !Array.isArray(found)) return undefined;
  return Array.isArray(found) ? found.join(",") : found;
}

function box(field) {
  const value = state.fields[field.key];
  const shown = resolved(field.key);
  const number = field.kind !== "text";
  return h("input", {
    ...wired(field.key), type: "text", inputmode: number ? (field.fraction ? "decimal" : "text") : "text", autocomplete: "off", spellcheck: "false",
    value: value === undefined ? "" : number ? count(value) : String(value), placeholder: shown === undefined ? t("rail.auto") : number ? count(shown) : String(shown),
  });
}

function wired(key) {
  const wrong = problemOf(key);
  return { id: `f-${key}`, "data-input": "field", "data-arg": key, "aria-invalid": wrong ? "true" : null, "aria-describedby": wrong ? `p-${key}` : null };
}

const STEPS = 1000;
const toStep = (field, value) => Math.round((Math.log(Math.max(value, field.low) / field.low) / Math.log(field.high / field.low)) * STEPS);

function range(field) {
  const value = state.fields[field.key] ?? resolved(field.key) ?? field.low;
  return h("input", { type: "range", min: 0, max: STEPS, step: 1, value: toStep(field, value), "data-input": "slide", "data-arg": field.key, "aria-label": labelOf(field), "aria-valuetext": count(value) });
}

/** The value that a slider's position stands for: whole steps near powers of two, fine ones below 64. */
function fromStep(field, step) {
  const value = field.low * (field.high / field.low) ** (step / STEPS);
  const grain = value < 32 ? 1 : value < 256 ? 8 : 2 ** Math.max(0, Math.floor(Math.log2(value)) - 3);
  return Math.min(field.high, Math.max(field.low, Math.round(value / grain) * grain));
}

function stepper(field) {
  const button = (by, sign, key) => h("button", { type: "button", "data-act": "step", "data-arg": `${field.key} ${by}`, "aria-label": t(key, { field: labelOf(field) }) }, sign);
  return h("div", { class: "stepper" }, button(0.5, "−", "rail.halve"), box(field), button(2, "+", "rail.double"));
}

function choice(field) {
  const values = optionsOf(field.key);
  if (!values?.length) return null;
  const shown = resolved(field.key);
  const value = state.fields[field.key];
  const auto = shown === undefined ? t("rail.auto") : t("rail.auto_is", { value: shown });
  const known = values.some((each) => each.value === String(value));
  return h("span", { class: "select" }, h("select", { ...wired(field.key), value: value === undefined ? "" : String(value), class: value === undefined ? "resolved" : "" },
    h("option", { value: "" }, auto), !known && value !== undefined ? h("option", { value: String(value) }, String(value)) : null,
    values.map((each) => h("option", { value: each.value, title: each.description }, each.value))));
}

function sharding() {
  const offered = Object.keys(SHARDINGS).filter((name) => !name.includes("fsdp") && name !== "hsdp" || optionsOf("fsdp")?.some((each) => each.value === name));
  return h("span", { class: "select" }, h("select", { id: "f-sharding", "data-input": "sharding", value: shardingOf(state.fields) },
    offered.map((name) => h("option", { value: name }, t(`sharding.${name}`)))));
}

function flag(field) {
  const value = state.fields[field.key];
  const shown = resolved(field.key);
  const word = (truth) => t(truth ? "rail.yes" : "rail.no");
  return h("span", { class: "select" }, h("select", { ...wired(field.key), value: value === undefined ? "" : String(value) },
    h("option", { value: "" }, shown === undefined ? t("rail.auto") : t("rail.auto_is", { value: word(shown) })),
    h("option", { value: "true" }, word(true)), h("option", { value: "false" }, word(false))));
}

function problemOf(key) {
  const details = results.failure?.body?.details ?? [];
  const found = details.find((each) => each.field === key || each.field.startsWith(`${key}.`));
  if (found) return found.message;
  return key === "model_name" && results.failure?.body?.closest && !details.length ? results.failure.body.error : null;
}

function problem(key) {
  const words = problemOf(key);
  if (!words) return null;
  const closest = key === "model_name" || key === "gpu" ? results.failure.body.closest ?? [] : nearest(key);
  return h("span", { class: "problem", id: `p-${key}` }, words, " ",
    closest.slice(0, 3).map((name) => h("button", { type: "button", class: "btn small", "data-act": "set", "data-arg": `${key}=${name}` }, typeof name === "number" ? count(name) : name)));
}

/** A box or a choice was changed. */
export function changed(key, event, element) {
  const field = fieldOf(fieldMode(), key);
  const value = element.value.trim();
  const sliding = event.type === "input" && element.localName === "input";
  if (element.localName === "select" && event.type === "input") return;
  if (value === "") return setFields({ [key]: undefined }, { push: !sliding });
  const read = fromText(field, value);
  if (Number.isNaN(read) || read === state.fields[key]) return;
  setFields({ [key]: read }, { push: !sliding });
}

/** A slider was moved. */
export function slid(key, event, element) {
  const field = fieldOf(fieldMode(), key);
  setFields({ [key]: fromStep(field, Number(element.value)) }, { push: event.type === "change" });
}

/** Halve or double a number. */
export function step(argument) {
  const [key, by] = argument.split(" ");
  const value = state.fields[key] ?? resolved(key) ?? 1;
  const next = Number(by) > 1 ? value * Number(by) : Math.max(1, Math.floor(value * Number(by)));
  setFields({ [key]: next });
}

/** The two fields behind the one choice of sharding. */
export function shard(_argument, event, element) {
  if (event.type === "change") setFields({ zero_stage: undefined, fsdp: undefined, ...SHARDINGS[element.value] });
}

