// Resizing as OpenCV does it for skwbc: by areas to make images smaller, linearly to
// make them larger. Sums of products are rounded where OpenCV rounds them.

/**
 * An image: `data` has `stride` values per pixel, the first `channels` of which count.
 * @typedef {{data: Uint8Array|Uint8ClampedArray|Uint16Array, width: number,
 *   height: number, channels: number, stride: number}} Image
 */

/** Return an image of a size, as an array of height x width x channels. */
export function resized(image, width, height) {
  if (image.width === width && image.height === height) return packed(image);
  const scaleX = image.width / width;
  const scaleY = image.height / height;
  const shrinks = width * height < image.width * image.height;
  if (!shrinks || scaleX < 1 || scaleY < 1) return linear(image, width, height, shrinks);
  return byAreas(image, width, height);
}

function packed({ data, width, height, channels, stride }) {
  if (stride === channels) return data;
  const out = new data.constructor(width * height * channels);
  for (let from = 0, to = 0; to < out.length; from += stride, to += channels) {
    for (let c = 0; c < channels; c++) out[to + c] = data[from + c];
  }
  return out;
}

/** Halves to even numbers, as the processor rounds. */
function round(value) {
  const whole = Math.floor(value);
  const rest = value - whole;
  return rest > 0.5 || (rest === 0.5 && whole % 2) ? whole + 1 : whole;
}

/** For each new pixel: the first old one, and the weights of this and the next ones. */
function areas(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, place) => {
    const start = place * scale;
    const cell = Math.min(scale, from - start);
    const last = Math.min(Math.floor(start + scale), from - 1);
    const first = Math.min(Math.ceil(start), last);
    const weights = Array(last - first).fill(1 / cell);
    const before = first - start > 1e-3;
    if (before) weights.unshift((first - start) / cell);
    const after = start + scale - last;
    if (after > 1e-3) weights.push(Math.min(after, 1, cell) / cell);
    return { first: first - before, weights: Float32Array.from(weights) };
  });
}

function byAreas(image, width, height) {
  const { data, channels, stride } = image;
  const columns = areas(image.width, width);
  const rows = areas(image.height, height);
  const out = new data.constructor(width * height * channels);
  const line = new Float32Array(width * channels);
  const sum = new Float32Array(width * channels);
  // Two by two pixels have a way of their own, which rounds halves up.
  const isHalf = image.width === 2 * width && image.height === 2 * height;
  const nearest = isHalf ? (value) => Math.floor(value + 0.5) : round;
  rows.forEach(({ first, weights }, y) => {
    sum.fill(0);
    weights.forEach((weight, k) => {
      const start = (first + k) * image.width * stride;
      addAlong(data, start, columns, line, channels, stride);
      for (let i = 0; i < sum.length; i++) sum[i] += Math.fround(weight * line[i]);
    });
    const start = y * line.length;
    for (let i = 0; i < sum.length; i++) out[start + i] = nearest(sum[i]);
  });
  return out;
}

function addAlong(data, start, columns, line, channels, stride) {
  let to = 0;
  for (const { first, weights } of columns) {
    for (let c = 0; c < channels; c++, to++) {
      let total = 0;
      let from = start + first * stride + c;
      for (let k = 0; k < weights.length; k++, from += stride) {
        total = Math.fround(total + Math.fround(data[from] * weights[k]));
      }
      line[to] = total;
    }
  }
}

/** For each new pixel: two old ones, and the weight of the second. */
function neighbours(from, to, shrinks) {
  const scale = from / to;
  return Array.from({ length: to }, (_, place) => {
    let first, weight;
    if (shrinks) {
      // One side gets longer although the area gets smaller.
      first = Math.floor(place * scale);
      weight = Math.fround(place + 1 - (first + 1) / scale);
      weight = weight <= 0 ? 0 : weight - Math.floor(weight);
    } else {
      const position = Math.fround((place + 0.5) * scale - 0.5);
      first = Math.floor(position);
      weight = position - first;
    }
    const inside = (k) => Math.max(0, Math.min(k, from - 1));
    return { first: inside(first), second: inside(first + 1), weight };
  });
}

function linear(image, width, height, shrinks) {
  const { data, channels, stride } = image;
  const columns = neighbours(image.width, width, shrinks);
  const rows = neighbours(image.height, height, shrinks);
  // At the edges rows are weighed and rounded twice, columns are not.
  for (const column of columns) if (column.first === column.second) column.weight = 0;
  const out = new data.constructor(width * height * channels);
  // Bytes are weighed in whole numbers.
  const isByte = data.BYTES_PER_ELEMENT === 1;
  const weigh = isByte ? (weight) => round(weight * 2048) : Math.fround;
  let to = 0;
  for (const row of rows) {
    const [high, low] = [weigh(1 - row.weight), weigh(row.weight)];
    for (const column of columns) {
      const [left, right] = [weigh(1 - column.weight), weigh(column.weight)];
      for (let c = 0; c < channels; c++, to++) {
        const at = (y, x) => data[(y * image.width + x) * stride + c];
        const along = (y) => at(y, column.first) * left + at(y, column.second) * right;
        const [above, below] = [along(row.first), along(row.second)];
        out[to] = isByte
          ? (((high * (above >> 4)) >> 16) + ((low * (below >> 4)) >> 16) + 2) >> 2
          : round(above * high + below * low);
      }
    }
  }
  return out;
}
