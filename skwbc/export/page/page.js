// The page: takes images, lets workers classify them, and shows the results.

import { chosen, dropped, opened } from "./files.js";
import { explained, FEWEST, isBeyondChance, shown, tableOf } from "./results.js";
import { TEXT } from "./text.js";

const model = JSON.parse(document.getElementById("model").textContent);
const $ = (selector) => document.querySelector(selector);
const PER_PAGE = 48;
const MOST_BARS = 5;
// Each worker holds the model and the runtime.
const MOST_WORKERS = Math.max(1, Math.min(4, navigator.hardwareConcurrency || 1));
const [AT_A_TIME, MANY] = [4, 8];

let language = navigator.language.startsWith("ja") ? "ja" : "en";
let parts; // of each worker: its script, the runtime and the model
const workers = [];
// Images in the order in which they came: {name, file} and, once it is known, a `result`
// or a `refusal`. Those from `next` on have not been given to a worker.
let entries = [];
let next = 0;
let nDone = 0;
let run; // when the present images came, and how many were done then
let notes = [];
let status = ["loading"];
let page = 0;
let nPictures = 0;

function say(key, details) {
  const text = TEXT[language][key];
  return typeof text === "function" ? text(details) : text;
}

/** Make an element. Text of others, such as names, never becomes markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Loading ----------------------------------------------------------------------------

async function bytesOf(id) {
  const { url, integrity } = model.files[id];
  if (url) {
    const response = await fetch(url, { integrity, credentials: "omit" });
    if (!response.ok) throw new Error(`${url}: ${response.status}`);
    return response.arrayBuffer();
  }
  const element = document.getElementById(id);
  const text = element.textContent;
  // Browsers before 2025 lack the fast way.
  const packed =
    Uint8Array.fromBase64?.(text) ?? Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  element.remove();
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

async function load() {
  const [runtime, wasm, onnx] = await Promise.all(["runtime", "wasm", "onnx"].map(bytesOf));
  // From here on, the browser itself forbids the page and its workers to connect.
  const policy = { "http-equiv": "Content-Security-Policy", content: "connect-src 'none'" };
  document.head.append(make("meta", policy));
  // From a disk, Chromium starts only classic workers, of one script. So the runtime, a
  // module, becomes a function that returns what it exports.
  const source = new TextDecoder()
    .decode(runtime)
    .replaceAll("import.meta.url", "self.location.href")
    .replace(/export\s*\{([^}]*)\};?/, (_, names) => {
      const pairs = names.split(",").map((each) => each.trim().split(/\s+as\s+/));
      return `return {${pairs.map(([own, name = own]) => `${name}: ${own}`).join()}};`;
    });
  const own = document.getElementById("worker").textContent;
  const whole = ['"use strict";\nconst ort = (() => {', source, "\n})();\n", own];
  const script = new Blob(whole, { type: "text/javascript" });
  parts = { script: URL.createObjectURL(script), wasm, onnx };
  await addWorker();
}

async function addWorker() {
  const { script, ...files } = parts;
  const worker = new Worker(script);
  workers.push(worker);
  try {
    await new Promise((done, fail) => {
      worker.onmessage = ({ data }) => (data.failure ? fail(Error(data.failure)) : done());
      worker.onerror = (event) => fail(Error(event.message));
      worker.postMessage({ details: model, ...files });
    });
  } catch (error) {
    workers.splice(workers.indexOf(worker), 1);
    worker.terminate();
    if (!workers.length) throw error;
    return;
  }
  worker.onerror = (event) => finish(worker, { failure: event.message });
  worker.onmessage = ({ data }) => finish(worker, data);
  giveWork(worker);
  addHelper();
}

/** Start one more worker if there is much to do. */
function addHelper() {
  const isMuch = entries.length - next > MANY;
  if (isMuch && workers.length && workers.length < MOST_WORKERS) addWorker();
}

// Work -------------------------------------------------------------------------------

function add({ found, notes: others }) {
  if (nDone === entries.length) run = { since: performance.now(), before: nDone };
  for (const { name, file } of found) entries.push({ name, file });
  notes.push(...others);
  if (!["loading", "failed"].includes(status[0])) status = [];
  workers.filter((worker) => worker.isIdle).forEach(giveWork);
  if (workers.every((worker) => worker.isIdle !== undefined)) addHelper();
  draw();
}

async function giveWork(worker) {
  // The first answer comes at once; later, a few images at a time are faster.
  const isFirst = nDone === run?.before;
  const n = isFirst ? 1 : Math.min(AT_A_TIME, Math.ceil((entries.length - next) / MANY));
  worker.list = entries;
  worker.given = entries.slice(next, next + n);
  worker.isIdle = !worker.given.length;
  if (worker.isIdle) return;
  next += worker.given.length;
  const files = await Promise.all(worker.given.map(({ file }) => opened(file)));
  worker.postMessage({ files });
}

function finish(worker, { answers, failure }) {
  worker.given.forEach((entry, k) => {
    const { result, refusal } = answers?.[k] ?? {};
    if (result) entry.result = explained(result, model);
    else entry.refusal = refusal ?? { key: "unreadable", reason: failure };
  });
  // They may have been removed since.
  if (worker.list === entries) {
    nDone += worker.given.length;
    if (nDone === entries.length && status[0] !== "stopped") status = ["finished"];
  }
  giveWork(worker);
  drawSoon();
}

function stop() {
  status = ["stopped", { n: entries.length - next }];
  entries.length = next;
  draw();
}

function clear() {
  entries = [];
  notes = [];
  next = nDone = page = 0;
  status = ["ready"];
  draw();
  $("#files").focus();
}

// Drawing ----------------------------------------------------------------------------

let isPlanned = false;
function drawSoon() {
  if (isPlanned) return;
  isPlanned = true;
  setTimeout(draw, 150);
}

function draw() {
  isPlanned = false;
  const [key, details] = status;
  const total = entries.length;
  setText($("#status"), key ? say(key, details ?? { total }) : "");
  const isBusy = nDone < total;
  const seconds = (performance.now() - (run?.since ?? 0)) / 1000;
  const rate = ((nDone - (run?.before ?? 0)) / Math.max(seconds, 0.001)).toFixed(1);
  setText($("#count"), isBusy ? say("progress", { done: nDone, total, rate }) : "");
  $("progress").hidden = $("#stop").hidden = !isBusy;
  $("progress").max = Math.max(total, 1);
  $("progress").value = nDone;
  const lines = notes.map((note) => make("li", {}, shown(say(note.key, note))));
  $("#notes").replaceChildren(...lines);
  $("#summary").hidden = $("#results").hidden = !total;
  drawSummary();
  drawCards();
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function drawSummary() {
  const results = entries.flatMap(({ result }) => result ?? []);
  const counts = model.classes.map(() => 0);
  for (const { predicted } of results) counts[predicted] += 1;
  const nRefused = nDone - results.length;
  const share = (n) => percent(n / Math.max(1, results.length));
  const rows = counts.map((n, k) => [shown(model.classes[k]), n, share(n)]);
  if (nRefused) rows.push([say("notRead"), nRefused, ""]);
  $("#summary tbody").replaceChildren(
    ...rows.map(([name, ...values]) =>
      make("tr", {}, make("th", { scope: "row" }, name), ...values.map((v) => make("td", {}, v))),
    ),
  );
  $("#download").disabled = !results.length;
  const n = results.filter(({ isUnlike }) => isUnlike).length;
  const total = results.length;
  let text = "";
  const isBeyond = isBeyondChance(n, total, model.n_typicality ?? 0);
  if (model.n_typicality && total) {
    const numbers = { n, total, expected: 0.05 * total };
    text = say("unlikeSummary", numbers) + (isBeyond ? ` ${say("beyondChance")}` : "");
    if (model.n_typicality < FEWEST) text = say("tooFew", { n: model.n_typicality });
  }
  setText($("#unlike"), text);
  $("#unlike").className = isBeyond ? "warning" : "";
}

const FILTERS = {
  all: () => true,
  unlikeOnes: ({ result }) => result?.isUnlike,
  unsureOnes: ({ result }) => result?.set && result.set.length !== 1,
  refusedOnes: ({ refusal }) => refusal,
};

function filterOf(value) {
  return FILTERS[value] ?? (({ result }) => result?.predicted === Number(value));
}

function drawCards() {
  const visible = entries.filter(filterOf($("#filter").value));
  page = Math.max(0, Math.min(page, Math.ceil(visible.length / PER_PAGE) - 1));
  const first = page * PER_PAGE;
  const some = visible.slice(first, first + PER_PAGE);
  const numbers = { first: first + 1, last: first + some.length, n: visible.length };
  setText($("#range"), some.length ? say("page", numbers) : say("none"));
  $("#previous").disabled = !first;
  $("#next").disabled = first + PER_PAGE >= visible.length;
  const cards = some.map(cardOf);
  const list = $("#cards");
  const old = [...list.children];
  if (cards.length === old.length && cards.every((card, k) => card === old[k])) return;
  for (const card of old.filter((each) => !cards.includes(each))) {
    const picture = card.querySelector("img");
    if (picture) URL.revokeObjectURL(picture.src);
    if (card.entry.card === card) card.entry.card = undefined;
  }
  list.replaceChildren(...cards);
}

/** Return the card of an entry, which is made again once there is more to say. */
function cardOf(entry) {
  const { name, result, refusal, card } = entry;
  const state = `${language} ${Boolean(result ?? refusal)}`;
  if (card?.state === state) return card;
  const lines = [make("h3", {}, shown(name))];
  if (result) lines.push(...linesOf(result));
  else if (refusal) {
    const reason = TEXT[language].refusals[refusal.key](refusal);
    lines.push(make("p", { class: "warning" }, `${shown(name)} ${shown(reason)}`));
  } else lines.push(make("p", {}, say("waiting")));
  const picture = make("div");
  const made = make("li", {}, picture, make("div", {}, ...lines));
  // A dropped folder gives files only when they are asked for.
  if (result) showPicture(picture, entry.file);
  made.state = state;
  made.entry = entry;
  entry.card = made;
  return made;
}

async function showPicture(place, file) {
  const image = make("img", { alt: "" });
  place.append(image);
  image.src = URL.createObjectURL(await opened(file));
}

function linesOf({ proba, predicted, agreement, set, p, isUnlike, isDim }) {
  const members = model.known.length;
  const order = proba.map((_, k) => k).sort((a, b) => proba[b] - proba[a]);
  const shownOnes = order.length > MOST_BARS + 1 ? order.slice(0, MOST_BARS) : order;
  const bars = shownOnes.map((k) => {
    const bar = make("span");
    bar.style.width = `${100 * proba[k]}%`;
    const row = [make("dt", {}, shown(model.classes[k])), make("dd", { class: "bar" }, bar)];
    return make("div", {}, ...row, make("dd", {}, percent(proba[k])));
  });
  const lines = [
    make("p", { class: "predicted" }, shown(model.classes[predicted])),
    make("dl", {}, ...bars),
  ];
  const others = order.slice(shownOnes.length);
  if (others.length) {
    const rest = others.reduce((sum, k) => sum + proba[k], 0);
    lines.push(make("p", {}, say("others", { n: others.length, share: percent(rest) })));
  }
  lines.push(make("p", {}, say("agree", { n: agreement, members })));
  if (set) {
    const classes = set.map((k) => shown(model.classes[k])).join(", ");
    lines.push(make("p", {}, set.length ? say("possible", { classes }) : say("noClass")));
  }
  if (isUnlike) lines.push(make("p", { class: "warning" }, say("unlike", { p: p.toFixed(3) })));
  else if (p !== null) lines.push(make("p", {}, say("typical", { p: p.toFixed(3) })));
  if (isDim) lines.push(make("p", { class: "warning" }, say("dim")));
  return lines;
}

const percent = (fraction) => `${(100 * fraction).toFixed(1)} %`;

function translate() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = say(element.dataset.text);
  }
  const other = language === "en" ? "ja" : "en";
  $("#language").textContent = say("language");
  $("#language").lang = other;
  const classes = model.classes.map(shown).join(", ");
  const numbers = { classes, members: model.known.length, n: model.n_training };
  $("#classes").textContent = say(model.n_training ? "classes" : "classesOnly", numbers);
  const place = say(model.place);
  $("#about").textContent = say("about", { ...model.versions, place });
  $("#meanings").replaceChildren(...say("meanings").map((text) => make("li", {}, text)));
  const chosenFilter = $("#filter").value || "all";
  const options = [
    ...Object.keys(FILTERS).map((key) => make("option", { value: key }, say(key))),
    ...model.classes.map((name, k) => make("option", { value: k }, shown(name))),
  ];
  $("#filter").replaceChildren(...options);
  $("#filter").value = chosenFilter;
  document.title = say("title");
  draw();
}

// Camera -----------------------------------------------------------------------------

async function openCamera() {
  try {
    const wanted = { video: { facingMode: "environment" } };
    const stream = await navigator.mediaDevices.getUserMedia(wanted);
    $("#viewfinder").hidden = false;
    $("video").srcObject = stream;
    await $("video").play();
    $("#take").focus();
  } catch (error) {
    notes.push({ key: "cameraFailed", reason: error.message });
    draw();
  }
}

async function takePicture() {
  const video = $("video");
  const side = Math.min(video.videoWidth, video.videoHeight);
  const canvas = make("canvas", { width: side, height: side });
  const [left, top] = [video.videoWidth - side, video.videoHeight - side].map((rest) => rest / 2);
  canvas.getContext("2d").drawImage(video, left, top, side, side, 0, 0, side, side);
  const file = await new Promise((done) => canvas.toBlob(done, "image/png"));
  nPictures += 1;
  add({ found: [{ name: `camera-${nPictures}.png`, file }], notes: [] });
}

function closeCamera() {
  for (const track of $("video").srcObject?.getTracks() ?? []) track.stop();
  $("#viewfinder").hidden = true;
  $("#camera").focus();
}

// Events -----------------------------------------------------------------------------

function on(selector, event, handle) {
  $(selector).addEventListener(event, handle);
}

for (const id of ["file", "folder"]) {
  const input = $(`#${id}-input`);
  on(id === "file" ? "#files" : "#folder", "click", () => input.click());
  input.addEventListener("change", () => {
    add(chosen(input, model.names));
    input.value = "";
  });
}
on("#camera", "click", openCamera);
on("#take", "click", takePicture);
on("#close", "click", closeCamera);
on("#stop", "click", stop);
on("#clear", "click", clear);
on("#filter", "change", () => {
  page = 0;
  draw();
});
for (const [id, step] of [["previous", -1], ["next", 1]]) {
  on(`#${id}`, "click", () => {
    page += step;
    draw();
  });
}
on("#language", "click", () => {
  language = language === "en" ? "ja" : "en";
  translate();
});
on("#download", "click", () => {
  const table = new Blob([tableOf(entries, model)], { type: "text/csv" });
  const link = make("a", { href: URL.createObjectURL(table), download: "predictions.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
});
for (const event of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(event, (happened) => {
    happened.preventDefault();
    $("#drop").classList.toggle("over", event === "dragover");
    if (event !== "drop") return;
    const failed = (error) => ({ found: [], notes: [{ key: "dropFailed", reason: error.message }] });
    dropped(happened.dataTransfer, model.names).catch(failed).then(add);
  });
}

translate();
load().then(
  () => (status = entries.length ? [] : ["ready"]),
  (error) => (status = ["failed", { reason: error.message }]),
).then(draw);
