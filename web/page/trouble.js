// What to do about what goes wrong, as a sentence.
import { $ } from "./dom.js";
import { show } from "./state.js";

export const LOST = /device was lost|was lost/;

const KNOWN = [
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

export function trouble(text) {
  const known = KNOWN.find(([pattern]) => pattern.test(text));
  $("trouble").textContent = known ? known[1](text) : text;
  $("trouble").hidden = false;
}

export const calm = () => ($("trouble").hidden = true);

// Runs what a button asks for, and shows what goes wrong.
export async function attempt(action) {
  try {
    await action();
  } catch (error) {
    trouble(error.message);
  }
  show();
}
