// The steps of several trainings over each other, each line in a style of its own and named at its peak.

import { s } from "./dom.js";
import { chart, figure, line, round, table, text } from "./figure.js";
import { bytes } from "./format.js";
import { axis, eventsOf, phaseName } from "./timeline.js";
import { unit } from "./state.js";
import { t } from "./words.js";

const HEIGHT = 240;
const LEFT = 56;
const TOP = 26;
const BOTTOM = 34;

/** The figure; null where fewer than two answers have a timeline. */
export function timelines(answers, width, letters) {
  const all = answers.map((answer, index) => ({ letter: letters[index], index, events: answer.error ? null : eventsOf(answer) })).filter((each) => each.events?.length);
  if (all.length < 2) return null;
  const phases = all[0].events.map((event) => event.phase);
  const caption = t("compare.timelines");
  const rows = phases.map((phase, at) => [phaseName(phase), ...all.map(({ events }) => bytes(events[at]?.bytes, unit()))]);
  return figure("timelines", caption, draw(all, phases, width, caption), table([t("timeline.phase"), ...all.map(({ letter }) => letter)], rows));
}

function draw(all, phases, width, caption) {
  const high = Math.max(...all.flatMap(({ events }) => events.map((event) => event.bytes))) * 1.12;
  const wide = (width - LEFT - 12) / phases.length;
  const x = (at) => round(LEFT + at * wide);
  const y = (size) => round(HEIGHT - BOTTOM - (size / high) * (HEIGHT - TOP - BOTTOM));
  return chart(width, HEIGHT, caption, axis(high, width, y),
    phases.map((phase, at) => [text(x(at) + wide / 2, HEIGHT - 12, phaseName(phase), { "text-anchor": "middle" }), at ? line(x(at), TOP, x(at), HEIGHT - BOTTOM, "grid") : null]),
    all.map((each) => s("path", { class: `curve over-${each.index}`, d: each.events.map((event, at) => `${at ? "L" : "M"}${x(at)} ${y(event.bytes)}H${x(at + 1)}`).join("") })),
    all.map((each, place) => name(each, place, x, y, wide)));
}

/** The letter stands on its line at the peak; letters of lines that peak together stand side by side. */
function name({ letter, events, index }, place, x, y, wide) {
  const peak = events.reduce((best, event, at) => (event.bytes > events[best].bytes ? at : best), 0);
  return text(x(peak) + Math.min(wide - 8, 8 + place * 18), y(events[peak].bytes) - 6, letter, { class: `strong over-name-${index}` });
}
