// What the page must know of its browser, and what the browser must say when the server is gone.

const KEY = "greenup-visitor";
const ASK_AGAIN_MS = 3000;

/** A name that this browser keeps, so that tomorrow's visit may cancel what today's has started. */
export function visitorName() {
  try {
    const name = localStorage.getItem(KEY) ?? crypto.getRandomValues(new Uint32Array(4)).join("-");
    localStorage.setItem(KEY, name);
    return name;
  } catch {
    return ""; // storage is forbidden: the server's own name for the visit will do
  }
}

/** Act once the server hears: what it answers before the whole page stands is lost. */
export function whenReady(document, action) {
  if (document.is_idle) action();
  else document.on_event("document_ready", action);
}

/** Call `onLost` once the page's connection breaks; then load the page anew as soon as the server answers. */
export function watchConnection(document, onLost) {
  document.on_event("connection_lost", () => {
    onLost();
    const timer = setInterval(async () => {
      const answer = await fetch("healthz", { cache: "no-store" }).catch(() => null);
      if (!answer?.ok) return;
      clearInterval(timer);
      location.reload();
    }, ASK_AGAIN_MS);
  });
}
