// Image files that were chosen or dropped, also whole folders.

const suffixOf = (name) => /[^./](\.[^./]*)$/.exec(name)?.[1].toLowerCase();

/**
 * Find the images of a folder. As in skwbc, hidden files and those of systems are left out.
 * @param files {{name: string, file: object}[]} with paths as names
 * @param names {{suffixes: string[], others: string[], of_systems: string[]}}
 * @returns {{found: object[], notes: {key: string, folder: string}[]}}
 */
export function imagesOf(folder, files, names) {
  const isHidden = (part) => part.startsWith(".") || names.of_systems.includes(part.toLowerCase());
  const visible = files.filter(({ name }) => !name.split("/").slice(1).some(isHidden));
  const have = (suffixes) => visible.filter(({ name }) => suffixes.includes(suffixOf(name)));
  const found = have(names.suffixes).sort((a, b) => (a.name < b.name ? -1 : 1));
  const others = have(names.others);
  const notes = [];
  if (others.length) {
    const kinds = [...new Set(others.map(({ name }) => suffixOf(name)))].sort().join(", ");
    const example = others[0].name;
    notes.push({ key: "otherSuffixes", folder, n: others.length, kinds, example });
  } else if (!found.length) notes.push({ key: "noImages", folder });
  return { found, notes };
}

/** Return the files of an input, grouped by folder. */
export function chosen(input, names) {
  const files = [...input.files];
  if (!input.webkitdirectory) {
    return { found: files.map((file) => ({ name: file.name, file })), notes: [] };
  }
  if (!files.length) return { found: [], notes: [] };
  const all = files.map((file) => ({ name: file.webkitRelativePath, file }));
  return imagesOf(all[0].name.split("/")[0], all, names);
}

/** Return the files of a drop. What it holds has to be asked for at once. */
export async function dropped(transfer, names) {
  const items = [...transfer.items]
    .filter((item) => item.kind === "file")
    // From a disk, Chromium reads handles of folders, but not their entries.
    .map((item) => [item.getAsFile(), item.getAsFileSystemHandle?.() ?? item.webkitGetAsEntry()]);
  const found = [];
  const notes = [];
  for (const [file, promise] of items) {
    const entry = await promise;
    if (!entry || !isFolder(entry)) found.push({ name: file.name, file });
    else {
      const images = imagesOf(entry.name, await filesBelow(entry), names);
      found.push(...images.found);
      notes.push(...images.notes);
    }
  }
  return { found, notes };
}

const isFolder = (entry) => entry.isDirectory ?? entry.kind === "directory";

async function filesBelow(top) {
  const files = [];
  const folders = [[top.name, top]];
  while (folders.length) {
    const [path, folder] = folders.pop();
    for await (const entry of folder.values?.() ?? entriesOf(folder)) {
      const name = `${path}/${entry.name}`;
      if (isFolder(entry)) folders.push([name, entry]);
      else files.push({ name, file: entry });
    }
  }
  return files;
}

async function* entriesOf(folder) {
  const reader = folder.createReader();
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return;
    yield* some;
  }
}

/** Return a file, which a dropped folder gives only when it is asked for, or an error. */
export function opened(file) {
  if (file instanceof Blob) return file;
  if (file.getFile) return file.getFile().catch((error) => error);
  return new Promise((done) => file.file(done, done));
}
