import type { CriticalPath } from "../api/critical";
import type { Interval, Segments } from "../api/segments";
import type { Source } from "../api/source";
import type { Range } from "../time/range";
import { formatShare } from "../time/time";
import type { TreeNode } from "./rows";

/** The steps of a path that are one worker's, as a row's picture. */
export class WorkerSteps {
  private kept: { begin: number; end: number; nsPerPixel: number; segments: Segments } | null = null;

  constructor(
    readonly path: CriticalPath,
    /** Which steps, in time order. */
    private readonly steps: Int32Array,
  ) {}

  get length(): number {
    return this.steps.length;
  }

  /** Its first step that ends after a moment, as a place among its own. */
  private after(time: number): number {
    let low = 0;
    let high = this.steps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.path.stop[this.steps[middle] ?? 0] ?? 0) <= time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * What to draw of `[begin, end)`: steps of at least a pixel as they are, shorter ones summed up by state in columns of a
   * pixel, which are as full as the worker's part in them.
   */
  picture(begin: number, end: number, nsPerPixel: number): Segments {
    const { kept } = this;
    if (kept !== null && kept.nsPerPixel === nsPerPixel && kept.begin <= begin && kept.end >= end) return kept.segments;
    const margin = (end - begin) / 2;
    const segments = this.drawn(begin - margin, end + margin, nsPerPixel);
    this.kept = { begin: begin - margin, end: end + margin, nsPerPixel, segments };
    return segments;
  }

  private drawn(begin: number, end: number, nsPerPixel: number): Segments {
    const { path, steps } = this;
    const out = new SegmentRows(2 * steps.length);
    let column = NaN;
    let parts: { step: number; code: number; ns: number }[] = [];
    const flush = (): void => {
      for (const { step, ns } of parts) out.push(path, step, column * nsPerPixel, (column + 1) * nsPerPixel, ns, 0);
      parts = [];
    };
    const gather = (step: number, at: number, ns: number): void => {
      if (at !== column) {
        flush();
        column = at;
      }
      const { state, cause, level, confidence } = path.doingOf(step);
      const code = (state << 24) | (cause << 16) | (level << 8) | confidence;
      const part = parts.find((other) => other.code === code);
      if (part === undefined) parts.push({ step, code, ns });
      else part.ns += ns;
    };
    for (let place = this.after(begin); place < steps.length; place += 1) {
      const step = steps[place] ?? 0;
      const [from, to] = [path.start[step] ?? 0, path.stop[step] ?? 0];
      if (from >= end) break;
      if (to - from >= nsPerPixel) {
        flush();
        out.push(path, step, from, to, to - from, 1);
        continue;
      }
      const first = Math.floor(from / nsPerPixel);
      const border = (first + 1) * nsPerPixel;
      gather(step, first, Math.min(to, border) - from);
      if (to > border) gather(step, first + 1, to - border);
    }
    flush();
    return out.finish();
  }

  /** Its step at a moment; `within` nanoseconds from it if there is none just there. */
  stepAt(time: number, within = 0): number {
    const place = this.after(time);
    const step = this.steps[place];
    if (step !== undefined && (this.path.start[step] ?? Infinity) <= time) return step;
    const before = this.steps[place - 1];
    const distance = step === undefined ? Infinity : (this.path.start[step] ?? Infinity) - time;
    const behind = before === undefined ? Infinity : time - (this.path.stop[before] ?? -Infinity);
    if (Math.min(distance, behind) > within) return -1;
    return (distance < behind ? step : before) ?? -1;
  }

  /** Its step that begins next, ended last, or is there; null without one. */
  change(time: number, to: "next" | "previous" | "here"): Interval | null {
    if (to === "here") return this.interval(this.stepAt(time));
    let place = this.after(time);
    if (to === "previous") {
      // The last one that has ended by then.
      place -= 1;
    } else while ((this.path.start[this.steps[place] ?? -1] ?? Infinity) <= time) place += 1;
    return this.interval(this.steps[place] ?? -1);
  }

  private interval(step: number): Interval | null {
    return step < 0 ? null : intervalOf(this.path, step);
  }

  /** What the picture shows at a moment: a step, or the parts of a column. */
  at(time: number, nsPerPixel: number): Interval[] {
    const exact = this.stepAt(time, nsPerPixel);
    if (exact < 0) return [];
    return [intervalOf(this.path, exact)];
  }

  /** How many steps share the column of a pixel with a moment. */
  sharing(time: number, nsPerPixel: number): number {
    const from = Math.floor(time / nsPerPixel) * nsPerPixel;
    let count = 0;
    for (let place = this.after(from); place < this.steps.length; place += 1) {
      if ((this.path.start[this.steps[place] ?? -1] ?? Infinity) >= from + nsPerPixel) break;
      count += 1;
    }
    return count;
  }
}

export function intervalOf(path: CriticalPath, step: number): Interval {
  const { entity, start, end, by, state, cause, level, confidence, evidence } = path.step(step);
  return { entity, vcpu: -1, start, end, state, cause, level, confidence, evidence, by, ns: end - start, exact: true };
}

/** Columns that are filled from the left; the room is known. */
class SegmentRows {
  private length = 0;
  private readonly start: Float64Array;
  private readonly end: Float64Array;
  private readonly ns: Float64Array;
  private readonly by: Int32Array;
  private readonly codes: Uint8Array[];

  constructor(private readonly room: number) {
    this.start = new Float64Array(room);
    this.end = new Float64Array(room);
    this.ns = new Float64Array(room);
    this.by = new Int32Array(room);
    this.codes = Array.from({ length: 6 }, () => new Uint8Array(room));
  }

  push(path: CriticalPath, step: number, start: number, end: number, ns: number, exact: number): void {
    const at = this.length;
    if (at >= this.room) return;
    this.length += 1;
    const { state, cause, level, confidence, evidence } = path.doingOf(step);
    this.start[at] = start;
    this.end[at] = end;
    this.ns[at] = ns;
    this.by[at] = path.byOf(step);
    [state, cause, level, confidence, evidence, exact].forEach((code, column) => {
      const codes = this.codes[column];
      if (codes !== undefined) codes[at] = code;
    });
  }

  finish(): Segments {
    const { length } = this;
    const none = new Uint8Array(0);
    const [state = none, cause = none, level = none, confidence = none, evidence = none, exact = none] = this.codes.map(
      (codes) => codes.subarray(0, length),
    );
    return {
      length,
      start: this.start.subarray(0, length),
      end: this.end.subarray(0, length),
      ns: this.ns.subarray(0, length),
      by: this.by.subarray(0, length),
      state,
      cause,
      level,
      confidence,
      evidence,
      exact,
    };
  }
}

/** The steps of each worker of a path. */
export function stepsByWorker(path: CriticalPath): ReadonlyMap<number, WorkerSteps> {
  const places = new Map<number, { steps: Int32Array; length: number }>(
    path.workers.map(({ entity, steps }) => [entity, { steps: new Int32Array(steps), length: 0 }]),
  );
  for (let at = 0; at < path.length; at += 1) {
    const own = places.get(path.who[at] ?? -1);
    if (own === undefined) continue;
    own.steps[own.length] = at;
    own.length += 1;
  }
  return new Map([...places].map(([entity, { steps }]) => [entity, new WorkerSteps(path, steps)]));
}

/** A row per worker that takes part: the one that was asked for, then those with the largest share. */
export function pathTree(source: Source, path: CriticalPath): TreeNode[] {
  if (path.length === 0) return [];
  const asked = (entity: number): number => Number(entity !== path.entity);
  const steps = stepsByWorker(path);
  return [...path.workers]
    .sort((a, b) => asked(a.entity) - asked(b.entity))
    .map((worker) => {
      const entity = source.entities.get(worker.entity);
      return {
        id: entity?.key ?? `#${worker.entity}`,
        title: source.entities.title(worker.entity),
        kind: entity?.kind ?? "",
        entity: worker.entity,
        vcpu: -1,
        counter: -1,
        drawing: "steps",
        steps: steps.get(worker.entity),
        note: formatShare(path.share(worker.ns)),
        lanes: [],
        children: [],
        open: false,
        begin: path.begin,
        end: path.end,
        weight: worker.ns,
      };
    });
}

/** An arrow between rows of a path: who woke whom, at a pixel. */
export interface Wake {
  x: number;
  from: number;
  to: number;
}

/** Arrows between the same two rows are at least so many pixels apart. */
const ARROW_PIXELS = 5;
/** More arrows than this hide what they are about. */
const MOST_WAKES = 900;

/** The arrows to draw: those that would stand upon one another are one. `leftOut` is how many there was no room for. */
export function wakesOf(
  path: CriticalPath,
  rowOf: ReadonlyMap<number, number>,
  begin: number,
  nsPerPixel: number,
  width: number,
): { wakes: Wake[]; leftOut: number } {
  const wakes: Wake[] = [];
  const last = new Map<number, number>();
  let leftOut = 0;
  const end = begin + width * nsPerPixel;
  let at = firstStepAfter(path, begin);
  for (; at < path.length && (path.start[at] ?? Infinity) < end; at += 1) {
    const woke = path.woke[at] ?? -1;
    const time = path.stop[at] ?? 0;
    if (woke < 0 || time > end) continue;
    const from = rowOf.get(path.who[at] ?? -1);
    const to = rowOf.get(woke);
    if (from === undefined || to === undefined || from === to) continue;
    const x = (time - begin) / nsPerPixel;
    const pair = from * 65_536 + to;
    if (x - (last.get(pair) ?? -Infinity) < ARROW_PIXELS || wakes.length >= MOST_WAKES) {
      leftOut += 1;
      continue;
    }
    last.set(pair, x);
    wakes.push({ x, from, to });
  }
  return { wakes, leftOut };
}

function firstStepAfter(path: CriticalPath, time: number): number {
  let low = 0;
  let high = path.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((path.stop[middle] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The stretch of a path as moments. */
export function pathRange(source: Source, path: { begin: number; end: number }): Range {
  return { begin: source.moment(path.begin), end: source.moment(path.end) };
}
