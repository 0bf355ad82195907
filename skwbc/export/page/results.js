// Predictions as `skwbc predict` explains them, and the table to download.

/** Images with a smaller p-value are unlike the training images. */
export const LEVEL = 0.05;
export const COVERAGE = 0.9;
/** With fewer training images no p-value is below the level. */
export const FEWEST = 20;
const CHANCE = 0.01;

const indexOfHighest = (values) => values.indexOf(Math.max(...values));

/** Add to a prediction: the class, how many members agree, the set, whether it is unlike. */
export function explained({ proba, members, p, isDim }, model) {
  const predicted = indexOfHighest(proba);
  const lacks = members.map((member) => member.some(Number.isNaN));
  const agreement = members.filter(
    (member, k) => !lacks[k] && indexOfHighest(member) === predicted,
  ).length;
  const isUnlike = p !== null && p < LEVEL;
  return { proba, predicted, agreement, set: setOf(proba, members, lacks, model), p, isUnlike, isDim };
}

/** The classes that include the true one for 9 of 10 images, the most probable first. */
function setOf(proba, members, lacks, model) {
  if (!model.held_out) return null;
  const used = model.held_out.filter((_, k) => !lacks[k]);
  const n = used.reduce((sum, scores) => sum + scores.length, 0);
  const tooFew = Math.floor((1 - COVERAGE) * (n + 1) + 1e-9);
  const order = proba.map((_, k) => k).sort((a, b) => proba[b] - proba[a]);
  return order.filter((k) => {
    const asStrange = model.held_out.map((scores, member) =>
      lacks[member] ? 0 : scores.filter((score) => score <= members[member][k]).length,
    );
    return asStrange.reduce((a, b) => a + b, 0) >= tooFew;
  });
}

/** Whether so many images unlike the training images are hardly chance. */
export function isBeyondChance(nUnlike, n, nTraining) {
  const a = Math.ceil(LEVEL * (nTraining + 1)) - 1;
  const b = nTraining + 1 - a;
  if (a < 1 || nUnlike <= LEVEL * n) return false;
  const logs = [0];
  for (let k = 1; k <= n + a + b; k++) logs.push(logs[k - 1] + Math.log(k));
  const gamma = (k) => logs[k - 1];
  let total = 0;
  for (let k = nUnlike; k <= n; k++) {
    const ways = gamma(n + 1) - gamma(k + 1) - gamma(n - k + 1);
    const shares = gamma(k + a) + gamma(n - k + b) - gamma(n + a + b);
    total += Math.exp(ways + shares + gamma(a + b) - gamma(a) - gamma(b));
  }
  return total < CHANCE;
}

/** Replace what controls a terminal or the order of characters by escapes, like `\x1b`. */
export function shown(name) {
  return name.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    if (/[\u200c\u200d]/.test(character)) return character;
    const code = character.codePointAt(0);
    const [letter, length] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
    return `\\${letter}${code.toString(16).padStart(length, "0")}`;
  });
}

/** Return text that no spreadsheet takes for a formula, as `skwbc predict --csv` does. */
function inTable(value) {
  const text = value.replace(
    /\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})/g,
    (escape) => "\\x5c" + escape.slice(1),
  );
  if (/^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)) return text;
  return shown(text).replace(/(^|[;,])('*[=+\-@＝＋－＠])/g, "$1'$2");
}

const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** Return the table that `skwbc predict --csv --coverage 0.9` writes. */
export function tableOf(entries, model) {
  const rows = entries.filter((entry) => entry.result);
  const hasP = rows.some(({ result }) => result.p !== null);
  const head = ["image", "predicted", ...model.classes, "agreement"];
  if (hasP) head.push("typicality");
  if (model.held_out) head.push("set");
  const lines = rows.map(({ name, result }) => {
    const names = (set) => set.map((k) => model.classes[k]).join("|");
    const line = [name, model.classes[result.predicted], ...result.proba, result.agreement];
    if (hasP) line.push(result.p);
    if (model.held_out) line.push(names(result.set));
    return line;
  });
  return [head, ...lines]
    .map((line) => line.map((value) => quoted(inTable(String(value)))).join(",") + "\r\n")
    .join("");
}
