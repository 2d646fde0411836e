// The worker, and the GPU that it works on.
import { Asker, NOT_SERVED } from "./ask.js";
import { $, make } from "./dom.js";
import { state } from "./state.js";
import { trouble } from "./trouble.js";

export const worker = new Asker("worker.js", () => trouble(NOT_SERVED));

export async function open() {
  state.run = undefined;
  const device = await worker.ask("open");
  state.device = device;
  state.isLost = false;
  $("adapter").textContent = `On ${device.name} (${device.kind}).`;
  const told = Object.entries(device).filter(([name]) => !["name", "kind", "driver"].includes(name));
  const value = (value) => (typeof value === "number" ? value.toLocaleString("en") : typeof value === "string" ? value : value ? "yes" : "no");
  $("limits").querySelector("dl").replaceChildren(
    ...told.flatMap(([name, found]) => [make("dt", { textContent: name }), make("dd", { textContent: value(found) })]),
  );
  $("limits").hidden = false;
}
