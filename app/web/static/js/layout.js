// Which GPU holds what: a square a GPU, boxes for machines, columns of pipeline stages, rows of tensor ranks.

import { h, s } from "./dom.js";
import { chart, figure, round, table, text } from "./figure.js";
import { bytes, count } from "./format.js";
import { gpuCount, total, totalKey } from "./parts.js";
import { unit } from "./state.js";
import { t } from "./words.js";

const SIDE = 54;
const GAP = 10;
const MOST = 64;

/** The view. */
export function layout(answer, width) {
  const p = answer.parameters;
  const gpus = gpuCount(answer);
  const { tensor_parallel: tensor = 1, pipeline_parallel: stages = 1, context_parallel: context = 1, expert_parallel: experts = 1 } = p;
  const replica = tensor * stages * context;
  const replicas = Math.max(1, Math.round(gpus / replica));
  const grouped = experts > 1 ? ` ${t("layout.experts", { size: count(experts) })}` : "";
  const caption = t("layout.caption", { gpus: count(gpus), tensor, stages, replicas, context, experts }) + grouped;
  const ranks = answer.per_gpu ?? [];
  const rows = ranks.map((rank) => [roleName(rank.role), count(rank.gpus), ...Object.values(rank.memory_bytes).map((size) => bytes(size, unit()))]);
  const heads = [t("layout.role"), t("layout.gpus"), ...Object.keys(ranks[0]?.memory_bytes ?? {}).map((key) => t(`part.${key}`))];
  const picture = gpus > MOST || replica > MOST ? distinct(answer, width, caption) : grid(answer, width, caption, { tensor: tensor * context, stages, replicas, experts });
  return figure("layout", caption, picture, h("div", {}, table(heads, rows)));
}

const roleName = (role) => role;

/** The rank of a pipeline stage, by its role's words; the fullest one where roles do not say. */
function rankAt(answer, stage, stages) {
  const ranks = answer.per_gpu ?? [];
  if (ranks.length === 1) return ranks[0];
  const wanted = stage === 0 ? /first/ : stage === stages - 1 ? /last/ : /middle|stage/;
  return ranks.find((rank) => wanted.test(rank.role)) ?? ranks.find((rank) => new RegExp(`\\b${stage}\\b`).test(rank.role)) ?? ranks[0];
}

function grid(answer, width, caption, { tensor, stages, replicas, experts }) {
  const perNode = Math.max(1, answer.parameters.gpus_per_node ?? 8);
  const packs = Math.min(replicas, Math.max(1, Math.floor(MOST / (tensor * stages))));
  const shown = Math.min(packs, 8);
  const across = Math.min(tensor, Math.max(1, Math.floor((width - 24) / (SIDE + GAP)), 1), 8);
  const rowsOfStage = Math.ceil(tensor / across);
  const packHeight = stages * (rowsOfStage * (SIDE + GAP) + (stages > 1 ? 22 : 0)) + 14;
  const packWidth = across * (SIDE + GAP) + GAP;
  const perRow = Math.max(1, Math.floor(width / (packWidth + 18)));
  const packRows = Math.ceil(shown / perRow);
  const height = packRows * (packHeight + 34) + 8;
  const drawn = Array.from({ length: shown }, (_, index) => pack(answer, index, { across, tensor, stages, experts, perNode, rowsOfStage, packWidth, packHeight, replicas, shown },
    (index % perRow) * (packWidth + 18) + 2, Math.floor(index / perRow) * (packHeight + 34) + 20));
  return chart(width, height, caption, drawn);
}

function pack(answer, index, shape, left, top) {
  const { stages, packWidth, packHeight, replicas, shown } = shape;
  const rest = index === shown - 1 && replicas > shown ? ` … × ${count(replicas)}` : "";
  const title = replicas > 1 ? `${t("layout.replica", { index: index + 1 })}${rest}` : t("layout.node");
  return s("g", {}, text(left, top - 6, title, {}), s("rect", { class: "node-box", x: left, y: top, width: packWidth, height: packHeight, rx: 8 }),
    Array.from({ length: stages }, (_, stage) => row(answer, stage, shape, left, top + 8 + stage * (shape.rowsOfStage * (SIDE + GAP) + 22), index)));
}

function row(answer, stage, { across, tensor, stages, experts, perNode, rowsOfStage }, left, top, replica) {
  const rank = rankAt(answer, stage, stages);
  const isFullest = rank === answer.per_gpu?.[0];
  const first = (replica * stages + stage) * tensor;
  const label = stages > 1 ? text(left + GAP, top + 12, t("layout.stage", { index: stage + 1 }), {}) : null;
  const offset = stages > 1 ? 18 : 6;
  const link = tensor > 1 ? s("line", { class: `wire${tensor > perNode ? " between" : ""}`, x1: left + GAP + 4, x2: left + GAP + Math.min(tensor, across) * (SIDE + GAP) - GAP - 4, y1: top + offset + SIDE / 2, y2: top + offset + SIDE / 2 }) : null;
  const squares = Array.from({ length: tensor }, (_, index) => square(answer, rank, isFullest, left + GAP + (index % across) * (SIDE + GAP), top + offset + Math.floor(index / across) * (SIDE + GAP), first + index, expertGroup(replica * tensor + index, experts)));
  const down = stage < stages - 1 ? s("line", { class: `wire${((stage + 1) * tensor) % perNode === 0 ? " between" : ""}`, x1: left + GAP + SIDE / 2, x2: left + GAP + SIDE / 2, y1: top + offset + rowsOfStage * (SIDE + GAP) - GAP, y2: top + offset + rowsOfStage * (SIDE + GAP) + 14 }) : null;
  return s("g", {}, link, down, label, squares);
}

/** The group that spreads the experts over its GPUs, as a letter, and which of them a GPU is; null without one. */
function expertGroup(place, experts) {
  if (experts <= 1) return null;
  return { letter: String.fromCharCode(65 + (Math.floor(place / experts) % 26)), member: (place % experts) + 1, experts };
}

function square(answer, rank, isFullest, x, y, index, group = null) {
  const need = rank?.memory_bytes[totalKey(answer)] ?? total(answer);
  const card = answer.fit?.usable_bytes ?? Math.max(...(answer.per_gpu ?? []).map((each) => each.memory_bytes[totalKey(answer)]), need);
  const share = Math.min(1, need / card);
  const filled = round(share * (SIDE - 6));
  return s("g", {}, s("rect", { class: `gpu-box${isFullest ? " fullest" : ""}`, x, y, width: SIDE, height: SIDE, rx: 6 }),
    s("rect", { class: `gpu-fill${need > card ? " over" : ""}`, x: x + 3, y: round(y + SIDE - 3 - filled), width: SIDE - 6, height: filled, rx: 3 }),
    s("title", {}, [`GPU ${index}`, rank?.role, group && t("layout.expert_group", group), bytes(need, unit())].filter(Boolean).join(" · ")),
    text(x + SIDE / 2, y + 15, String(index), { class: "strong", "text-anchor": "middle" }),
    group && text(x + SIDE - 6, y + SIDE - 7, group.letter, { class: "strong expert-letter", "text-anchor": "end" }));
}

function distinct(answer, width, caption) {
  const ranks = answer.per_gpu ?? [];
  return chart(width, SIDE + 60, caption, ranks.map((rank, index) => s("g", {}, square(answer, rank, index === 0, 4 + index * 150, 10, index),
    text(4 + index * 150, SIDE + 30, rank.role, {}), text(4 + index * 150, SIDE + 48, `× ${count(rank.gpus)}`, { class: "strong" }))));
}
