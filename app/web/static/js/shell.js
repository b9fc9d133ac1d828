// Around the answer: the tools of the top bar, the strips, and the dialogs of presets, history, share,
// export, log check and shortcuts.

import { ask } from "./api.js";
import { showBody, useBody } from "./body.js";
import { boot } from "./boot.js";
import { $, h, icon, on } from "./dom.js";
import { addColumn, baseColumn, columnForm, dropColumn, look, saveColumn } from "./compare.js";
import { closeDialog, drawDialog, isOpen, moveChoice, openDialog, redraw } from "./dialog.js";
import { EXPORTS, copy, exportAs } from "./export.js";
import { toggleFixes } from "./fixes.js";
import { filterGpus, sortGpus } from "./gpus.js";
import { pickGpu, filterCards, takeGpu, useCard } from "./cards.js";
import { configFile, configText, filterModels, hubModel, modelTab, pickModel, takeModel, useConfig, useSize } from "./models.js";
import { onAnswer, paint, refresh, results } from "./engine.js";
import { startHistory, showHistory } from "./past.js";
import { KEYS, keyFor, startKeys } from "./shortcuts.js";
import { moveTab } from "./views.js";
import { applyPreset, body, change, query, state, unit } from "./state.js";
import { language, remember, speak, t } from "./words.js";
import { chosen, whyMarkdown } from "./why.js";
import { table } from "./figure.js";
import { bytes, count, percent } from "./format.js";

let toast = null;
let update = false;
let offlineSince = null;

/** The buttons at the right of the top bar. */
export function tools() {
  const tool = (name, sign, key, word) => h("button", { type: "button", class: "btn quiet", id: `tool-${name}`, "data-act": name, title: `${t(`tool.${name}`)} (${keyFor(key)})`, "aria-label": t(`tool.${name}`) }, sign, word ? h("span", { class: "word" }, t(`tool.${name}`)) : null);
  return [
    tool("presets", icon("grid"), "presets", true), tool("history", icon("clock"), "history", true), tool("share", icon("link"), "share", true), tool("export", icon("down"), "export", false),
    tool("unit", unit(), "unit", false), tool("language", language.now === "zh" ? "EN" : "中", "language", false), tool("theme", icon("moon"), "theme", false), tool("shortcuts", icon("help"), "sheet", false),
  ];
}

/** What is worth a strip over everything: offline, a new version, or what was just done. */
export function strip() {
  const strips = [];
  const cut = !navigator.onLine || results.failure?.status === 0; // the browser may not know, or only later
  offlineSince = cut ? offlineSince ?? new Date() : null;
  if (cut) strips.push(h("div", { class: "strip", role: "status", "data-key": "offline" }, t(navigator.onLine ? "strip.unreachable" : "strip.offline", { at: offlineSince.toLocaleTimeString() })));
  if (update) strips.push(h("div", { class: "strip good", role: "status", "data-key": "update" }, t("strip.updated"), h("button", { type: "button", class: "btn small", "data-act": "reload" }, t("strip.reload"))));
  if (toast) strips.push(h("div", { class: "strip good", role: "status", "data-key": "toast" }, toast.words, toast.next && h("button", { type: "button", class: "btn small", "data-act": toast.next.name }, toast.next.words)));
  return strips;
}

let toastTimer = 0;
/** Say what was done, for a while; with what can be done next, longer. */
export function say(words, next = null) {
  toast = { words, next };
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { toast = null; paint("rail"); }, next ? 10000 : 5000);
  paint();
}

/** Mark the mode that is on, in the words of the language that is on. */
export function modes() {
  for (const link of document.querySelectorAll(".modes a")) {
    if (link.dataset.arg === state.mode) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    const words = t(`mode.${link.dataset.arg}`);
    if (link.textContent !== words) link.textContent = words;
  }
  document.documentElement.dataset.mode = state.mode;
}

const THEMES = { system: "light", light: "dark", dark: "light" };

function turnTheme() {
  const root = document.documentElement;
  const now = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = THEMES[now];
  remember("theme", root.dataset.theme);
  paint();
}

async function turnLanguage() {
  await speak(language.now === "zh" ? "en" : "zh").catch(() => say(t("stale.unreachable")));
  paint();
  refresh();
}

// Presets, and everything that can be done, by typing.

let presetWords = "";
const unsupported = new Set();

/** Leave out the presets that this service does not answer yet: asked once, in two compare calls. */
async function probePresets() {
  for (const kind of ["inference", "training"]) {
    const asked = boot.presets.filter((preset) => (preset.calculation_type ?? (preset.mode === "inference" ? "inference" : "training")) === kind);
    const configurations = asked.map(({ body: { request_rate: _r, concurrency: _c, targets: _t, max_gpus: _m, ...rest } }) => rest);
    const reply = await ask(`presets-${kind}`, "POST", "/api/memory/compare", { calculation_type: kind, configurations }).catch(() => null);
    reply?.results.forEach((result, index) => { if (result.code === "not_supported_yet") unsupported.add(asked[index].id); });
  }
  redraw(presetsInside);
}

function presetsInside() {
  const words = presetWords.toLowerCase().split(/\s+/).filter(Boolean);
  const named = boot.presets.filter((preset) => !unsupported.has(preset.id)).map((preset) => ({ preset, title: t(`preset.${preset.id}`) })).filter(({ preset, title }) => words.every((word) => `${title} ${JSON.stringify(preset.body)} ${preset.mode}`.toLowerCase().includes(word)));
  const commands = words.length ? KEYS.map(([, name]) => name).filter((name) => words.every((word) => t(`key.${name}`).toLowerCase().includes(word))) : [];
  return [
    h("input", { type: "search", role: "combobox", id: "preset-words", "aria-controls": "preset-list", "aria-expanded": "true", "aria-autocomplete": "list", value: presetWords, placeholder: t("preset.search"), "aria-label": t("preset.search"), "data-input": "preset-words", autocomplete: "off" }),
    h("div", { class: "list", role: "listbox", id: "preset-list", "aria-label": t("tool.presets"), tabindex: "-1" },
      named.map(({ preset, title }, index) => h("div", { role: "option", id: `preset-${index}`, "data-key": preset.id, "aria-selected": String(index === 0), "data-act": "take-preset", "data-arg": preset.id },
        h("span", { class: "title" }, title), h("span", { class: "sub", translate: "no" }, [preset.body.model_name, preset.body.gpu].filter(Boolean).join(" · ")), h("span", { class: "side" }, h("span", { class: "pill" }, t(`mode.${preset.mode}`))))),
      commands.map((name, index) => h("div", { role: "option", id: `command-${index}`, "data-key": name, "aria-selected": String(!named.length && !index), "data-act": "command", "data-arg": name }, h("span", { class: "title" }, t(`key.${name}`)), h("span", { class: "side" }, h("kbd", {}, keyFor(name)))))),
  ];
}

// Share

const LONGEST_LINK = 2000;

/** The state as a link that answers the same later: the runtime's version is pinned. */
function pinnedState() {
  const version = results.answer?.parameters.backend_version;
  const pinned = state.mode === "inference" && version && !state.fields.backend_version ? { ...state, fields: { ...state.fields, backend_version: version } } : state;
  return query(pinned) + location.hash;
}

/** Copy a link; one that is too long for a message becomes a short one, which the service keeps. */
async function share() {
  const link = `${location.origin}/${pinnedState()}`;
  if (link.length > LONGEST_LINK) return shareShort();
  await copy(link);
  return say(t("share.copied"), { name: "share-short", words: t("share.short") });
}

/** Have the service keep the state under a short address; where it will not, the long link does. */
async function shareShort() {
  const asked = pinnedState();
  try {
    const made = await ask("share", "POST", "/api/shares", { state: asked });
    if (!made) return;
    await copy(new URL(made.url, location.origin).href);
    say(made.expires_at ? t("share.kept_until", { day: new Date(made.expires_at).toLocaleDateString() }) : t("share.copied"));
  } catch (failure) {
    await copy(`${location.origin}/${asked}`);
    say(`${t("share.long")} ${failure.status ? failure.body.error : t("stale.unreachable")}`);
  }
}

// Check a start-up log

let log = { answer: null, problem: null };

function logInside() {
  const { answer, problem } = log;
  return [
    h("label", { for: "log-text" }, t("log.label")), h("textarea", { id: "log-text", rows: 8, class: "mono", spellcheck: "false", placeholder: "INFO … Model loading took 15.3 GiB …" }),
    h("p", {}, h("button", { type: "button", class: "primary", "data-act": "send-log" }, t("log.check"))),
    problem && h("p", { class: "problem", role: "alert" }, problem), answer && logAnswer(answer),
  ];
}

function logAnswer(answer) {
  const rows = (answer.comparison ?? answer.figures ?? answer.rows ?? answer.results ?? []).filter((row) => row && typeof row === "object");
  if (!rows.length) return h("pre", { class: "code", tabindex: "0" }, JSON.stringify(answer, null, 2));
  const cell = (value, key) => (typeof value === "number" ? (key.includes("bytes") ? bytes(value, unit()) : Math.abs(value) < 1 && /error|ratio|percent|relative/.test(key) ? percent(value) : count(value)) : value === null ? "—" : typeof value === "object" ? JSON.stringify(value) : String(value));
  const keys = Object.keys(rows[0]);
  return h("div", { class: "scroll" }, table(keys, rows.map((row) => keys.map((key) => cell(row[key], key)))));
}

async function sendLog() {
  try {
    log = { answer: await ask("log", "POST", "/api/validate/log", { log: $("log-text").value, ...(state.config ? {} : { model_name: state.fields.model_name }), ...(state.fields.gpu ? { gpu: state.fields.gpu } : {}) }), problem: null };
  } catch (failure) {
    log = { answer: null, problem: failure.status ? [failure.body.error, ...(failure.body.details ?? []).map((each) => each.message)].join(" ") : t("stale.unreachable") };
  }
  redraw(logInside);
}

const exportInside = () => [h("p", { class: "muted" }, t("export.note")), h("div", { class: "options" }, EXPORTS.map((kind) => h("button", { type: "button", class: "btn", "data-act": "export-as", "data-arg": kind }, t(`export.${kind}`))))];

/** Wire everything that the shell offers. */
export function startShell() {
  on("close", closeDialog);
  on("reload", () => location.reload());
  on("theme", turnTheme);
  on("language", turnLanguage);
  on("share", share);
  on("share-short", shareShort);
  on("copy", async (text) => { await copy(text); say(t("share.text_copied")); });
  on("body", showBody);
  on("use-body", useBody);
  on("copy-body", async () => { await copy(JSON.stringify(body(), null, 2)); say(t("share.text_copied")); });
  on("copy-why", async () => { if (results.answer) await copy(whyMarkdown(results.answer, [chosen(results.answer)])); say(t("share.text_copied")); });
  on("presets", () => { presetWords = ""; openDialog("tool.presets", presetsInside); probePresets(); });
  on("preset-words", (_argument, _event, element) => { presetWords = element.value; redraw(presetsInside); });
  on("take-preset", (id) => { closeDialog(); applyPreset(boot.presets.find((preset) => preset.id === id)); });
  on("command", (name) => { closeDialog(); KEYS.find(([, each]) => each === name)[2](); });
  on("history", () => showHistory());
  on("export", () => openDialog("tool.export", exportInside));
  on("export-as", async (kind) => { closeDialog(); await exportAs(kind); say(t("export.done")); });
  on("check-log", () => { log = { answer: null, problem: null }; openDialog("log.title", logInside); });
  on("send-log", sendLog);
  on("focus", (id) => $(id)?.focus());
  on("axis", (key) => change((now) => { now.view.x = key; }));
  on("fixes", toggleFixes);
  addEventListener("beforeprint", () => { $("permalink").textContent = location.href; });
  wirePickers();
  wireColumns();
  startHistory(say);
  startKeys();
  watchConnection();
  document.addEventListener("keydown", (event) => { if (!moveChoice(event)) moveTab(event); });
  onAnswer(() => { if (isOpen()) drawDialog(); });
}

function wirePickers() {
  on("pick-model", pickModel);
  on("model-tab", modelTab);
  on("model-words", (_argument, _event, element) => filterModels({ words: element.value }));
  on("model-size", (name) => filterModels({ size: name }));
  on("model-family", (name) => filterModels({ family: name }));
  on("take-model", takeModel);
  on("hub-model", hubModel);
  on("config-text", (_argument, event, element) => event.type === "input" && configText(element.value));
  on("config-file", (_argument, event, element) => event.type === "change" && configFile(element.files[0]));
  on("use-config", useConfig);
  on("use-size", useSize);
  on("pick-gpu", pickGpu);
  on("card-words", (_argument, _event, element) => filterCards({ words: element.value }));
  on("card-kind", (kind) => filterCards({ kind }));
  on("card-custom", () => filterCards({ custom: true }));
  on("take-gpu", takeGpu);
  on("use-card", useCard);
  on("sort-gpus", sortGpus);
  on("gpu-words", (_argument, _event, element) => filterGpus({ words: element.value }));
  on("gpu-kind", (kind) => filterGpus({ kind }));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files?.[0];
    if (!file) return;
    if (!isOpen()) await pickModel();
    configFile(file);
  });
}

function wireColumns() {
  on("add-column", addColumn);
  on("base-column", (index) => baseColumn(Number(index)));
  on("look", look);
  on("drop-column", (index) => dropColumn(Number(index)));
  on("edit-column", (index) => openDialog("compare.edit", () => columnForm(Number(index))));
  on("save-column", (index) => { saveColumn(Number(index), $("dialog")); closeDialog(); });
}

function watchConnection() {
  for (const event of ["offline", "online"]) addEventListener(event, () => paint());
  if (!("serviceWorker" in navigator)) return;
  const address = globalThis.trustedTypes ? trustedTypes.createPolicy("page", { createScriptURL: (url) => (url === "/sw.js" ? url : "") }).createScriptURL("/sw.js") : "/sw.js";
  const had = Boolean(navigator.serviceWorker.controller);
  navigator.serviceWorker.register(address).catch(() => {});
  navigator.serviceWorker.addEventListener("controllerchange", () => { if (had) { update = true; paint(); } });
}

