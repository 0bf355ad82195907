/** Why an image is not read: the key of a sentence, and what it speaks of. */
export class Refusal extends Error {
  constructor(key, details = {}) {
    super(key);
    this.key = key;
    this.details = details;
  }
}
