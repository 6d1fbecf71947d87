// Identifier of the browser, and reconnection after the server is lost.

const KEY = "greenup-visitor";
const ASK_AGAIN_MS = 3000;

/** Return the stored identifier of this browser, by which a later visit may cancel computations of this one. */
export function visitorName() {
  try {
    const name = localStorage.getItem(KEY) ?? crypto.getRandomValues(new Uint32Array(4)).join("-");
    localStorage.setItem(KEY, name);
    return name;
  } catch {
    return ""; // storage is disabled: the server uses an identifier of its own for the visit
  }
}

/** Call `action` when the document is ready; earlier changes would be lost. */
export function whenReady(document, action) {
  if (document.is_idle) action();
  else document.on_event("document_ready", action);
}

/** Call `onLost` when the connection is lost, and reload the page as soon as the server answers. */
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
