// What the GPU computes, beside the reference in the same page.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./harness.mjs";

const STEPS = 16;
// Relative, of the losses of GPU and reference.
const CLOSE = 1e-5;

export default {
  async "the losses of LeNet-5 are those of the reference in the same page"(open) {
    const tab = await open();
    const losses = await tab.evaluate(async (steps) => {
      const { default: init, Images, Opened, Run } = await import("./tilewright.js");
      await init();
      const names = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"];
      const fetched = names.map(async (name) => new Uint8Array(await (await fetch(`digits/${name}-ubyte.gz`)).arrayBuffer()));
      const images = Images.idx("mnist", await Promise.all(fetched));
      const of = async (opened) => {
        const run = await Run.begin(opened, images, "lenet5", '{"lr":"0.001"}', "mnist");
        const rows = await run.steps(steps);
        return Array.from({ length: rows.length / 5 }, (_, step) => rows[5 * step + 2]);
      };
      return [await of(await Opened.gpu(false, false)), await of(Opened.reference())];
    }, STEPS);
    const [gpu, reference] = losses;
    assert.equal(gpu.length, STEPS);
    const apart = gpu.map((loss, step) => Math.abs(loss - reference[step]) / reference[step]);
    console.log(`    largest difference ${Math.max(...apart).toExponential(1)}, losses ${gpu[0].toFixed(4)} to ${gpu.at(-1).toFixed(4)}`);
    assert(Math.max(...apart) <= CLOSE, `${apart}`);
    assert(gpu.at(-1) < gpu[0], "and it learns");
  },

  async "cases of the conformance suite pass their bounds"(open) {
    const tab = await open();
    const folders = ["conformance", "ops", "losses", "optimizers", "schedules"].map((name) => join(root, "tests/data", name));
    const files = folders.flatMap((folder) => readdirSync(folder).filter((name) => name.endsWith(".safetensors")).map((name) => join(folder, name)));
    const sample = files.filter((_, index) => index % 5 === 0);
    const cases = sample.map((file) => readFileSync(file).toString("base64"));
    const told = await tab.evaluate(async (cases) => {
      const { default: init, Opened } = await import("./tilewright.js");
      await init();
      const opened = await Opened.gpu(false, false);
      const verdicts = [];
      for (const text of cases) {
        const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
        verdicts.push(await opened.conformance(bytes));
      }
      return verdicts;
    }, cases);
    const wrong = told.flatMap((verdict, index) => (verdict === "passed" ? [] : [`${sample[index]}: ${verdict}`]));
    console.log(`    ${told.length} cases`);
    assert.deepEqual(wrong, []);
    assert(told.length >= 20);
  },
};
