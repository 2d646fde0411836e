// What the tests of the pages share: Chromium without a window, on its own software adapter; a server; what a visitor does.
import assert from "node:assert/strict";
import { createReadStream, existsSync, mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { delimiter, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = resolve(fileURLToPath(import.meta.url), "../../..");

// With --enable-unsafe-webgpu Chromium shows its software adapter, and without it none.
const FLAGS = [
  "--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader",
];
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm" };

// Each part has this long.
export const PATIENCE = 300_000;

export function chromium() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const found = folders.flatMap((folder) => names.map((name) => join(folder, name))).find(existsSync);
  assert(found, "there is no Chromium on the path");
  return found;
}

export async function launch(tools, kind = "gpu") {
  const puppeteer = createRequire(resolve(tools, "package.json"))("puppeteer-core");
  const args = kind === "nogpu" ? FLAGS.filter((flag) => !/webgpu/.test(flag)) : FLAGS;
  return puppeteer.launch({ executablePath: chromium(), headless: false, args, protocolTimeout: PATIENCE });
}

// Serves a folder to this machine alone: its address, and what ends it.
export async function serve(folder) {
  const server = createServer(({ url }, answer) => {
    const path = new URL(url, "http://localhost").pathname;
    const file = join(folder, path === "/" ? "index.html" : path);
    if (!file.startsWith(resolve(folder)) || !existsSync(file)) return answer.writeHead(404).end();
    answer.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(answer);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return { address: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

export const text = (tab, selector) => tab.$eval(selector, (element) => element.textContent);

// Waits until what an element says fits.
export const says = (tab, selector, pattern) =>
  tab.waitForFunction(
    (selector, source) => new RegExp(source).test(document.querySelector(selector).textContent),
    {}, selector, pattern.source,
  );

export const isReady = (tab) => tab.waitForSelector("#train:not([disabled])");

export async function fill(tab, selector, value) {
  await tab.$eval(selector, (input, value) => ((input.value = value), input.dispatchEvent(new Event("input"))), value);
}

export async function until(holds) {
  const end = Date.now() + PATIENCE;
  while (!(await holds())) {
    assert(Date.now() < end, "it took too long");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// Pictures of the page at two widths, in the light and in the dark.
export async function shoot(tab, folder, name) {
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  for (const scheme of ["light", "dark"]) {
    await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    for (const width of [390, 1280]) {
      await tab.setViewport({ width, height: 900 });
      // A window of another size is painted anew.
      await new Promise((resolve) => setTimeout(resolve, 700));
      await tab.screenshot({ path: join(folder, `${name}-${scheme}-${width}.png`), fullPage: true });
    }
  }
  await tab.emulateMediaFeatures([]);
}
