// The check and the measurements, with their tables as text.
import assert from "node:assert/strict";
import { fill, isReady, says, text } from "./harness.mjs";

export default {
  async "the check of a few cases of every op fails none, and ends with the table"(open) {
    const tab = await open();
    await isReady(tab);
    await tab.click("#check");
    await says(tab, "#check-progress", /^All cases are checked/);
    const table = await text(tab, "#check-table");
    console.log(`    ${table.split("\n").at(-1)}`);
    assert.match(table, /device .*\n.*driver/s);
    const [, passed, failed] = table.match(/(\d+) passed, (\d+) failed/).map(Number);
    assert.equal(failed, 0, table);
    const ops = table.match(/^\w+ +\d+ +\d+ +\d+$/gm).length;
    console.log(`    ${ops} ops`);
    assert(ops >= 60 && passed >= 4 * ops, table);
  },

  async "all cases of an op are checked, those of NaN among them, and a check can be stopped"(open) {
    const tab = await open();
    await isReady(tab);
    await fill(tab, "#part", "no such op");
    await tab.click("#check");
    await says(tab, "#check-progress", /^No op has such a name/);
    await fill(tab, "#part", "focal");
    await tab.click("#check");
    await says(tab, "#check-progress", /^All cases are checked. No kernel failed/);
    await fill(tab, "#part", "conv2d");
    await tab.click("#check");
    await says(tab, "#check-progress", /^1 of /);
    await tab.click("#check-stop");
    await says(tab, "#check-progress", /^The check was stopped/);
  },

  async "kernels are measured beside the peak, until that is stopped"(open) {
    const tab = await open();
    await isReady(tab);
    await tab.click("#bench-gemm");
    await says(tab, "#bench-progress", /^2 of 4: gemm /);
    await tab.click("#bench-stop");
    await says(tab, "#bench-progress", /^(The measurement was stopped|All is measured)/);
    const table = await text(tab, "#bench-table");
    console.log(`    ${table.match(/measured peak.*/)[0]}`);
    assert.match(table, /measured peak: [\d.]+ GFLOP\/s multiply-add, [\d.]+ GB\/s copy/);
    assert.match(table, /\| gemm 256x256x256 +\| +rule \| +[\d.]+ \|/);
  },
};
