// Basemap below and above the result: land, coast, borders, graticule, and an optional online map.
import { boundingExtent, containsExtent } from "ol/extent.js";
import GeoJSON from "ol/format/GeoJSON.js";
import TopoJSON from "ol/format/TopoJSON.js";
import MultiPolygon from "ol/geom/MultiPolygon.js";
import { Graticule, Tile, VectorImage } from "ol/layer.js";
import VectorSource from "ol/source/Vector.js";
import XYZ from "ol/source/XYZ.js";
import { Fill, Stroke, Text } from "ol/style.js";

import countries from "world-atlas/countries-50m.json";
import tasmania from "../../../compute/demo/coast.geojson";
import { WORLD } from "./tiles.js";

const INTERVALS = [30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
const FONT = "11px system-ui, sans-serif";

export class Basemap {
  constructor(map) {
    this.map = map;
    const source = new VectorSource({ features: landFeatures() });
    const options = { source, imageRatio: 1.5 };
    this.land = new VectorImage({ ...options, zIndex: 0 });
    this.coast = new VectorImage({ ...options, zIndex: 20 });
    this.online = new Tile({ zIndex: 1, visible: false });
    [this.land, this.online, this.coast].forEach((layer) => map.addLayer(layer));
  }

  setTheme(theme) {
    this.land.setStyle({ "fill-color": theme.land });
    this.coast.setStyle({ "stroke-color": theme.coast, "stroke-width": 1 });
    if (this.graticule) this.map.removeLayer(this.graticule);
    this.graticule = graticule(theme);
    this.map.addLayer(this.graticule);
  }

  /** Show an online map of tiles, or none for an empty `url`; then no request goes to another host. */
  setOnline(url) {
    this.online.setSource(url ? new XYZ({ url }) : null);
    this.online.setVisible(Boolean(url));
  }
}

function landFeatures() {
  const options = { dataProjection: "EPSG:4326", featureProjection: "EPSG:3857" };
  const world = new TopoJSON({ layers: ["countries"] }).readFeatures(JSON.parse(countries), options);
  const fine = new GeoJSON().readFeatures(JSON.parse(tasmania), options);
  // The finer coast replaces the coarse islands within it, so that a coast is drawn once.
  const [west, south, east, north] = new VectorSource({ features: fine }).getExtent();
  const margin = 2e4;
  const box = [west - margin, south - margin, east + margin, north + margin];
  for (const feature of world) {
    const geometry = feature.getGeometry();
    const parts = geometry instanceof MultiPolygon ? geometry.getCoordinates() : [geometry.getCoordinates()];
    parts.flat().forEach(unwrap);
    const kept = parts.filter(([shell]) => !containsExtent(box, boundingExtent(shell)));
    feature.setGeometry(new MultiPolygon(kept));
  }
  return [...world, ...fine];
}

/** Continue a ring beyond the antimeridian instead of jumping back across the map, except Antarctica's. */
function unwrap(ring) {
  if (ring.some(([, y]) => y <= 1 - WORLD)) return;
  for (let i = 1; i < ring.length; i++) {
    const jump = ring[i][0] - ring[i - 1][0];
    if (Math.abs(jump) > WORLD) ring[i][0] -= 2 * WORLD * Math.sign(jump);
  }
}

function graticule({ grid, label, halo }) {
  const paint = { fill: new Fill({ color: label }), stroke: new Stroke({ color: halo, width: 3 }), font: FONT };
  const degrees = (value, positive, negative) =>
    `${Number(Math.abs(value).toFixed(3))}°${value > 0 ? positive : value < 0 ? negative : ""}`;
  return new Graticule({
    zIndex: 25,
    intervals: INTERVALS,
    targetSize: 140,
    strokeStyle: new Stroke({ color: grid, width: 1 }),
    showLabels: true,
    lonLabelPosition: 1,
    latLabelPosition: 1,
    lonLabelFormatter: (longitude) => degrees(longitude, "E", "W"),
    latLabelFormatter: (latitude) => degrees(latitude, "N", "S"),
    lonLabelStyle: new Text({ ...paint, textBaseline: "top", offsetY: 8 }),
    latLabelStyle: new Text({ ...paint, textAlign: "end", offsetX: -8, textBaseline: "middle" }),
  });
}
