// Text of the read-out: position and value at the pointer.
import { toLonLat } from "ol/proj.js";

import { NEVER_CLEAR, OUTSIDE, PENDING, TOO_FEW } from "./values.js";

/** Return the read-out, such as "147.3210° E  42.1180° S   0.734 NDVI · DJF". */
export function describe(coordinate, layer) {
  const [longitude, latitude] = toLonLat(coordinate);
  const place = `${degrees(longitude, "E", "W")}  ${degrees(latitude, "N", "S")}`;
  const found = layer?.valueAt(coordinate);
  if (!found || found.value === OUTSIDE) return place;
  return `${place}   ${meaning(found.value, layer.spec)} · ${found.label}`;
}

function meaning(stored, { scale, offset, digits, units }) {
  if (stored === NEVER_CLEAR) return "never clear";
  if (stored === PENDING) return "not computed yet";
  if (stored === TOO_FEW) return "too few clear looks";
  return `${(stored * scale + offset).toFixed(digits)} ${units}`.trim();
}

function degrees(value, positive, negative) {
  return `${Math.abs(value).toFixed(4)}° ${value < 0 ? negative : positive}`;
}
