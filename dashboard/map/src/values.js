// Values of a tile: transfer, codes, and conversion to pixels.

export const SIZE = 256;
export const NEVER_CLEAR = -32768;
export const OUTSIDE = -32767;
export const PENDING = -32766;
export const TOO_FEW = -32765;

const WAITS_MS = [500, 1000, 2000, 4000];
const HATCH_PERIOD = 16; // divides SIZE, so that the hatch continues across tiles
const HATCH_WIDTH = 2;
const STRIPE_WIDTH = 4;

const nowhere = new Int16Array(SIZE * SIZE).fill(OUTSIDE);

/** Return the values of the tile at `url`, with growing delays between retries on server and network errors. */
export async function fetchValues(url, signal, cache = "default") {
  for (let attempt = 0; ; attempt++) {
    const { values, retryAfter, refused } = await ask(url, signal, cache);
    if (values) return values;
    if (refused || attempt === WAITS_MS.length) throw new Error("The tile cannot be loaded.");
    await pause(Math.max(retryAfter * 1000, WAITS_MS[attempt] * (0.75 + Math.random() / 2)), signal);
  }
}

async function ask(url, signal, cache) {
  try {
    const response = await fetch(url, { signal, cache });
    if (response.status === 204 || response.status === 404) return { values: nowhere };
    if (response.ok) {
      // Little-endian, as on all machines with browsers; another length is an invalid response.
      const values = new Int16Array(await response.arrayBuffer());
      return [1, 2].includes(values.length / nowhere.length) ? { values } : { refused: true };
    }
    const temporary = response.status >= 500 || [408, 425, 429].includes(response.status);
    return { refused: !temporary, retryAfter: Number(response.headers.get("Retry-After")) || 0 };
  } catch (error) {
    if (signal.aborted) throw error;
    return { retryAfter: 0 };
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => (clearTimeout(timer), reject(signal.reason));
    const timer = setTimeout(() => (signal.removeEventListener("abort", stop), resolve()), milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** Return the colour of every possible value, as 32 bits of a canvas (little-endian RGBA). */
export function lookupTable(colours, [low, high], { scale, offset }, neverClear) {
  const ramp = colours.map((hex) =>
    pack(parseInt(hex.slice(1, 3), 16), parseInt(hex.slice(3, 5), 16), parseInt(hex.slice(5, 7), 16), 255),
  );
  const last = ramp.length - 1;
  const table = new Uint32Array(65536);
  for (let value = TOO_FEW + 1; value <= 32767; value++) {
    const share = (value * scale + offset - low) / (high - low || 1);
    table[value & 0xffff] = ramp[Math.round(Math.min(Math.max(share, 0), 1) * last)];
  }
  table[NEVER_CLEAR & 0xffff] = table[TOO_FEW & 0xffff] = pack(...neverClear);
  return table;
}

/**
 * Paint `values` onto `canvas`. Pending pixels have a diagonal hatch, over a preview if there is one; pixels that were
 * clear too few times have stripes in the other direction.
 */
export function paint(canvas, values, { table, hatch }) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIZE, SIZE);
  const pixels = new Uint32Array(image.data.buffer);
  const line = pack(...hatch);
  for (let i = 0; i < pixels.length; i++) {
    const pending = values[i] === PENDING;
    const value = pending ? (values[i + pixels.length] ?? PENDING) : values[i];
    const x = i % SIZE;
    const y = Math.floor(i / SIZE);
    const hatched = pending && (x + y) % HATCH_PERIOD < HATCH_WIDTH;
    const gap = value === TOO_FEW && (SIZE + y - x) % (2 * STRIPE_WIDTH) < STRIPE_WIDTH;
    pixels[i] = hatched ? line : table[(gap ? OUTSIDE : value) & 0xffff];
  }
  context.putImageData(image, 0, 0);
}

function pack(red, green, blue, alpha) {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
