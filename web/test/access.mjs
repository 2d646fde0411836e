// The page at two widths, in the light and in the dark, and by the keyboard alone.
import assert from "node:assert/strict";
import { isReady, says } from "./harness.mjs";

// Contrast of text that WCAG 2.2 asks for at its level AA.
const CONTRAST = 4.5;

export default {
  async "nothing is wider than the window, and every field has a name"(open) {
    const tab = await open();
    await isReady(tab);
    for (const width of [390, 1280]) {
      await tab.setViewport({ width, height: 900 });
      const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wide, 0, `the page is wider than a window of ${width} pixels`);
    }
    assert.deepEqual(await nameless(tab), []);
  },

  async "text stands out from its ground, in the light and in the dark"(open) {
    const tab = await open();
    await isReady(tab);
    await tab.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
    for (const scheme of ["light", "dark"]) {
      await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      const { least, weak } = await tab.evaluate(contrasts, CONTRAST);
      console.log(`    ${scheme}: the least contrast is ${least.toFixed(1)}`);
      assert.deepEqual(weak, []);
    }
  },

  async "the keyboard alone leads to everything, and trains"(open) {
    const tab = await open();
    await isReady(tab);
    const met = await walk(tab);
    const wanted = await tab.$$eval("button:not([disabled]), input:not([disabled]), summary", (all) =>
      all.filter((one) => one.checkVisibility() && !(one.type === "radio" && !one.checked)).map((one) => one.id || one.textContent));
    const missed = wanted.filter((one) => !met.some(({ name }) => name === one));
    assert.deepEqual(missed, [], "not reached by Tab");
    assert.deepEqual(met.filter(({ ring }) => !ring).map(({ name }) => name), [], "not seen to have the focus");
    console.log(`    ${met.length} places`);

    await tab.focus("#train");
    await tab.keyboard.press("Enter");
    await says(tab, "#progress", /step [1-9]/);
    // Its button is disabled now: the focus is where one goes on.
    assert.equal(await tab.evaluate(() => document.activeElement.id), "pause");
    await tab.keyboard.press("Space");
    await says(tab, "#progress", /^Paused/);
    assert.equal(await tab.evaluate(() => document.activeElement.id), "train");
    await tab.focus("#sample");
    await tab.keyboard.press("Enter");
    await says(tab, "#pad-note", /^Test image \d+/);
    await says(tab, "#classes", /%/);
    await tab.focus('input[name="images"]:checked');
    await tab.evaluate(() => document.querySelector("#stop").click());
    await tab.waitForFunction(() => !document.querySelector('input[name="images"]').disabled);
    await tab.focus('input[name="images"]:checked');
    await tab.keyboard.press("ArrowDown");
    await tab.waitForSelector("#own:not([hidden])");
  },
};

export const nameless = (tab) =>
  tab.$$eval("input, button, canvas, svg, progress", (all) =>
    all.filter((one) => !one.labels?.length && !one.getAttribute("aria-label") && !one.textContent.trim()).map((one) => one.outerHTML));

// Where Tab leads, from the top of the page to its end, and whether each place shows that it has the focus.
export async function walk(tab) {
  const met = [];
  await tab.evaluate(() => document.activeElement.blur());
  for (;;) {
    await tab.keyboard.press("Tab");
    const place = await tab.evaluate(() => {
      const one = document.activeElement;
      if (one === document.body || one.dataset.met) return undefined;
      one.dataset.met = "yes";
      const rings = [one, one.closest(".button")].filter(Boolean).map((of) => getComputedStyle(of).outlineStyle);
      return { name: one.id || one.textContent, ring: rings.some((style) => style !== "none") };
    });
    if (!place) return met;
    met.push(place);
  }
}

// Runs in the page: the least contrast of a text with what lies behind it, and the texts with less than `enough`.
export function contrasts(enough) {
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colour, ground) => {
    for (const layer of [`rgb(${ground})`, colour]) {
      context.fillStyle = layer;
      context.fillRect(0, 0, 1, 1);
    }
    return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
  const ground = (element) => (element ? over(getComputedStyle(element).backgroundColor, ground(element.parentElement)) : [255, 255, 255]);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => (value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let least = Infinity;
  const weak = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement: element, textContent } = walker.currentNode;
    // What cannot be used yet may be faint.
    if (!textContent.trim() || !element.checkVisibility() || element.closest(":disabled, .button:has(:disabled), noscript")) continue;
    const behind = ground(element);
    const style = getComputedStyle(element);
    const front = over(element instanceof SVGElement ? style.fill : style.color, behind);
    const [dark, light] = [luminance(front), luminance(behind)].sort((a, b) => a - b);
    const contrast = (light + 0.05) / (dark + 0.05);
    least = Math.min(least, contrast);
    if (contrast < enough) weak.push(`${contrast.toFixed(1)}: ${textContent.trim().slice(0, 40)}`);
  }
  return { least, weak };
}
