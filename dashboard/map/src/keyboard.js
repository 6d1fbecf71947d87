// Everything that a pointer does, by keys; the centre of the map stands for the pointer.

/** Listen on the focusable `target`; arrows, plus and minus are OpenLayers' own. */
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
