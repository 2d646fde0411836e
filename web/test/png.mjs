// Writes PNG files, of 8 bits a channel, or of one bit and all black where there is no pixel function.
import { deflateSync } from "node:zlib";

const KINDS = { 1: 0, 3: 2, 4: 6 };

// The bytes of an image whose channel `c` at (x, y) is `pixel(x, y, c)`.
export function png(width, height, channels, pixel) {
  const row = pixel ? 1 + width * channels : 1 + Math.ceil(width / 8);
  const rows = Buffer.alloc(row * height);
  for (let y = 0; pixel && y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) rows[y * row + 1 + x * channels + c] = pixel(x, y, c);
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([pixel ? 8 : 1, KINDS[channels], 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", head), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

function chunk(kind, content) {
  const [length, body, sum] = [Buffer.alloc(4), Buffer.concat([Buffer.from(kind), content]), Buffer.alloc(4)];
  length.writeUInt32BE(content.length);
  sum.writeUInt32BE(crc(body));
  return Buffer.concat([length, body, sum]);
}

// CRC-32, bit by bit: images of tests are small.
function crc(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}
