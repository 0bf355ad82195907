// Image files as arrays of the size that a model takes. They are refused as by skwbc.

import { decodePng, SIGNATURE } from "./png.js";
import { Refusal } from "./refusals.js";
import { resized } from "./resizing.js";

const text = (bytes, start, end) => String.fromCharCode(...bytes.subarray(start, end));
// Types of files by their first bytes. Browsers read the first list.
const READ = [
  ["image/png", (bytes) => SIGNATURE.every((byte, k) => bytes[k] === byte)],
  ["image/jpeg", (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8],
  ["image/bmp", (bytes) => text(bytes, 0, 2) === "BM"],
  ["image/gif", (bytes) => text(bytes, 0, 4) === "GIF8"],
  ["image/webp", (bytes) => text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 12) === "WEBP"],
];
const NOT_READ = [
  ["TIFF", (bytes) => /^(II[*+]\0|MM\0[*+])/.test(text(bytes, 0, 4))],
  ["JPEG 2000", (bytes) => /^(\0\0\0\fjP|\xffO\xffQ)/.test(text(bytes, 0, 6))],
  ["PGM / PPM", (bytes) => /^P[2356]\s/.test(text(bytes, 0, 3))],
];
const nameOf = (kinds, bytes) => kinds.find(([, begins]) => begins(bytes))?.[0];

/**
 * Read a file as an image of a model.
 * @param file {Blob|Error}
 * @param model {{size: number[], channels: null|"all"|number[], n_channels: number,
 *   pixels: string, max_pixels: number}}
 * @returns {Promise<{data: Uint8Array|Uint16Array, isDim: boolean}>}
 */
export async function readImage(file, model) {
  const most = model.max_pixels;
  if (!(file instanceof Blob)) throw new Refusal("unreadable", { reason: file.message });
  if (file.size > 8 * most + 2 ** 24) throw new Refusal("manyBytes", { size: file.size, most });
  let bytes;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    throw new Refusal("unreadable", { reason: error.message });
  }
  try {
    const image = await decoded(bytes, most, model.channels === null);
    return fitted(image, model);
  } catch (error) {
    if (error instanceof Refusal) Object.assign(error.details, { size: bytes.length });
    throw error;
  }
}

async function decoded(bytes, most, asColours) {
  const type = nameOf(READ, bytes);
  const other = nameOf(NOT_READ, bytes);
  if (other) throw new Refusal("otherFormat", { format: other });
  const head = headOf(type, bytes);
  const { width, height } = head;
  if (width * height > most) throw new Refusal("manyPixels", { width, height, most });
  if (!(width * height > 0 && head.isWhole)) throw new Refusal("undecodable", { why: "damaged" });
  if (type === "image/png") {
    const { image, exif } = await decodePng(bytes);
    return turned(image, exif ? orientationOf(exif) : 1);
  }
  if (head.channels === 4) throw new Refusal("inks");
  if (!asColours && type !== "image/jpeg") throw new Refusal("channelsOfFormat");
  const image = await byBrowser(new Blob([bytes], { type }));
  // Browsers return colours multiplied by the alpha channel, and divided again.
  for (let k = 3; k < image.data.length; k += 4) {
    if (image.data[k] < 255) throw new Refusal("transparent");
  }
  return asColours ? image : { ...image, channels: head.channels };
}

async function byBrowser(blob) {
  let bitmap;
  try {
    const as = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
    bitmap = await createImageBitmap(blob, as);
  } catch {
    throw new Refusal("undecodable", { why: "damaged" });
  }
  const { width, height } = bitmap;
  try {
    const settings = { willReadFrequently: true, colorSpace: "srgb" };
    const context = new OffscreenCanvas(width, height).getContext("2d", settings);
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    return { data, width, height, channels: 3, stride: 4 };
  } catch (error) {
    throw new Refusal("unreadable", { reason: error.message });
  } finally {
    bitmap.close();
  }
}

/** Return the size that a file claims, whether it has an end, and channels of a JPEG. */
function headOf(type, bytes) {
  const view = new DataView(bytes.buffer);
  const u16 = (at) => view.getUint16(at, true);
  const u24 = (at) => u16(at) | (bytes[at + 2] << 16);
  try {
    switch (type) {
      case "image/png": // Its chunks say whether it is whole.
        return { width: view.getUint32(16), height: view.getUint32(20), isWhole: true };
      case "image/jpeg":
        return headOfJpeg(bytes, view);
      case "image/gif":
        return { width: u16(6), height: u16(8), isWhole: bytes.at(-1) === 0x3b };
      case "image/bmp": {
        const isOld = u16(14) === 12;
        const [width, height] = isOld
          ? [u16(18), u16(20)]
          : [view.getInt32(18, true), Math.abs(view.getInt32(22, true))];
        const line = Math.ceil((width * u16(isOld ? 24 : 28)) / 32) * 4;
        const isPacked = !isOld && [1, 2].includes(u16(30));
        const isWhole = isPacked || view.getUint32(10, true) + line * height <= bytes.length;
        return { width, height, isWhole };
      }
      case "image/webp": {
        const isWhole = view.getUint32(4, true) + 8 <= bytes.length;
        const kind = text(bytes, 12, 16);
        if (kind === "VP8X") return { width: u24(24) + 1, height: u24(27) + 1, isWhole };
        const both = view.getUint32(kind === "VP8L" ? 21 : 26, true);
        if (kind === "VP8L") {
          return { width: (both & 0x3fff) + 1, height: ((both >> 14) & 0x3fff) + 1, isWhole };
        }
        return { width: both & 0x3fff, height: (both >> 16) & 0x3fff, isWhole };
      }
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return { isWhole: false };
}

function headOfJpeg(bytes, view) {
  const head = { isWhole: false };
  for (let at = 2; ; ) {
    while (view.getUint8(at) !== 0xff) at++;
    while (view.getUint8(at) === 0xff) at++;
    const marker = bytes[at++];
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      head.height = view.getUint16(at + 3);
      head.width = view.getUint16(at + 5);
      head.channels = view.getUint8(at + 7);
    }
    at += marker === 0xd8 || marker < 2 || (marker >= 0xd0 && marker < 0xd8) ? 0 : view.getUint16(at);
    if (marker === 0xda) {
      // Browsers show the part of a file that is cut off.
      for (let end = bytes.length - 2; end >= at && !head.isWhole; end--) {
        head.isWhole = bytes[end] === 0xff && bytes[end + 1] === 0xd9;
      }
      return head;
    }
  }
}

function orientationOf(exif) {
  const view = new DataView(exif.buffer, exif.byteOffset, exif.length);
  try {
    const little = text(exif, 0, 2) === "II";
    const start = view.getUint32(4, little);
    for (let k = 0, n = view.getUint16(start, little); k < n; k++) {
      const entry = start + 2 + 12 * k;
      if (view.getUint16(entry, little) === 0x112) return view.getUint16(entry + 8, little);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return 1;
}

/** Turn and flip an image as its orientation, from 1 to 8, tells. */
function turned(image, orientation) {
  if (!(orientation > 1 && orientation < 9)) return image;
  const { data, width, height, channels } = image;
  const isSwapped = orientation > 4;
  const [flipX, flipY] = [[2, 3, 7, 8], [3, 4, 6, 7]].map((all) => all.includes(orientation));
  const [newWidth, newHeight] = isSwapped ? [height, width] : [width, height];
  const out = new data.constructor(data.length);
  for (let y = 0, to = 0; y < newHeight; y++) {
    for (let x = 0; x < newWidth; x++, to += channels) {
      const [column, row] = isSwapped ? [y, x] : [x, y];
      const from = (flipY ? height - 1 - row : row) * width + (flipX ? width - 1 - column : column);
      for (let c = 0; c < channels; c++) out[to + c] = data[from * channels + c];
    }
  }
  return { ...image, data: out, width: newWidth, height: newHeight };
}

function fitted(image, model) {
  const [height, width] = model.size;
  let isDim = false;
  if (model.channels === null) {
    if (image.data instanceof Uint16Array) {
      const highest = image.data.reduce((a, b) => (a > b ? a : b), 0);
      isDim = highest > 255 && highest < 4096;
      image = { ...image, data: Uint8Array.from(image.data, (value) => value >> 8) };
    }
    const data = resized(image, width, height);
    return { data: image.channels === 1 ? repeated(data) : data, isDim };
  }
  if (model.channels !== "all") {
    const highest = Math.max(...model.channels);
    if (highest >= image.channels) {
      throw new Refusal("noChannel", { n: image.channels, channel: highest });
    }
    image = selected(image, model.channels);
  }
  const pixels = image.data instanceof Uint16Array ? "uint16" : "uint8";
  if (image.channels !== model.n_channels || pixels !== model.pixels) {
    const expected = { m: model.n_channels, expected: model.pixels };
    throw new Refusal("otherKind", { n: image.channels, pixels, ...expected });
  }
  return { data: resized(image, width, height), isDim };
}

function repeated(grey) {
  const out = new Uint8Array(3 * grey.length);
  for (let k = 0; k < out.length; k++) out[k] = grey[Math.floor(k / 3)];
  return out;
}

function selected(image, channels) {
  const { data, width, height, stride } = image;
  const n = channels.length;
  const out = new data.constructor(width * height * n);
  for (let k = 0; k < width * height; k++) {
    channels.forEach((channel, c) => (out[k * n + c] = data[k * stride + channel]));
  }
  return { data: out, width, height, channels: n, stride: n };
}
