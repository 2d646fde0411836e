// The run: its buttons, and what the worker tells of it.
import { open, worker } from "./device.js";
import { $, percent } from "./dom.js";
import { drawConfusion, drawCurves, drawFilters } from "./drawings.js";
import { given, showWrong } from "./settings.js";
import { phaseIs, show, state } from "./state.js";
import { LOST, attempt, calm, trouble } from "./trouble.js";
import { predictSoon } from "./trying.js";

export function tellProgress() {
  const { run, steps, tests, speed, phase } = state;
  if (!run) return;
  const last = steps.at(-1);
  const [done, epoch] = last ? [last.step + 1, Math.floor(last.step / run.steps_per_epoch) + 1] : [0, 1];
  const words = { running: state.isTesting ? "Testing" : "Training", paused: last ? "Paused" : run.parameters, over: "Done" };
  const word = phase === "over" && done < run.total_steps ? "Stopped" : (words[phase] ?? "Not running");
  const parts = [`${state.note ?? word}: step ${done.toLocaleString("en")} of ${run.total_steps.toLocaleString("en")}, epoch ${epoch}`];
  if (last) parts.push(`loss ${last.loss.toFixed(4)}`);
  if (tests.length > 0) parts.push(`test accuracy ${percent(tests.at(-1).accuracy)}`);
  if (speed > 0) parts.push(`${Math.round(speed).toLocaleString("en")} images per second`);
  $("progress").textContent = `${parts.join(", ")}.`;
  $("bar").value = done / run.total_steps;
  document.title = document.hidden && phaseIs("running") ? `${percent($("bar").value)} trained` : "tilewright in a browser";
}

worker.listen({
  steps({ rows, took }) {
    let images = 0;
    for (let row = 0; row < rows.length; row += 5) {
      const [step, lr, loss, accuracy, count] = rows.slice(row, row + 5);
      state.steps.push({ step, lr, loss, accuracy });
      images += count;
      if (!Number.isFinite(loss)) return diverged(step, loss);
    }
    const speed = (1000 * images) / took;
    state.speed = state.speed > 0 ? 0.7 * state.speed + 0.3 * speed : speed;
    [state.note, state.isTesting] = [undefined, false];
    tellProgress();
    redraw();
    predictSoon();
  },
  testing() {
    state.isTesting = true;
    tellProgress();
  },
  found({ found, filters }) {
    state.isTesting = false;
    state.tests.push(found);
    $("found").classList.remove("empty");
    drawConfusion($("confusion"), found.confusion, state.images.classes);
    drawFilters($("filters"), filters);
    tellProgress();
    redraw();
    predictSoon();
  },
  over() {
    state.phase = "over";
    tellProgress();
    show();
  },
  failed({ message }) {
    trouble(message);
    state.isLost ||= LOST.test(message);
    [state.phase, state.job, state.isTesting] = ["none", undefined, false];
    show();
  },
});

function diverged(step, loss) {
  worker.ask("pause");
  state.phase = "none";
  trouble(`The loss of step ${step} is ${loss}: the training went astray. Choose a smaller lr, and press Train.`);
  show();
}

let isDrawing = false;
export function redraw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    drawCurves(state, $("loss"), $("accuracy"));
    $("loss-now").textContent = state.steps.length > 0 ? state.steps.at(-1).loss.toFixed(4) : "";
    $("accuracy-now").textContent = state.tests.length > 0 ? percent(state.tests.at(-1).accuracy) : "";
  });
}

async function begin() {
  calm();
  state.phase = "beginning";
  $("progress").textContent = "Compiling kernels…";
  show();
  try {
    if (state.isLost) await open();
    state.run = await worker.ask("begin", { model: state.kind.model, given: given(), source: state.kind.source });
  } catch (error) {
    state.phase = "none";
    $("progress").textContent = "Not begun.";
    // A field can be gone to once it is enabled.
    show();
    showWrong(error.message);
    throw error;
  }
  [state.steps, state.tests, state.speed, state.isTesting, state.note] = [[], [], 0, false, undefined];
  forget();
  state.phase = "paused";
  tellProgress();
}

// Takes what an earlier run has learned off the page.
export function forget() {
  $("found").classList.add("empty");
  $("confusion").replaceChildren();
  redraw();
}

$("train").onclick = () =>
  attempt(async () => {
    if (state.phase !== "paused") await begin();
    state.phase = "running";
    state.note = undefined;
    show();
    // The button that was pressed is disabled now.
    $("pause").focus();
    await worker.ask("go");
  });
$("pause").onclick = () =>
  attempt(async () => {
    await worker.ask("pause");
    if (phaseIs("running")) state.phase = "paused";
    tellProgress();
    show();
    $("train").focus();
  });
$("step").onclick = () =>
  attempt(async () => {
    if (state.phase !== "paused") await begin();
    await worker.ask("step");
  });
$("stop").onclick = () =>
  attempt(async () => {
    await worker.ask("stop");
    state.phase = "over";
    tellProgress();
    show();
    $("train").focus();
  });
$("save").onclick = () =>
  attempt(async () => {
    const bytes = await worker.ask("save");
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
    await worker.ask("load", { bytes });
    state.note = `Took the weights of ${file.name}`;
    tellProgress();
  });

let wasHidden = false;
document.onvisibilitychange = () => {
  if (document.hidden) wasHidden = phaseIs("running");
  else if (wasHidden) {
    trouble("This tab was in the background, where a browser may slow it down or take the GPU away. Keep it in sight for full speed.");
    wasHidden = false;
  }
  tellProgress();
};
