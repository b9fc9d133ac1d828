// Asking the API: numbered requests a channel, so that an older answer never paints; failures with reasons.

import { language } from "./words.js";

const open = new Map();
const planned = new Map();
let underWay = 0;
export const roundTrips = [];

/** How much is still asked or about to be asked stands on the root element, for whoever waits for rest. */
function tell() {
  document.documentElement.dataset.asking = String(underWay + planned.size);
}

/** Do something `ms` after it was last asked for on a channel. */
export function later(channel, ms, work) {
  clearTimeout(planned.get(channel));
  planned.set(channel, setTimeout(async () => {
    planned.delete(channel);
    underWay += 1;
    try {
      await work();
    } finally {
      underWay -= 1;
      tell();
    }
  }, ms));
  tell();
}

/** What went wrong: the API's own error object where there is one. */
export class Failure extends Error {
  constructor(status, body, retryAfter) {
    super(body?.error ?? `HTTP ${status}`);
    this.status = status;
    this.body = body ?? { error: this.message, code: "network", details: [] };
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed later without a change. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }

  /** Whether the service does not offer this (yet). */
  get missing() {
    return this.status === 405 || this.body.code === "not_supported_yet" || (this.status === 404 && !this.body.details?.length && !this.body.closest?.some((name) => !name.startsWith("/")));
  }
}

/** Ask on a channel; null when a newer request on it took over. */
export async function ask(channel, method, path, body, headers = {}) {
  open.get(channel)?.abort();
  const control = new AbortController();
  open.set(channel, control);
  const started = performance.now();
  underWay += 1;
  tell();
  try {
    const reply = await fetch(path, {
      method, signal: control.signal, headers: { "Accept-Language": language.now, ...(body ? { "Content-Type": "application/json" } : {}), ...headers },
      body: body && JSON.stringify(body),
    });
    const data = await read(reply);
    if (open.get(channel) !== control) return null;
    if (body) note(performance.now() - started);
    if (!reply.ok) throw new Failure(reply.status, data, Number(reply.headers.get("Retry-After")) || undefined);
    return data;
  } catch (error) {
    if (error.name === "AbortError" || open.get(channel) !== control) return null;
    throw error instanceof Failure ? error : new Failure(0, null);
  } finally {
    underWay -= 1;
    tell();
  }
}

async function read(reply) {
  try {
    return await reply.json();
  } catch {
    return null;
  }
}

/** Give a channel up: what is planned on it is not asked, what is under way on it will not paint. */
export function drop(channel) {
  clearTimeout(planned.get(channel));
  planned.delete(channel);
  open.get(channel)?.abort();
  open.delete(channel);
  tell();
}

function note(ms) {
  roundTrips.push(ms);
  if (roundTrips.length > 200) roundTrips.shift();
}

const lists = new Map();

/** A list that does not change while the page is open, asked once a language. */
export function list(path) {
  const key = `${language.now} ${path}`;
  if (!lists.has(key)) {
    const asked = ask(key, "GET", path);
    asked.catch(() => lists.delete(key));
    lists.set(key, asked);
  }
  return lists.get(key);
}

/** Forget a list, because something was added to it. */
export const forget = (path) => lists.delete(`${language.now} ${path}`);
