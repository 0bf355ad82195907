// Reads and classifies images, away from the page, which stays responsive.

import { readImage } from "./reading.js";
import { Refusal } from "./refusals.js";

let session, model;

async function start({ details, onnx, wasm }) {
  model = details;
  // The page itself forbids every connection, so the runtime gets what it would load.
  ort.env.wasm.wasmBinary = wasm;
  // Several workers are faster than threads of one, and need no permission of a server.
  ort.env.wasm.numThreads = 1;
  session = await ort.InferenceSession.create(new Uint8Array(onnx), {
    executionProviders: ["wasm"],
  });
  // The first run takes longer.
  const n = model.size[0] * model.size[1] * model.n_channels;
  await run([new Uint8Array(n)]);
  return {};
}

/** Classify images, given as one array after the other. */
async function run(images) {
  const n = images.length;
  const Values = model.input === "float32" ? Float32Array : Uint8Array;
  const values = new Values(n * images[0].length);
  images.forEach((image, k) => values.set(image, k * image.length));
  const shape = [n, ...model.size, model.n_channels];
  const outputs = await session.run({ samples: new ort.Tensor(model.input, values, shape) });
  const nClasses = model.classes.length;
  const row = (array, k) => [...array.subarray(k * nClasses, (k + 1) * nClasses)];
  return images.map((_, k) => ({
    proba: row(outputs.probabilities.data, k),
    members: model.known.map((_, m) => row(outputs.member_probabilities.data, m * n + k)),
    p: outputs.typicality?.data[k] ?? null,
  }));
}

/** Return the prediction for each file, or why there is none. */
async function classify(files) {
  const answers = [];
  for (const file of files) {
    try {
      answers.push({ image: await readImage(file, model) });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      answers.push({ refusal: { key: error.key, ...error.details } });
    }
  }
  const read = answers.filter(({ image }) => image);
  const results = read.length ? await run(read.map(({ image }) => image.data)) : [];
  read.forEach(({ image }, k) => (results[k].isDim = image.isDim));
  return answers.map(({ image, refusal }) => {
    const result = image && results.shift();
    const isNone = result?.proba.some(Number.isNaN);
    return isNone ? { refusal: { key: "noProbabilities" } } : { result, refusal };
  });
}

self.onmessage = async ({ data }) => {
  try {
    postMessage(data.files ? { answers: await classify(data.files) } : await start(data));
  } catch (error) {
    postMessage({ failure: String(error?.message ?? error) });
  }
};
