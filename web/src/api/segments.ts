import type { Table } from "@uwdata/flechette";
import { distances, lengths, numbers } from "./client";

/**
 * Intervals, or parts of buckets, of one lane as columns. Times are nanoseconds from the source's begin.
 * Rows with the same start and end that are not exact are the parts of one bucket.
 */
export interface Segments {
  readonly length: number;
  readonly start: Float64Array;
  readonly end: Float64Array;
  readonly state: Uint8Array;
  readonly cause: Uint8Array;
  readonly level: Uint8Array;
  readonly confidence: Uint8Array;
  readonly evidence: Uint8Array;
  readonly by: Int32Array;
  readonly ns: Float64Array;
  readonly exact: Uint8Array;
}

/** One row of a lane. */
export interface Interval {
  entity: number;
  vcpu: number;
  start: number;
  end: number;
  state: number;
  cause: number;
  level: number;
  confidence: number;
  evidence: number;
  by: number;
  ns: number;
  exact: boolean;
}

export interface LaneSegments {
  entity: number;
  vcpu: number;
  segments: Segments;
}

/** Grows row by row, for what is put together in the page. */
export class SegmentsBuilder {
  private readonly rows: Omit<Interval, "entity" | "vcpu">[] = [];

  push(row: Omit<Interval, "entity" | "vcpu">): void {
    this.rows.push(row);
  }

  get last(): Omit<Interval, "entity" | "vcpu"> | undefined {
    return this.rows.at(-1);
  }

  finish(): Segments {
    const { rows } = this;
    const { length } = rows;
    const out = {
      length,
      start: new Float64Array(length),
      end: new Float64Array(length),
      state: new Uint8Array(length),
      cause: new Uint8Array(length),
      level: new Uint8Array(length),
      confidence: new Uint8Array(length),
      evidence: new Uint8Array(length),
      by: new Int32Array(length),
      ns: new Float64Array(length),
      exact: new Uint8Array(length),
    };
    rows.forEach((row, at) => {
      out.start[at] = row.start;
      out.end[at] = row.end;
      out.state[at] = row.state;
      out.cause[at] = row.cause;
      out.level[at] = row.level;
      out.confidence[at] = row.confidence;
      out.evidence[at] = row.evidence;
      out.by[at] = row.by;
      out.ns[at] = row.ns;
      out.exact[at] = Number(row.exact);
    });
    return out;
  }
}

/** Splits a reply with viewport's columns into lanes; the server sorts by entity, vcpu and start. */
export function lanesOf(table: Table, origin: bigint): LaneSegments[] {
  const rows = table.numRows;
  if (rows === 0) return [];
  const entity = numbers(table, "entity");
  const vcpu = numbers(table, "vcpu");
  const all = {
    start: distances(table, "start_ns", origin),
    end: distances(table, "end_ns", origin),
    ns: lengths(table, "ns"),
    state: Uint8Array.from(numbers(table, "state")),
    cause: Uint8Array.from(numbers(table, "cause")),
    level: Uint8Array.from(numbers(table, "level")),
    confidence: Uint8Array.from(numbers(table, "confidence")),
    evidence: Uint8Array.from(numbers(table, "evidence")),
    by: Int32Array.from(numbers(table, "by")),
    exact: Uint8Array.from(table.getChild("exact").toArray() as ArrayLike<boolean>, Number),
  };
  const lanes: LaneSegments[] = [];
  let from = 0;
  for (let row = 1; row <= rows; row += 1) {
    if (row < rows && entity[row] === entity[from] && vcpu[row] === vcpu[from]) continue;
    lanes.push({
      entity: entity[from] ?? 0,
      vcpu: vcpu[from] ?? -1,
      segments: {
        length: row - from,
        start: all.start.subarray(from, row),
        end: all.end.subarray(from, row),
        state: all.state.subarray(from, row),
        cause: all.cause.subarray(from, row),
        level: all.level.subarray(from, row),
        confidence: all.confidence.subarray(from, row),
        evidence: all.evidence.subarray(from, row),
        by: all.by.subarray(from, row),
        ns: all.ns.subarray(from, row),
        exact: all.exact.subarray(from, row),
      },
    });
    from = row;
  }
  return lanes;
}

export function intervalAt(lane: LaneSegments, row: number): Interval {
  const s = lane.segments;
  return {
    entity: lane.entity,
    vcpu: lane.vcpu,
    start: s.start[row] ?? 0,
    end: s.end[row] ?? 0,
    state: s.state[row] ?? 0,
    cause: s.cause[row] ?? 0,
    level: s.level[row] ?? 0,
    confidence: s.confidence[row] ?? 0,
    evidence: s.evidence[row] ?? 0,
    by: s.by[row] ?? -1,
    ns: s.ns[row] ?? 0,
    exact: s.exact[row] === 1,
  };
}

/** The first row that ends after `time` (rows are sorted and do not overlap but for the parts of a bucket). */
export function firstEndingAfter(segments: Segments, time: number): number {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((segments.end[middle] ?? 0) <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The rows `[from, to)` at a moment: one interval, or all parts of a bucket; empty if there is none. */
export function rowsAt(segments: Segments, time: number): [number, number] {
  const from = firstEndingAfter(segments, time);
  const start = segments.start[from];
  if (start === undefined || start > time) return [from, from];
  let to = from + 1;
  while (to < segments.length && segments.start[to] === start && segments.end[to] === segments.end[from]) to += 1;
  return [from, to];
}
