// The visitor's images: folders and tar files of class folders, decoded by the browser.
const IMAGE = /\.(jpe?g|png|webp|bmp|gif|avif)$/i;

// What was dropped: a folder, or a tar file.
export async function readDropped(transfer) {
  // Items are gone once this function waits for anything.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  const files = [...transfer.files];
  if (entries.every((entry) => entry.isFile)) {
    const tar = files.find((file) => file.name.endsWith(".tar"));
    if (!tar) throw new Error("Drop a folder that has a folder for each class, or a .tar file of one.");
    return readTar(tar);
  }
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (entry.isFile) {
    found.push([entry.fullPath, await new Promise((resolve, reject) => entry.file(resolve, reject))]);
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A reader gives its entries by the hundred.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const inner of some) await walk(inner, found);
  }
}

// The files of a tar: blocks of 512 bytes, a header before each file.
export async function readTar(file) {
  const found = [];
  let longName;
  for (let at = 0; at + 512 <= file.size; ) {
    const head = new Uint8Array(await file.slice(at, at + 512).arrayBuffer());
    if (head[0] === 0) break;
    const text = (from, length) => {
      const bytes = head.subarray(from, from + length);
      const end = bytes.indexOf(0);
      return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
    };
    const size = parseInt(text(124, 12), 8);
    if (!Number.isFinite(size)) throw new Error(`${file.name} is no tar file.`);
    const content = file.slice(at + 512, at + 512 + size);
    const [type, prefix] = [String.fromCharCode(head[156]), text(257, 5) === "ustar" ? text(345, 155) : ""];
    if (type === "L") longName = (await content.text()).replace(/\0.*$/s, "");
    else {
      const name = longName ?? (prefix ? `${prefix}/${text(0, 100)}` : text(0, 100));
      if (type === "0" || type === "\0") found.push([name, content]);
      longName = undefined;
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return found;
}

// Decodes images, `[path, file]`, whose last folder is their class.
export async function readFiles(found, shape, progress) {
  const images = found
    .filter(([path]) => IMAGE.test(path))
    .map(([path, file]) => ({ folders: path.split("/").filter(Boolean).slice(0, -1), file, path }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const part = ({ folders }) => folders.findLast((name) => /^(train|test|val|validation)$/.test(name));
  const hasParts = images.some((image) => part(image) === "train") && images.some((image) => part(image) !== "train" && part(image));
  const classes = [...new Set(images.map(({ folders }) => folders.at(-1)))].filter(Boolean).sort();
  if (classes.length < 2) throw new Error("There must be images of two classes at least, in a folder for each class.");
  const [size, pixels, labels, tests, counts] = [shape[0] * shape[1] * shape[2], [], [], [], new Map()];
  let damaged = 0;
  for (const [index, image] of images.entries()) {
    if (index % 50 === 0) progress(index, images.length);
    try {
      pixels.push(await toPixels(image.file, shape));
    } catch {
      damaged += 1;
      continue;
    }
    const name = image.folders.at(-1);
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    labels.push(classes.indexOf(name));
    tests.push(hasParts ? part(image) !== "train" : count % 10 === 9);
  }
  if (!tests.includes(1) && !tests.includes(true)) throw new Error("There must be ten images of a class at least, so that one is left to test on.");
  const all = new Uint8Array(pixels.length * size);
  pixels.forEach((image, index) => all.set(image, index * size));
  return { name: "images", shape, classes, pixels: all, labels: Uint32Array.from(labels), tests: Uint8Array.from(tests, Number), damaged };
}

// The bytes of an image in the shape `[channels, height, width]`, stretched to it.
export async function toPixels(file, [channels, height, width]) {
  const bitmap = await createImageBitmap(file);
  const context = new OffscreenCanvas(width, height).getContext("2d");
  Object.assign(context, { imageSmoothingEnabled: true, imageSmoothingQuality: "high" });
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const size = height * width;
  return Uint8Array.from({ length: channels * size }, (_, index) => {
    const [channel, pixel] = [Math.floor(index / size), index % size];
    if (channels === 3) return data[4 * pixel + channel];
    return 0.299 * data[4 * pixel] + 0.587 * data[4 * pixel + 1] + 0.114 * data[4 * pixel + 2];
  });
}
