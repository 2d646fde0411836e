// The field that digits are drawn on, as the images of MNIST are made: 28 x 28, the digit 20 pixels high at most, its centre of
// mass in the middle.
const SIDE = 28;
const DIGIT = 20;

export class Pad {
  constructor(canvas, drawn) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.drawn = drawn;
    this.isLocked = false;
    this.isFresh = true;
    this.clear();
    canvas.onpointerdown = (event) => {
      if (this.isLocked || event.button > 0) return;
      // A test image is not drawn over.
      if (!this.isFresh) this.clear();
      canvas.setPointerCapture(event.pointerId);
      this.last = this.place(event);
      this.line(this.last);
    };
    canvas.onpointermove = (event) => {
      if (!this.last) return;
      const place = this.place(event);
      this.line(place);
      this.last = place;
    };
    canvas.onpointerup = canvas.onpointercancel = () => (this.last = undefined);
  }

  clear() {
    this.last = undefined;
    this.isFresh = true;
    this.canvas.width = this.canvas.height = 280;
    this.context.fillStyle = "black";
    this.context.fillRect(0, 0, 280, 280);
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * 280) / box.width, ((event.clientY - box.top) * 280) / box.height];
  }

  line([x, y]) {
    const { context } = this;
    Object.assign(context, { strokeStyle: "white", lineWidth: 20, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    context.moveTo(...this.last);
    context.lineTo(x, y);
    context.stroke();
    this.drawn(this.pixels());
  }

  // What the network sees of the drawing.
  pixels() {
    const { data } = this.context.getImageData(0, 0, 280, 280);
    const ink = (x, y) => data[4 * (280 * y + x)];
    let [left, right, top, bottom] = [280, -1, 280, -1];
    let [mass, across, down] = [0, 0, 0];
    for (let y = 0; y < 280; y++) {
      for (let x = 0; x < 280; x++) {
        const weight = ink(x, y);
        if (weight === 0) continue;
        [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
        [mass, across, down] = [mass + weight, across + weight * x, down + weight * y];
      }
    }
    const scale = DIGIT / Math.max(1, right - left + 1, bottom - top + 1);
    const small = new OffscreenCanvas(SIDE, SIDE);
    const context = small.getContext("2d");
    context.fillRect(0, 0, SIDE, SIDE);
    Object.assign(context, { imageSmoothingEnabled: true, imageSmoothingQuality: "high" });
    if (mass > 0) {
      context.translate(SIDE / 2 - (scale * across) / mass, SIDE / 2 - (scale * down) / mass);
      context.scale(scale, scale);
      context.drawImage(this.canvas, 0, 0);
    }
    const pixels = context.getImageData(0, 0, SIDE, SIDE).data;
    return Uint8Array.from({ length: SIDE * SIDE }, (_, index) => pixels[4 * index]);
  }

  // Shows an image `[channels, height, width]`.
  show(pixels, [channels, height, width]) {
    this.isFresh = false;
    this.canvas.width = width;
    this.canvas.height = height;
    const image = this.context.createImageData(width, height);
    const size = height * width;
    for (let pixel = 0; pixel < size; pixel++) {
      for (let colour = 0; colour < 3; colour++) {
        image.data[4 * pixel + colour] = pixels[(channels === 3 ? colour : 0) * size + pixel];
      }
      image.data[4 * pixel + 3] = 255;
    }
    this.context.putImageData(image, 0, 0);
  }
}
