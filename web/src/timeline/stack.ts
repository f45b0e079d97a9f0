import type { Segments } from "../api/segments";

/**
 * Shares heights among the parts of a bucket: whole pixels that sum to `height`, none zero while there is room, so that
 * a state of a few nanoseconds still shows as a tick.
 */
export function shareHeights(parts: readonly number[], whole: number, height: number): number[] {
  const total = parts.reduce((sum, part) => sum + part, 0);
  const filled =
    whole > 0 ? Math.min(height, Math.max(1, Math.round((Math.min(total, whole) / whole) * height))) : height;
  const room = Math.max(filled, Math.min(height, parts.length));
  const heights = parts.map((part) => (part <= 0 || total <= 0 ? 0 : Math.max(1, Math.floor((part / total) * room))));
  let rest = room - heights.reduce((sum, part) => sum + part, 0);
  const bySize = parts.map((_, index) => index).sort((a, b) => (parts[b] ?? 0) - (parts[a] ?? 0));
  for (let turn = 0; rest !== 0 && turn < room * 2 && bySize.length > 0; turn += 1) {
    const index = bySize[rest > 0 ? turn % bySize.length : 0] ?? 0;
    const current = heights[index] ?? 0;
    if (rest > 0 && current > 0) {
      heights[index] = current + 1;
      rest -= 1;
    } else if (rest < 0) {
      const largest = heights.indexOf(Math.max(...heights));
      if ((heights[largest] ?? 0) <= 1) break;
      heights[largest] = (heights[largest] ?? 1) - 1;
      rest += 1;
    }
  }
  return heights;
}

/** Receives what is to be drawn, left to right. Pixels from the viewport's left edge. */
export interface BarSink {
  /** One state over its whole width; `row` is its row in the segments. */
  bar(x: number, width: number, row: number): void;
  /** Several states in one column: rows with their time, and the time of the whole column. */
  column(x: number, width: number, rows: readonly number[], times: readonly number[], whole: number): void;
}

/**
 * Turns segments into bars and columns. Intervals of at least a pixel are bars; shorter ones are gathered into the
 * columns of their pixels, like the server's buckets, so that none is lost however far out one is.
 */
export function layBars(
  segments: Segments,
  begin: number,
  nsPerPixel: number,
  width: number,
  codeOf: (row: number) => number,
  sink: BarSink,
): void {
  const { start, end, ns, exact } = segments;
  const first = firstVisible(segments, begin);
  const stop = begin + width * nsPerPixel;
  let pixel = -1;
  let rows: number[] = [];
  let times: number[] = [];
  let covered = 0;

  const flush = (): void => {
    if (rows.length === 0) return;
    const whole = Math.max(covered, Math.min(nsPerPixel, covered * 1.0001));
    if (rows.length === 1) sink.bar(pixel, 1, rows[0] ?? 0);
    else sink.column(pixel, 1, rows, times, whole);
    rows = [];
    times = [];
    covered = 0;
  };
  const gather = (row: number, time: number): void => {
    const code = codeOf(row);
    const at = rows.findIndex((other) => codeOf(other) === code);
    if (at >= 0) times[at] = (times[at] ?? 0) + time;
    else {
      rows.push(row);
      times.push(time);
    }
    covered += time;
  };

  for (let row = first; row < segments.length;) {
    const from = start[row] ?? 0;
    const to = end[row] ?? 0;
    if (from >= stop) break;
    let next = row + 1;
    if (exact[row] !== 1)
      while (next < segments.length && exact[next] !== 1 && start[next] === from && end[next] === to) next += 1;
    const left = (from - begin) / nsPerPixel;
    const right = (to - begin) / nsPerPixel;
    if (right - left >= 0.999) {
      flush();
      if (next - row === 1 && (exact[row] === 1 || (ns[row] ?? 0) >= (to - from) * 0.999))
        sink.bar(left, right - left, row);
      else {
        const some = Array.from({ length: next - row }, (_, index) => row + index);
        sink.column(
          left,
          right - left,
          some,
          some.map((index) => ns[index] ?? 0),
          to - from,
        );
      }
    } else {
      const at = Math.floor(Math.max(0, left));
      if (at !== pixel) {
        flush();
        pixel = at;
      }
      for (let part = row; part < next; part += 1) gather(part, exact[part] === 1 ? to - from : (ns[part] ?? 0));
    }
    row = next;
  }
  flush();
}

function firstVisible(segments: Segments, begin: number): number {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((segments.end[middle] ?? 0) <= begin) low = middle + 1;
    else high = middle;
  }
  return low;
}
