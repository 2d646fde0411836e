// The page of a model that `tilewright export` wrote: classes and probabilities are those of `tilewright predict`.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { contrasts, nameless, walk } from "./access.mjs";
import { says, serve, shoot, text } from "./harness.mjs";
import { drop } from "./images.mjs";
import { png } from "./png.mjs";

const NO_PROGRAM = "no native program was named";
// Of probabilities: what f32 leaves between two devices, what f16 weights may change, and what decoders of JPEG may.
const [CLOSE, HALF, JPEG] = [1e-5, 2e-3, 2e-2];

const stripes = (x, y, c) => (x * 7 + y * 3 + c * 90 + 60 * ((x >> 2) % 2)) % 256;

export default {
  async "a model's page gives the probabilities of predict, with weights in f32 and in f16"(open, given) {
    if (!given.program) return NO_PROGRAM;
    const work = mkdtempSync(join(tmpdir(), "tilewright-web-"));
    const run = trained(given.program);
    const files = images(work);
    const [exact, half] = ["f32", "f16"].map((precision) => exported(given, run, join(work, precision), precision));
    const sizes = [exact, half].map((folder) => statSync(join(folder, "model.safetensors")).size);
    console.log(`    weights of ${sizes[0]} and ${sizes[1]} bytes`);
    assert(sizes[1] < 0.55 * sizes[0]);
    for (const [folder, bound] of [[exact, CLOSE], [half, HALF]]) {
      const site = await serve(folder);
      const tab = await open("gpu", site.address);
      files.jpeg ??= await jpeg(tab, join(work, "photo.jpg"));
      const wanted = predicted(given.program, run, Object.values(files));
      for (const [name, file] of Object.entries(files)) {
        const apart = difference(await shown(tab, file), wanted[file]);
        console.log(`    ${name}: ${apart.toExponential(1)}`);
        assert(apart <= Math.max(bound, name === "jpeg" ? JPEG : 0), `${name} in ${folder}`);
      }
      if (folder === exact) {
        await drop(tab, "#drop", [files.grey]);
        await says(tab, "#file", /grey/);
        await shoot(tab, given.screenshots, "model");
      }
      site.close();
    }
  },

  async "a model's page refuses what is damaged, huge or no image, goes on, and is walked by keyboard"(open, given) {
    if (!given.program) return NO_PROGRAM;
    const work = mkdtempSync(join(tmpdir(), "tilewright-web-"));
    const site = await serve(exported(given, trained(given.program), join(work, "page"), "f32"));
    const tab = await open("gpu", site.address);
    await says(tab, "#progress", /Give it an image/);
    const whole = png(30, 20, 3, stripes);
    const photo = readFileSync(await jpeg(tab, join(work, "whole.jpg")));
    const bad = {
      "cut.png": [whole.subarray(0, whole.length / 2), /damaged/],
      "cut.jpg": [photo.subarray(0, photo.length - 200), /damaged/],
      "text.png": [Buffer.from("no image"), /damaged/],
      "huge.png": [png(20_000, 6_000), /20000 x 6000 pixels, and 100 million are read at most/],
    };
    for (const [name, [bytes, pattern]] of Object.entries(bad)) {
      writeFileSync(join(work, name), bytes);
      await choose(tab, join(work, name));
      await tab.waitForFunction((name) => document.querySelector("#trouble").textContent.startsWith(name), {}, name);
      assert.match(await text(tab, "#trouble"), pattern);
      assert.equal(spawnSync(given.program, ["predict", run, join(work, name), "--device", "cpu"]).status, 1, `predict takes ${name}`);
    }
    writeFileSync(join(work, "good.png"), whole);
    await choose(tab, join(work, "good.png"));
    await says(tab, "#progress", /^Most likely/);
    assert(await tab.$eval("#trouble", (trouble) => trouble.hidden));
    assert.deepEqual(await nameless(tab), []);
    const met = (await walk(tab)).filter(({ ring }) => ring).map(({ name }) => name);
    assert(met.includes("pick"), `${met}`);
    for (const scheme of ["light", "dark"]) {
      await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      assert.deepEqual((await tab.evaluate(contrasts, 4.5)).weak, []);
    }
    site.close();
  },

  async "a model's page without a GPU computes on the CPU"(open, given) {
    if (!given.program) return NO_PROGRAM;
    const work = mkdtempSync(join(tmpdir(), "tilewright-web-"));
    const run = trained(given.program);
    const site = await serve(exported(given, run, join(work, "page"), "f32"));
    const tab = await open("nogpu", site.address);
    await says(tab, "#progress", /the CPU computes/);
    const { colour } = images(work);
    const apart = difference(await shown(tab, colour), predicted(given.program, run, [colour])[colour]);
    assert(apart <= CLOSE, `${apart}`);
    site.close();
  },
};

// A run of cifar_cnn, which has batch norms, on folders of images that are brought to its size by resizing and cutting.
let run;
function trained(program) {
  if (run) return run;
  const work = mkdtempSync(join(tmpdir(), "tilewright-web-"));
  run = join(work, "run");
  for (const [index, name] of ["left & right", "<b>below", "Größe"].entries()) {
    mkdirSync(join(work, "set", "train", name), { recursive: true });
    mkdirSync(join(work, "set", "test", name), { recursive: true });
    for (let image = 0; image < 8; image++) {
      const bytes = png(40, 32, 3, (x, y, c) => (stripes(x, y, c) * (index + 1) + 11 * image) % 256);
      writeFileSync(join(work, "set", image < 6 ? "train" : "test", name, `${image}.png`), bytes);
    }
  }
  const settings = ["--data", `folder:${join(work, "set")}`, "--epochs", "6", "--batch", "6", "--size", "32x32", "--resize", "36", "--seed", "3"];
  execFileSync(program, ["train", "cifar_cnn", ...settings, "--run", run, "--quiet"], { stdio: ["ignore", "ignore", "pipe"] });
  return run;
}

// Files of different kinds.
function images(work) {
  const files = {
    colour: png(50, 70, 3, stripes),
    grey: png(64, 40, 1, stripes),
    clear: png(40, 40, 4, (x, y, c) => (c === 3 ? 255 : stripes(x, y, c))),
    large: png(3000, 1500, 1, (x, y) => (x ^ y) % 256),
    exact: png(32, 32, 3, stripes),
  };
  return Object.fromEntries(Object.entries(files).map(([name, bytes]) => {
    const file = join(work, `${name}.png`);
    writeFileSync(file, bytes);
    return [name, file];
  }));
}

// A JPEG file, which the browser writes.
async function jpeg(tab, file) {
  const bytes = await tab.evaluate(async () => {
    const canvas = new OffscreenCanvas(120, 90);
    const context = canvas.getContext("2d");
    const shades = context.createLinearGradient(0, 0, 120, 90);
    ["#d33", "#3a3", "#22c"].forEach((colour, index) => shades.addColorStop(index / 2, colour));
    context.fillStyle = shades;
    context.fillRect(0, 0, 120, 90);
    context.fillStyle = "#ffd";
    context.fillRect(20, 30, 40, 25);
    return [...new Uint8Array(await (await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 })).arrayBuffer())];
  });
  writeFileSync(file, Buffer.from(bytes));
  return file;
}

function exported({ page, program }, run, folder, precision) {
  execFileSync(program, ["export", run, `${folder}/`, "--program", page, "--precision", precision, "--quiet"]);
  return folder;
}

// What `tilewright predict` says of each file: probabilities by class.
function predicted(program, run, files) {
  const told = execFileSync(program, ["predict", run, ...files, "--top", "9", "--device", "cpu", "--json"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const { predictions } = JSON.parse(told.trim().split("\n").at(-1));
  const byClass = ({ classes }) => Object.fromEntries(classes.map((one) => [one.class, one.probability]));
  return Object.fromEntries(files.map((file, index) => [file, byClass(predictions[index])]));
}

const choose = async (tab, file) => (await tab.$("#pick")).uploadFile(file);

// What the page shows of a file, with the probabilities that are behind it.
async function shown(tab, file) {
  await tab.waitForSelector("#pick:not([disabled])");
  await choose(tab, file);
  const name = file.split("/").at(-1);
  await tab.waitForFunction((name) => document.querySelector("#file").textContent === name || !document.querySelector("#trouble").hidden, {}, name);
  assert(await tab.$eval("#trouble", (trouble) => trouble.hidden), await text(tab, "#trouble"));
  const rows = await tab.$$eval("#classes li", (all) =>
    all.map((one) => [one.querySelector(".name").textContent, Number(one.querySelector(".share").dataset.share), one.querySelector(".share").textContent]));
  for (const [, share, told] of rows) assert.equal(told, `${(100 * share).toFixed(1)} %`);
  return Object.fromEntries(rows);
}

function difference(found, wanted) {
  assert.deepEqual(Object.keys(found).sort(), Object.keys(wanted).sort());
  return Math.max(...Object.entries(wanted).map(([name, share]) => Math.abs(found[name] - share)));
}
