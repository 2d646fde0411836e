// The page of one model: an image is dropped, pasted or chosen, and its classes are shown. What takes long runs in
// model-worker.js.
import { Asker } from "./ask.js";
import { makeClasses, showShares } from "./classes.js";
import { $, make, percent } from "./dom.js";

// Classes that are shown of more.
const TOP = 10;

const worker = new Asker("model-worker.js", () =>
  trouble("The program did not load. Open the page from a web server, such as “python3 -m http.server”, and not as a file."));
let model;
let asked = 0;

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = false;
}

async function start() {
  model = await worker.ask("open");
  const [channels, height, width] = model.input;
  document.title = $("title").textContent = `What ${model.model} sees on an image`;
  const known = model.classes.length;
  const about = {
    model: model.model,
    classes: known.toLocaleString("en"),
    image: `${channels} x ${height} x ${width}, ${model.seen}`,
    normalised: model.normalization,
    "runs on": model.device,
  };
  $("about").querySelector("dl").replaceChildren(
    ...Object.entries(about).flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: value })]),
  );
  $("about").hidden = false;
  $("pick").disabled = false;
  $("progress").textContent = `It tells ${known.toLocaleString("en")} classes apart. Give it an image.`;
  if (model.slow) $("progress").textContent += ` ${model.slow}`;
}

// Shows what is on a file; of several that come at once, the last.
async function look(file) {
  if (!model) return;
  asked += 1;
  const own = asked;
  $("trouble").hidden = true;
  $("progress").textContent = `Looking at ${file.name}…`;
  try {
    await expectReadable(file);
    const { shares, seen } = await worker.ask("look", { file });
    if (own === asked) show(file, shares, seen);
  } catch (error) {
    if (own !== asked) return;
    $("progress").textContent = "Give it another image.";
    $("picture").hidden = true;
    $("classes").replaceChildren();
    trouble(`${file.name}: ${error.message}`);
  }
}

// A browser says how large an image is before it decodes it.
async function expectReadable(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new Error("This is no image that the browser reads, or it is damaged."));
    });
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    if (width * height > model.most_pixels) {
      const most = Math.floor(model.most_pixels / 1e6);
      throw new Error(`It has ${width} x ${height} pixels, and ${most} million are read at most. Make it smaller.`);
    }
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

function show(file, shares, seen) {
  const order = shares.map((_, index) => index).sort((a, b) => shares[b] - shares[a]).slice(0, TOP);
  makeClasses($("classes"), order.map((index) => model.classes[index]));
  showShares($("classes"), order.map((index) => shares[index]));
  const best = `${model.classes[order[0]]}, ${percent(shares[order[0]])}`;
  $("progress").textContent = `Most likely: ${best}.`;
  $("file").textContent = file.name;
  drawSeen(seen);
  $("picture").hidden = false;
}

// The image `[channels, height, width]` as the model takes it.
function drawSeen(pixels) {
  const [channels, height, width] = model.input;
  const canvas = $("seen");
  Object.assign(canvas, { width, height });
  canvas.classList.toggle("small", width < 128);
  const image = new ImageData(width, height);
  const size = height * width;
  for (let pixel = 0; pixel < size; pixel++) {
    for (let colour = 0; colour < 3; colour++) image.data[4 * pixel + colour] = pixels[(channels === 3 ? colour : 0) * size + pixel];
    image.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const imageOf = (transfer) => [...transfer.files].find((file) => file.type.startsWith("image/")) ?? transfer.files[0];

$("pick").onchange = ({ target }) => {
  const [file] = target.files;
  // The same file may be chosen again.
  target.value = "";
  if (file) look(file);
};
document.ondragover = (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
};
document.ondragleave = () => $("drop").classList.remove("over");
document.ondrop = (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  const file = imageOf(event.dataTransfer);
  if (file) look(file);
};
document.onpaste = ({ clipboardData }) => {
  const file = imageOf(clipboardData);
  if (file) look(file);
};

start().catch((error) => {
  $("progress").textContent = "No model.";
  trouble(error.message);
});
