// The page's own sentences, in the reader's language. What the API says comes translated from the API.

import { boot } from "./boot.js";

export const language = { now: boot.language };
let catalogue = boot.words;

/** The sentence of a key, with `{name}` replaced by values. */
export function t(key, values) {
  const sentence = catalogue[key] ?? key;
  return values ? sentence.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole) : sentence;
}

/** Whether there is a sentence for a key. */
export const has = (key) => key in catalogue;

/** Change the language of the page, and remember it for the server's next rendering. */
export async function speak(next) {
  const reply = await fetch(new URL(`../words/${next}.json`, import.meta.url));
  catalogue = await reply.json();
  language.now = next;
  document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
  document.title = t("app.name");
  remember("language", next);
}

/** A reader's choice, kept in a cookie so that the first paint is right. */
export function remember(name, value) {
  document.cookie = `${name}=${value}; path=/; max-age=31536000; SameSite=Lax`;
}
