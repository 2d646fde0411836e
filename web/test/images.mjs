// Images of the visitor's own: a tar of class folders, and a folder that is dropped.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fill, isReady, says, text } from "./harness.mjs";
import { png } from "./png.mjs";

export default {
  async "a tar of the visitor's images is read, and cifar_cnn trains on it"(open) {
    const tab = await open();
    await isReady(tab);
    await tab.click('input[name="images"][value="own"]');
    await tab.waitForFunction(() => document.querySelector("#about-images").textContent === "");
    await tab.evaluate(giveTar, 12);
    await tab.waitForFunction(() => /22 images to train on, 2 to test on/.test(document.querySelector("#about-images").textContent));
    assert.match(await text(tab, "#about-images"), /3 x 32 x 32, 2 classes. 1 files are no images/);
    await fill(tab, "#set-batch", "2");
    await tab.click("#step");
    await tab.waitForFunction(() => /step 1 of .*loss \d/.test(document.querySelector("#progress").textContent));
  },

  async "a folder that is dropped is read, and one without classes is refused"(open) {
    const tab = await open();
    await isReady(tab);
    await tab.click('input[name="images"][value="own"]');
    await tab.waitForFunction(() => document.querySelector("#about-images").textContent === "");
    const folder = mkdtempSync(join(tmpdir(), "tilewright-web-"));
    for (const name of ["dark", "light"]) {
      mkdirSync(join(folder, name));
      const level = name === "dark" ? 40 : 220;
      for (let index = 0; index < 110; index++) writeFileSync(join(folder, name, `${index}.png`), png(4, 3, 3, () => level));
    }
    await drop(tab, "#drop", [folder]);
    // A reader of folders gives a hundred entries at a time.
    await says(tab, "#about-images", /198 images to train on, 22 to test on/);
    await drop(tab, "#drop", [join(folder, "dark")]);
    await tab.waitForSelector("#trouble:not([hidden])");
    assert.match(await text(tab, "#trouble"), /two classes at least/);
    await drop(tab, "#drop", [join(folder, "dark", "0.png")]);
    await says(tab, "#trouble", /Drop a folder/);
  },
};

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

// Drops files or folders of this machine on an element.
export async function drop(tab, selector, files) {
  const target = await tab.$(selector);
  await target.scrollIntoView();
  const { x, y } = await target.clickablePoint();
  const client = await tab.createCDPSession();
  const data = { items: [], files, dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"]) await client.send("Input.dispatchDragEvent", { type, x, y, data });
}
