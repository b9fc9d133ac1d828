// Every control of every mode: which field of the API it sets, how it is drawn, where it stands.
// Enumerated values and their sentences come from /api/config/options; what is missing there is not drawn.

import { parseNumber } from "./format.js";

const number = (key, more = {}) => ({ key, kind: "number", ...more });
const slider = (key, low, high, more = {}) => ({ key, kind: "slider", low, high, ...more });
const choice = (key, more = {}) => ({ key, kind: "choice", ...more });
const flag = (key, more = {}) => ({ key, kind: "flag", ...more });
const text = (key, more = {}) => ({ key, kind: "text", ...more });

const USERS = slider("batch_size", 1, 4096, { wide: true });
const LENGTH = slider("sequence_length", 128, 1048576, { wide: true });
const MICRO_BATCH = slider("batch_size", 1, 512, { wide: true, label: "micro_batch_size" });
const SHARDING = { key: "sharding", kind: "sharding" };
const LAYOUT = ["tensor_parallel", "pipeline_parallel", "data_parallel", "expert_parallel", "context_parallel"];

// Of a load, beside its shape; only speed depends on them.
const SPEED = [[number, "prefix_hit_rate"], [number, "length_cv"], [number, "expert_skew"], [number, "inter_node_gb_s"], [flag, "disaggregated"]];

const TRAINING_MORE = {
  recipe: [
    choice("framework"), choice("precision"), choice("optimizer_dtype"), choice("gradient_dtype"),
    flag("master_weights"), flag("optimizer_foreach"), flag("optimizer_fused"), choice("attention"),
    flag("fused_cross_entropy"), flag("use_liger_kernel"), flag("compile"), choice("objective"), number("checkpoint_every_n_layers"), number("momentum", { fraction: true }), number("galore_rank"),
  ],
  layout: [...LAYOUT.map((key) => number(key)), flag("sequence_parallel"), number("gpus_per_node"),
    number("expert_imbalance", { fraction: true }), choice("pipeline_schedule"), number("pipeline_chunks"), number("virtual_pipeline", { only: "performance" }), number("inter_node_gb_s", { only: "performance", fraction: true })],
  offload: [choice("offload.optimizer"), choice("offload.parameters"), choice("offload.activations")],
  amount: [number("gradient_accumulation_steps"), number("tokens", { only: "performance" })],
};

/** By mode: the fields always shown, and those under More by group. */
export const CONTROLS = {
  inference: {
    model: [choice("quantization"), choice("kv_cache_dtype")],
    gpu: [number("tensor_parallel", { label: "gpu_count", stepper: true }), choice("backend")],
    workload: [USERS, LENGTH],
    more: {
      cache: [choice("precision"), number("block_size"), number("max_num_seqs"), number("max_num_batched_tokens"), number("shared_prefix_length")],
      runtime: [text("backend_version"), choice("attention"), flag("enforce_eager"), number("gpu_memory_utilization", { fraction: true })],
      layout: [number("pipeline_parallel"), number("data_parallel"), number("expert_parallel"), number("gpus_per_node")],
      extras: [number("max_loras"), number("max_lora_rank"), text("speculative.draft"), number("speculative.num_tokens"),
        number("images.count"), number("images.width"), number("images.height")],
      load: [
        number("input_length"), number("output_length"),
        number("request_rate", { only: "performance", fraction: true }), number("concurrency", { only: "performance" }),
        ...SPEED.map(([make, key]) => make(key, { only: "performance", fraction: true })),
      ],
      question: [choice("solve_for")],
      targets: targets(),
    },
  },
  training: {
    model: [choice("mixed_precision"), choice("optimizer")],
    gpu: [number("num_gpus", { stepper: true }), SHARDING],
    workload: [choice("gradient_checkpointing"), MICRO_BATCH, LENGTH],
    more: {
      ...TRAINING_MORE,
      amount: [number("trainable_parameters", { fraction: true }), ...TRAINING_MORE.amount],
      question: [choice("solve_for")],
    },
  },
  "fine-tuning": {
    model: [choice("method"), number("lora.rank", { unless: ["full", "freeze"] }), text("lora.target_modules", { unless: ["full", "freeze"], wide: true, list: true })],
    gpu: [number("num_gpus", { stepper: true }), SHARDING],
    workload: [choice("gradient_checkpointing"), choice("optimizer"), MICRO_BATCH, LENGTH],
    more: {
      adapter: [
        number("lora.alpha"), choice("lora.bias"), text("lora.modules_to_save", { list: true }), choice("quantization"),
        choice("mixed_precision"), number("trainable_parameters", { fraction: true }),
      ],
      ...TRAINING_MORE,
      question: [choice("solve_for")],
    },
  },
};

function targets() {
  const keys = ["targets.ttft_ms", "targets.tpot_ms", "targets.requests_per_sec", "targets.max_price_per_hour"];
  return [...keys.map((key) => number(key, { only: "recommend", fraction: true })), number("max_gpus", { only: "recommend" })];
}

const MODEL_FIELDS = [
  number("model_size", { fraction: true }), number("hidden_size"), number("num_hidden_layers"),
  number("num_attention_heads"), number("num_key_value_heads"), number("head_dim"),
  number("intermediate_size"), number("vocab_size"),
];
const CARD_FIELDS = ["memory_gb", "memory_bandwidth_gb_s", "price_per_hour"].map((name) => number(`gpu.${name}`, { fraction: true }));
const HIDDEN = [text("model_name"), text("gpu"), number("zero_stage"), choice("fsdp"), choice("method"), number("gpu.tflops.bf16", { fraction: true })];

/** The fields that a mode knows, flat. */
export function fieldsOf(mode) {
  const controls = CONTROLS[mode];
  const shown = [...controls.model, ...controls.gpu, ...controls.workload, ...Object.values(controls.more).flat()];
  return [...shown.filter((field) => field.kind !== "sharding"), ...MODEL_FIELDS, ...CARD_FIELDS, ...HIDDEN];
}

/** One field of a mode by its key; undefined where the mode has none. */
export const fieldOf = (mode, key) => fieldsOf(mode).find((field) => field.key === key);

export const SIZE_FIELDS = MODEL_FIELDS;
export const CARD_OVERRIDES = [...CARD_FIELDS, HIDDEN.at(-1)];

// Sharding is one choice for people and two fields for the API.
export const SHARDINGS = {
  none: {},
  zero1: { zero_stage: 1 }, zero2: { zero_stage: 2 }, zero3: { zero_stage: 3 },
  fsdp2: { fsdp: "fsdp2" }, fsdp1: { fsdp: "fsdp1" }, hsdp: { fsdp: "hsdp" },
};

/** The one choice that two fields stand for. */
export function shardingOf(fields) {
  if (fields.zero_stage) return `zero${fields.zero_stage}`;
  if (fields.fsdp === true || fields.fsdp === "true") return "fsdp2";
  return fields.fsdp && fields.fsdp !== "none" ? fields.fsdp : "none";
}

/** What was typed into a box, in the type that the API wants; "8k" is a number, NaN what should be one and is none. */
export function fromText(field, words) {
  return field?.kind === "number" || field?.kind === "slider" ? parseNumber(words) : typed(field, words);
}

/** A value out of the address, in the type that the API wants. */
export function typed(field, value) {
  if (value === true || value === false || Array.isArray(value) || typeof value === "number") return value;
  if (field?.kind === "flag") return value === "true";
  if (field?.kind === "number" || field?.kind === "slider") return Number(value);
  if (field?.list && value !== "all-linear") return value.split(",").map((part) => part.trim()).filter(Boolean);
  return value === "true" ? true : value === "false" ? false : value;
}
