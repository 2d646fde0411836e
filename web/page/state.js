// What the page knows, and which buttons that leaves.
import { $ } from "./dom.js";

export const DIGITS = { model: "lenet5", source: "mnist", main: ["lr", "optimizer", "loss", "batch", "epochs", "augment"] };
export const OWN = { model: "cifar_cnn", source: "folder:images", main: DIGITS.main };

export const state = {
  kind: DIGITS,
  device: undefined,
  images: undefined,
  fields: [],
  run: undefined,
  // none, beginning, running, paused or over
  phase: "none",
  isTesting: false,
  isLost: false,
  steps: [],
  tests: [],
  speed: 0,
  // The pixels that the network is asked about.
  seen: undefined,
  // What is checked or measured, and how much of it is done.
  job: undefined,
};

export const phaseIs = (phase) => state.phase === phase;

export function show() {
  const { device, images, run, phase, job } = state;
  const idle = phase !== "running" && phase !== "beginning" && !job;
  $("train").disabled = !device || !images || !idle;
  $("train").textContent = phase === "paused" ? "Go on" : "Train";
  $("pause").disabled = phase !== "running";
  $("step").disabled = $("train").disabled;
  $("stop").disabled = phase !== "running" && phase !== "paused";
  $("save").disabled = !run || phase === "beginning";
  $("load").disabled = !device || !images || phase === "running" || phase === "beginning";
  $("sample").disabled = !images;
  $("check").disabled = !device || !idle;
  for (const group of ["gemm", "conv"]) $(`bench-${group}`).disabled = !device || !idle;
  for (const kind of ["check", "bench"]) {
    $(`${kind}-stop`).hidden = job?.kind !== kind;
    $(`${kind}-copy`).hidden = job?.kind === kind || $(`${kind}-table`).hidden;
  }
  const isFixed = phase === "running" || phase === "paused" || phase === "beginning";
  for (const input of [...$("settings").elements, ...$("images").elements]) input.disabled = isFixed;
}
