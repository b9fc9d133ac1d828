// The memory of one GPU as a bar against its card, the ring of the same parts, and the legend table.

import { h, s } from "./dom.js";
import { chart, figure, line, round, text } from "./figure.js";
import { bare, bytes, percent } from "./format.js";
import { PARTS, partsOf, range, stateOf, total, totalKey } from "./parts.js";
import { state, unit } from "./state.js";
import { has, t } from "./words.js";

const GAP = 2;
const RESERVING = ["vllm", "sglang"];

/** Bar, ring and legend of an answer. */
export function memoryFigure(answer, width) {
  const caption = t("figure.parts_caption", { total: answer.memory_requirements[totalKey(answer)] });
  const picture = h("div", { class: "memory-grid" },
    h("div", { class: "bar" }, bar(answer, width, width < 560 ? 28 : 48, caption)),
    legend(answer),
    h("div", { class: "ring" }, ring(answer)));
  const whyButton = h("button", { type: "button", class: "btn small drawer-only", "data-act": "why" }, t("why.title"));
  return figure("memory", caption, picture, null, [whyButton]);
}

/** The scale that an answer needs: card, whole range and some air. */
export const reach = (answer) => Math.max(answer.fit?.usable_bytes ?? 0, range(answer)?.high ?? 0, total(answer)) * 1.04 || 1;

/** One bar; `scale` (bytes over the whole width) lets bars share an axis. */
export function bar(answer, width, height, caption, scale = reach(answer), plain = false) {
  const top = plain ? 4 : 26;
  const x = (size) => round((size / scale) * width);
  const chosen = state.view.part;
  const group = s("g", { class: chosen && PARTS[answer.calculation_type].includes(chosen) ? "dimmed" : "" }, drawParts(answer, x, top, height, chosen));
  return chart(width, top + height + (plain ? 6 : 24), caption,
    s("rect", { class: "track", x: 0, y: top, width: x(answer.fit?.usable_bytes ?? 0), height, rx: 4 }),
    group, reserved(answer, x, top, height), beyond(answer, x, top, height), limits(answer, x, top, height, width, plain),
    plain ? null : whisker(answer, x, top, height));
}

function drawParts(answer, x, top, height, chosen) {
  let from = 0;
  const drawn = [];
  for (const part of partsOf(answer)) {
    const left = x(from);
    const wide = Math.max(0, round(x(from + part.bytes) - left - GAP));
    from += part.bytes;
    const name = t(`part.${part.key}`);
    drawn.push(s("rect", {
      "data-key": part.key, class: `part ${part.key}${part.key === chosen ? " chosen" : ""}`, x: left, y: top, width: wide, height,
      rx: 2, "data-act": "part", "data-arg": part.key, "data-bytes": part.bytes,
    }, s("title", {}, `${name}: ${bytes(part.bytes, unit())}`)));
    const underWhisker = part.key === "framework_overhead" && range(answer)?.low !== range(answer)?.high;
    if (wide >= 56 && height >= 28 && !underWhisker) drawn.push(label(part, name, left, wide, top, height));
  }
  return drawn;
}

function label(part, name, left, wide, top, height) {
  const ink = INK[part.key] === "dark" || (INK[part.key] === "either" && isDark()) ? "inside dark-ink" : "inside";
  const size = bare(part.bytes, unit());
  const long = wide > 30 + (name.length + size.length) * 7;
  return text(left + 8, top + height / 2 + 4, long ? `${name} ${size}` : size, { class: ink, "data-key": `label-${part.key}` });
}

// On which parts dark letters read better; checked with the contrast of the colours.
const INK = { activation_memory: "dark", kv_cache: "either", gradients: "either", temporary_buffers: "dark", framework_overhead: "white" };
const isDark = () => getComputedStyle(document.documentElement).colorScheme === "dark" || (getComputedStyle(document.documentElement).colorScheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);

function reserved(answer, x, top, height) {
  const budget = answer.fit?.budget_bytes;
  if (!budget || budget <= total(answer) || !RESERVING.includes(answer.parameters.backend)) return null;
  const left = x(total(answer));
  return s("rect", { "data-key": "reserved", class: "reserved", x: left, y: top, width: round(x(budget) - left), height },
    s("title", {}, t("bar.reserved", { size: bytes(budget - total(answer), unit()) })));
}

function beyond(answer, x, top, height) {
  const budget = answer.fit?.budget_bytes;
  if (!budget || budget >= total(answer)) return null;
  const left = x(budget);
  return s("rect", { "data-key": "beyond", class: "beyond", x: left, y: top, width: round(x(total(answer)) - left), height, "pointer-events": "none" });
}

function limits(answer, x, top, height, width, plain) {
  if (!answer.fit) return null;
  const { usable_bytes: card, budget_bytes: budget } = answer.fit;
  const at = Math.min(x(card), width - 1);
  const marks = [s("line", { "data-key": "card", class: "card-line", x1: at, x2: at, y1: top - 4, y2: top + height + 4 })];
  const cardWords = t("bar.card", { size: bare(card, unit()) });
  if (!plain) marks.push(text(at, 14, cardWords, { class: "strong", "text-anchor": at > 100 ? "end" : "start" }));
  if (budget < card * 0.995) {
    const left = x(budget);
    marks.push(s("line", { "data-key": "budget", class: "budget-line", x1: left, x2: left, y1: top - 2, y2: top + height + 2 }));
    const room = at - left > 8 + cardWords.length * 7;
    if (!plain) marks.push(text(left, room ? 14 : top + height + 18, t("bar.budget", { size: bare(budget, unit()) }), { "text-anchor": "end" }));
  }
  return marks;
}

function whisker(answer, x, top, height) {
  const spread = range(answer);
  if (!spread || spread.high === spread.low) return null;
  const [low, high, y] = [x(spread.low), x(spread.high), top + height / 2];
  return s("path", { "data-key": "whisker", class: "whisker", d: `M${low} ${y - 6}V${y + 6}M${low} ${y}H${high}M${high} ${y - 6}V${y + 6}` },
    s("title", {}, `${bare(spread.low, unit())} – ${bytes(spread.high, unit())}`));
}

function ring(answer) {
  const radius = 74;
  const around = 2 * Math.PI * radius;
  const chosen = state.view.part;
  let from = 0;
  const arcs = partsOf(answer).filter((part) => part.bytes > 0).map((part) => {
    const long = Math.max(0, part.share * around - GAP);
    const arc = s("circle", {
      "data-key": part.key, class: `arc ${part.key}${part.key === chosen ? " chosen" : ""}`, cx: 95, cy: 95, r: radius, "stroke-width": 36,
      "stroke-dasharray": `${round(long)} ${round(around - long)}`, "stroke-dashoffset": round(-from * around), transform: "rotate(-90 95 95)",
      "data-act": "part", "data-arg": part.key,
    });
    from += part.share;
    return arc;
  });
  const [value, suffix] = bytes(total(answer), unit()).split(" ");
  return s("svg", { class: "chart", viewBox: "0 0 190 190", role: "img", "aria-label": t("figure.ring") },
    s("g", { class: chosen ? "dimmed" : "" }, arcs),
    text(95, 99, value, { class: "total", "text-anchor": "middle" }), text(95, 118, suffix, { "text-anchor": "middle" }));
}

function legend(answer) {
  const chosen = state.view.part;
  const rows = partsOf(answer).map((part) => h("tr", { class: part.key === chosen ? "chosen" : "", "data-key": part.key },
    h("th", { scope: "row" }, h("button", { type: "button", "data-act": "part", "data-arg": part.key, "aria-pressed": String(part.key === chosen) },
      h("span", { class: `swatch ${part.key}` }), t(`part.${part.key}`))),
    h("td", { title: String(part.bytes) }, bytes(part.bytes, unit())), h("td", {}, percent(part.share)),
    h("td", { class: "optional muted" }, spreadOf(part.range))));
  const sum = totalKey(answer);
  return h("table", { class: "legend" },
    h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col" }, t("legend.per_gpu")), h("th", { scope: "col" }, t("legend.share")), h("th", { scope: "col", class: "optional" }, t("why.range")))),
    h("tbody", {}, rows),
    h("tfoot", {}, h("tr", { class: sum === chosen ? "chosen" : "" },
      h("th", { scope: "row" }, h("button", { type: "button", "data-act": "part", "data-arg": sum, "aria-pressed": String(sum === chosen) }, t(`part.${sum}`))),
      h("td", {}, bytes(total(answer), unit())), h("td", {}, stateOf(answer) === "unknown" ? "" : percent(answer.fit.utilization)),
      h("td", { class: "optional muted" }, spreadOf(range(answer))))));
}

function spreadOf(spread) {
  if (!spread) return "—";
  return spread.low === spread.high ? t("legend.exact") : `${bare(spread.low, unit())} – ${bare(spread.high, unit())}`;
}

/** Whether a part has a sentence that says what it is. */
export const about = (key) => (has(`about.${key}`) ? t(`about.${key}`) : "");
