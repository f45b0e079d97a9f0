/**
 * All that the timeline asks of a drawing: rectangles with a colour and a pattern, lines, texts. Canvas, WebGL and SVG
 * each implement it, so what is exported is what is on screen.
 */
export interface Surface {
  /** Starts a picture of `width` by `height` CSS pixels on `background`. */
  begin(width: number, height: number, background: Rgb): void;
  /** `soft` patterns have less contrast: for columns of a pixel, where strong ones would flicker. */
  rect(
    x: number,
    y: number,
    width: number,
    height: number,
    color: Rgb,
    pattern: Pattern,
    alpha?: number,
    soft?: boolean,
  ): void;
  line(x1: number, y1: number, x2: number, y2: number, color: Rgb, width: number, dash?: readonly number[]): void;
  /** A filled polygon, as flat x, y pairs. */
  shape(points: readonly number[], color: Rgb): void;
  /** One line of text, cut to `room` pixels with an ellipsis; nothing if not even two letters fit. */
  text(x: number, baseline: number, text: string, color: Rgb, style?: TextStyle): void;
  /** The width that a text takes. */
  measure(text: string, style?: TextStyle): number;
  end(): void;
}

export interface TextStyle {
  room?: number;
  size?: number;
  bold?: boolean;
  align?: "left" | "center" | "right";
}

/** 0xRRGGBB. */
export type Rgb = number;

/** How a rectangle is filled: states are told apart without colour too. */
export enum Pattern {
  Solid = 0,
  /** Rising lines: waits. */
  Rising = 1,
  /** Falling, dense lines: pre-empted. */
  Falling = 2,
  /** Dots: unknown. */
  Dots = 3,
  /** Upright lines: a guest's hypervisor. */
  Upright = 4,
  /** Level lines: the VMM. */
  Level = 5,
  /** Crossed lines: throttled, lost. */
  Cross = 6,
}

/** Whether a pixel of a pattern is drawn strong; the tile repeats every 8 pixels in both directions. */
export function patternOn(pattern: Pattern, x: number, y: number): boolean {
  const column = ((x % 8) + 8) % 8;
  const row = ((y % 8) + 8) % 8;
  switch (pattern) {
    case Pattern.Solid:
      return true;
    case Pattern.Rising:
      return (column + row) % 8 < 3;
    case Pattern.Falling:
      return (column - row + 8) % 4 < 2;
    case Pattern.Dots:
      return column % 4 < 2 && row % 4 < 2;
    case Pattern.Upright:
      return column % 4 < 2;
    case Pattern.Level:
      return row % 4 < 2;
    case Pattern.Cross:
      return (column + row) % 8 < 2 || (column - row + 8) % 8 < 2;
  }
}

/** How much of the colour is left between a pattern's strong pixels; the rest is background. */
export const WEAK = 0.42;
export const WEAK_SOFT = 0.74;

export const FONT = 'system-ui, "Segoe UI", "DejaVu Sans", sans-serif';

export function fontOf(style: TextStyle | undefined): string {
  return `${style?.bold === true ? "600 " : ""}${style?.size ?? 11}px ${FONT}`;
}

export function css(color: Rgb, alpha = 1): string {
  const [r, g, b] = [color >> 16, (color >> 8) & 255, color & 255];
  return alpha >= 1 ? `#${color.toString(16).padStart(6, "0")}` : `rgba(${r},${g},${b},${alpha})`;
}

/** `share` of `a` over `b`. */
export function blend(a: Rgb, b: Rgb, share: number): Rgb {
  const rest = 1 - share;
  const red = Math.round((a >> 16) * share + (b >> 16) * rest);
  const green = Math.round(((a >> 8) & 255) * share + ((b >> 8) & 255) * rest);
  const blue = Math.round((a & 255) * share + (b & 255) * rest);
  return (red << 16) | (green << 8) | blue;
}

/** Relative luminance as in WCAG 2. */
export function luminance(color: Rgb): number {
  const linear = (shift: number): number => {
    const value = ((color >> shift) & 255) / 255;
    return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(16) + 0.7152 * linear(8) + 0.0722 * linear(0);
}

/** Black or white, whichever reads better on `color`. */
export function inkOn(color: Rgb): Rgb {
  return luminance(color) > 0.3 ? 0x000000 : 0xffffff;
}

/** The longest beginning of `text` that fits, with an ellipsis; `measure` is asked a few times only. */
export function fit(text: string, room: number, measure: (text: string) => number): string {
  if (measure(text) <= room) return text;
  let low = 0;
  let high = Math.min(text.length, Math.ceil(room / 3));
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (measure(text.slice(0, middle) + "…") <= room) low = middle;
    else high = middle - 1;
  }
  return low < 2 ? "" : text.slice(0, low) + "…";
}
