// Region: drawn by mouse, touch or keyboard, edited at its corners, shown above all other layers.
import Feature from "ol/Feature.js";
import { altKeyOnly, singleClick } from "ol/events/condition.js";
import { boundingExtent } from "ol/extent.js";
import GeoJSON from "ol/format/GeoJSON.js";
import MultiPoint from "ol/geom/MultiPoint.js";
import { fromExtent } from "ol/geom/Polygon.js";
import Draw, { createBox } from "ol/interaction/Draw.js";
import Modify from "ol/interaction/Modify.js";
import VectorLayer from "ol/layer/Vector.js";
import VectorSource from "ol/source/Vector.js";
import { Circle, Fill, Stroke, Style } from "ol/style.js";

const FORMAT = new GeoJSON({ dataProjection: "EPSG:4326", featureProjection: "EPSG:3857" });
const MOST_HANDLES = 40; // more handles would hide the shape
const LEAST_SIDE = 4; // pixels; a smaller drawing is accidental

export class Region {
  /** `onRegion(geometry)` receives a finished shape as GeoJSON in degrees, `onSketch(count)` the number of corners. */
  constructor(map, { onRegion, onSketch }) {
    Object.assign(this, { map, onRegion, onSketch });
    this.source = new VectorSource();
    this.sketch = new Feature(); // box between a corner set by keyboard and the centre of the view
    this.layers = [this.source, new VectorSource({ features: [this.sketch] })].map(
      (source) => new VectorLayer({ source, zIndex: 30 }),
    );
    this.layers.forEach((layer) => map.addLayer(layer));
    map.getView().on("change:center", () => this.corner && this.sketch.setGeometry(this.boxToCentre()));
    const free = () => !this.isBox();
    this.modify = new Modify({
      source: this.source,
      deleteCondition: (event) => altKeyOnly(event) && singleClick(event) && free(),
      insertVertexCondition: free,
    });
    this.modify.on("modifystart", ({ mapBrowserEvent: { coordinate } }) => {
      if (this.isBox()) keepRectangle(this.geometry(), coordinate);
    });
    this.modify.on("modifyend", () => this.publish(this.geometry()));
    map.addInteraction(this.modify);
  }

  setTheme(theme) {
    this.style = outline(theme);
    this.layers.forEach((layer) => layer.setStyle(this.style));
    this.modify.getOverlay().setStyle(this.style);
    this.draw?.getOverlay().setStyle(this.style);
  }

  geometry() {
    return this.source.getFeatures()[0]?.getGeometry();
  }

  isBox() {
    const geometry = this.geometry();
    if (geometry?.getType() !== "Polygon") return false;
    const corners = geometry.getCoordinates().flat();
    const upright = corners.slice(1).every(([x, y], i) => near(x, corners[i][0]) !== near(y, corners[i][1]));
    return corners.length === 5 && upright;
  }

  set(geojson) {
    this.source.clear();
    if (geojson) this.source.addFeature(new Feature(FORMAT.readGeometry(geojson)));
  }

  publish(geometry) {
    this.onRegion(FORMAT.writeGeometryObject(geometry, { decimals: 6, rightHanded: true }));
  }

  /** Publish a drawn shape, unless it is too small. */
  finish(geometry) {
    const least = LEAST_SIDE * this.map.getView().getResolution();
    if (geometry.getArea() > least * least) this.publish(geometry);
  }

  /** Start to draw with a tool, or stop with "pan". */
  start(tool) {
    if (this.draw) this.map.removeInteraction(this.draw);
    this.draw = this.drawn = this.corner = null;
    this.sketch.setGeometry(undefined);
    this.modify.setActive(tool === "pan");
    this.onSketch(0);
    if (tool === "pan") return;
    const box = { type: "Circle", geometryFunction: createBox(), freehand: true };
    this.draw = new Draw({ ...(tool === "box" ? box : { type: "Polygon" }), stopClick: true, style: this.style });
    this.draw.on("drawstart", ({ feature }) => {
      this.drawn = feature.getGeometry();
      this.drawn.on("change", () => this.onSketch(this.corners()));
    });
    this.draw.on("drawend", ({ feature }) => this.finish(feature.getGeometry()));
    this.map.addInteraction(this.draw);
  }

  corners() {
    // An unfinished ring ends with the pointer position and a copy of the first corner.
    return this.drawn ? new Set(this.drawn.getCoordinates()[0].slice(0, -2).map(String)).size : 0;
  }

  /** Set a corner at the centre of the view, for the keyboard. */
  setCorner() {
    const centre = this.map.getView().getCenter();
    if (this.draw.getFreehand()) {
      if (this.corner) this.finish(this.boxToCentre());
      this.corner = centre;
    } else {
      this.draw.appendCoordinates([centre]);
    }
  }

  boxToCentre() {
    return fromExtent(boundingExtent([this.corner, this.map.getView().getCenter()]));
  }

  undoCorner() {
    this.corner = null;
    this.sketch.setGeometry(undefined);
    this.draw.removeLastPoint();
  }

  finishSketch() {
    if (this.corners() >= 3) this.draw.finishDrawing();
  }
}

/** While a corner of a box is dragged, move the adjacent corners too, so that it stays a box. */
function keepRectangle(geometry, [px, py]) {
  const start = geometry.getCoordinates()[0];
  const distances = start.map(([x, y]) => Math.hypot(x - px, y - py));
  const dragged = distances.indexOf(Math.min(...distances));
  const [fromX, fromY] = start[dragged];
  let adjusting = false;
  geometry.on("change", () => {
    if (adjusting) return;
    const [toX, toY] = geometry.getCoordinates()[0][dragged];
    adjusting = true;
    geometry.setCoordinates([start.map(([x, y]) => [near(x, fromX) ? toX : x, near(y, fromY) ? toY : y])]);
    adjusting = false;
  });
}

/** Whether two coordinates in metres are equal within the precision of six decimals of a degree. */
function near(a, b) {
  return Math.abs(a - b) < 0.3;
}

function outline({ region, casing }) {
  const dot = { radius: 5, fill: new Fill({ color: region }), stroke: new Stroke({ color: casing, width: 2 }) };
  const corners = (feature) => {
    const flat = feature.getGeometry().getFlatCoordinates?.() ?? [];
    const places = Array.from({ length: flat.length / 2 }, (_, i) => flat.slice(2 * i, 2 * i + 2));
    return places.length <= MOST_HANDLES ? new MultiPoint(places) : undefined;
  };
  return [
    new Style({ stroke: new Stroke({ color: casing, width: 5 }) }),
    new Style({ stroke: new Stroke({ color: region, width: 2.25 }) }),
    new Style({ image: new Circle(dot), geometry: corners }),
  ];
}
