// Keyboard control of the map; the centre of the map replaces the pointer.

/** Handle keys on the focusable `target`; OpenLayers handles arrow keys, plus and minus. */
export function listen(target, { tool, setTool, region, pick, read }) {
  const anywhere = { b: () => setTool("box"), p: () => setTool("polygon"), Escape: () => setTool("pan"), v: read };
  target.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const enter = event.shiftKey ? () => region.finishSketch() : () => region.setCorner();
    const drawing = { Enter: enter, Backspace: () => region.undoCorner() };
    const action = { ...anywhere, ...(tool() === "pan" ? { Enter: pick } : drawing) }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
