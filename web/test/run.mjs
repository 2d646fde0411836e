// Runs the page in a Chromium without a window, on Chromium's own software adapter:
//
//   node run.mjs PAGE TOOLS [--screenshots FOLDER]
//
// PAGE is the folder of `make web`, and TOOLS has puppeteer-core in it.
import assert from "node:assert/strict";
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const [page, tools, , screenshots] = process.argv.slice(2);
const puppeteer = createRequire(resolve(tools, "package.json"))("puppeteer-core");
const root = resolve(fileURLToPath(import.meta.url), "../../..");

// With --enable-unsafe-webgpu Chromium shows its software adapter, and without it none.
const FLAGS = [
  "--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader",
];
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm" };

const STEPS = 16;
// Relative, of the losses of GPU and reference.
const CLOSE = 1e-5;
// Each part has this long.
const PATIENCE = 300_000;

function chromium() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const found = folders.flatMap((folder) => ["chromium", "google-chrome"].map((name) => join(folder, name))).find(existsSync);
  assert(found, "there is no Chromium on the path");
  return found;
}

function serve(folder) {
  const server = createServer(({ url }, answer) => {
    const path = new URL(url, "http://localhost").pathname;
    const file = join(folder, path === "/" ? "index.html" : path);
    if (!file.startsWith(resolve(folder)) || !existsSync(file)) return answer.writeHead(404).end();
    answer.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(answer);
  });
  return new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(server)));
}

const tests = {
  async "a page without WebGPU says what to do"(open) {
    const tab = await open("nogpu");
    await tab.waitForSelector("#trouble:not([hidden])");
    const told = await text(tab, "#trouble");
    assert.match(told, /shows no GPU|has no WebGPU/);
    assert(await tab.$eval("#train", (button) => button.disabled));
  },

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

  async "the page trains, pauses, predicts what is drawn, and hands its weights over and takes them back"(open) {
    const tab = await open();
    await tab.waitForSelector("#train:not([disabled])");
    assert.match(await text(tab, "#adapter"), /^On .*\(/);
    assert.match(await text(tab, "#about-images"), /10,000 images to train on/);
    // A setting that is none is told at its field.
    await fill(tab, "#set-lr", "-1");
    await tab.click("#train");
    await tab.waitForSelector("#set-lr[aria-invalid]");
    await fill(tab, "#set-lr", "0.003");
    await tab.click("#train");
    await tab.waitForFunction(() => /step ([3-9]|\d\d)/.test(document.querySelector("#progress").textContent));
    await tab.click("#pause");
    await tab.waitForFunction(() => /^Paused/.test(document.querySelector("#progress").textContent));
    await draw(tab);
    await tab.waitForFunction(() => [...document.querySelectorAll("#classes .share")].every((share) => /%/.test(share.textContent)));
    const shares = await tab.$$eval("#classes .share", (all) => all.map((share) => parseFloat(share.textContent)));
    assert(Math.abs(shares.reduce((sum, share) => sum + share) - 100) < 1, `${shares}`);
    const step = await stepOf(tab);
    await tab.click("#step");
    await tab.waitForFunction((step) => new RegExp(`step ${step + 1} `).test(document.querySelector("#progress").textContent), {}, step);
    await tab.click("#stop");
    await tab.waitForFunction(() => document.querySelectorAll("#confusion tr").length === 11);
    const counted = await tab.$$eval("#confusion td", (cells) => cells.reduce((sum, cell) => sum + Number(cell.textContent), 0));
    assert.equal(counted, 2000, "every test image is in the matrix");
    assert(await tab.$eval("#filters", (canvas) => canvas.width > 1));
    assert.equal((await text(tab, "#loss")).length > 0, true);

    const folder = mkdtempSync(join(tmpdir(), "tilewright-web-"));
    const client = await tab.createCDPSession();
    await client.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: folder });
    await tab.click("#save");
    const file = join(folder, "lenet5.safetensors");
    await until(() => existsSync(file));
    const header = readFileSync(file).subarray(8, 4000).toString();
    assert.match(header, /"tilewright"/);
    console.log(`    weights: ${file}`);
    const input = await tab.$("#load");
    await input.uploadFile(file);
    await tab.waitForFunction(() => /^Took the weights/.test(document.querySelector("#progress").textContent));
    await shoot(tab, "page");
  },

  async "a tar of the visitor's images is read, and cifar_cnn trains on it"(open) {
    const tab = await open();
    await tab.waitForSelector("#train:not([disabled])");
    await tab.click('input[name="images"][value="own"]');
    await tab.waitForFunction(() => document.querySelector("#about-images").textContent === "");
    await tab.evaluate(giveTar, 12);
    await tab.waitForFunction(() => /22 images to train on, 2 to test on/.test(document.querySelector("#about-images").textContent));
    assert.match(await text(tab, "#about-images"), /3 x 32 x 32, 2 classes. 1 files are no images/);
    await fill(tab, "#set-batch", "2");
    await tab.click("#step");
    await tab.waitForFunction(() => /step 1 of .*loss \d/.test(document.querySelector("#progress").textContent));
  },

  async "what a limit is too small for is told, and how to go on"(open) {
    const tab = await open();
    await tab.waitForSelector("#train:not([disabled])");
    const told = await tab.evaluate(async () => {
      const { default: init, Images, Opened, Run } = await import("./tilewright.js");
      await init();
      const count = 8000;
      const bytes = (length) => new Uint8Array(length);
      const images = Images.own("grey", new Uint32Array([1, 28, 28]), ["a", "b"], bytes(count * 784), new Uint32Array(count), bytes(count).fill(1, count - 1));
      try {
        // With the limits that every device has.
        await Run.begin(await Opened.gpu(true, false), images, "lenet5", `{"batch":"${count - 1}"}`, "mnist");
      } catch (error) {
        return error.message;
      }
      return "nothing";
    });
    assert.match(told, /limit|bytes|MiB|too large/);
    console.log(`    ${told}`);
  },

  async "a GPU that goes is told, and Train begins anew"(open) {
    const tab = await open("lost");
    await tab.waitForSelector("#train:not([disabled])");
    await tab.click("#train");
    await tab.waitForFunction(() => /step [1-9]/.test(document.querySelector("#progress").textContent));
    const control = await browsers.lost.target().createCDPSession();
    const { processInfo } = await control.send("SystemInfo.getProcessInfo");
    process.kill(processInfo.find(({ type }) => type === "GPU").id, "SIGKILL");
    await tab.waitForSelector("#trouble:not([hidden])");
    assert.match(await text(tab, "#trouble"), /^The GPU is gone/);
    await tab.click("#train");
    await tab.waitForFunction(() => /^Training: step [1-9]/.test(document.querySelector("#progress").textContent));
    assert(await tab.$eval("#trouble", (trouble) => trouble.hidden));
  },

  async "the check of some ops fails none, and ends with the table"(open) {
    const tab = await open();
    await tab.waitForSelector("#check:not([disabled])");
    await fill(tab, "#part", "pool");
    await tab.click("#check");
    await tab.waitForFunction(() => /^All cases/.test(document.querySelector("#check-progress").textContent));
    const table = await text(tab, "#table");
    assert.match(table, /device .*\n.*driver/s);
    assert.match(table, /[1-9]\d* passed, 0 failed/);
    console.log(`    ${table.split("\n").at(-1)}`);
  },

  async "nothing lies over anything else, and every field has a name"(open) {
    const tab = await open();
    await tab.waitForSelector("#train:not([disabled])");
    for (const width of [390, 1280]) {
      await tab.setViewport({ width, height: 900 });
      const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wide, 0, `the page is wider than a window of ${width} pixels`);
    }
    const nameless = await tab.$$eval("input, button, canvas, svg, progress", (all) =>
      all.filter((one) => !one.labels?.length && !one.getAttribute("aria-label") && !one.textContent.trim()).map((one) => one.outerHTML));
    assert.deepEqual(nameless, []);
  },
};

const text = (tab, selector) => tab.$eval(selector, (element) => element.textContent);
const stepOf = async (tab) => Number((await text(tab, "#progress")).match(/step (\d+)/)[1]);

async function fill(tab, selector, value) {
  await tab.$eval(selector, (input, value) => ((input.value = value), input.dispatchEvent(new Event("input"))), value);
}

// Runs in the page: a tar of two classes of so many images each, and a file that is none.
async function giveTar(count) {
  const encoder = new TextEncoder();
  const blocks = [];
  const add = (name, content) => {
    const head = new Uint8Array(512);
    head.set(encoder.encode(name), 0);
    head.set(encoder.encode(content.length.toString(8).padStart(11, "0")), 124);
    head.set(encoder.encode("0"), 156);
    head.set(encoder.encode("ustar"), 257);
    blocks.push(head, content, new Uint8Array((512 - (content.length % 512)) % 512));
  };
  for (const [name, colour] of [["dark", "#123"], ["light", "#eda"]]) {
    for (let index = 0; index < count; index++) {
      const canvas = new OffscreenCanvas(40, 20);
      const context = canvas.getContext("2d");
      context.fillStyle = colour;
      context.fillRect(index, 0, 40, 20);
      add(`set/${name}/${index}.png`, new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer()));
    }
  }
  add("set/dark/broken.png", encoder.encode("no image"));
  const files = new DataTransfer();
  files.items.add(new File([...blocks, new Uint8Array(1024)], "set.tar"));
  const input = document.querySelector("#tar");
  input.files = files.files;
  input.dispatchEvent(new Event("change"));
}

async function draw(tab) {
  const pad = await tab.$("#pad");
  await pad.scrollIntoView();
  const box = await pad.boundingBox();
  await tab.mouse.move(box.x + box.width / 2, box.y + box.height / 5);
  await tab.mouse.down();
  await tab.mouse.move(box.x + box.width / 2, box.y + (4 * box.height) / 5, { steps: 8 });
  await tab.mouse.up();
}

async function until(holds) {
  const end = Date.now() + PATIENCE;
  while (!holds()) {
    assert(Date.now() < end, "it took too long");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function shoot(tab, name) {
  if (!screenshots) return;
  mkdirSync(screenshots, { recursive: true });
  for (const width of [390, 1280]) {
    await tab.setViewport({ width, height: 900 });
    // A window of another size is painted anew.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await tab.screenshot({ path: join(screenshots, `${name}-${width}.png`), fullPage: true });
  }
}

const server = await serve(resolve(page));
const address = `http://127.0.0.1:${server.address().port}/`;
const launch = (flags) => puppeteer.launch({ executablePath: chromium(), headless: false, args: flags, protocolTimeout: PATIENCE });
const browsers = { gpu: await launch(FLAGS), lost: await launch(FLAGS), nogpu: await launch(FLAGS.filter((flag) => !/webgpu/.test(flag))) };
let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  const opened = [];
  try {
    await test(async (browser = "gpu") => {
      const tab = await browsers[browser].newPage();
      opened.push(tab);
      tab.setDefaultTimeout(PATIENCE);
      tab.on("pageerror", (error) => console.log(`    page error: ${error.message}`));
      tab.on("console", (message) => message.type() === "error" && console.log(`    console: ${message.text()}`));
      await tab.goto(address);
      return tab;
    });
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
    for (const tab of opened) await shoot(tab, "failed").catch(() => {});
  }
  for (const tab of opened) await tab.close();
}
await Promise.all(Object.values(browsers).map((browser) => browser.close()));
server.close();
console.log(failed === 0 ? "all passed" : `${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
