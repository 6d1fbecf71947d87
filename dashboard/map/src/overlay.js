// Controls over the map: tools, drawing hint, read-out, notices. The markup is in overlay.html.
import olStyle from "ol/ol.css";
import markup from "./overlay.html";
import style from "./style.css";

const HINTS = {
  pan: "",
  box: "Drag from corner to corner.",
  polygon: "Click the corners. Click the first corner again or press Finish to close the polygon.",
};

export class Overlay {
  /** `actions` maps the values of data-do to click handlers. */
  constructor(actions) {
    this.root = document.createElement("div");
    this.root.className = "gm";
    this.root.innerHTML = `<style>${olStyle}${style}</style>${markup}`;
    this.part = {};
    for (const part of this.root.querySelectorAll("[data-part]")) this.part[part.dataset.part] = part;
    this.button = {};
    for (const button of this.root.querySelectorAll("button")) {
      button.type = "button";
      button.addEventListener("click", actions[button.dataset.do]);
      this.button[button.dataset.do] = button;
    }
  }

  setTool(tool) {
    this.root.dataset.tool = tool;
    for (const name of ["box", "polygon"]) this.button[name].setAttribute("aria-pressed", name === tool);
    this.part.hint.hidden = tool === "pan";
    this.button.finish.hidden = tool !== "polygon";
    this.part.hintText.textContent = HINTS[tool];
    if (tool !== "pan") this.speak(`${HINTS[tool]} With the keyboard, Enter sets a corner at the centre.`);
  }

  setTrouble(count) {
    this.part.trouble.hidden = !count;
    this.part.troubleText.textContent = `${count} ${count === 1 ? "tile" : "tiles"} could not be loaded.`;
  }

  setLost() {
    this.part.lost.hidden = false;
  }

  setReadout(text) {
    this.part.readout.hidden = !text;
    this.part.readout.textContent = text;
  }

  speak(text) {
    this.part.spoken.textContent = text;
  }
}
