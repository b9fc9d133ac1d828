// What was asked before, kept in this browser: every state that rested for two seconds, with its answer.

const MOST = 500;
let opened = null;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open("llm-estimate", 1);
    asked.onupgradeneeded = () => {
      const store = asked.result.createObjectStore("entries", { keyPath: "id", autoIncrement: true });
      store.createIndex("key", "key");
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
  return opened;
}

async function within(mode, work) {
  const store = (await database()).transaction("entries", mode).objectStore("entries");
  const asked = work(store);
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

/** Requests that mean the same have the same key. */
function keyOf(request) {
  const sorted = (value) => (value && typeof value === "object" && !Array.isArray(value) ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])])) : value);
  return JSON.stringify(sorted(request));
}

/** All entries, newest first. */
export async function entries() {
  const all = await within("readonly", (store) => store.getAll());
  return all.sort((a, b) => b.at - a.at);
}

/** Keep an entry; an older one of the same request goes, and beyond 500 the oldest without a star. */
export async function keep(entry) {
  const key = keyOf(entry.request);
  const all = await entries();
  const before = all.find((each) => each.key === key);
  const kept = { ...entry, key, at: Date.now(), starred: before?.starred ?? false, note: before?.note ?? "" };
  if (before) await forget(before.id);
  await within("readwrite", (store) => store.add(kept));
  const extra = all.filter((each) => !each.starred && each.id !== before?.id).slice(MOST - 1);
  for (const each of extra) await forget(each.id);
}

/** The saved entry of a request, or undefined. */
export async function find(request) {
  if (!request) return undefined;
  try {
    return await within("readonly", (store) => store.index("key").get(keyOf(request)));
  } catch {
    return undefined;
  }
}

export const update = (entry) => within("readwrite", (store) => store.put(entry));
export const forget = (id) => within("readwrite", (store) => store.delete(id));
export const forgetAll = () => within("readwrite", (store) => store.clear());

/** Add what another browser exported; returns how many. */
export async function importEntries(list) {
  const good = list.filter((entry) => entry && entry.request && entry.address && entry.title);
  for (const { id, ...entry } of good) await within("readwrite", (store) => store.add({ ...entry, key: keyOf(entry.request) }));
  return good.length;
}

/** Entries that hold every word. */
export function search(all, words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return all.filter((entry) => {
    const text = `${entry.title} ${entry.note} ${entry.key} ${entry.mode}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}
