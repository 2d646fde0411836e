// The model of a page, on the visitor's GPU; where the browser shows none, on the CPU.
import init, { Model, Opened, Picture } from "./tilewright.js";

let opened;
let model;
let answered = Promise.resolve();

// One after another: each needs the device for itself.
onmessage = ({ data: { id, what, ...given } }) => {
  answered = answered.then(async () => {
    try {
      postMessage({ id, result: await requests[what](given) });
    } catch (error) {
      postMessage({ id, error: error.message ?? String(error) });
    }
  });
};

const requests = {
  async open() {
    const [bytes] = await Promise.all([weights(), init()]);
    try {
      await on(await Opened.gpu(false, false), bytes);
      const info = (await navigator.gpu.requestAdapter({ powerPreference: "high-performance" }))?.info;
      const name = info?.description || [info?.vendor, info?.architecture].filter(Boolean).join(" ");
      return about(`this device's GPU${name ? `, ${name}` : ""}`);
    } catch (error) {
      // A model that is damaged is that on any device.
      await on(Opened.reference(), bytes);
      return about("the CPU, in plain loops", `The browser shows no GPU for it (${error.message}), so the CPU computes: an image takes longer.`);
    }
  },

  async look({ file }) {
    const picture = await decode(file);
    try {
      const seen = model.seen(picture);
      return { seen, shares: [...(await predict(seen))] };
    } finally {
      picture.free();
    }
  },
};

async function weights() {
  const file = await fetch("model.safetensors");
  if (!file.ok) throw new Error(`model.safetensors cannot be fetched: ${file.status} ${file.statusText}`);
  return new Uint8Array(await file.arrayBuffer());
}

async function on(device, bytes) {
  opened = device;
  model = await Model.open(opened, bytes);
}

const about = (device, slow) => ({ ...JSON.parse(model.about()), device, slow });

async function predict(seen) {
  try {
    return await model.predict(seen);
  } catch (error) {
    if (!/was lost/.test(error.message)) throw error;
    // The driver was reset, or the machine slept: once more, on what is there now.
    await requests.open();
    return model.predict(seen);
  }
}

// Pixels that a canvas holds at a time: more rows than these are read in parts.
const STRIP = 4_000_000;

// The colours as they are in the file, upright.
async function decode(file) {
  if (Model.is_cut_off(new Uint8Array(await file.arrayBuffer()))) throw new Error("It is damaged: a part of the image is missing.");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new Error("This is no image that the browser reads, or it is damaged.");
  }
  const { width, height } = bitmap;
  const picture = Picture.new(width, height);
  const rows = Math.max(1, Math.min(height, Math.floor(STRIP / width)));
  const context = new OffscreenCanvas(width, rows).getContext("2d", { alpha: false, willReadFrequently: true });
  for (let top = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    context.drawImage(bitmap, 0, top, width, count, 0, 0, width, count);
    picture.take_rows(context.getImageData(0, 0, width, count).data);
  }
  bitmap.close();
  return picture;
}
