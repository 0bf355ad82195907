// PNG files, decoded here and not by the browser: it would reduce 16 bits in its own way,
// and multiply colours by the alpha channel, which skwbc drops.

import { Refusal } from "./refusals.js";

export const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const MOST_CHUNKS = 2 ** 18;
// Channels by type of colour, and the depths that each may have.
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
// First pixels and steps of the seven passes of an interlaced file.
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

const CRC = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let k = 0; k < 8; k++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  return value;
});

function crc32(bytes) {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ CRC[(crc ^ bytes[i]) & 255];
  return ~crc >>> 0;
}

/** Return the contents of the chunks that are needed, by name. */
function chunksOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found = { IDAT: [] };
  let start = SIGNATURE.length;
  for (let n = 1; n < MOST_CHUNKS && start + 12 <= bytes.length; n++) {
    const stop = start + 8 + view.getUint32(start);
    if (stop + 4 > bytes.length) break;
    if (crc32(bytes.subarray(start + 4, stop)) !== view.getUint32(stop)) {
      throw new Refusal("undecodable", { why: "checksum" });
    }
    const name = String.fromCharCode(...bytes.subarray(start + 4, start + 8));
    const content = bytes.subarray(start + 8, stop);
    if (name === "IDAT") found.IDAT.push(content);
    else found[name] ??= content;
    if (name === "IEND") return found;
    start = stop + 4;
  }
  throw new Refusal("undecodable", { why: "pieces" });
}

async function inflated(parts, length) {
  const out = new Uint8Array(length);
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  const reader = stream.getReader();
  let n = 0;
  try {
    while (n < length) {
      const { done, value } = await reader.read();
      if (done) break;
      out.set(value.subarray(0, length - n), n);
      n += value.length;
    }
  } catch {
    // Bytes before the damage are counted below.
  }
  reader.cancel().catch(() => {});
  if (n < length) throw new Refusal("undecodable", { why: "damaged" });
  return out;
}

/** Undo the filter of each line, in place. */
function unfilter(lines, height, lineBytes, pixelBytes) {
  for (let y = 0; y < height; y++) {
    const start = y * (lineBytes + 1);
    const filter = lines[start];
    const before = y ? start - lineBytes - 1 : -1;
    for (let x = 1; x <= lineBytes; x++) {
      const left = x > pixelBytes ? lines[start + x - pixelBytes] : 0;
      const above = y ? lines[before + x] : 0;
      let guess = 0;
      if (filter === 1) guess = left;
      else if (filter === 2) guess = above;
      else if (filter === 3) guess = (left + above) >> 1;
      else if (filter === 4) {
        const corner = y && x > pixelBytes ? lines[before + x - pixelBytes] : 0;
        const [a, b, c] = [above - corner, left - corner, left + above - 2 * corner];
        const [toLeft, toAbove, toCorner] = [Math.abs(a), Math.abs(b), Math.abs(c)];
        guess = toLeft <= toAbove && toLeft <= toCorner ? left : toAbove <= toCorner ? above : corner;
      } else if (filter) throw new Refusal("undecodable", { why: "damaged" });
      lines[start + x] += guess;
    }
  }
}

/**
 * Decode a whole file.
 * @returns an image of one or three channels and 8 or 16 bits, and the `exif` of the file
 */
export async function decodePng(bytes) {
  const chunks = chunksOf(bytes);
  const head = new DataView(bytes.buffer, bytes.byteOffset + 16, 13);
  const [width, height] = [head.getUint32(0), head.getUint32(4)];
  const [depth, colour, compression, filters, interlaced] = [8, 9, 10, 11, 12].map((k) =>
    head.getUint8(k),
  );
  const isKnown = DEPTHS[colour]?.includes(depth) && !compression && !filters && interlaced < 2;
  if (!isKnown || (colour === 3 && !chunks.PLTE)) {
    throw new Refusal("undecodable", { why: "damaged" });
  }
  const passes = (interlaced ? PASSES : [[0, 0, 1, 1]])
    .map(([x, y, stepX, stepY]) => ({
      x,
      y,
      stepX,
      stepY,
      width: Math.max(0, Math.ceil((width - x) / stepX)),
      height: Math.max(0, Math.ceil((height - y) / stepY)),
    }))
    .filter((pass) => pass.width && pass.height);
  const bits = depth * CHANNELS[colour];
  const bytesOf = (pass) => Math.ceil((pass.width * bits) / 8);
  const length = passes.reduce((sum, pass) => sum + pass.height * (bytesOf(pass) + 1), 0);
  const lines = await inflated(chunks.IDAT, length);
  const channels = colour & 2 ? 3 : 1;
  const Values = depth === 16 ? Uint16Array : Uint8Array;
  const data = new Values(width * height * channels);
  let start = 0;
  for (const pass of passes) {
    const lineBytes = bytesOf(pass);
    const own = lines.subarray(start, (start += pass.height * (lineBytes + 1)));
    unfilter(own, pass.height, lineBytes, Math.max(1, bits >> 3));
    for (let y = 0; y < pass.height; y++) {
      const line = own.subarray(y * (lineBytes + 1) + 1, (y + 1) * (lineBytes + 1));
      let to = ((pass.y + y * pass.stepY) * width + pass.x) * channels;
      for (let x = 0; x < pass.width; x++, to += pass.stepX * channels) {
        if (depth < 8 || colour === 3) {
          const shift = 8 - depth - ((x * depth) & 7);
          const value = (line[(x * depth) >> 3] >> shift) & (2 ** depth - 1);
          if (colour === 3) for (let c = 0; c < 3; c++) data[to + c] = chunks.PLTE[3 * value + c] ?? 0;
          else data[to] = (value * 255) / (2 ** depth - 1);
        } else {
          const from = (x * bits) >> 3;
          for (let c = 0; c < channels; c++) {
            data[to + c] =
              depth === 8 ? line[from + c] : (line[from + 2 * c] << 8) | line[from + 2 * c + 1];
          }
        }
      }
    }
  }
  return { image: { data, width, height, channels, stride: channels }, exif: chunks.eXIf };
}
