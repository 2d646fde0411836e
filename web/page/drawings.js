// Curves, confusion matrix and filters.

const [LEFT, RIGHT, TOP, BOTTOM, WIDTH, HEIGHT] = [72, 8, 14, 36, 600, 246];
const SVG = "http://www.w3.org/2000/svg";
// Points that a line has at most: of more steps, each point is a mean.
const POINTS = 300;

export function drawCurves({ steps, tests, run }, loss, accuracy) {
  const end = Math.max(1, steps.length > 0 ? steps.at(-1).step + 1 : 1);
  const losses = thinned(steps.map(({ step, loss }) => [step + 1, loss]));
  const most = Math.max(0.1, ...losses.map(([, value]) => value).filter(Number.isFinite));
  const step = steps.length > 0 ? roundStep(most / 4) : 0.6;
  const decimals = [0, 1, 2, 3, 4].find((digits) => Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) < 1e-6) ?? 4;
  const across = { end, epoch: run?.steps_per_epoch ?? Infinity, isEmpty: steps.length === 0 };
  draw(loss, across, [0, 4 * step], (value) => value.toFixed(decimals), [["one", losses]]);
  const right = thinned(steps.map(({ step, accuracy }) => [step + 1, accuracy]));
  const tested = tests.map(({ step, accuracy }) => [step, accuracy]);
  draw(accuracy, across, [0, 1], (value) => `${Math.round(100 * value)} %`, [["one", right], ["two", tested]]);
  const last = steps.at(-1);
  loss.setAttribute("aria-label", last ? `Loss, ${last.loss.toFixed(4)} after ${end} steps` : "No step yet");
  const test = tests.at(-1);
  accuracy.setAttribute("aria-label", test ? `Test accuracy, ${(100 * test.accuracy).toFixed(1)} % after ${test.step} steps` : "No test yet");
}

// The next number from `least` on that reads well on an axis.
function roundStep(least) {
  const unit = 10 ** Math.floor(Math.log10(least));
  return unit * [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7.5, 10].find((times) => times * unit >= least * 0.999);
}

function thinned(points) {
  const size = Math.ceil(points.length / POINTS);
  if (size <= 1) return points;
  const means = [];
  for (let first = 0; first < points.length; first += size) {
    const part = points.slice(first, first + size);
    means.push([part.at(-1)[0], part.reduce((sum, [, value]) => sum + value, 0) / part.length]);
  }
  return means;
}

// Lines over steps from 0 to `end`, with a mark at the end of each epoch.
function draw(svg, { end, epoch, isEmpty }, [low, high], told, lines) {
  const x = (step) => LEFT + ((WIDTH - LEFT - RIGHT) * step) / end;
  const y = (value) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (value - low)) / (high - low);
  const parts = [];
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const value = low + share * (high - low);
    parts.push(element("line", { class: share === 0 ? "axis" : "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }));
    parts.push(text(told(value), { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }));
  }
  parts.push(text("step", { class: "unit", x: LEFT - 18, y: HEIGHT - 6, "text-anchor": "end" }));
  if (isEmpty) parts.push(text("Press Train, and a curve grows here.", { class: "none", x: (LEFT + WIDTH) / 2, y: 92, "text-anchor": "middle" }));
  else parts.push(...ticks(end, x), ...epochs(end, epoch, x));
  for (const [kind, points] of lines) {
    const finite = points.filter(([, value]) => Number.isFinite(value));
    const path = finite.map(([step, value]) => `${x(step).toFixed(1)},${y(Math.min(value, high)).toFixed(1)}`).join(" ");
    parts.push(element("polyline", { class: kind, points: path }));
    if (kind === "two") parts.push(...finite.map(([step, value]) => element("circle", { class: "mark", cx: x(step), cy: y(value), r: 4 })));
  }
  svg.replaceChildren(...parts);
}

// Numbers of steps under the axis: about four, round.
function ticks(end, x) {
  const step = Math.max(1, Math.round(roundStep(end / 4)));
  const places = [];
  for (let place = 0; place <= end; place += step) places.push(place);
  const anchor = (place) => (x(place) > WIDTH - RIGHT - 20 ? "end" : "middle");
  return places.map((place) => text(place.toLocaleString("en"), { x: x(place), y: HEIGHT - 6, "text-anchor": anchor(place) }));
}

// A line where an epoch ends, unless they are too near to each other to be told apart.
function epochs(end, epoch, x) {
  const count = Math.floor(end / epoch);
  if (!Number.isFinite(epoch) || count > 40) return [];
  const places = Array.from({ length: count }, (_, index) => x((index + 1) * epoch));
  return places.map((place) => element("line", { class: "epoch", x1: place, x2: place, y1: TOP, y2: HEIGHT - BOTTOM }));
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function text(content, attributes) {
  const made = element("text", attributes);
  made.textContent = content;
  return made;
}

// Classes beyond which a table is no picture any more.
const MOST_CLASSES = 30;

export function drawConfusion(table, confusion, classes) {
  if (classes.length > MOST_CLASSES) {
    table.replaceChildren(Object.assign(document.createElement("caption"), { textContent: `${classes.length} classes are too many for a table.` }));
    return;
  }
  const short = (name) => (name.length > 8 ? `${name.slice(0, 7)}…` : name);
  const cell = (kind, content) => Object.assign(document.createElement(kind), { textContent: content });
  const head = document.createElement("tr");
  head.append(cell("td", ""), ...classes.map((name) => Object.assign(cell("th", short(name)), { scope: "col", title: name })));
  const rows = confusion.map((row, truth) => {
    const all = Math.max(1, row.reduce((sum, count) => sum + count, 0));
    const line = document.createElement("tr");
    line.append(Object.assign(cell("th", short(classes[truth])), { scope: "row", title: classes[truth] }));
    row.forEach((count, predicted) => {
      const item = cell("td", count === 0 ? "" : count);
      const colour = truth === predicted ? "var(--first)" : "var(--second)";
      item.style.background = `color-mix(in srgb, ${colour} ${Math.round((35 * count) / all)}%, transparent)`;
      line.append(item);
    });
    return line;
  });
  table.replaceChildren(head, ...rows);
}

// Filters `[out, in, height, width]` side by side: of three input channels in colour, of others the first.
export function drawFilters(canvas, filters) {
  if (filters.length === 0) return;
  const [out, channels, height, width] = filters;
  const weights = filters.slice(4);
  const largest = Math.max(1e-6, ...weights.map(Math.abs));
  const columns = Math.min(out, 8);
  canvas.width = columns * (width + 1) - 1;
  canvas.height = Math.ceil(out / columns) * (height + 1) - 1;
  const scale = Math.max(1, Math.floor(320 / canvas.width));
  canvas.style.width = `${canvas.width * scale}px`;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const size = height * width;
  for (let filter = 0; filter < out; filter++) {
    const image = context.createImageData(width, height);
    for (let pixel = 0; pixel < size; pixel++) {
      for (let colour = 0; colour < 3; colour++) {
        const channel = channels === 3 ? colour : 0;
        image.data[4 * pixel + colour] = 127.5 * (1 + weights[(filter * channels + channel) * size + pixel] / largest);
      }
      image.data[4 * pixel + 3] = 255;
    }
    context.putImageData(image, (filter % columns) * (width + 1), Math.floor(filter / columns) * (height + 1));
  }
  canvas.setAttribute("aria-label", `${out} filters of ${height} x ${width}: dark is negative, light is positive`);
}
