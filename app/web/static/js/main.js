// The page comes alive: state from the address, the server's first answer, then one question a change.

import { $, h, on, render } from "./dom.js";
import { memoryFigure } from "./bar.js";
import { changed, loadOptions, rail, shard, slid, step, toggleMore } from "./controls.js";
import { adopt, onAnswer, onPaint, onRefusal, paint, refresh, results } from "./engine.js";
import { toggleTable } from "./figure.js";
import { change, readAddress, readFragment, setFields, setMode, state, subscribe, unit } from "./state.js";
import { followRefusal } from "./nearest.js";
import { followRoom } from "./room.js";
import { scrub, timelineFigure } from "./timeline.js";
import { fieldOf, fromText, typed } from "./fields.js";
import { fieldMode } from "./state.js";
import { notes, room, sentence, verdict } from "./verdict.js";
import { language, t } from "./words.js";
import { loadGpus } from "./gpus.js";
import { why } from "./why.js";
import { fixes, followFixes } from "./fixes.js";
import { speedCard } from "./speed.js";
import { view, views, followViews } from "./views.js";
import { columns } from "./compare.js";
import { startShell, tools, strip, modes } from "./shell.js";

const PADDING = 34; // of a card, both sides with its borders
const GAP = 14;
/** On a wall the views stand beside the answer (see `.result` in page.css). */
/** On a phone the verdict carries a bar of its own, and the room follows it before the parts. */
const isPhone = () => matchMedia("(max-width: 760px)").matches;
const isWall = () => matchMedia("(min-width: 1920px)").matches;

/**
 * Paint the parts named: "rail" is everything around the answer, the others are the answer's sections
 * ("verdict", "memory", "room", "fixes", "speed", "views" …), "answer" is what a new answer changes, "all" is
 * all of it. What is not named stays.
 */
function paintParts(parts) {
  const all = parts.has("all");
  const whole = $("result").clientWidth;
  const width = Math.max(260, (isWall() ? (whole - GAP) * 0.58 : whole) - PADDING);
  if (all || parts.has("answer") || parts.has("rail")) paintAround();
  if (!all && parts.size === 1 && parts.has("rail")) return;
  const wanted = (key) => all || parts.has(key) || (parts.has("answer") && (key !== "views" || viewHangsOn()));
  const part = (key, draw) => (wanted(key) ? keyed(key, draw()) : document.querySelector(`#result > [data-key="${key}"]`));
  render($("result"), result(width, part));
  if (all || parts.has("answer")) render($("why"), why());
}

let viewDrawn = "";
/** Whether the open view shows the answer itself; those that ask for figures of their own draw when these come. */
function viewHangsOn() {
  const before = viewDrawn;
  viewDrawn = [state.mode, view(), unit(), language.now, state.fields.gpu, Boolean(results.answer)].join(" ");
  return viewDrawn !== before || ["curves", "layout"].includes(view());
}

function paintAround() {
  render($("rail"), rail());
  render($("tools"), tools());
  render($("strip"), strip());
  modes();
  $("progress").hidden = !results.waiting;
  $("handle").textContent = t(document.body.classList.contains("sheet-open") ? "rail.done" : "rail.change");
}

function result(width, part) {
  const { answer, comparison } = results;
  const top = part("verdict", () => verdict(width));
  const below = part("views", () => views(answer, viewsWidth(width)));
  if (state.mode === "compare") return [top, part("columns", () => comparison && card(columns(comparison, width))), below];
  const timeline = part("timeline", () => answer && state.mode !== "inference" && card(timelineFigure(answer, width)));
  const ways = [part("room", () => answer && room(answer)), part("fixes", () => answer && fixes())];
  const parts = [part("notes", () => notes(answer)), part("memory", () => answer && card(memoryFigure(answer, width)))];
  const speed = part("speed", () => answer && speedCard());
  return [top, ...(isPhone() ? [...ways, timeline, speed, ...parts] : [...parts, timeline, ...ways, speed]), below];
}

const viewsWidth = (width) => (isWall() ? ((width + PADDING) / 0.58) * 0.42 - PADDING : width);

function card(content) {
  return content && h("section", { class: "card" }, content);
}

function keyed(key, node) {
  if (node) node.dataset.key = key;
  return node;
}

let said = 0;
/** Say the verdict aloud, one sentence, once things rest. */
function announce() {
  clearTimeout(said);
  said = setTimeout(() => {
    if (results.answer && state.mode !== "compare") $("live").textContent = sentence(results.answer);
  }, 800);
}

on("mode", (mode) => setMode(mode));
on("field", changed);
on("slide", slid);
on("step", step);
on("sharding", shard);
on("more", () => toggleMore());
on("retry", refresh);
on("table", (key) => { toggleTable(key); paint(); });
on("scrub", (_argument, _event, element) => { scrub(element.value); paint("timeline"); });
on("unset", (key) => (key === "sharding" ? setFields({ zero_stage: undefined, fsdp: undefined }) : setFields({ [key]: undefined })));
on("set", (argument) => {
  const [key, value] = argument.split(/=(.*)/s);
  setFields({ [key]: typed(fieldOf(fieldMode(), key), value) });
});
on("apply", (argument) => setFields(JSON.parse(argument)));
on("reset", () => change((now) => { now.fields = Object.fromEntries(Object.entries(now.fields).filter(([key]) => ["model_name", "gpu", "method"].includes(key))); }));
on("unit", () => change((now) => { now.view.unit = unit() === "GB" ? "GiB" : "GB"; if (now.view.unit === "GB") delete now.view.unit; }));
on("part", (key) => {
  change((now) => { if (now.view.part === key) delete now.view.part; else now.view.part = key; });
  $("why").classList.toggle("open", Boolean(state.view.part));
});
on("why", () => $("why").classList.toggle("open"));
on("why-close", () => $("why").classList.remove("open"));
on("view", (key) => change((now) => { now.view.view = key; }));
on("sheet", () => { document.body.classList.toggle("sheet-open"); paint("rail"); });

/** What the view shows changes without asking anew; what the request says asks. */
let lastAsked = "";
function follow() {
  const asks = JSON.stringify([state.mode, state.fields, state.config?.config, state.columns, state.view.unit]);
  if (asks === lastAsked) {
    paint();
    return followViews();
  }
  lastAsked = asks;
  paint("rail"); // the last answer stands until the next one is there
  return refresh();
}

/** What was typed into the plain form before this script ran: its values, and the box that has the focus. */
function typedBefore() {
  const boxes = [...$("rail").querySelectorAll(".plain-field input")];
  const changed = boxes.filter((box) => box.value !== box.defaultValue);
  const values = changed.map((box) => [box.name, box.value.trim() ? fromText(fieldOf(fieldMode(), box.name), box.value.trim()) : undefined]);
  return { values: Object.fromEntries(values), focused: boxes.find((box) => box === document.activeElement)?.name };
}

function takeOver({ values, focused }) {
  if (Object.keys(values).length) setFields(values, { push: false });
  paintParts(new Set(["all"]));
  const box = focused && $(focused === "model_name" ? "pick-model" : focused === "gpu" ? "pick-gpu" : `f-${focused}`);
  box?.focus();
}

async function start() {
  readAddress();
  await readFragment();
  subscribe(follow);
  onPaint(paintParts);
  onAnswer(announce);
  onAnswer(followRoom);
  onAnswer(followFixes);
  onAnswer(followViews);
  onRefusal(followRefusal);
  addEventListener("popstate", async () => { readAddress(); await readFragment(); follow(); });
  $("rail").addEventListener("submit", (event) => event.preventDefault());
  let wide = $("result").clientWidth;
  new ResizeObserver(() => { if (wide !== (wide = $("result").clientWidth)) paint(); }).observe($("result"));
  lastAsked = JSON.stringify([state.mode, state.fields, state.config?.config, state.columns, state.view.unit]);
  startShell();
  const before = typedBefore();
  if (!adopt()) refresh();
  takeOver(before);
  performance.mark("interactive");
  loadOptions();
  setTimeout(loadGpus, 100);
}

start();
