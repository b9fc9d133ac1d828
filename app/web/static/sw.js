// The page without the service: its shell and files from this build's cache, the lists as last seen.
// BUILD and FILES stand above, put there when the file is served.

const SHELL = "/";
const LISTS = ["/api/models", "/api/gpus", "/api/config/options", "/api/accuracy"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(BUILD).then((cache) => cache.addAll([SHELL, "/manifest.webmanifest", ...FILES])).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(caches.keys().then((names) => Promise.all(names.filter((name) => name !== BUILD).map((name) => caches.delete(name)))).then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (request.mode === "navigate" && pathname === SHELL) event.respondWith(fresh(request, SHELL));
  else if (FILES.includes(pathname)) event.respondWith(kept(request));
  else if (LISTS.includes(pathname) || pathname === "/manifest.webmanifest") event.respondWith(fresh(request, request));
});

async function fresh(request, key) {
  const cache = await caches.open(BUILD);
  try {
    const reply = await fetch(request);
    if (reply.ok && key !== SHELL) await cache.put(key, reply.clone());
    return reply;
  } catch {
    return (await cache.match(key, { ignoreVary: true })) ?? Response.error();
  }
}

async function kept(request) {
  return (await caches.match(request, { ignoreVary: true })) ?? fetch(request);
}
