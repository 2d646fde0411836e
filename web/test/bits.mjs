// Whether a page computes the same bits as the native program: LeNet-5 after 16 steps, in Chromium on its own SwiftShader, by
// the program on that very driver, and by the program on the driver of this machine.
//
//   node web/test/bits.mjs target/web target/web-tools target/release/tilewright
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { PATIENCE, chromium, launch, serve } from "./harness.mjs";

const SETTINGS = { lr: "0.001", max_steps: "16", batch: "64", seed: "1" };
const [page, tools, program] = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), "tilewright-bits-"));

async function inPage() {
  const [browser, site] = [await launch(tools), await serve(resolve(page))];
  const tab = await browser.newPage();
  tab.setDefaultTimeout(PATIENCE);
  await tab.goto(site.address);
  const bytes = await tab.evaluate(async (settings) => {
    const { default: init, Images, Opened, Run } = await import("./tilewright.js");
    await init();
    const names = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"];
    const fetched = names.map(async (name) => new Uint8Array(await (await fetch(`digits/${name}-ubyte.gz`)).arrayBuffer()));
    const run = await Run.begin(await Opened.gpu(false, false), Images.idx("mnist", await Promise.all(fetched)), "lenet5", settings, "mnist");
    await run.steps(16);
    return [...(await run.checkpoint())];
  }, JSON.stringify(SETTINGS));
  await browser.close();
  site.close();
  return Buffer.from(bytes);
}

function native(name, environment) {
  const run = join(work, name);
  const settings = Object.entries(SETTINGS).flatMap(([key, value]) => [`--${key.replace("_", "-")}`, value]);
  execFileSync(program, ["train", "lenet5", ...settings, "--run", run, "--quiet"], { env: { ...process.env, ...environment }, stdio: ["ignore", "ignore", "pipe"] });
  return readFileSync(join(run, "checkpoint.safetensors"));
}

// The driver in Chromium's own folder, which Vulkan's loader is led to.
function swiftshader() {
  const folders = [dirname(realpathSync(chromium())), "/usr/lib/chromium", "/opt/google/chrome"];
  const library = folders.map((folder) => join(folder, "libvk_swiftshader.so")).find(existsSync);
  assert(library, "Chromium's SwiftShader was not found");
  const icd = join(work, "swiftshader.json");
  writeFileSync(icd, JSON.stringify({ file_format_version: "1.0.0", ICD: { library_path: library, api_version: "1.1.0" } }));
  return { VK_DRIVER_FILES: icd, VK_ICD_FILENAMES: icd };
}

// The tensors of f32 in a safetensors file.
function tensors(file) {
  const length = Number(file.readBigUInt64LE(0));
  const head = JSON.parse(file.subarray(8, 8 + length).toString());
  const floats = Object.entries(head).filter(([, { dtype }]) => dtype === "F32");
  return new Map(floats.map(([name, { data_offsets: [begin, end] }]) => [name, new Float32Array(new Uint8Array(file.subarray(8 + length + begin, 8 + length + end)).buffer)]));
}

function compare(one, other) {
  const [a, b] = [tensors(one), tensors(other)];
  assert.deepEqual([...a.keys()].sort(), [...b.keys()].sort());
  let [count, same, largest] = [0, 0, 0];
  for (const [name, values] of a) {
    const theirs = b.get(name);
    const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
    values.forEach((value, index) => {
      count += 1;
      if (Object.is(value, theirs[index])) same += 1;
      largest = Math.max(largest, Math.abs(value - theirs[index]) / scale);
    });
  }
  return `${same} of ${count} numbers have the same bits, the largest difference is ${largest.toExponential(1)} of its tensor's largest`;
}

const runs = { "the page on SwiftShader": await inPage(), "the program on SwiftShader": native("swiftshader", swiftshader()), "the program on this machine's driver": native("own", {}) };
const names = Object.keys(runs);
console.log(`LeNet-5, 16 steps of ${SETTINGS.batch}: weights and the optimizer's state`);
console.log(execFileSync(program, ["devices"], { encoding: "utf8" }).split("\n")[0]);
for (const [index, one] of names.entries()) {
  for (const other of names.slice(index + 1)) console.log(`${one} and ${other}: ${compare(runs[one], runs[other])}`);
}
