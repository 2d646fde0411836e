// What goes wrong is a sentence that says what to do.
import assert from "node:assert/strict";
import { isReady, says, text } from "./harness.mjs";

export default {
  async "a page without WebGPU says what to do"(open) {
    const tab = await open("nogpu");
    await tab.waitForSelector("#trouble:not([hidden])");
    const told = await text(tab, "#trouble");
    assert.match(told, /shows no GPU|has no WebGPU/);
    assert(await tab.$eval("#train", (button) => button.disabled));
  },

  async "what a limit is too small for is told, and how to go on"(open) {
    const tab = await open();
    await isReady(tab);
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

  async "a GPU that goes is told, and Train begins anew"(open, { browsers }) {
    const tab = await open("lost");
    await isReady(tab);
    await tab.click("#train");
    await says(tab, "#progress", /step [1-9]/);
    const control = await browsers.lost.target().createCDPSession();
    const { processInfo } = await control.send("SystemInfo.getProcessInfo");
    process.kill(processInfo.find(({ type }) => type === "GPU").id, "SIGKILL");
    await tab.waitForSelector("#trouble:not([hidden])");
    assert.match(await text(tab, "#trouble"), /^The GPU is gone/);
    await tab.click("#train");
    await says(tab, "#progress", /^Training: step [1-9]/);
    assert(await tab.$eval("#trouble", (trouble) => trouble.hidden));
  },

  async "a tab that was in the background goes on, and says so"(open) {
    const tab = await open();
    await isReady(tab);
    await tab.click("#train");
    await says(tab, "#progress", /step [1-9]/);
    const other = await open("gpu", "about:blank");
    await other.bringToFront();
    if (!(await tab.evaluate(() => document.hidden))) return "this Chromium hides no tab behind another";
    const step = await stepOf(tab);
    await tab.waitForFunction((step) => Number(document.querySelector("#progress").textContent.match(/step (\d+)/)[1]) > step, { polling: 200 }, step);
    assert.match(await tab.title(), /% trained$/);
    await tab.bringToFront();
    await tab.waitForSelector("#trouble:not([hidden])");
    assert.match(await text(tab, "#trouble"), /^This tab was in the background/);
  },
};

const stepOf = async (tab) => Number((await text(tab, "#progress")).match(/step (\d+)/)[1]);
