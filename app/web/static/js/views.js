// The tabs under the answer; only what is open is asked for.

import { later } from "./api.js";
import { h } from "./dom.js";
import { curves, followCurves } from "./curves.js";
import { gpuTable, followGpus } from "./gpus.js";
import { health, followHealth } from "./health.js";
import { layout } from "./layout.js";
import { results } from "./engine.js";
import { followPlan, plan } from "./plan.js";
import { state } from "./state.js";
import { t } from "./words.js";

const VIEWS = ["curves", "layout", "gpus", "plan", "health"];
const DRAW = { curves, layout, gpus: gpuTable, plan, health };
const FOLLOW = { curves: followCurves, gpus: () => later("gpus", 200, followGpus), plan: followPlan, health: followHealth };

/** The view that is open. */
export function view() {
  const offered = state.mode === "compare" ? ["gpus", "health"] : VIEWS;
  return offered.includes(state.view.view) ? state.view.view : offered[0];
}

/** The tabs and the view that is open. */
export function views(answer, width) {
  const offered = state.mode === "compare" ? ["gpus", "health"] : VIEWS;
  const open = view();
  return h("section", { class: "card views" },
    h("div", { class: "tabs no-print", role: "tablist", "aria-label": t("view.title") }, offered.map((key) => h("button", {
      type: "button", role: "tab", id: `tab-${key}`, "aria-selected": String(key === open), "aria-controls": "view", tabindex: key === open ? 0 : -1,
      "data-act": "view", "data-arg": key,
    }, t(`view.${key}`)))),
    h("div", { role: "tabpanel", id: "view", "aria-labelledby": `tab-${open}`, "data-key": open }, answer || ["health", "gpus"].includes(open) ? DRAW[open](answer, width) : results.failure ? null : h("p", { class: "empty" }, t("verdict.choose_model"))));
}

/** Ask for what the open view shows. */
export function followViews() {
  FOLLOW[view()]?.(results.answer);
}

/** Arrow keys move between tabs. */
export function moveTab(event) {
  const tab = event.target.closest?.('[role="tab"]');
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!tab || !by) return;
  const tabs = [...tab.parentNode.children];
  const next = tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length];
  next.focus();
  next.click();
}
