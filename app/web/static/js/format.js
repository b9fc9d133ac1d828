// Numbers for people: two decimals of one unit for bytes, a dash and never a zero for what is unknown.

const MINUS = "−";

/** "61.60 GB", or "57.37 GiB". */
export function bytes(count, unit = "GB") {
  if (count === null || count === undefined) return "—";
  const value = Number(count) / (unit === "GiB" ? 2 ** 30 : 1e9);
  const sign = value < -0.005 ? MINUS : "";
  return `${sign}${grouped(Math.abs(value).toFixed(2))} ${unit}`;
}

/** The same without its unit, for ranges and axes. */
export const bare = (count, unit) => bytes(count, unit).replace(/ .*/, "");

/** "+1.20 GB" or "−31.12 GB": a difference shows its sign. */
export function signed(count, unit) {
  return count > 0 ? `+${bytes(count, unit)}` : bytes(count, unit);
}

/** "131,072". */
export const count = (value) => (value === null || value === undefined ? "—" : grouped(String(value)));

function grouped(text) {
  const [whole, rest] = text.split(".");
  return whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",") + (rest === undefined ? "" : `.${rest}`);
}

/** "70.55B", "596.05M". */
export function parameters(value) {
  if (!value) return "—";
  const [unit, size] = value >= 1e12 ? ["T", 1e12] : value >= 1e9 ? ["B", 1e9] : ["M", 1e6];
  return `${(value / size).toFixed(2)}${unit}`;
}

/** Three digits: "1,780", "18.0", "0.92". */
export function rate(value) {
  if (value === null || value === undefined) return "—";
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return grouped(value.toFixed(digits));
}

/** Milliseconds as ms below a second, then s, min, h, d. */
export function time(ms) {
  if (ms === null || ms === undefined) return "—";
  const steps = [[1000, 1, "ms"], [60e3, 1000, "s"], [3600e3, 60e3, "min"], [864e5, 3600e3, "h"], [Infinity, 864e5, "d"]];
  const [, size, unit] = steps.find(([below]) => ms < below);
  return `${rate(ms / size)} ${unit}`;
}

/** A ratio as percent: whole, below ten with one decimal. */
export function percent(ratio) {
  if (ratio === null || ratio === undefined) return "—";
  const value = ratio * 100;
  return `${value < 10 && value > 0 ? value.toFixed(1) : Math.round(value)}%`;
}

export const money = (value) => (value === null || value === undefined ? "—" : `$${grouped(value.toFixed(2))}`);

/** What people type for a number: "8k" is 8,192, "1M" is 1,048,576; NaN for what is none. */
export function parseNumber(text) {
  const match = /^\s*([\d.,_ ]+)\s*([kKmM]?)\s*$/.exec(text);
  if (!match) return NaN;
  const size = { "": 1, k: 1024, m: 1048576 }[match[2].toLowerCase()];
  return Number(match[1].replace(/[,_ ]/g, "")) * size;
}

/** Stops on a logarithmic axis: "8k", "1M" for powers of two, else the number. */
export function stop(value) {
  if (value >= 1048576 && value % 1048576 === 0) return `${value / 1048576}M`;
  if (value >= 1024 && value % 1024 === 0) return `${value / 1024}k`;
  return count(value);
}
