// The room of a training: the largest micro-batch and the longest sequence that fit, solved by the API.
// Serving needs no second question: its answer carries `capacity`.

import { ask } from "./api.js";
import { paint } from "./engine.js";
import { body, calculation, state } from "./state.js";

const QUESTIONS = ["max_batch_size", "max_sequence_length"];
let solved = null;

/** After an answer on a card, ask how far it could go. */
export async function followRoom(answer) {
  solved = null;
  if (!answer?.fit || calculation() !== "training" || state.mode === "compare") return;
  const configurations = QUESTIONS.map((question) => ({ ...body(), solve_for: question }));
  const reply = await ask("room", "POST", "/api/memory/compare", { calculation_type: "training", configurations }).catch(() => null);
  if (!reply) return;
  const [batch, length] = reply.results.map((result) => result.solution?.value ?? 0);
  solved = { max_batch_size: batch, max_sequence_length: length };
  paint("room");
}

/** What was found, in the words of serving's `capacity`. */
export const trainingRoom = () => solved;
