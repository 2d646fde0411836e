// What is seen and pressed. What takes long runs in worker.js.
import { readFiles, readDropped, readTar, toPixels } from "./images.js";
import { drawConfusion, drawCurves, drawFilters } from "./drawings.js";
import { Pad } from "./pad.js";

const $ = (id) => document.getElementById(id);
const DIGITS = { model: "lenet5", source: "mnist", main: ["lr", "optimizer", "loss", "batch", "epochs", "augment"] };
const OWN = { model: "cifar_cnn", source: "folder:images", main: DIGITS.main };

const LOST = /device was lost|was lost/;

// What to do about what goes wrong.
const TROUBLE = [
  [/no WebGPU/, () =>
    isSecureContext
      ? "This browser has no WebGPU. Open the page in a current Chrome, Edge, Safari or Firefox; in Chrome on Linux, switch " +
        "chrome://flags/#enable-unsafe-webgpu on first."
      : "WebGPU is for pages from https or from this machine: open the page by https, or run “make web-serve” and open " +
        "http://127.0.0.1:8080."],
  [/no adapter/, () =>
    "The browser has WebGPU, but shows no GPU. Switch hardware acceleration on in its settings, bring the graphics driver up " +
    "to date, and load this page again."],
  [LOST, () =>
    "The GPU is gone: its driver was reset, it ran out of memory, or the machine slept. Press Train to begin anew on it; if it " +
    "goes again, choose a smaller batch. What was not saved is lost."],
  [/out of memory|bytes|limit|too large|MiB/, (text) => `This GPU cannot hold that: ${text}. Choose a smaller batch.`],
];

function trouble(text) {
  const known = TROUBLE.find(([pattern]) => pattern.test(text));
  $("trouble").textContent = known ? known[1](text) : text;
  $("trouble").hidden = false;
}

const calm = () => ($("trouble").hidden = true);

// The worker, and answers that are waited for.
const worker = new Worker("worker.js", { type: "module" });
const waiting = new Map();
let asked = 0;
worker.onerror = () =>
  trouble("The program did not load. Open the page from a web server, such as that of “make web-serve”, and not as a file.");
worker.onmessage = ({ data }) => {
  if (data.event) return events[data.event](data);
  const { resolve, reject } = waiting.get(data.id);
  waiting.delete(data.id);
  if (data.error === undefined) resolve(data.result);
  else reject(new Error(data.error));
};

function ask(what, given = {}, moved = []) {
  asked += 1;
  worker.postMessage({ id: asked, what, ...given }, moved);
  return new Promise((resolve, reject) => waiting.set(asked, { resolve, reject }));
}

// Runs what a button asks for, and shows what goes wrong.
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    trouble(error.message);
  }
  show();
}

const state = {
  kind: DIGITS,
  device: undefined,
  images: undefined,
  fields: [],
  run: undefined,
  phase: "none",
  isLost: false,
  steps: [],
  tests: [],
  speed: 0,
  seen: undefined,
  checking: undefined,
};

function show() {
  const { device, images, run, phase, checking } = state;
  const idle = phase !== "running" && phase !== "beginning" && !checking;
  $("train").disabled = !device || !images || !idle;
  $("train").textContent = phase === "paused" ? "Go on" : "Train";
  $("pause").disabled = phase !== "running";
  $("step").disabled = $("train").disabled;
  $("stop").disabled = phase !== "running" && phase !== "paused";
  $("save").disabled = !run || phase === "beginning";
  $("load").disabled = !device || !images || phase === "running" || phase === "beginning";
  $("sample").disabled = !images;
  $("check").disabled = !device || !idle;
  $("check-stop").disabled = !checking;
  const isFixed = phase === "running" || phase === "paused" || phase === "beginning";
  for (const input of [...$("settings").elements, ...$("images").elements]) input.disabled = isFixed;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function tellProgress(prefix) {
  const { run, steps, tests, speed } = state;
  const last = steps.at(-1);
  const epoch = last ? Math.floor(last.step / run.steps_per_epoch) + 1 : 1;
  const parts = [`${prefix} step ${last ? last.step + 1 : 0} of ${run.total_steps}, epoch ${epoch}`];
  if (last) parts.push(`loss ${last.loss.toFixed(4)}`);
  if (tests.length > 0) parts.push(`test accuracy ${percent(tests.at(-1).accuracy)}`);
  if (speed > 0) parts.push(`${Math.round(speed).toLocaleString("en")} images per second`);
  $("progress").textContent = `${parts.join(", ")}.`;
  $("bar").value = last ? (last.step + 1) / run.total_steps : 0;
  document.title = document.hidden && phaseIs("running") ? `${percent($("bar").value)} trained` : "tilewright in a browser";
}

const phaseIs = (phase) => state.phase === phase;

const events = {
  steps({ rows, took }) {
    let images = 0;
    for (let row = 0; row < rows.length; row += 5) {
      const [step, lr, loss, accuracy, count] = rows.slice(row, row + 5);
      state.steps.push({ step, lr, loss, accuracy });
      images += count;
      if (!Number.isFinite(loss)) return diverged(step, loss);
    }
    const speed = (1000 * images) / took;
    // The first turn compiles nothing, but fills the device.
    state.speed = state.speed > 0 ? 0.7 * state.speed + 0.3 * speed : speed;
    tellProgress(phaseIs("running") ? "Training:" : "Paused:");
    redraw();
    predictSoon();
  },
  found({ found, filters }) {
    state.tests.push(found);
    drawConfusion($("confusion"), found.confusion, state.images.classes);
    drawFilters($("filters"), filters);
    redraw();
    predictSoon();
  },
  over() {
    state.phase = "over";
    tellProgress("Done:");
    show();
  },
  failed({ message }) {
    trouble(message);
    state.isLost ||= LOST.test(message);
    state.phase = "none";
    state.checking = undefined;
    show();
  },
  checked({ op, lines }) {
    const { checking } = state;
    if (!checking) return;
    checking.done += 1;
    if (lines.some((line) => LOST.test(line))) {
      ask("stopCheck");
      return events.failed({ message: lines.find((line) => LOST.test(line)) });
    }
    if (lines.length > 0) append(`${lines.join("\n")}\n`);
    $("check-progress").textContent = `Case ${checking.done} of ${checking.count}: ${op}.`;
    $("check-bar").value = checking.done / checking.count;
  },
  table({ table, failed, whole }) {
    append(`adapter  ${state.device.name}\nbrowser  ${navigator.userAgent}\n${table}`);
    const verdict = failed === 0 ? "No kernel failed." : `${failed} failed: please put the table into an issue.`;
    $("check-progress").textContent = `${whole ? "All cases are checked." : "The check was stopped."} ${verdict}`;
    $("copy").disabled = false;
    state.checking = undefined;
    show();
  },
};

function diverged(step, loss) {
  ask("pause");
  state.phase = "none";
  trouble(`The loss of step ${step} is ${loss}: the training went astray. Choose a smaller lr, and press Train.`);
  show();
}

let redrawing = false;
function redraw() {
  if (redrawing) return;
  redrawing = true;
  requestAnimationFrame(() => {
    redrawing = false;
    drawCurves(state, $("loss"), $("accuracy"));
    $("loss-now").textContent = state.steps.length > 0 ? state.steps.at(-1).loss.toFixed(4) : "";
    $("accuracy-now").textContent = state.tests.length > 0 ? percent(state.tests.at(-1).accuracy) : "";
  });
}

// The settings, made from the program's own table.
async function makeSettings() {
  state.fields = await ask("settings", { model: state.kind.model });
  const [main, more] = [$("main-settings"), $("more-settings")];
  main.replaceChildren();
  more.replaceChildren();
  const place = (name) => {
    const index = state.kind.main.indexOf(name);
    return index < 0 ? state.kind.main.length : index;
  };
  for (const field of [...state.fields].sort((a, b) => place(a.name) - place(b.name))) {
    (state.kind.main.includes(field.name) ? main : more).append(makeField(field));
  }
}

function makeField(field) {
  const box = document.createElement("div");
  box.className = "field";
  const label = document.createElement("label");
  label.htmlFor = `set-${field.name}`;
  label.textContent = field.name;
  const input = document.createElement("input");
  input.id = label.htmlFor;
  input.setAttribute("aria-describedby", `about-${field.name}`);
  if (field.kind === "Flag") {
    input.type = "checkbox";
    input.checked = field.value === "true";
  } else {
    input.type = "text";
    input.value = field.value ?? "";
    input.placeholder = field.unit;
    if (field.kind === "Whole") input.inputMode = "numeric";
  }
  const about = document.createElement("small");
  about.id = `about-${field.name}`;
  // Between backquotes is what is written so.
  field.about.split("`").forEach((piece, index) => {
    about.append(index % 2 === 0 ? piece : Object.assign(document.createElement("code"), { textContent: piece }));
  });
  box.append(label, " ", input, about);
  if (field.listed) {
    const details = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = `All for ${field.name}`;
    const text = document.createElement("pre");
    text.textContent = field.listed;
    details.append(summary, text);
    box.append(details);
  }
  return box;
}

// What differs from the recipe.
function given() {
  const changed = {};
  for (const field of state.fields) {
    const input = $(`set-${field.name}`);
    input.removeAttribute("aria-invalid");
    const value = input.type === "checkbox" ? String(input.checked) : input.value.trim();
    const before = field.value ?? (input.type === "checkbox" ? "false" : "");
    if (value !== before) changed[field.name] = value === "" ? "none" : value;
  }
  return changed;
}

async function begin() {
  calm();
  state.phase = "beginning";
  $("progress").textContent = "Compiling kernels…";
  show();
  try {
    if (state.isLost) await open();
    state.run = await ask("begin", { model: state.kind.model, given: given(), source: state.kind.source });
  } catch (error) {
    state.phase = "none";
    $("progress").textContent = "Not begun.";
    const name = error.message.match(/^`?(\w+)`? /)?.[1];
    $(`set-${name}`)?.setAttribute("aria-invalid", "true");
    $(`set-${name}`)?.focus();
    throw error;
  }
  [state.steps, state.tests, state.speed] = [[], [], 0];
  state.phase = "paused";
  tellProgress(`${state.run.parameters}:`);
}

async function open() {
  state.run = undefined;
  const device = await ask("open");
  state.device = device;
  state.isLost = false;
  $("adapter").textContent = `On ${device.name} (${device.kind}).`;
  const list = $("limits").querySelector("dl");
  list.replaceChildren();
  for (const [name, value] of Object.entries(device).filter(([name]) => !["name", "kind", "driver"].includes(name))) {
    const [term, number] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    number.textContent = typeof value === "number" ? value.toLocaleString("en") : value ? "yes" : "no";
    list.append(term, number);
  }
  $("limits").hidden = false;
}

function takeImages(images) {
  state.images = images;
  state.run = undefined;
  state.phase = "none";
  const [channels, height, width] = images.shape;
  $("about-images").textContent =
    `${images.train.toLocaleString("en")} images to train on, ${images.test.toLocaleString("en")} to test on, ` +
    `${channels} x ${height} x ${width}, ${images.classes.length} classes.`;
  makeClasses(images.classes);
}

function makeClasses(classes) {
  $("classes").replaceChildren(
    ...classes.map((name) => {
      const item = document.createElement("li");
      const [label, track, share] = [0, 0, 0].map(() => document.createElement("span"));
      label.textContent = name;
      label.title = name;
      const bar = document.createElement("span");
      bar.className = "bar";
      bar.style.display = "block";
      track.append(bar);
      share.className = "share";
      share.textContent = "–";
      item.append(label, track, share);
      return item;
    }),
  );
}

// Predicts what is on the pad; at most one question is on its way.
let isAsking = false;
let isDue = false;
async function predictSoon() {
  isDue = true;
  if (isAsking || !state.run || !state.seen) return;
  isAsking = true;
  while (isDue) {
    isDue = false;
    try {
      const shares = await ask("predict", { pixels: state.seen });
      if (shares) showShares(shares);
    } catch {
      break;
    }
  }
  isAsking = false;
}

function showShares(shares) {
  if ($("pad-note").textContent === UNASKED) $("pad-note").textContent = ASKED;
  const likeliest = shares.indexOf(Math.max(...shares));
  [...$("classes").children].forEach((item, index) => {
    item.classList.toggle("likeliest", index === likeliest);
    item.querySelector(".bar").style.width = `${100 * (shares[index] || 0)}%`;
    item.querySelector(".share").textContent = Number.isFinite(shares[index]) ? percent(shares[index]) : "–";
  });
}

const ASKED = "This is what the network makes of it.";
const UNASKED = "Press Train, so that there is a network to ask.";

const pad = new Pad($("pad"), (pixels) => {
  if (state.kind !== DIGITS) return;
  state.seen = pixels;
  $("pad-note").textContent = state.run ? ASKED : UNASKED;
  predictSoon();
});

$("clear").onclick = () => {
  pad.clear();
  state.seen = undefined;
  $("pad-note").textContent = state.kind === DIGITS ? "Draw a digit, also while the network learns." : "Choose an image.";
};

$("sample").onclick = () =>
  attempt(async () => {
    const index = Math.floor(Math.random() * state.images.test);
    const { pixels, label } = await ask("sample", { index });
    state.seen = pixels;
    pad.show(pixels, state.images.shape);
    $("pad-note").textContent = `Test image ${index}, which is of the class ${state.images.classes[label]}.`;
    predictSoon();
  });

$("pick").onchange = ({ target }) =>
  attempt(async () => {
    const [file] = target.files;
    if (!file) return;
    state.seen = await toPixels(file, state.images.shape);
    pad.show(state.seen, state.images.shape);
    $("pad-note").textContent = file.name;
    predictSoon();
  });

$("train").onclick = () =>
  attempt(async () => {
    if (state.phase !== "paused") await begin();
    state.phase = "running";
    show();
    await ask("go");
  });
$("pause").onclick = () =>
  attempt(async () => {
    await ask("pause");
    if (phaseIs("running")) state.phase = "paused";
    tellProgress("Paused:");
  });
$("step").onclick = () =>
  attempt(async () => {
    if (state.phase !== "paused") await begin();
    await ask("step");
  });
$("stop").onclick = () =>
  attempt(async () => {
    await ask("pause");
    await ask("look");
    state.phase = "over";
    tellProgress("Stopped:");
  });
$("save").onclick = () =>
  attempt(async () => {
    const bytes = await ask("save");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
    link.download = `${state.kind.model}.safetensors`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  });
$("load").onchange = ({ target }) =>
  attempt(async () => {
    const [file] = target.files;
    if (!file) return;
    const bytes = new Uint8Array(await file.arrayBuffer());
    target.value = "";
    if (state.phase !== "paused") await begin();
    await ask("load", { bytes });
    tellProgress(`Took the weights of ${file.name}:`);
  });

$("check").onclick = () =>
  attempt(async () => {
    calm();
    $("table").textContent = "";
    $("table").hidden = true;
    $("copy").disabled = true;
    if (state.isLost) await open();
    const count = await ask("check", { part: $("part").value.trim() });
    state.checking = { count, done: 0 };
    $("check-progress").textContent = count === 0 ? "No op has such a name." : `${count} cases.`;
  });
$("check-stop").onclick = () => attempt(() => ask("stopCheck"));
$("copy").onclick = () =>
  attempt(async () => {
    await navigator.clipboard.writeText($("table").textContent);
    $("check-progress").textContent = "The table is copied.";
  });

function append(text) {
  $("table").hidden = false;
  $("table").append(text);
}

// Digits, or images of the visitor's.
for (const choice of document.getElementsByName("images")) {
  choice.onchange = () =>
    attempt(async () => {
      state.kind = choice.value === "own" ? OWN : DIGITS;
      $("own").hidden = state.kind !== OWN;
      $("pick-label").hidden = state.kind !== OWN;
      [state.images, state.run, state.seen, state.phase] = [undefined, undefined, undefined, "none"];
      $("about-images").textContent = "";
      $("classes").replaceChildren();
      $("clear").click();
      pad.isLocked = state.kind === OWN;
      await makeSettings();
      if (state.kind === DIGITS) takeImages(await ask("digits"));
    });
}

async function takeOwn(found) {
  calm();
  $("about-images").textContent = "Reading images…";
  const own = await readFiles(found, [3, 32, 32], (done, all) => {
    $("about-images").textContent = `Image ${done} of ${all}…`;
  });
  takeImages(await ask("own", own, [own.pixels.buffer]));
  if (own.damaged > 0) $("about-images").textContent += ` ${own.damaged} files are no images, and were left out.`;
}

$("folder").onchange = ({ target }) => attempt(() => takeOwn([...target.files].map((file) => [file.webkitRelativePath, file])));
$("tar").onchange = ({ target }) => attempt(async () => takeOwn(await readTar(target.files[0])));
$("drop").ondragover = (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
};
$("drop").ondragleave = () => $("drop").classList.remove("over");
$("drop").ondrop = (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  const found = readDropped(event.dataTransfer);
  attempt(async () => takeOwn(await found));
};
$("settings").onsubmit = (event) => event.preventDefault();

let wasHidden = false;
document.onvisibilitychange = () => {
  if (document.hidden) wasHidden = phaseIs("running");
  else if (wasHidden) {
    trouble("This tab was in the background, where a browser may slow it down or take the GPU away. Keep it in sight for full speed.");
    wasHidden = false;
  }
  if (state.run) tellProgress(phaseIs("running") ? "Training:" : "Paused:");
};

attempt(async () => {
  $("version").textContent = `tilewright ${await ask("version")}`;
  await makeSettings();
  takeImages(await ask("digits"));
  show();
  try {
    await open();
  } catch (error) {
    $("adapter").textContent = "No GPU.";
    throw error;
  }
});
