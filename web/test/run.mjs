// Runs the pages in a Chromium without a window, on Chromium's own software adapter:
//
//   node run.mjs PAGE TOOLS [--program TILEWRIGHT] [--screenshots FOLDER] [--only PART]
//
// PAGE is the folder of `make web`, and TOOLS has puppeteer-core in it. TILEWRIGHT is the native program, which writes the pages
// of models; without it their tests are ignored. PART is of the names of the tests that are run.
import { resolve } from "node:path";
import access from "./access.mjs";
import check from "./check.mjs";
import { PATIENCE, launch, serve, shoot } from "./harness.mjs";
import images from "./images.mjs";
import model from "./model.mjs";
import numbers from "./numbers.mjs";
import train from "./train.mjs";
import trouble from "./trouble.mjs";

const [page, tools, ...options] = process.argv.slice(2);
const option = (name) => (options.includes(name) ? options[options.indexOf(name) + 1] : undefined);
const [program, screenshots, only] = ["--program", "--screenshots", "--only"].map(option);

const tests = { ...trouble, ...numbers, ...train, ...images, ...check, ...access, ...model };
const browsers = { gpu: await launch(tools), lost: await launch(tools), nogpu: await launch(tools, "nogpu") };
const site = await serve(resolve(page));
const given = { page: resolve(page), program: program && resolve(program), screenshots, browsers };

let [passed, failed, ignored] = [0, 0, 0];
for (const [name, test] of Object.entries(tests)) {
  if (only && !name.includes(only)) continue;
  const opened = [];
  const open = async (browser = "gpu", address = site.address) => {
    const tab = await browsers[browser].newPage();
    opened.push(tab);
    tab.setDefaultTimeout(PATIENCE);
    tab.on("pageerror", (error) => console.log(`    page error: ${error.message}`));
    tab.on("console", (message) => message.type() === "error" && console.log(`    console: ${message.text()}`));
    await tab.goto(address);
    return tab;
  };
  const begin = performance.now();
  try {
    const missing = await test(open, given);
    const seconds = `${((performance.now() - begin) / 1000).toFixed(0)} s`;
    if (missing === undefined) passed += 1;
    else ignored += 1;
    console.log(missing === undefined ? `ok      ${name} (${seconds})` : `ignored ${name}: ${missing}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
    for (const tab of opened) await shoot(tab, screenshots, "failed").catch(() => {});
  }
  for (const tab of opened) await tab.close();
}
await Promise.all(Object.values(browsers).map((browser) => browser.close()));
site.close();
console.log(`${passed} passed, ${failed} failed, ${ignored} ignored`);
console.log(failed === 0 && passed > 0 ? "all passed" : "not all passed");
process.exit(failed === 0 && passed > 0 ? 0 : 1);
