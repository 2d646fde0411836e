// The page that trains: each part of it has a module, and what takes long runs in worker.js.
import "./checking.js";
import { takeImages } from "./choosing.js";
import { open, worker } from "./device.js";
import { $ } from "./dom.js";
import { makeSettings } from "./settings.js";
import { show } from "./state.js";
import "./training.js";
import { attempt } from "./trouble.js";

attempt(async () => {
  $("version").textContent = `tilewright ${await worker.ask("version")}`;
  await makeSettings();
  takeImages(await worker.ask("digits"));
  show();
  try {
    await open();
  } catch (error) {
    $("adapter").textContent = "No GPU.";
    throw error;
  }
});
