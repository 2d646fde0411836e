// Everything that takes long: the device, the run and the check. The page asks, and this thread answers between turns of bounded
// time, so that a page that trains can be paused, drawn on and closed at any moment.
import init, { Checking, Images, Opened, Run, settings, version } from "./tilewright.js";

const started = init();
const asked = [];
let busy = false;
let opened;
let images;
let run;
let about;
let isTraining = false;
let checking;
// Steps in a turn: about a tenth of a second's.
let pace = 1;
const SHORT = 60;
const LONG = 200;
const MOST = 16;

onmessage = ({ data }) => {
  asked.push(data);
  work();
};

async function work() {
  if (busy) return;
  busy = true;
  while (asked.length > 0 || isTraining || checking) {
    while (asked.length > 0) await answer(asked.shift());
    try {
      if (isTraining) await train();
      else if (checking) await check();
    } catch (error) {
      isTraining = false;
      checking = undefined;
      tell("failed", { message: error.message });
    }
    await breath();
  }
  busy = false;
}

// Lets messages come in. A timer would wait for milliseconds.
const channel = new MessageChannel();
const breath = () =>
  new Promise((resolve) => {
    channel.port1.onmessage = resolve;
    channel.port2.postMessage(0);
  });

const tell = (event, content) => postMessage({ event, ...content });

async function answer({ id, what, ...given }) {
  try {
    await started;
    postMessage({ id, result: await requests[what](given) });
  } catch (error) {
    postMessage({ id, error: error.message ?? String(error) });
  }
}

const requests = {
  version,
  settings: ({ model }) => JSON.parse(settings(model)),

  async open() {
    if (!navigator.gpu) throw new Error("no WebGPU");
    run?.free();
    opened?.free();
    run = opened = undefined;
    opened = await Opened.gpu(false, false);
    // A browser tells vendor and architecture, and a name to few.
    const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
    const { description, device, vendor, architecture } = adapter?.info ?? {};
    const told = JSON.parse(opened.about());
    told.name ||= description || device || [vendor, architecture].filter(Boolean).join(" ") || "a GPU that the browser does not name";
    return told;
  },

  async digits() {
    const names = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"];
    const files = await Promise.all(
      names.map(async (name) => {
        const file = await fetch(`digits/${name}-ubyte.gz`);
        if (!file.ok) throw new Error(`the digits cannot be fetched: ${file.status} ${file.statusText}`);
        return new Uint8Array(await file.arrayBuffer());
      }),
    );
    return take(Images.idx("mnist", files));
  },

  own: ({ name, shape, classes, pixels, labels, tests }) =>
    take(Images.own(name, new Uint32Array(shape), classes, pixels, labels, tests)),

  async begin({ model, given, source }) {
    isTraining = false;
    run?.free();
    run = undefined;
    run = await Run.begin(opened, images, model, JSON.stringify(given), source);
    about = JSON.parse(run.about());
    pace = 1;
    return about;
  },

  go() {
    isTraining = run !== undefined && !JSON.parse(run.about()).is_over;
  },

  pause() {
    isTraining = false;
  },

  async step() {
    isTraining = false;
    await train(1);
  },

  async predict({ pixels }) {
    return run ? [...(await run.predict(pixels))] : undefined;
  },

  sample({ index }) {
    return { pixels: images.test_image(index), label: images.test_label(index) };
  },

  look,

  async save() {
    return run.checkpoint();
  },

  async load({ bytes }) {
    run.take_weights(bytes);
    await look();
  },

  check({ part }) {
    checking = Checking.of(part);
    return checking.count();
  },

  stopCheck() {
    if (checking) finish();
  },
};

function take(taken) {
  images?.free();
  images = taken;
  return JSON.parse(images.about());
}

async function train(steps = pace) {
  const begin = performance.now();
  const rows = await run.steps(steps);
  const took = performance.now() - begin;
  if (steps === pace && took < SHORT) pace = Math.min(MOST, pace * 2);
  if (took > LONG) pace = Math.max(1, pace >> 1);
  tell("steps", { rows, took });
  const done = rows[rows.length - 5] + 1;
  const isOver = rows.length === 0 || done >= about.total_steps;
  if (isOver || done % about.steps_per_epoch === 0) await look();
  if (isOver) {
    isTraining = false;
    tell("over", {});
  }
}

// Shows what the run has learned.
async function look() {
  if (!run) return;
  const found = JSON.parse(await run.evaluate());
  const filters = await run.filters();
  tell("found", { found, filters });
}

async function check() {
  const op = checking.next_op();
  if (op === undefined) return finish();
  const lines = await checking.advance(opened);
  tell("checked", { op, lines });
}

function finish() {
  tell("table", { table: checking.table(opened), failed: checking.failed(), whole: checking.next_op() === undefined });
  checking.free();
  checking = undefined;
}
