// What is drawn or chosen, and what the network makes of it.
import { showShares } from "./classes.js";
import { worker } from "./device.js";
import { $ } from "./dom.js";
import { toPixels } from "./images.js";
import { Pad } from "./pad.js";
import { DIGITS, state } from "./state.js";
import { attempt } from "./trouble.js";

const ASKED = "What the network makes of it.";
const UNASKED = "Press Train, so that there is a network to ask.";

export const pad = new Pad($("pad"), (pixels) => {
  if (state.kind !== DIGITS) return;
  state.seen = pixels;
  $("pad-note").textContent = state.run ? ASKED : UNASKED;
  predictSoon();
});

// Predicts what is on the pad; at most one question is on its way.
let isAsking = false;
let isDue = false;
export async function predictSoon() {
  isDue = true;
  if (isAsking || !state.run || !state.seen) return;
  isAsking = true;
  while (isDue) {
    isDue = false;
    try {
      const shares = await worker.ask("predict", { pixels: state.seen });
      if (!shares) continue;
      if ($("pad-note").textContent === UNASKED) $("pad-note").textContent = ASKED;
      showShares($("classes"), shares);
    } catch {
      break;
    }
  }
  isAsking = false;
}

export function clear() {
  pad.clear();
  state.seen = undefined;
  $("pad-note").textContent = state.kind === DIGITS ? "Draw a digit, also while the network learns." : "Choose an image.";
}

$("clear").onclick = clear;

$("sample").onclick = () =>
  attempt(async () => {
    const index = Math.floor(Math.random() * state.images.test);
    const { pixels, label } = await worker.ask("sample", { index });
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
