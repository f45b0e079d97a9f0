import type { Table } from "@uwdata/flechette";
import { distances, lengths, numbers } from "./client";

/**
 * What was counted of one thing, in time order: single values, or sums of buckets. Times are nanoseconds from the
 * source's begin.
 */
export interface Curve {
  entity: number;
  counter: number;
  /** The length of a bucket; 0 for single values. */
  bucketNs: number;
  length: number;
  start: Float64Array;
  /** How many values: 0 or 1 for single ones. */
  values: Float64Array;
  sum: Float64Array;
  /** -1 without any value, as in `greatest`. */
  least: Float64Array;
  greatest: Float64Array;
  /** -1: not known from then on. */
  last: Float64Array;
}

export function curvesOf(table: Table, origin: bigint, bucketNs: number): Curve[] {
  const [entity, counter] = [numbers(table, "entity"), numbers(table, "counter")];
  const start = distances(table, "start_ns", origin);
  const columns = ["values", "sum", "least", "greatest", "last"].map((name) => lengths(table, name));
  const out: Curve[] = [];
  for (let from = 0; from < start.length;) {
    let to = from + 1;
    while (to < start.length && entity[to] === entity[from] && counter[to] === counter[from]) to += 1;
    const part = (column: Float64Array | undefined): Float64Array =>
      column?.subarray(from, to) ?? new Float64Array(to - from);
    out.push({
      entity: entity[from] ?? 0,
      counter: counter[from] ?? 0,
      bucketNs,
      length: to - from,
      start: part(start),
      values: part(columns[0]),
      sum: part(columns[1]),
      least: part(columns[2]),
      greatest: part(columns[3]),
      last: part(columns[4]),
    });
    from = to;
  }
  return out;
}
