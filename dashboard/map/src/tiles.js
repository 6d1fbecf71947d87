// Layer of value tiles: coloured in the browser, one cache for all seasons, refreshed in place, stale requests aborted.
import TileState from "ol/TileState.js";
import { disposedError } from "ol/DataTile.js";
import { containsCoordinate } from "ol/extent.js";
import TileLayer from "ol/layer/Tile.js";
import { transformExtent } from "ol/proj.js";
import CanvasTileLayerRenderer from "ol/renderer/canvas/TileLayer.js";
import DataTileSource from "ol/source/DataTile.js";
import TileGrid from "ol/tilegrid/TileGrid.js";

import { SIZE, PENDING, fetchValues, paint } from "./values.js";

export const WORLD = 20037508.342789244; // half the width of Web Mercator, in metres
const CACHED_TILES = 256; // about four seasons of a large screen, at most 100 MB

/** Mercator extent of [west, south, east, north] in degrees. */
export function mercator([west, south, east, north]) {
  const box = [west, Math.max(south, -85.06), east, Math.min(north, 85.06)];
  return transformExtent(box, "EPSG:4326", "EPSG:3857");
}

class ValueRenderer extends CanvasTileLayerRenderer {
  drawTile(tile, frameState, ...placement) {
    this.getLayer().prepare(tile, frameState.viewState.resolution);
    super.drawTile(tile, frameState, ...placement);
  }
}

export class ValueLayer extends TileLayer {
  /** `style` is {table, hatch}; `onTrouble(count)` receives the number of tiles that could not be loaded. */
  constructor(spec, style, { transition, onTrouble }) {
    const grid = new TileGrid({
      extent: mercator(spec.extent),
      origin: [-WORLD, WORLD],
      minZoom: spec.min_zoom,
      resolutions: Array.from({ length: spec.max_zoom + 1 }, (_, z) => (2 * WORLD) / SIZE / 2 ** z),
      tileSize: SIZE,
    });
    const source = new DataTileSource({ tileGrid: grid, interpolate: false, transition, wrapX: false });
    super({ source, cacheSize: CACHED_TILES });
    Object.assign(this, { spec, style, grid, onTrouble });
    this.pictures = new WeakMap(); // canvas of a tile -> {values, style when painted}
    this.requests = new Set(); // running: {label, z, extent, controller}
    this.dirty = new WeakSet(); // tiles whose pixels changed on the server
    this.renewing = new Set();
    this.failed = new Set();
    source.on("tileloaderror", ({ tile }) => this.missed(tile));
    this.showLabel(spec.label);
  }

  createRenderer() {
    return new ValueRenderer(this, { cacheSize: this.getCacheSize() });
  }

  /** Whether `spec` differs only in its label or completeness, so that this layer can show it. */
  accepts(spec) {
    const identity = ({ tiles, extent, min_zoom, max_zoom, scale, offset }) =>
      JSON.stringify([tiles, extent, min_zoom, max_zoom, scale, offset]);
    return identity(spec) === identity(this.spec);
  }

  /** Show another season, or the same one after it is complete. */
  show(spec) {
    const completed = spec.complete && !this.spec.complete;
    this.spec = spec;
    this.showLabel(spec.label);
    if (completed) this.refreshWhere((tile) => this.pictures.get(tile.getData())?.values.includes(PENDING));
  }

  showLabel(label) {
    // A tile keeps the loader of its label; by the key, the old season stays until the new one is loaded.
    const source = this.getSource();
    source.setLoader(async (z, x, y, { signal }) => {
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = SIZE;
      this.pictures.set(canvas, { values: await this.request(label, [z, x, y], signal) });
      return canvas;
    });
    source.setKey(label);
  }

  recolour(style) {
    this.style = style;
    this.changed();
  }

  /** Prepare a tile for drawing: paint it if its style has changed, request it again if its values have. */
  prepare(tile, resolution) {
    const picture = this.pictures.get(tile.getData());
    if (picture.style !== this.style) {
      paint(tile.getData(), picture.values, this.style);
      picture.style = this.style;
    }
    const current = tile.key === this.spec.label && tile.tileCoord[0] === this.grid.getZForResolution(resolution);
    if (current && this.dirty.has(tile) && !this.renewing.has(tile)) this.renew(tile, picture);
  }

  async renew(tile, picture) {
    this.dirty.delete(tile);
    this.renewing.add(tile);
    try {
      picture.values = await this.request(tile.key, tile.tileCoord, null, "no-cache");
      picture.style = null;
    } catch (error) {
      if (error.name === "AbortError") this.dirty.add(tile);
      else this.fail(tile);
    }
    this.renewing.delete(tile);
    this.changed();
  }

  async request(label, [z, x, y], signal, cache) {
    const controller = new AbortController();
    const request = { label, z, extent: this.grid.getTileCoordExtent([z, x, y]), controller };
    this.requests.add(request);
    try {
      // A result may continue beyond 180 degrees, where tile columns start again.
      const count = 2 ** z;
      const place = { label: encodeURIComponent(label), z, x: ((x % count) + count) % count, y };
      const path = this.spec.tiles.replace(/\{(label|z|x|y)\}/g, (_, name) => place[name]);
      const signals = signal ? [signal, controller.signal] : [controller.signal];
      return await fetchValues(new URL(path, document.baseURI), AbortSignal.any(signals), cache);
    } finally {
      this.requests.delete(request);
    }
  }

  /** Abort requests for tiles of another season or zoom, or outside the view. */
  abortStale(extent, resolution) {
    const zoom = this.grid.getZForResolution(resolution);
    for (const request of this.requests) {
      const wanted = request.label === this.spec.label && request.z === zoom && meets(request.extent, extent);
      if (!wanted) request.controller.abort();
    }
  }

  missed(tile) {
    const error = tile.getError();
    if (error === disposedError) return;
    if (error.name !== "AbortError") this.fail(tile);
    // Deferred: during this event OpenLayers still counts the tile as loading, and would load no other.
    else setTimeout(() => (tile.setState(TileState.IDLE), this.changed()));
  }

  fail(tile) {
    this.failed.add(tile);
    this.onTrouble(this.failed.size);
  }

  /** Request failed tiles again. */
  retry() {
    for (const tile of this.failed) {
      if (tile.getState() === TileState.ERROR) tile.setState(TileState.IDLE);
      else this.dirty.add(tile);
    }
    this.failed.clear();
    this.onTrouble(0);
    this.changed();
  }

  /** Request loaded tiles that overlap a box again: visible ones now, others when they come into view. */
  refresh(boxes) {
    const extents = boxes.map(mercator);
    this.refreshWhere((tile) => {
      const extent = this.grid.getTileCoordExtent(tile.tileCoord);
      return extents.some((box) => meets(box, extent));
    });
  }

  refreshWhere(changed) {
    const cache = this.getRenderer().getTileCache();
    cache.forEach((tile) => {
      const asked = [TileState.LOADED, TileState.LOADING].includes(tile.getState());
      if (asked && changed(tile)) this.dirty.add(tile);
    });
    this.retry();
  }

  /** Return the drawn value at a coordinate, {value: stored number, label}, or null without a tile. */
  valueAt(coordinate) {
    const drawn = this.getRenderer().renderedTiles.filter(
      (tile) => tile.getData() && containsCoordinate(this.grid.getTileCoordExtent(tile.tileCoord), coordinate),
    );
    if (!drawn.length || !containsCoordinate(this.grid.getExtent(), coordinate)) return null;
    const tile = drawn.reduce((a, b) => (b.tileCoord[0] > a.tileCoord[0] ? b : a));
    const [west, , , north] = this.grid.getTileCoordExtent(tile.tileCoord);
    const resolution = this.grid.getResolution(tile.tileCoord[0]);
    const index = (distance) => Math.min(Math.floor(distance / resolution), SIZE - 1);
    const place = index(north - coordinate[1]) * SIZE + index(coordinate[0] - west);
    return { value: this.pictures.get(tile.getData()).values[place], label: tile.key };
  }

  disposeInternal() {
    for (const { controller } of this.requests) controller.abort(disposedError);
    super.disposeInternal();
  }
}

/** Whether two extents share an area; extents that only touch do not. */
function meets(a, b) {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}
