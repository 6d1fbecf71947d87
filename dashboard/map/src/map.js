// Map component: applies the parameters of the Python class, and reports user actions to it.
import { Feature, Map as OlMap, View } from "ol";
import ScaleLine from "ol/control/ScaleLine.js";
import Point from "ol/geom/Point.js";
import { KeyboardPan, KeyboardZoom, defaults as interactions } from "ol/interaction.js";
import VectorLayer from "ol/layer/Vector.js";
import { fromLonLat, get as projection, toLonLat } from "ol/proj.js";
import VectorSource from "ol/source/Vector.js";

import { Basemap } from "./basemap.js";
import { listen } from "./keyboard.js";
import { Overlay } from "./overlay.js";
import { describe } from "./readout.js";
import { Region } from "./region.js";
import { ValueLayer, mercator } from "./tiles.js";
import themes from "./themes.json";
import { lookupTable } from "./values.js";
import { visitorName, watchConnection, whenReady } from "./visit.js";

const THEMES = JSON.parse(themes);
const VIEW_SETTLES_MS = 200;
const FIT = { padding: [64, 64, 72, 64], maxZoom: 14 };
const PIN = [
  { "circle-radius": 9.5, "circle-stroke-color": "rgba(0, 0, 0, 0.45)", "circle-stroke-width": 1.5 },
  { "circle-radius": 7, "circle-fill-color": "#e11d48", "circle-stroke-color": "#fff", "circle-stroke-width": 2.5 },
];

const shown = new WeakMap(); // Panel view -> its map, so that rendering again disposes of the old map

/** Render the component; Panel calls this for each place in a page where it appears. */
export function render({ model, view }) {
  shown.get(view)?.dispose();
  const map = new NdviMap(model);
  shown.set(view, map);
  whenReady(view.model.document, () => map.introduce());
  watchConnection(view.model.document, () => map.overlay.setLost());
  model.on("remove", () => map.dispose());
  return map.overlay.root;
}

class NdviMap {
  constructor(model) {
    this.model = model;
    this.duration = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 200;
    const toggle = (tool) => () => this.setTool(tool === model.tool ? "pan" : tool);
    this.overlay = new Overlay({
      zoomIn: () => this.zoom(1),
      zoomOut: () => this.zoom(-1),
      box: toggle("box"),
      polygon: toggle("polygon"),
      clear: () => this.setRegion(null),
      finish: () => this.region.finishSketch(),
      cancel: () => this.setTool("pan"),
      retry: () => this.values?.retry(),
      reload: () => location.reload(),
    });
    this.map = this.createMap();
    this.basemap = new Basemap(this.map);
    this.region = new Region(this.map, {
      onRegion: (region) => this.setRegion(region),
      onSketch: (corners) => (this.overlay.button.finish.disabled = corners < 3),
    });
    this.pin = new Feature();
    const source = new VectorSource({ features: [this.pin] });
    this.map.addLayer(new VectorLayer({ source, style: PIN, zIndex: 40 }));
    this.follow();
    this.listen();
  }

  /** Report identifier, width and colour preference of the browser. */
  introduce() {
    this.publish("visitor", visitorName());
    this.publish("narrow", matchMedia("(max-width: 600px)").matches);
    this.publish("prefers_dark", matchMedia("(prefers-color-scheme: dark)").matches);
  }

  createMap() {
    const duration = this.duration;
    const plain = { altShiftDragRotate: false, pinchRotate: false, keyboard: false, zoomDuration: duration };
    const keys = [new KeyboardPan({ duration, pixelDelta: 64 }), new KeyboardZoom({ duration })];
    return new OlMap({
      target: this.overlay.part.map,
      controls: [new ScaleLine({ target: this.overlay.part.scale, minWidth: 72 })],
      interactions: interactions(plain).extend(keys),
      // More than OpenLayers' default of 16: tiles that wait for a retry must not block the others.
      maxTilesLoading: 48,
      view: new View({
        center: [0, 0],
        zoom: 2,
        maxZoom: 18,
        extent: projection("EPSG:3857").getExtent(),
        constrainOnlyCenter: true,
      }),
    });
  }

  /** Apply every parameter now and whenever Python changes it. */
  follow() {
    const appliers = {
      dark: (dark) => this.showTheme(dark ? "dark" : "light"),
      toolbar: (present) => (this.overlay.part.drawing.hidden = !present),
      basemap_url: (url) => this.basemap.setOnline(url),
      basemap_attribution: (text) => (this.overlay.part.credit.textContent = ["Natural Earth", text].join("  ").trim()),
      layer: (spec) => this.showLayer(spec),
      colours: () => this.recolour(),
      span: () => this.recolour(),
      opacity: (opacity) => this.values?.setOpacity(opacity),
      region: (region) => this.showRegion(region),
      tool: (tool) => this.showTool(tool),
      pin: (place) => this.pin.setGeometry(place ? new Point(fromLonLat(place)) : undefined),
      view: (view) => this.showView(view),
      fitting: (box) => this.fit(box),
      changes: (changes) => this.refresh(changes),
    };
    this.version = this.model.changes.at(-1)?.version ?? 0;
    for (const [name, apply] of Object.entries(appliers)) {
      this.model.on(name, () => this.publishing || apply(this.model[name]));
      apply(this.model[name]);
    }
  }

  listen() {
    const centre = () => this.map.getView().getCenter();
    this.map.on("pointermove", ({ coordinate, dragging }) => dragging || this.point(coordinate));
    this.map.getViewport().addEventListener("pointerleave", () => this.point(null));
    this.map.on("rendercomplete", () => this.point(this.pointer));
    this.map.on("singleclick", ({ coordinate }) => this.model.tool === "pan" && this.pick(coordinate));
    this.map.on("moveend", () => this.settle());
    this.map.on("loadstart", () => (this.overlay.root.dataset.state = "loading"));
    this.map.on("loadend", () => (this.overlay.root.dataset.state = "idle"));
    listen(this.overlay.part.map, {
      tool: () => this.model.tool,
      setTool: (tool) => this.setTool(tool),
      region: this.region,
      pick: () => this.pick(centre()),
      read: () => this.overlay.speak(describe(centre(), this.values)),
    });
  }

  /** Set a parameter of the Python class, without handling the change here. */
  publish(name, value) {
    this.publishing = true;
    this.model[name] = value;
    this.publishing = false;
  }

  showTheme(name) {
    this.overlay.root.dataset.theme = name;
    this.basemap.setTheme(THEMES[name]);
    this.region.setTheme(THEMES[name]);
  }

  showLayer(spec) {
    if (spec && this.values?.accepts(spec)) this.values.show(spec);
    else this.replaceLayer(spec);
    this.abortStale();
    this.point(this.pointer);
  }

  replaceLayer(spec) {
    if (this.values) this.map.removeLayer(this.values);
    this.values?.dispose();
    this.values = null;
    this.overlay.setTrouble(0);
    if (!spec) return;
    this.values = new ValueLayer(spec, this.tileStyle(spec), {
      transition: this.duration,
      onTrouble: (count) => this.overlay.setTrouble(count),
    });
    this.values.setZIndex(10);
    this.values.setOpacity(this.model.opacity);
    this.map.addLayer(this.values);
  }

  tileStyle(spec) {
    const { never_clear, hatch } = this.model.esm_constants;
    return { table: lookupTable(this.model.colours, this.model.span, spec, never_clear), hatch };
  }

  recolour() {
    this.values?.recolour(this.tileStyle(this.values.spec));
  }

  showRegion(region) {
    this.region.set(region);
    this.overlay.button.clear.disabled = !region;
  }

  showTool(tool) {
    this.region.start(tool);
    this.overlay.setTool(tool);
  }

  showView({ center, zoom }) {
    // Without a size there is no view to animate.
    const duration = this.map.getSize() ? this.duration : 0;
    this.map.getView().animate({ center: fromLonLat(center), zoom, duration });
  }

  /** Move the view to a box once the map has a size, then clear the request. */
  fit(box) {
    if (!box) return;
    if (this.map.getSize()?.every(Boolean)) {
      this.map.getView().fit(mercator(box), { ...FIT, duration: this.duration });
      this.publish("fitting", null);
    } else {
      this.map.once("change:size", () => this.fit(this.model.fitting));
    }
  }

  /** Request tiles changed since the last call; after a gap in the versions, request all tiles. */
  refresh(changes) {
    const news = changes.filter(({ version }) => version > this.version);
    if (!news.length) return;
    if (news[0].version > this.version + 1) this.values?.refreshWhere(() => true);
    else this.values?.refresh(news.flatMap(({ boxes }) => boxes));
    this.version = news.at(-1).version;
  }

  setTool(tool) {
    this.publish("tool", tool);
    this.showTool(tool);
  }

  setRegion(region) {
    this.publish("region", region);
    this.showRegion(region);
    // Deferred: the drawing interaction is still handling its own event.
    setTimeout(() => this.setTool("pan"));
  }

  pick(coordinate) {
    const [lon, lat] = toLonLat(coordinate);
    this.publish("clicked", { lon, lat, count: (this.model.clicked?.count ?? 0) + 1 });
  }

  zoom(step) {
    const view = this.map.getView();
    view.animate({ zoom: view.getZoom() + step, duration: this.duration });
  }

  settle() {
    this.abortStale();
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      const view = this.map.getView();
      const center = toLonLat(view.getCenter()).map((degrees) => Number(degrees.toFixed(6)));
      this.publish("view", { center, zoom: Number(view.getZoom().toFixed(3)) });
    }, VIEW_SETTLES_MS);
  }

  abortStale() {
    const view = this.map.getView();
    if (this.map.getSize()) this.values?.abortStale(view.calculateExtent(this.map.getSize()), view.getResolution());
  }

  point(coordinate) {
    this.pointer = coordinate;
    this.overlay.setReadout(coordinate ? describe(coordinate, this.values) : "");
  }

  dispose() {
    clearTimeout(this.settling);
    this.replaceLayer(null);
    this.map.setTarget(null);
    this.map.dispose();
  }
}
