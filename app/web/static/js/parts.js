// The parts of an answer in their fixed order, and the state that it stands for.

export const PARTS = {
  inference: ["model_weights", "kv_cache", "activation_memory", "framework_overhead"],
  training: ["model_weights", "gradients", "optimizer_states", "activation_memory", "temporary_buffers", "framework_overhead"],
};
const TIGHT = 0.95;

export const totalKey = (answer) => (answer.calculation_type === "training" ? "training_memory" : "inference_memory");
export const total = (answer) => answer.memory_bytes[totalKey(answer)];

/** The range of a key, or null where the answer has none. */
export const range = (answer, key = totalKey(answer)) => answer.memory_range_bytes?.[key] ?? null;

/** Key, bytes, range and share of each part, in drawing order. */
export function partsOf(answer) {
  const whole = total(answer);
  return PARTS[answer.calculation_type].map((key) => {
    const size = answer.memory_bytes[key] ?? 0;
    return { key, bytes: size, range: range(answer, key), share: whole ? size / whole : 0 };
  });
}

/** "fits", "tight", "over" or "unknown": from the answer alone. */
export function stateOf(answer) {
  const fit = answer?.fit;
  if (!fit) return "unknown";
  const spread = range(answer);
  const limit = fit.budget_bytes;
  if (!fit.fits) return spread && spread.low <= limit ? "tight" : "over";
  if (spread) return spread.high > limit ? "tight" : "fits";
  return fit.utilization > TIGHT ? "tight" : "fits";
}

export const MARKS = { fits: "✔", tight: "▲", over: "✖", unknown: "○" };

/** How many GPUs an answer is for. */
export function gpuCount(answer) {
  const p = answer.parameters;
  const product = ["tensor_parallel", "pipeline_parallel", "data_parallel", "context_parallel"].reduce((all, key) => all * (p[key] ?? 1), 1);
  return p.num_gpus ?? product;
}

/** The card's name for people. */
export function gpuName(answer) {
  const gpu = answer.parameters.gpu;
  return typeof gpu === "string" ? gpu : gpu?.name ?? null;
}
