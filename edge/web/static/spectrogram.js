// Draws columns of 64 codes from right to left: time to the right, high bands on top.
const BANDS = 64;
const COLUMN = 1; // pixels; 600 columns are 12 seconds
const QUIET = 70; // code that is still dark: -73 dB
const LOUD = 235;
// the colours of the sheet that `earsight hear --out` draws, in equal steps of lightness
const STOPS = ["12142b", "2c2a63", "5b3a86", "93468a", "c95a78", "ec825f", "f8b96a", "fdf0b8"];

export class Spectrogram {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.context.fillStyle = `#${STOPS[0]}`;
    this.context.fillRect(0, 0, canvas.width, canvas.height);
    this.colours = Array.from({ length: 256 }, (_, code) => colour((code - QUIET) / (LOUD - QUIET)));
  }

  add(codes) {
    const { canvas, context } = this;
    const columns = codes.length / BANDS;
    const thick = canvas.height / BANDS;
    context.drawImage(canvas, -columns * COLUMN, 0);
    const fresh = context.createImageData(columns * COLUMN, canvas.height);
    for (let y = 0; y < canvas.height; y += 1) {
      const band = BANDS - 1 - Math.floor(y / thick);
      for (let column = 0; column < columns; column += 1) {
        const at = 4 * (y * columns + column);
        fresh.data.set(this.colours[codes[column * BANDS + band]], at);
      }
    }
    context.putImageData(fresh, canvas.width - columns * COLUMN, 0);
  }
}

function colour(share) {
  const place = Math.min(Math.max(share, 0), 1) * (STOPS.length - 1);
  const low = Math.min(Math.floor(place), STOPS.length - 2);
  const part = (stop, index) => parseInt(STOPS[stop].slice(2 * index, 2 * index + 2), 16);
  const mixed = [0, 1, 2].map((i) => part(low, i) + (place - low) * (part(low + 1, i) - part(low, i)));
  return [...mixed.map(Math.round), 255];
}
