// A change asks memory at once, then speed, then what the open view shows, then what would make it fit.
// The last answer stays on the page whatever happens to the next.

import { Failure, ask, drop, later } from "./api.js";
import { boot } from "./boot.js";
import { find } from "./history.js";
import { bodies, body, calculation, query, state } from "./state.js";

export const results = { request: null, answer: null, comparison: null, at: null, saved: null, failure: null, speed: null, waiting: false, retry: null };
const painters = [];
const followers = [];
const refusals = [];
let dirty = null;

/** Call `painter` whenever something new is known. */
export const onPaint = (painter) => painters.push(painter);
/** Call `follower` after each new memory answer, for questions that hang on it. */
export const onAnswer = (follower) => followers.push(follower);

/** Call `follower` after each question that the service refused. */
export const onRefusal = (follower) => refusals.push(follower);

/** Paint once, before the next frame: the parts named (see main.js), or everything. */
export function paint(...parts) {
  if (!dirty) queueMicrotask(paintNow);
  dirty ??= new Set();
  for (const part of parts.length ? parts : ["all"]) dirty.add(part);
}

function paintNow() {
  const parts = dirty;
  dirty = null;
  for (const painter of painters) painter(parts);
}

let slow = 0;

/** Ask for the state as it is now. */
export function refresh() {
  for (const channel of ["speed", "curve", "curve-speed", "fixes", "gpus", "room", "plan"]) drop(channel);
  later("question", 0, run);
}

/** Take the answer that the server rendered instead of asking for it again. */
export function adopt() {
  const { answer, request, mode } = boot.first;
  if (!answer || mode !== state.mode || mode === "compare" || same(request, body()) === false) return false;
  settle({ request: body(), answer });
  return true;
}

function same(a, b) {
  const sorted = (value) => (value && typeof value === "object" && !Array.isArray(value) ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])])) : value);
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

async function run() {
  clearTimeout(slow);
  clearTimeout(results.retry?.timer);
  slow = setTimeout(() => { results.waiting = true; paint("rail"); }, 150);
  try {
    const found = state.mode === "compare" ? await compare() : await memory();
    if (!found) return;
    settle(found);
  } catch (failure) {
    await fail(failure);
  }
  clearTimeout(slow);
}

async function memory() {
  const request = body();
  if (!request.model_name && !request.config && request.model_size === undefined) return { request, answer: null };
  const answer = await ask("memory", "POST", `/api/memory/${calculation()}`, request);
  return answer && { request, answer };
}

async function compare() {
  const request = { calculation_type: state.calculation, configurations: bodies().map((each) => ({ ...each, explain: true })) };
  const comparison = await ask("memory", "POST", "/api/memory/compare", request);
  return comparison && { request, comparison, answer: comparison.results[0].error ? null : comparison.results[0] };
}

function settle({ request, answer, comparison = null }) {
  clearTimeout(slow);
  Object.assign(results, { request, answer, comparison, at: new Date(), saved: null, failure: null, waiting: false, retry: null });
  results.address = query();
  paint("answer");
  if (answer && state.mode !== "compare") speed();
  for (const follower of followers) follower(answer);
}

async function fail(error) {
  const failure = error instanceof Failure ? error : new Failure(0, null);
  if (!(error instanceof Failure)) console.error(error);
  clearTimeout(slow);
  Object.assign(results, { failure, waiting: false });
  if (failure.passing) planRetry(failure);
  paint(); // the reason at once: what was saved may be long in coming
  if (!failure.passing) return refusals.forEach((follower) => follower());
  await showSaved(failure);
  return paint();
}

async function showSaved(failure) {
  const entry = await find(state.mode === "compare" ? null : body());
  if (entry && results.failure === failure) Object.assign(results, { request: entry.request, answer: entry.answer, saved: entry.at, speed: entry.speed ?? null });
}

function planRetry(failure) {
  const tries = (results.retry?.tries ?? 0) + 1;
  const wait = failure.retryAfter ?? Math.min(30, 2 ** (tries - 1));
  clearTimeout(results.retry?.timer);
  results.retry = { tries, due: Date.now() + wait * 1000, timer: setTimeout(run, wait * 1000) };
}

async function speed() {
  const part = calculation();
  if (!state.fields.gpu && !state.fields["gpu.memory_gb"]) {
    drop("speed");
    results.speed = { missing: "gpu" };
    return paint("speed");
  }
  try {
    const request = speedRequest();
    const answer = await ask("speed", "POST", `/api/performance/${part}`, request);
    if (answer) Object.assign(results, { speed: { request, answer } });
    else return;
  } catch (failure) {
    results.speed = failure.missing ? { missing: "api" } : { failure };
  }
  paint("speed");
}

/** The request for speed: a length alone is split into a prompt and an answer, which the page says. */
export function speedRequest(fields = state.fields) {
  const request = body("performance", fields);
  if (calculation() === "inference" && request.input_length === undefined) {
    const whole = request.sequence_length ?? 2048;
    request.output_length = Math.max(1, Math.min(512, Math.floor(whole / 4)));
    request.input_length = Math.max(1, whole - request.output_length);
    delete request.sequence_length;
  }
  delete request.solve_for;
  return request;
}

globalThis.addEventListener("online", refresh);
