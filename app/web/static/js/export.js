// Taking an answer along: pictures with their colours resolved, exact bytes, the answer untouched, a report.

import { LETTERS } from "./compare.js";
import { bytes, bare, count } from "./format.js";
import { partsOf, range, total, totalKey } from "./parts.js";
import { results } from "./engine.js";
import { calculation, query, unit } from "./state.js";
import { sentence } from "./verdict.js";
import { t } from "./words.js";
import { whyMarkdown } from "./why.js";

export const EXPORTS = ["png", "svg", "csv", "json", "markdown", "curl", "print"];
const STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-family", "font-size", "font-weight", "text-anchor"];

/** Export what is shown, in one of the kinds. */
export async function exportAs(kind) {
  const name = `llm-estimate-${(results.answer?.model?.name ?? "comparison").replace(/[^\w.-]+/g, "-")}`;
  const answer = { request: results.request, answer: results.comparison ?? results.answer };
  const doing = {
    png: async () => saveBlob(`${name}.png`, await picturePng()), svg: () => download(`${name}.svg`, "image/svg+xml", pictureSvg().text),
    csv: () => download(`${name}.csv`, "text/csv", csv()), json: () => download(`${name}.json`, "application/json", JSON.stringify(answer, null, 2)),
    markdown: () => download(`${name}.md`, "text/markdown", markdown()), curl: () => copy(curl()), print: () => print(),
  };
  await doing[kind]();
}

/** The main pictures of the page as one SVG that stands alone. */
function pictureSvg() {
  const charts = [...document.querySelectorAll("#result .card > figure .drawing svg.chart, #result .columns svg.chart")].filter((chart) => chart.getBoundingClientRect().width > 0);
  const style = getComputedStyle(document.body);
  const [width, gap, headHeight] = [Math.max(...charts.map((chart) => chart.getBoundingClientRect().width)) + 40, 16, 56];
  let top = headHeight;
  const inner = charts.map((chart) => {
    const box = chart.getBoundingClientRect();
    const placed = resolved(chart);
    placed.setAttribute("x", 20);
    placed.setAttribute("y", top);
    placed.setAttribute("width", box.width);
    placed.setAttribute("height", box.height);
    top += box.height + gap;
    return new XMLSerializer().serializeToString(placed);
  });
  const words = results.answer ? `${results.answer.model.name} · ${sentence(results.answer)}` : t("compare.title");
  const head = `<text x="20" y="34" font-family="system-ui, sans-serif" font-size="18" font-weight="650" fill="${style.color}">${escaped(words)}</text>`;
  const legend = results.answer ? partsOf(results.answer).map((part, index) => `<text x="20" y="${top + 18 + index * 20}" font-family="system-ui, sans-serif" font-size="13" fill="${style.color}">${escaped(`${t(`part.${part.key}`)}: ${bytes(part.bytes, unit())} (${count(part.bytes)} B)`)}</text>`) : [];
  const height = top + legend.length * 20 + 24;
  return { width, height, text: `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"><rect width="100%" height="100%" fill="${style.backgroundColor}"/>${patterns()}${head}${inner.join("")}${legend.join("")}</svg>` };
}

const patterns = () => [...resolved(document.getElementById("patterns")).children].map((each) => new XMLSerializer().serializeToString(each)).join("");
const escaped = (words) => words.replace(/[&<>"]/g, (letter) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[letter]);

/** A copy with every colour and font written into it. */
function resolved(chart) {
  const copyOf = chart.cloneNode(true);
  const [from, to] = [chart, copyOf].map((root) => [root, ...root.querySelectorAll("*")]);
  from.forEach((node, index) => {
    const style = getComputedStyle(node);
    for (const name of STYLES) if (style.getPropertyValue(name)) to[index].setAttribute(name, style.getPropertyValue(name));
    for (const name of ["data-act", "data-arg", "data-key", "tabindex", "role"]) to[index].removeAttribute(name);
  });
  return copyOf;
}

async function picturePng() {
  const { width, height, text } = pictureSvg();
  const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: width * 2, height: height * 2 });
  const pen = canvas.getContext("2d");
  pen.scale(2, 2);
  pen.drawImage(image, 0, 0, width, height);
  URL.revokeObjectURL(address);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function csv() {
  const answers = (results.comparison?.results ?? [results.answer]).filter((answer) => answer && !answer.error);
  const rows = [["configuration", "part", "bytes", "low", "high"]];
  answers.forEach((answer, index) => {
    const name = LETTERS[index];
    for (const part of partsOf(answer)) rows.push([name, part.key, part.bytes, part.range?.low ?? "", part.range?.high ?? ""]);
    rows.push([name, totalKey(answer), total(answer), range(answer)?.low ?? "", range(answer)?.high ?? ""]);
    for (const event of answer.timeline ?? []) rows.push([name, `timeline:${event.phase}`, event.bytes, "", ""]);
  });
  return `${rows.map((row) => row.join(",")).join("\r\n")}\r\n`;
}

/** A text with names of strangers inside Markdown: no link, no image, no line of its own. */
function inMarkdown(text) {
  return String(text).replace(/\s+/g, " ").replace(/[\\`*_[\]<>|#!]/g, "\\$&");
}

/** A report that a person can paste anywhere. */
function markdown() {
  const link = `${location.origin}/${query()}${location.hash}`;
  const answers = (results.comparison?.results ?? [results.answer]).filter((answer) => answer && !answer.error);
  const sections = answers.map((answer) => {
    const rows = partsOf(answer).map((part) => `| ${t(`part.${part.key}`)} | ${bytes(part.bytes, unit())} | ${part.bytes} | ${part.range ? `${bare(part.range.low, unit())} – ${bare(part.range.high, unit())}` : "—"} |`);
    const notes = (answer.warnings ?? []).map((warning) => `- ${inMarkdown(warning.message)}`).join("\n");
    return `# ${inMarkdown(answer.model.name)}\n\n**${inMarkdown(sentence(answer))}**\n\n| ${t("report.part")} | ${t("legend.per_gpu")} | ${t("report.bytes")} | ${t("why.range")} |\n| --- | ---: | ---: | --- |\n${rows.join("\n")}\n| **${t(`part.${totalKey(answer)}`)}** | **${bytes(total(answer), unit())}** | ${total(answer)} | |\n\n## ${t("why.title")}\n\n${whyMarkdown(answer, partsOf(answer).map((part) => part.key))}\n\n${notes}\n`;
  });
  return `${sections.join("\n")}\n${link}\n`;
}

function curl() {
  const path = results.comparison ? "/api/memory/compare" : `/api/memory/${calculation()}`;
  return `curl -s ${location.origin}${path} -H 'Content-Type: application/json' -d '${JSON.stringify(results.request).replaceAll("'", "'\\''")}'`;
}

/** Save a text as a file. */
export function download(name, type, text) {
  saveBlob(name, new Blob([text], { type: `${type};charset=utf-8` }));
}

function saveBlob(name, blob) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Put a text on the clipboard, the old way where the new one is not allowed. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const box = Object.assign(document.createElement("textarea"), { value: text, className: "unseen" });
    (document.querySelector("dialog[open]") ?? document.body).append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
}
