// The service's own health while the tab is open, the round trips this page measured, and our errors on
// published measurements.

import { ask, list, roundTrips } from "./api.js";
import { h } from "./dom.js";
import { table } from "./figure.js";
import { count, percent, time } from "./format.js";
import { paint } from "./engine.js";
import { t } from "./words.js";

let latest = null;
let failed = false;
let accuracy = null;
let timer = 0;

/** Ask now, and every 15 s while the tab is open and visible. */
export async function followHealth() {
  clearTimeout(timer);
  accuracy ??= await list("/api/accuracy").catch(() => null);
  await check();
}

async function check() {
  clearTimeout(timer);
  const panel = document.getElementById("health");
  if (latest && (!panel || document.hidden)) {
    if (panel) timer = setTimeout(check, 15000);
    return;
  }
  try {
    latest = await ask("health", "GET", "/api/health") ?? latest;
    failed = false;
  } catch {
    failed = true;
  }
  paint("views");
  timer = setTimeout(check, 15000);
}

const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

/** The view. */
export function health() {
  const sorted = roundTrips.toSorted((a, b) => a - b);
  return h("div", { id: "health", class: "columns" },
    h("dl", { class: "metrics" },
      metric("health.status", failed ? t("health.down") : latest ? t("health.ok") : "…"), metric("health.version", latest?.version ?? "—"),
      metric("health.uptime", latest ? time(latest.uptime * 1000) : "—"), metric("health.median", sorted.length ? time(quantile(sorted, 0.5)) : "—"),
      metric("health.p95", sorted.length ? time(quantile(sorted, 0.95)) : "—"), metric("health.requests", count(roundTrips.length))),
    h("p", { class: "muted small" }, t("health.note")), errors());
}

const metric = (key, value) => h("div", {}, h("dt", {}, t(key)), h("dd", {}, value));

function errors() {
  const rows = Object.entries(accuracy ?? {}).filter(([, list]) => Array.isArray(list)).flatMap(([part, list]) => list.map((row) => ({ part, ...row })))
    .filter((row) => Array.isArray(row.key) && typeof row.median === "number" && (row.part === "left_out" || !("left_out" in accuracy)));
  if (!rows.length) return null;
  return h("div", {}, h("h3", { class: "label" }, t("health.accuracy")),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("health.accuracy") }, table([t("health.figure"), t("health.rows"), t("health.median_error"), t("health.worst")],
      rows.map((row) => [row.key.join(" · "), count(row.rows), percent(row.median), percent(row.worst)]))));
}

