// The request as JSON: read it, change it, paste another one. What is used goes into the controls.

import { h } from "./dom.js";
import { unlike } from "./compare.js";
import { closeDialog, openDialog, redraw } from "./dialog.js";
import { fieldsOf } from "./fields.js";
import { bodies, body, change, flatten, setConfig, state } from "./state.js";
import { t } from "./words.js";

const SAID_ELSEWHERE = ["unit", "explain", "task", "calculation_type"];
let problem = null;

/** Open the dialog. */
export function showBody() {
  problem = null;
  openDialog("body.title", draw);
}

function draw() {
  const now = state.mode === "compare" ? { calculation_type: state.calculation, configurations: bodies() } : body();
  return [
    h("label", { for: "body-text" }, t("body.label")),
    h("textarea", { id: "body-text", rows: 16, class: "mono", spellcheck: "false", initial: JSON.stringify(now, null, 2) }),
    problem && h("p", { class: "problem", role: "alert" }, problem),
    h("p", { class: "chips" }, h("button", { type: "button", class: "primary", "data-act": "use-body" }, t("model.use")),
      h("button", { type: "button", class: "btn", "data-act": "copy-body" }, t("rail.copy_body"))),
  ];
}

/** Use what stands in the box; what cannot be used is said and stays there. */
export async function useBody() {
  try {
    const read = JSON.parse(document.getElementById("body-text").value);
    if (!read || typeof read !== "object" || Array.isArray(read)) throw new SyntaxError();
    const asked = read.configurations ? comparison(read) : single(read);
    closeDialog();
    if (asked.config || state.config) await setConfig(asked.config);
    change((now) => Object.assign(now, asked, { view: now.view.unit ? { unit: now.view.unit } : {}, unknown: {} }));
  } catch (error) {
    problem = error instanceof Unknown ? t("body.unknown", { keys: error.message }) : t("model.not_json");
    redraw(draw);
  }
}

class Unknown extends Error {}

function single({ config, ...rest }) {
  const mode = rest.method && rest.method !== "full" ? "fine-tuning" : rest.method === "full" || looksLike("training", rest) ? "training" : "inference";
  return { mode, fields: known(rest, mode), columns: [], config: config ? { name: `${config._name_or_path || config.model_type} (config.json)`, config } : null };
}

/** A body that has fields of training which serving does not have, or is shown in a mode of training and has none of serving's own. */
function looksLike(mode, rest) {
  const keysOf = (each) => new Set(fieldsOf(each).map((field) => field.key));
  const [own, other] = [keysOf(mode), keysOf("inference")];
  const keys = Object.keys(flatten(rest));
  const only = (one, two) => keys.some((key) => one.has(key) && !two.has(key));
  if (only(own, other)) return true;
  return state.mode !== "inference" && state.mode !== "compare" && !only(other, own);
}

function comparison({ calculation_type: kind = "inference", configurations }) {
  const calculation = kind === "training" ? "training" : "inference";
  const [base, ...others] = configurations.map(({ config: _config, ...each }) => known(each, calculation === "training" ? "fine-tuning" : "inference"));
  return { mode: "compare", calculation, fields: base, columns: others.map((each) => unlike(each, base)), config: null };
}

function known(rest, mode) {
  const names = new Set(fieldsOf(mode).map((field) => field.key));
  const flat = flatten(rest);
  if ("gpu.name" in flat) { flat.gpu = flat["gpu.name"]; delete flat["gpu.name"]; }
  for (const key of SAID_ELSEWHERE) delete flat[key];
  const fields = Object.fromEntries(Object.entries(flat).filter(([, value]) => value !== null));
  const strange = Object.keys(fields).filter((key) => !names.has(key));
  if (strange.length) throw new Unknown(strange.join(", "));
  return fields;
}
