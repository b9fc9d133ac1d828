// What all pictures share: a frame with caption and table, text, lines, steps of an axis.

import { h, s } from "./dom.js";
import { t } from "./words.js";

/** A picture with its caption, and the same numbers as a table behind a switch. */
export function figure(key, caption, picture, table, tools = []) {
  const open = shown.has(key);
  return h("figure", { "data-key": key, id: `figure-${key}` },
    picture && h("div", { class: "drawing" }, picture),
    h("div", { class: "more-head" },
      h("figcaption", {}, caption),
      h("span", { class: "figure-tools no-print" },
        ...tools,
        table && h("button", { type: "button", class: "btn small quiet", "data-act": "table", "data-arg": key, "aria-expanded": String(open) }, t(open ? "figure.hide_table" : "figure.show_table")))),
    open && table ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, table) : null);
}

const shown = new Set();

/** Show or hide the table of a picture. */
export function toggleTable(key) {
  if (!shown.delete(key)) shown.add(key);
}

/** A plain table: heads, then rows whose first cell names them. */
export function table(heads, rows) {
  return h("table", { class: "data" },
    h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, rows.map(([first, ...rest]) => h("tr", {}, h("th", { scope: "row" }, first), rest.map((cell) => h("td", {}, cell))))));
}

/** An SVG of a size in pixels, read out as its label. */
export function chart(width, height, label, ...children) {
  return s("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label }, ...children);
}

export const text = (x, y, words, props = {}) => s("text", { x: round(x), y: round(y), ...props }, words);
export const line = (x1, y1, x2, y2, name) => s("line", { x1: round(x1), y1: round(y1), x2: round(x2), y2: round(y2), class: name });
export const round = (value) => Math.round(value * 100) / 100;

/** At most `most` round steps from zero to `high`. */
export function ticks(high, most = 5) {
  if (!(high > 0)) return [0];
  const rough = high / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  return Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, index) => index * step);
}
