// The training step as it passes: memory phase by phase, the peak, and the card's limit.
// The axis is the order of events, not time, and says so.

import { h, s } from "./dom.js";
import { chart, figure, line, round, table, text, ticks } from "./figure.js";
import { bare, bytes } from "./format.js";
import { partsOf, total } from "./parts.js";
import { unit } from "./state.js";
import { t } from "./words.js";

const HEIGHT = 230;
const LEFT = 56;
const TOP = 26;
const BOTTOM = 34;
let scrubbed = null;

/** Move the scrubber to a phase. */
export function scrub(index) {
  scrubbed = Number(index);
}

/** The timeline of a training answer; null without one. */
export function timelineFigure(answer, width) {
  const events = eventsOf(answer);
  if (!events?.length) return null;
  const peak = peakOf(answer);
  const name = phaseName(answer.peak_phase ?? events[peak].phase);
  const caption = t("timeline.caption", { phase: name, size: bytes(total(answer), unit()) });
  const rows = events.map((event) => [phaseName(event.phase), bytes(event.bytes, unit())]);
  return figure("timeline", caption, h("div", {}, draw(answer, width, peak, caption), scrubber(events, peak)), table([t("timeline.phase"), t("timeline.memory")], rows));
}

/** Phases with all memory of the GPU: what the answer's timeline follows, and the overhead around it. */
export function eventsOf(answer) {
  const overhead = answer?.memory_bytes.framework_overhead ?? 0;
  return answer?.timeline?.map((event) => ({ phase: event.phase, bytes: event.bytes + overhead }));
}

export const phaseName = (phase) => t(`phase.${phase}`);

function peakOf(answer) {
  const events = eventsOf(answer);
  const named = events.findIndex((event) => event.phase === answer.peak_phase);
  return named >= 0 ? named : events.reduce((best, event, index) => (event.bytes > events[best].bytes ? index : best), 0);
}

function draw(answer, width, peak, caption) {
  const events = eventsOf(answer);
  const limit = answer.fit?.budget_bytes;
  const high = Math.max(total(answer), limit ?? 0) * 1.08;
  const wide = (width - LEFT - 12) / events.length;
  const x = (index) => round(LEFT + index * wide);
  const y = (size) => round(HEIGHT - BOTTOM - (size / high) * (HEIGHT - TOP - BOTTOM));
  const steps = events.map((event, index) => `${index ? "L" : "M"}${x(index)} ${y(event.bytes)}H${x(index + 1)}`).join("");
  return chart(width, HEIGHT, caption, axis(high, width, y),
    s("path", { class: "area", d: `${steps}V${y(0)}H${x(0)}Z` }), s("path", { class: "curve", d: steps }),
    stack(answer, x(peak), wide, y), limit ? limitLine(limit, width, y) : null,
    events.map((event, index) => label(event, index, x, wide, y, index === peak)), hits(events, x, wide));
}

/** Horizontal lines with their numbers, the unit on the topmost. */
export function axis(high, width, y) {
  const steps = ticks(high / (unit() === "GiB" ? 2 ** 30 : 1e9), 4).map((value) => value * (unit() === "GiB" ? 2 ** 30 : 1e9));
  return steps.map((value, index) => [
    line(LEFT, y(value), width - 8, y(value), index ? "grid" : "axis"),
    text(LEFT - 8, y(value) + 4, index === steps.length - 1 ? bytes(value, unit()).replace(".00", "") : bare(value, unit()).replace(".00", ""), { "text-anchor": "end" }),
  ]);
}

/** The card's limit across a chart. */
export function limitLine(limit, width, y) {
  return [line(LEFT, y(limit), width - 8, y(limit), "limit-line"),
    text(LEFT + 8, y(limit) - 6, t("chart.limit", { size: bare(limit, unit()) }), { class: "limit-text" })];
}

function stack(answer, left, wide, y) {
  let from = 0;
  return partsOf(answer).filter((part) => part.bytes > 0).map((part) => {
    const top = y(from + part.bytes);
    const rect = s("rect", { class: `part ${part.key}`, x: left + 1, y: top, width: Math.max(1, wide - 2), height: Math.max(0, y(from) - top - 1), "data-act": "part", "data-arg": part.key },
      s("title", {}, `${t(`part.${part.key}`)}: ${bytes(part.bytes, unit())}`));
    from += part.bytes;
    return rect;
  });
}

function label(event, index, x, wide, y, isPeak) {
  const middle = x(index) + wide / 2;
  const words = isPeak ? t("timeline.peak", { phase: phaseName(event.phase), size: bytes(event.bytes, unit()) }) : bare(event.bytes, unit());
  return [text(middle, HEIGHT - 12, phaseName(event.phase), { "text-anchor": "middle", class: isPeak ? "strong" : "" }),
    isPeak ? s("circle", { class: "dot peak", cx: middle, cy: y(event.bytes), r: 5 }) : null,
    text(middle, y(event.bytes) - 9, words, { "text-anchor": "middle", class: "strong" })];
}

function hits(events, x, wide) {
  return events.map((event, index) => s("rect", { class: "hit", x: x(index), y: 0, width: round(wide), height: HEIGHT - BOTTOM, "pointer-events": "none" },
    s("title", {}, `${phaseName(event.phase)}: ${bytes(event.bytes, unit())}`)));
}

function scrubber(events, peak) {
  const at = Math.min(scrubbed ?? peak, events.length - 1);
  const words = `${phaseName(events[at].phase)}, ${bytes(events[at].bytes, unit())}`;
  return h("label", { class: "slide no-print" },
    h("input", { type: "range", min: 0, max: events.length - 1, step: 1, value: at, "data-input": "scrub", "aria-label": t("timeline.scrub"), "aria-valuetext": words }),
    h("output", { class: "small" }, words));
}
