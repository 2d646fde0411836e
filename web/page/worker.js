// Everything that takes long: the device, the run, the check and the measurements. The page asks, and this thread answers between turns of bounded
// time, so that a page that trains can be paused, drawn on and closed at any moment.
import init, { Checking, Images, Measuring, Opened, Run, settings, version } from "./tilewright.js";

const started = init();
const asked = [];
let busy = false;
let opened;
let images;
let run;
let about;
let isTraining = false;
// A pass over the test images is due, or has begun; it waits while a run is paused, but for one that was asked for.
let isTesting = false;
let isAskedToTest = false;
// The check or the measurement that goes on, and how it makes its next step.
let job;

// How much of something goes into a turn: about a tenth of a second's.
class Pace {
  size = 1;
  // Does so much of it, and learns from the time.
  async turn(work) {
    const begin = performance.now();
    const result = await work(this.size);
    const took = performance.now() - begin;
    if (took < SHORT) this.size = Math.min(MOST, this.size * 2);
    if (took > LONG) this.size = Math.max(1, this.size >> 1);
    return [result, took];
  }
}
const SHORT = 60;
const LONG = 200;
const MOST = 16;
let stepPace = new Pace();
let testPace = new Pace();

onmessage = ({ data }) => {
  asked.push(data);
  work();
};

async function work() {
  if (busy) return;
  busy = true;
  while (asked.length > 0 || isDue()) {
    while (asked.length > 0) await answer(asked.shift());
    try {
      if (isTesting && (isTraining || isAskedToTest)) await test();
      else if (isTraining) await train();
      else if (job) await job.advance();
    } catch (error) {
      isTraining = isTesting = isAskedToTest = false;
      job = undefined;
      tell("failed", { message: error.message });
    }
    await breath();
  }
  busy = false;
}

const isDue = () => isTraining || (isTesting && isAskedToTest) || job;

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
    isTraining = isTesting = isAskedToTest = false;
    run?.free();
    run = undefined;
    run = await Run.begin(opened, images, model, JSON.stringify(given), source);
    about = JSON.parse(run.about());
    [stepPace, testPace] = [new Pace(), new Pace()];
    return about;
  },

  go() {
    isTraining = run !== undefined && (isTesting || !JSON.parse(run.about()).is_over);
  },

  pause() {
    isTraining = false;
  },

  async step() {
    isTraining = isTesting = false;
    const begin = performance.now();
    const rows = await run.steps(1);
    took(rows, performance.now() - begin);
  },

  stop() {
    isTraining = false;
    look();
  },

  async predict({ pixels }) {
    return run ? [...(await run.predict(pixels))] : undefined;
  },

  sample({ index }) {
    return { pixels: images.test_image(index), label: images.test_label(index) };
  },

  async save() {
    return run.checkpoint();
  },

  async load({ bytes }) {
    run.take_weights(bytes);
    look();
  },

  // All cases, or a few of each op.
  check({ part, isWhole }) {
    const checking = isWhole || part ? Checking.of(part) : Checking.sample(A_FEW);
    if (checking.count() === 0) return 0;
    const finish = () => {
      const whole = checking.next_op() === undefined;
      end(checking, { kind: "check", table: checking.table(opened), failed: checking.failed(), whole });
    };
    const advance = async () => {
      const op = checking.next_op();
      if (op === undefined) return finish();
      tell("checked", { op, lines: await checking.advance(opened) });
    };
    job = { advance, finish };
    return checking.count();
  },

  bench({ group }) {
    const measuring = Measuring.of(opened, group);
    const finish = () => end(measuring, { kind: "bench", table: measuring.table(opened), whole: measuring.next() === undefined });
    const advance = async () => {
      if (measuring.next() === undefined) return finish();
      await measuring.advance(opened);
      tell("measured", { next: measuring.next() });
    };
    job = { advance, finish };
    return measuring.count();
  },

  stopJob() {
    job?.finish();
  },
};

// Cases of each op in a check that is no whole one.
const A_FEW = 4;

function end(done, told) {
  tell("table", told);
  done.free();
  job = undefined;
}

function take(taken) {
  images?.free();
  images = taken;
  return JSON.parse(images.about());
}

async function train() {
  const [rows, time] = await stepPace.turn((steps) => run.steps(steps));
  took(rows, time);
}

// Tells of steps that were made, and what they lead to.
function took(rows, time) {
  tell("steps", { rows, took: time });
  const done = rows[rows.length - 5] + 1;
  const isOver = rows.length === 0 || done >= about.total_steps;
  if (isOver || done % about.steps_per_epoch === 0) isTesting = true;
  if (isOver && !isTraining) isAskedToTest = true;
  if (isTesting) tell("testing", {});
}

// Shows what the run has learned, also where it does not go on.
function look() {
  if (!run) return;
  isTesting = isAskedToTest = true;
  tell("testing", {});
}

async function test() {
  const [found] = await testPace.turn((batches) => run.test(batches));
  if (found === undefined) return;
  isTesting = isAskedToTest = false;
  tell("found", { found: JSON.parse(found), filters: await run.filters() });
  if (!isTraining || !JSON.parse(run.about()).is_over) return;
  isTraining = false;
  tell("over", {});
}
