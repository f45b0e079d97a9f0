import {
  blend,
  css,
  fit,
  fontOf,
  Pattern,
  patternOn,
  WEAK,
  WEAK_SOFT,
  type Rgb,
  type Surface,
  type TextStyle,
} from "./surface";

/** Each pattern's tile, 8 by 8, 1 where it is strong. */
const TILES: readonly Uint8Array[] = [
  Pattern.Solid,
  Pattern.Rising,
  Pattern.Falling,
  Pattern.Dots,
  Pattern.Upright,
  Pattern.Level,
  Pattern.Cross,
].map((pattern) => Uint8Array.from({ length: 64 }, (_, at) => Number(patternOn(pattern, at & 7, at >> 3))));

/** A colour as the bytes red, green, blue, opaque of a little-endian word. */
function word(color: Rgb): number {
  return (0xff000000 | ((color & 255) << 16) | (color & 0xff00) | (color >> 16)) >>> 0;
}

/**
 * Draws without a graphics processor: rectangles straight into the picture's pixels, which is many times quicker than
 * asking the 2D context for thousands of hatched columns; lines and texts with the context, above them.
 */
export class Canvas2dSurface implements Surface {
  private readonly context: CanvasRenderingContext2D;
  private image: ImageData | null = null;
  private pixels = new Uint32Array(0);
  private columns = 0;
  private rows = 0;
  private background: Rgb = 0;
  private readonly above: (() => void)[] = [];

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly ratio: number,
    /** Only lines and texts, for a canvas above another. */
    private readonly transparent = false,
  ) {
    const context = canvas.getContext("2d");
    if (context === null) throw new Error("this browser has no 2D canvas");
    this.context = context;
  }

  begin(width: number, height: number, background: Rgb): void {
    const [columns, rows] = [Math.max(1, Math.round(width * this.ratio)), Math.max(1, Math.round(height * this.ratio))];
    if (this.canvas.width !== columns || this.canvas.height !== rows) {
      this.canvas.width = columns;
      this.canvas.height = rows;
      this.image = null;
    }
    this.columns = columns;
    this.rows = rows;
    this.background = background;
    this.above.length = 0;
    if (this.transparent) return;
    if (this.image === null) {
      this.image = this.context.createImageData(columns, rows);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    this.pixels.fill(word(background));
  }

  rect(
    x: number,
    y: number,
    width: number,
    height: number,
    color: Rgb,
    pattern: Pattern,
    alpha = 1,
    soft = false,
  ): void {
    const { ratio, columns, pixels } = this;
    // On whole pixels of the screen, else there are seams between neighbours.
    const left = Math.max(0, Math.round(x * ratio));
    const right = Math.min(columns, Math.max(Math.round(x * ratio) + 1, Math.round((x + width) * ratio)));
    const top = Math.max(0, Math.round(y * ratio));
    const bottom = Math.min(this.rows, Math.round((y + height) * ratio));
    if (right <= left) return;
    if (alpha < 1) {
      this.wash(left, right, top, bottom, color, alpha);
      return;
    }
    const strong = word(color);
    if (pattern === Pattern.Solid) {
      for (let row = top; row < bottom; row += 1) {
        const line = row * columns;
        if (right - left > 12) pixels.fill(strong, line + left, line + right);
        else for (let at = line + left; at < line + right; at += 1) pixels[at] = strong;
      }
      return;
    }
    const weak = word(blend(color, this.background, soft ? WEAK_SOFT : WEAK));
    const tile = TILES[pattern] ?? TILES[0];
    if (tile === undefined) return;
    for (let row = top; row < bottom; row += 1) {
      const line = row * columns;
      const tileLine = (Math.floor(row / ratio) & 7) << 3;
      for (let column = left; column < right; column += 1)
        pixels[line + column] = tile[tileLine + (Math.floor(column / ratio) & 7)] === 1 ? strong : weak;
    }
  }

  /** Lays a thin colour over what is there. */
  private wash(left: number, right: number, top: number, bottom: number, color: Rgb, alpha: number): void {
    const add = [color >> 16, (color >> 8) & 255, color & 255].map((channel) => channel * alpha);
    const [red = 0, green = 0, blue = 0] = add;
    const keep = 1 - alpha;
    for (let row = top; row < bottom; row += 1) {
      for (let at = row * this.columns + left; at < row * this.columns + right; at += 1) {
        const old = this.pixels[at] ?? 0;
        const mixed =
          ((old & 255) * keep + red) |
          ((((old >> 8) & 255) * keep + green) << 8) |
          ((((old >> 16) & 255) * keep + blue) << 16);
        this.pixels[at] = (0xff000000 | mixed) >>> 0;
      }
    }
  }

  line(x1: number, y1: number, x2: number, y2: number, color: Rgb, width: number, dash: readonly number[] = []): void {
    this.above.push(() => {
      const { context } = this;
      context.strokeStyle = css(color);
      context.lineWidth = width;
      context.setLineDash(dash as number[]);
      context.beginPath();
      context.moveTo(x1, y1);
      context.lineTo(x2, y2);
      context.stroke();
      context.setLineDash([]);
    });
  }

  shape(points: readonly number[], color: Rgb): void {
    this.above.push(() => {
      const { context } = this;
      context.fillStyle = css(color);
      context.beginPath();
      for (let at = 0; at + 1 < points.length; at += 2) context.lineTo(points[at] ?? 0, points[at + 1] ?? 0);
      context.closePath();
      context.fill();
    });
  }

  text(x: number, baseline: number, text: string, color: Rgb, style?: TextStyle): void {
    this.above.push(() => {
      const { context } = this;
      context.font = fontOf(style);
      const shown = style?.room === undefined ? text : fit(text, style.room, (part) => context.measureText(part).width);
      if (shown === "") return;
      context.fillStyle = css(color);
      context.textAlign = style?.align ?? "left";
      context.fillText(shown, x, baseline);
    });
  }

  measure(text: string, style?: TextStyle): number {
    this.context.font = fontOf(style);
    return this.context.measureText(text).width;
  }

  end(): void {
    const { context } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    if (this.transparent) context.clearRect(0, 0, this.columns, this.rows);
    else if (this.image !== null) context.putImageData(this.image, 0, 0);
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    for (const draw of this.above) draw();
    this.above.length = 0;
  }
}
