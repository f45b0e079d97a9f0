import type { Curve } from "../api/curves";
import type { CounterKind } from "./counters";

/** What a curve is over one column of the picture; `high` is drawn down to the floor, `low` to `high` strongly. */
export interface CurveColumn {
  /** From and to, in nanoseconds from the source's begin. */
  begin: number;
  end: number;
  low: number;
  high: number;
  /** The mean of values, or of a level over the column's time. */
  mean: number;
  /** How many values lie in it. */
  values: number;
}

export interface CurveView {
  begin: number;
  end: number;
  nsPerPixel: number;
  /** The source's begin since the epoch, to which columns are aligned so that they stay where they are while panning. */
  origin: bigint;
}

/** Columns of bars have about this many pixels. */
const BAR_PIXELS = 3;

/** The length of columns: a power of two of nanoseconds, as buckets have. */
export function columnNs(kind: CounterKind, nsPerPixel: number, bucketNs: number): number {
  const least = kind === "level" ? nsPerPixel : nsPerPixel * BAR_PIXELS;
  return Math.max(bucketNs, 2 ** Math.ceil(Math.log2(Math.max(1, least))));
}

/** The columns of a curve that have something to show, in time order. A level is nowhere where it is not known. */
export function columnsOf(curve: Curve, kind: CounterKind, view: CurveView): CurveColumn[] {
  const width = columnNs(kind, view.nsPerPixel, curve.bucketNs);
  const phase = Number(view.origin % BigInt(width));
  const floor = (time: number): number => Math.floor((time + phase) / width) * width - phase;
  return kind === "level" ? levels(curve, view, width, floor) : bars(curve, kind, view, width, floor);
}

/** What a level is, and for how long in each column. */
function levels(curve: Curve, view: CurveView, width: number, floor: (time: number) => number): CurveColumn[] {
  const out: CurveColumn[] = [];
  let column: CurveColumn | null = null;
  let known = 0;
  let area = 0;
  const close = (): void => {
    if (column === null) return;
    column.mean = known > 0 ? area / known : column.high;
    out.push(column);
    column = null;
  };
  const at = (begin: number): CurveColumn => {
    if (column?.begin === begin) return column;
    close();
    known = 0;
    area = 0;
    column = { begin, end: begin + width, low: Infinity, high: -Infinity, mean: 0, values: 0 };
    return column;
  };
  const hold = (from: number, to: number, value: number): void => {
    if (value < 0 || to <= from) return;
    const [first, last] = [floor(from), floor(to)];
    let time = from;
    if (first < last && (time > first || column?.begin === first)) {
      part(first, first + width - time, value);
      time = first + width;
    }
    if (time < last) {
      close();
      // One piece for all columns on end that have nothing but this.
      out.push({ begin: time, end: last, low: value, high: value, mean: value, values: 0 });
      time = last;
    }
    if (to > time) part(last, to - time, value);
  };
  const part = (begin: number, ns: number, value: number): void => {
    const own = at(begin);
    own.low = Math.min(own.low, value);
    own.high = Math.max(own.high, value);
    known += ns;
    area += ns * value;
  };
  let held = -1;
  let since = view.begin;
  for (let row = 0; row < curve.length; row += 1) {
    const start = curve.start[row] ?? 0;
    if (start >= view.end) break;
    const last = curve.last[row] ?? -1;
    if (start < view.begin && start + curve.bucketNs <= view.begin) {
      held = last;
      continue;
    }
    hold(since, start, held);
    const values = curve.values[row] ?? 0;
    if (values > 0) {
      const own = at(floor(start));
      own.low = Math.min(own.low, curve.least[row] ?? 0);
      own.high = Math.max(own.high, curve.greatest[row] ?? 0);
      own.values += values;
    }
    held = last;
    since = Math.max(since, start);
  }
  hold(since, view.end, held);
  close();
  return out.filter((one) => one.high >= 0);
}

function bars(
  curve: Curve,
  kind: CounterKind,
  view: CurveView,
  width: number,
  floor: (time: number) => number,
): CurveColumn[] {
  const out: CurveColumn[] = [];
  let sum = 0;
  const finish = (): void => {
    const last = out.at(-1);
    if (last === undefined) return;
    last.mean = last.values > 0 ? sum / last.values : 0;
    if (kind === "rate") {
      last.high = (sum / width) * 1e9;
      last.low = last.high;
      last.mean = last.high;
    }
  };
  const from = floor(view.begin);
  for (let row = 0; row < curve.length; row += 1) {
    const start = curve.start[row] ?? 0;
    const values = curve.values[row] ?? 0;
    if (start < from || values === 0) continue;
    if (start >= view.end) break;
    const begin = floor(start);
    let last = out.at(-1);
    if (last === undefined || last.begin !== begin) {
      finish();
      sum = 0;
      last = { begin, end: begin + width, low: Infinity, high: 0, mean: 0, values: 0 };
      out.push(last);
    }
    last.values += values;
    last.low = Math.min(last.low, curve.least[row] ?? 0);
    last.high = Math.max(last.high, curve.greatest[row] ?? 0);
    sum += curve.sum[row] ?? 0;
  }
  finish();
  return out;
}

/** The greatest of what is visible: the top of the row. */
export function scaleOf(columns: readonly CurveColumn[]): number {
  return columns.reduce((most, column) => Math.max(most, column.high), 0);
}

/** The column at a moment. */
export function columnAt(columns: readonly CurveColumn[], time: number): CurveColumn | undefined {
  let low = 0;
  let high = columns.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((columns[middle]?.end ?? 0) <= time) low = middle + 1;
    else high = middle;
  }
  const column = columns[low];
  return column !== undefined && column.begin <= time ? column : undefined;
}
