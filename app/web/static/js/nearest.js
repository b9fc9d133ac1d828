// A count that the model's shape forbids: the next ones below and above that work, found by asking.

import { ask } from "./api.js";
import { paint, results } from "./engine.js";
import { body, calculation, state } from "./state.js";

const COUNTS = ["tensor_parallel", "pipeline_parallel", "data_parallel", "expert_parallel", "context_parallel", "num_gpus"];
const TRIED = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 24, 28, 32, 36, 40, 48, 56, 64, 72, 80, 96, 128];
let found = { key: null, values: [] };

/** After a refusal that names a count, look for counts that would be taken. */
export async function followRefusal() {
  const details = results.failure?.body?.details ?? [];
  const key = COUNTS.find((name) => details.some((each) => each.field === name));
  found = { key: null, values: [] };
  if (!key || state.mode === "compare") return;
  const now = state.fields[key] ?? 1;
  const tried = TRIED.filter((value) => value !== now);
  const configurations = tried.map((value) => ({ ...body("memory", { ...state.fields, [key]: value }), explain: false }));
  const reply = await ask("nearest", "POST", "/api/memory/compare", { calculation_type: calculation(), configurations }).catch(() => null);
  if (!reply) return;
  const good = tried.filter((_, index) => !reply.results[index].error);
  found = { key, values: [good.findLast((value) => value < now), good.find((value) => value > now)].filter(Boolean) };
  paint("rail");
}

/** The counts to offer beside a field that was refused. */
export const nearest = (key) => (found.key === key ? found.values : []);
