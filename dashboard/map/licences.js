// Writes the licences of all packages in the bundle, as listed in esbuild's metafile.
import { readFileSync, readdirSync } from "node:fs";

const NATURAL_EARTH = `Natural Earth
Coasts and borders in world-atlas (1:50m) and in compute/demo/coast.geojson (1:10m, cut to Tasmania).
Public domain, naturalearthdata.com.`;

const [{ inputs }] = Object.values(JSON.parse(readFileSync(process.argv[2], "utf8")).outputs);
const used = Object.keys(inputs).filter((path) => inputs[path].bytesInOutput > 0);
const packages = used.flatMap((path) => path.match(/^node_modules\/(@[^/]+\/)?[^/]+/)?.[0] ?? []);

const entries = [...new Set(packages)].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  return `${name} ${version} (${license})\n\n${readFileSync(`${folder}/${file}`, "utf8").trim()}`;
});

const rule = `\n\n${"-".repeat(80)}\n\n`;
console.log(["The map's bundle, map.bundle.js, holds parts of these works.", ...entries, NATURAL_EARTH].join(rule));
