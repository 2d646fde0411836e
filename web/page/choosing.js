// Which images are trained on: the digits, or the visitor's own.
import { makeClasses } from "./classes.js";
import { worker } from "./device.js";
import { $ } from "./dom.js";
import { readDropped, readFiles, readTar } from "./images.js";
import { makeSettings } from "./settings.js";
import { DIGITS, OWN, state } from "./state.js";
import { forget } from "./training.js";
import { attempt, calm } from "./trouble.js";
import { clear, pad } from "./trying.js";

export function takeImages(images) {
  Object.assign(state, { images, run: undefined, phase: "none", steps: [], tests: [] });
  const [channels, height, width] = images.shape;
  $("about-images").textContent =
    `${images.train.toLocaleString("en")} images to train on, ${images.test.toLocaleString("en")} to test on, ` +
    `${channels} x ${height} x ${width}, ${images.classes.length} classes.`;
  makeClasses($("classes"), images.classes);
  forget();
}

for (const choice of document.getElementsByName("images")) {
  choice.onchange = () =>
    attempt(async () => {
      state.kind = choice.value === "own" ? OWN : DIGITS;
      $("own").hidden = state.kind !== OWN;
      $("pick-label").hidden = state.kind !== OWN;
      Object.assign(state, { images: undefined, run: undefined, seen: undefined, phase: "none" });
      $("about-images").textContent = "";
      $("classes").replaceChildren();
      clear();
      pad.isLocked = state.kind === OWN;
      await makeSettings();
      if (state.kind === DIGITS) takeImages(await worker.ask("digits"));
    });
}

async function takeOwn(found) {
  calm();
  $("about-images").textContent = "Reading images…";
  const own = await readFiles(found, [3, 32, 32], (done, all) => {
    $("about-images").textContent = `Image ${done} of ${all}…`;
  }).catch((error) => {
    $("about-images").textContent = "";
    throw error;
  });
  takeImages(await worker.ask("own", own, [own.pixels.buffer]));
  if (own.damaged > 0) $("about-images").textContent += ` ${own.damaged} files are no images, and were left out.`;
}

$("folder").onchange = ({ target }) => attempt(() => takeOwn([...target.files].map((file) => [file.webkitRelativePath, file])));
$("tar").onchange = ({ target }) => attempt(async () => takeOwn(await readTar(target.files[0])));
$("drop").ondragover = (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
};
$("drop").ondragleave = () => $("drop").classList.remove("over");
$("drop").ondrop = (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  const found = readDropped(event.dataTransfer);
  attempt(async () => takeOwn(await found));
};
$("settings").onsubmit = (event) => event.preventDefault();
