// Memory (and speed) against length or batch: one compare call of 24 points, the current value among them.

import { ask, drop, later } from "./api.js";
import { h, s } from "./dom.js";
import { chart, figure, line, round, table, text, ticks } from "./figure.js";
import { bytes, count, rate, stop, time } from "./format.js";
import { paint, speedRequest } from "./engine.js";
import { range, total } from "./parts.js";
import { body, calculation, state, unit } from "./state.js";
import { axis, limitLine } from "./timeline.js";
import { t } from "./words.js";

const POINTS = 24;
const SPEED_POINTS = 9;
const HEIGHT = 270;
const LEFT = 56;
const TOP = 24;
const BOTTOM = 36;
let memory = { key: "", points: [] };
let speed = { key: "", points: [] };

const variable = () => (state.view.x === "batch_size" ? "batch_size" : "sequence_length");
const resolved = (answer) => (variable() === "batch_size" ? answer.parameters.batch_size : answer.parameters.sequence_length ?? (answer.parameters.input_length ?? 0) + (answer.parameters.output_length ?? 0)) || 1;

/** Ask for the points of the answer at hand. */
export function followCurves(answer) {
  drop("curve-speed");
  if (!answer || state.mode === "compare") return;
  later("curve", 80, () => load(answer));
}

async function load(answer) {
  const name = variable();
  const values = stops(resolved(answer), name, answer);
  const request = { calculation_type: calculation(), configurations: values.map((value) => at(body(), name, value)) };
  const key = JSON.stringify(request);
  try {
    if (memory.key !== key) {
      const reply = await ask("curve", "POST", "/api/memory/compare", request);
      if (!reply) return;
      memory = { key, name, points: reply.results.map((result, index) => ({ value: values[index], answer: result })).filter((point) => !point.answer.error) };
      paint("views");
    }
    await loadSpeed(answer, name, values);
  } catch {
    memory = { key: "", points: [] };
  }
}

function at(request, name, value) {
  const { solve_for: _solve, ...rest } = request;
  if (name === "sequence_length") { delete rest.input_length; delete rest.output_length; }
  return { ...rest, [name]: value };
}

async function loadSpeed(answer, name, values) {
  if (calculation() !== "inference" || !answer.parameters.gpu) {
    speed = { key: "", points: [] };
    return;
  }
  const every = Math.ceil(values.length / SPEED_POINTS);
  const now = resolved(answer);
  const chosen = values.filter((value, index) => value === now || index % every === 0).slice(0, SPEED_POINTS);
  const request = { calculation_type: "inference", configurations: chosen.map((value) => speedAt(name, value)) };
  const key = JSON.stringify(request);
  if (speed.key === key) return;
  const reply = await ask("curve-speed", "POST", "/api/performance/compare", request);
  if (!reply) return;
  speed = { key, name, points: reply.results.map((result, index) => ({ value: chosen[index], answer: result })).filter((point) => !point.answer.error) };
  paint("views");
}

function speedAt(name, value) {
  const fields = { ...state.fields, [name]: value };
  if (name === "sequence_length") { delete fields.input_length; delete fields.output_length; }
  return { ...speedRequest(fields), explain: false };
}

/** 24 stops on a logarithmic axis around the current value, which is one of them. */
function stops(now, name, answer) {
  const most = name === "batch_size" ? answer.capacity?.max_batch_size : answer.capacity?.max_sequence_length;
  const low = name === "batch_size" ? 1 : Math.max(128, 2 ** Math.floor(Math.log2(Math.max(now, 1) / 16)));
  const high = Math.max(low * 16, 2 ** Math.ceil(Math.log2(Math.max(now * 4, Math.min((most ?? 0) * 1.5, now * 64)))));
  const found = new Set([now]);
  for (let index = 0; index < POINTS - 1; index += 1) {
    const value = low * (high / low) ** (index / (POINTS - 2));
    found.add(value < 16 ? Math.round(value) : Math.round(value / 2 ** (Math.floor(Math.log2(value)) - 3)) * 2 ** (Math.floor(Math.log2(value)) - 3));
  }
  return [...found].sort((a, b) => a - b).slice(0, POINTS);
}

/** The view. */
export function curves(answer, width) {
  const name = variable();
  const switches = h("div", { class: "chips no-print" }, ["sequence_length", "batch_size"].map((key) => h("button", { type: "button", class: "btn small", "aria-pressed": String(key === name), "data-act": "axis", "data-arg": key }, t(`curve.by_${key}`))));
  const points = memory.name === name ? memory.points : [];
  if (points.length < 2) return [switches, h("p", { class: "empty" }, t("curve.waiting"))];
  const caption = t(`curve.caption_${name}`);
  const rows = points.map((point) => [h("button", { type: "button", class: "link", "data-act": "set", "data-arg": `${name}=${point.value}` }, count(point.value)), bytes(total(point.answer), unit()), point.answer.fit ? t(point.answer.fit.fits ? "state.fits" : "state.over") : "—"]);
  return [switches, figure("curve", caption, draw(answer, points, width, name, caption), table([t(`field.${name}`), t("timeline.memory"), t("gpus.fits")], rows)),
    speed.name === name && speed.points.length > 1 ? speedFigure(answer, width, name) : null];
}

function scales(points, high, width, height) {
  const [first, last] = [points[0].value, points.at(-1).value].map(Math.log2);
  return { x: (value) => round(LEFT + ((Math.log2(value) - first) / (last - first || 1)) * (width - LEFT - 20)), y: (value) => round(height - BOTTOM - (value / high) * (height - TOP - BOTTOM)) };
}

function draw(answer, points, width, name, caption) {
  const limit = answer.fit?.budget_bytes;
  const high = Math.max(...points.map((point) => total(point.answer)), Math.min(limit ?? 0, total(points.at(-1).answer) * 3)) * 1.08;
  const { x, y } = scales(points, high, width, HEIGHT);
  const now = resolved(answer);
  return chart(width, HEIGHT, caption, axis(high, width, y), below(points, width, x, HEIGHT), band(points, x, y),
    s("path", { class: "curve", d: path(points, (point) => total(point.answer), x, y) }),
    limit && limit <= high ? limitLine(limit, width, y) : null, crossing(answer, name, x, y, points, limit),
    points.map((point) => s("circle", { class: `dot${point.value === now ? " now" : ""}`, cx: x(point.value), cy: y(total(point.answer)), r: point.value === now ? 6 : 3.5, "data-act": "set", "data-arg": `${name}=${point.value}` }, s("title", {}, `${count(point.value)}: ${bytes(total(point.answer), unit())}`))));
}

const path = (points, of, x, y) => points.map((point, index) => `${index ? "L" : "M"}${x(point.value)} ${y(of(point))}`).join("");

function band(points, x, y) {
  if (!points.every((point) => range(point.answer))) return null;
  const low = points.toReversed().map((point) => `L${x(point.value)} ${y(range(point.answer).low)}`).join("");
  return s("path", { class: "band", d: `${path(points, (point) => range(point.answer).high, x, y)}${low}Z` });
}

function crossing(answer, name, x, y, points, limit) {
  const most = name === "batch_size" ? answer.capacity?.max_batch_size : answer.capacity?.max_sequence_length;
  if (!most || !limit || most < points[0].value || most > points.at(-1).value) return null;
  return [s("circle", { class: "crossing", cx: x(most), cy: y(limit), r: 5 }), text(x(most), y(limit) - 22, t(`curve.cross_${name}`, { value: count(most) }), { class: "strong", "text-anchor": x(most) > 200 ? "end" : "start" })];
}

function below(points, width, x, height) {
  const [low, high] = [points[0].value, points.at(-1).value];
  const powers = [];
  for (let value = 2 ** Math.ceil(Math.log2(low)); value <= high; value *= 2) powers.push(value);
  const every = Math.ceil(powers.length / Math.max(3, Math.floor((width - LEFT) / 64)));
  return powers.filter((_, index) => index % every === 0).map((value) => [line(x(value), height - BOTTOM, x(value), height - BOTTOM + 4, "axis"), text(x(value), height - BOTTOM + 18, stop(value), { "text-anchor": "middle" })]);
}

function speedFigure(answer, width, name) {
  const panels = [["tpot_ms", time, "speed.tpot"], ["output_tokens_per_sec", (value) => `${rate(value)} tok/s`, "speed.output"]];
  const rows = speed.points.map((point) => [count(point.value), ...panels.map(([key, write]) => write(point.answer[key]))]);
  const drawn = h("div", {}, panels.map(([key, write, label]) => panel(key, write, t(label), width, answer)));
  return figure("speed-curve", t("curve.speed_caption"), drawn, table([t(`field.${name}`), ...panels.map(([, , label]) => t(label))], rows));
}

function panel(key, write, label, width, answer) {
  const height = 170;
  const points = speed.points.filter((point) => point.answer[key] !== null && point.answer[key] !== undefined);
  if (points.length < 2) return null;
  const high = Math.max(...points.map((point) => point.answer[key])) * 1.15;
  const { x, y } = scales(points, high, width, height);
  return chart(width, height, label, text(LEFT, 14, label, { class: "strong" }),
    ticks(high, 3).map((value) => [line(LEFT, y(value), width - 8, y(value), value ? "grid" : "axis"), text(LEFT - 8, y(value) + 4, rate(value), { "text-anchor": "end" })]),
    below(points, width, x, height), s("path", { class: "curve", d: path(points, (point) => point.answer[key], x, y) }),
    points.map((point) => s("circle", { class: `dot${point.value === resolved(answer) ? " now" : ""}`, cx: x(point.value), cy: y(point.answer[key]), r: 4 }, s("title", {}, `${count(point.value)}: ${write(point.answer[key])}`))));
}

