/** A half-open stretch of time, and how zooming and panning change it: exact to the nanosecond. */
export interface Range {
  readonly begin: bigint;
  readonly end: bigint;
}

/** The shortest stretch that is worth a screen. */
export const SHORTEST = 20n;

export function span(range: Range): bigint {
  return range.end - range.begin;
}

export function sameRange(a: Range, b: Range): boolean {
  return a.begin === b.begin && a.end === b.end;
}

/** Multiplies by a fraction without leaving integers for long spans. */
function scale(value: bigint, factor: number): bigint {
  if (value < 1n << 52n) return BigInt(Math.round(Number(value) * factor));
  return (value * BigInt(Math.round(factor * 1e6))) / 1_000_000n;
}

/** Keeps a range inside `bounds`, moving it before shortening it. */
export function clamp(range: Range, bounds: Range): Range {
  let length = span(range);
  const most = span(bounds);
  if (length < SHORTEST) length = SHORTEST;
  if (length >= most) return bounds;
  let begin = range.begin;
  if (begin < bounds.begin) begin = bounds.begin;
  if (begin + length > bounds.end) begin = bounds.end - length;
  return { begin, end: begin + length };
}

/** Zooms by `factor` (below 1: closer) so that the moment at `fraction` of the width stays where it is. */
export function zoom(range: Range, factor: number, fraction: number, bounds: Range): Range {
  const length = span(range);
  let next = scale(length, factor);
  if (next === length) next += factor > 1 ? 1n : factor < 1 ? -1n : 0n;
  if (next < SHORTEST) next = SHORTEST;
  const pivot = range.begin + scale(length, fraction);
  const begin = pivot - scale(next, fraction);
  return clamp({ begin, end: begin + next }, bounds);
}

/** Moves by a fraction of the width. */
export function pan(range: Range, fraction: number, bounds: Range): Range {
  const by = scale(span(range), fraction);
  return clamp({ begin: range.begin + by, end: range.end + by }, bounds);
}

/** Moves so that `time` is visible, keeping the length; unchanged if it already is. */
export function reveal(range: Range, time: bigint, bounds: Range): Range {
  if (time >= range.begin && time < range.end) return range;
  const length = span(range);
  const begin = time - length / 2n;
  return clamp({ begin, end: begin + length }, bounds);
}

/** A range around `inner` with a margin on both sides. */
export function around(inner: Range, bounds: Range, margin = 0.25): Range {
  let length = span(inner);
  if (length < 1n) length = 1n;
  let side = scale(length, margin);
  if (length + 2n * side < SHORTEST) side = SHORTEST;
  return clamp({ begin: inner.begin - side, end: inner.end + side }, bounds);
}

/** The two moments in order. */
export function ordered(a: bigint, b: bigint): Range {
  return a <= b ? { begin: a, end: b } : { begin: b, end: a };
}

/** The moment at a pixel. */
export function timeAt(range: Range, x: number, width: number): bigint {
  if (width <= 0) return range.begin;
  return range.begin + scale(span(range), Math.min(1, Math.max(0, x / width)));
}

/** The pixel of a moment, as a float; far outside values are cut so that canvases can take them. */
export function pixelOf(range: Range, time: bigint, width: number): number {
  const x = (Number(time - range.begin) / Number(span(range))) * width;
  return Math.max(-1e6, Math.min(1e6, x));
}
