// A run in the page, and what it leaves.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fill, isReady, says, shoot, text, until } from "./harness.mjs";

export default {
  async "the page trains, pauses, predicts what is drawn, and hands its weights over and takes them back"(open, { program, screenshots }) {
    const tab = await open();
    await isReady(tab);
    await shoot(tab, screenshots, "before");
    assert.match(await text(tab, "#adapter"), /^On .*\(/);
    assert.match(await text(tab, "#about-images"), /10,000 images to train on/);
    // A setting that is none is told at its field.
    await fill(tab, "#set-lr", "-1");
    await tab.click("#train");
    await tab.waitForSelector("#set-lr[aria-invalid]");
    assert.equal(await tab.evaluate(() => document.activeElement.id), "set-lr");
    await fill(tab, "#set-lr", "0.003");
    await tab.click("#train");
    await says(tab, "#progress", /step ([3-9]|\d\d)/);
    await tab.click("#pause");
    await says(tab, "#progress", /^Paused/);
    await draw(tab);
    await tab.waitForFunction(() => [...document.querySelectorAll("#classes .share")].every((share) => /%/.test(share.textContent)));
    const shares = await tab.$$eval("#classes .share", (all) => all.map((share) => parseFloat(share.textContent)));
    assert(Math.abs(shares.reduce((sum, share) => sum + share) - 100) < 1, `${shares}`);
    const step = Number((await text(tab, "#progress")).match(/step (\d+)/)[1]);
    await tab.click("#step");
    await says(tab, "#progress", new RegExp(`step ${step + 1} `));
    if (screenshots) {
      await tab.click("#train");
      await says(tab, "#progress", /step 1\d\d/);
      await shoot(tab, screenshots, "while");
    }
    await tab.click("#stop");
    await tab.waitForFunction(() => document.querySelectorAll("#confusion tr").length === 11);
    assert.match(await text(tab, "#progress"), /^Stopped: .*test accuracy/);
    const counted = await tab.$$eval("#confusion td", (cells) => cells.reduce((sum, cell) => sum + Number(cell.textContent), 0));
    assert.equal(counted, 2000, "every test image is in the matrix");
    assert(await tab.$eval("#filters", (canvas) => canvas.width > 1));
    assert.equal(await tab.$$eval("#loss polyline", (lines) => lines.length), 1);

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
    await says(tab, "#progress", /^Took the weights/);
    await shoot(tab, screenshots, "after");
  },

  async "Pause answers before a test pass is through, and Go on ends it"(open) {
    const tab = await open();
    await isReady(tab);
    await tab.evaluate(() => (document.querySelector("#settings > details").open = true));
    await fill(tab, "#set-max_steps", "1");
    await tab.click("#train");
    await says(tab, "#progress", /^Testing/);
    await tab.click("#pause");
    await says(tab, "#progress", /^Paused/);
    assert.equal(await tab.$$eval("#confusion tr", (rows) => rows.length), 0, "the pass is not through");
    await tab.click("#train");
    await says(tab, "#progress", /^Done: step 1 of 1, .*test accuracy/);
    assert.equal(await tab.$$eval("#confusion tr", (rows) => rows.length), 11);
  },
};

async function draw(tab) {
  const pad = await tab.$("#pad");
  await pad.scrollIntoView();
  const box = await pad.boundingBox();
  await tab.mouse.move(box.x + box.width / 2, box.y + box.height / 5);
  await tab.mouse.down();
  await tab.mouse.move(box.x + box.width / 2, box.y + (4 * box.height) / 5, { steps: 8 });
  await tab.mouse.up();
}
