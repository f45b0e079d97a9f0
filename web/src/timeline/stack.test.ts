import { describe, expect, it } from "vitest";
import { SegmentsBuilder, type Segments } from "../api/segments";
import { mergeLanes, summarise } from "./merge";
import { layBars, shareHeights } from "./stack";

type Part = [start: number, end: number, state: number, ns?: number];

/** Exact intervals; with a fourth number, parts of buckets. */
function segments(...parts: Part[]): Segments {
  const builder = new SegmentsBuilder();
  for (const [start, end, state, ns] of parts)
    builder.push({
      start,
      end,
      state,
      cause: 0,
      level: 0,
      confidence: 0,
      evidence: 0,
      by: -1,
      ns: ns ?? end - start,
      exact: ns === undefined,
    });
  return builder.finish();
}

describe("shareHeights", () => {
  it("shows every part, however short, and fills the height", () => {
    expect(shareHeights([999_999, 1], 1_000_000, 18)).toEqual([17, 1]);
    expect(shareHeights([1, 999_998, 1], 1_000_000, 18)).toEqual([1, 16, 1]);
    expect(shareHeights([50, 50], 100, 18)).toEqual([9, 9]);
  });

  it("leaves room where the parts do not fill the bucket", () => {
    expect(shareHeights([25, 25], 100, 20)).toEqual([5, 5]);
    expect(shareHeights([1], 1_000, 18)).toEqual([1]);
  });

  it("keeps its sum for any number of parts", () => {
    for (let count = 1; count <= 18; count += 1) {
      const heights = shareHeights(
        Array.from({ length: count }, (_, index) => 1 + index * index),
        1,
        18,
      );
      expect(heights.reduce((sum, height) => sum + height, 0)).toBe(18);
      expect(Math.min(...heights)).toBeGreaterThanOrEqual(1);
    }
  });
});

function lay(of: Segments, begin: number, nsPerPixel: number, width: number) {
  const bars: { x: number; width: number; row: number }[] = [];
  const columns: { x: number; rows: number[]; times: number[] }[] = [];
  layBars(of, begin, nsPerPixel, width, (row) => of.state[row] ?? 0, {
    bar: (x, barWidth, row) => bars.push({ x, width: barWidth, row }),
    column: (x, _, rows, times) => columns.push({ x, rows: [...rows], times: [...times] }),
  });
  return { bars, columns };
}

describe("layBars", () => {
  it("draws wide intervals as bars where they are", () => {
    expect(lay(segments([0, 100, 1], [100, 300, 2]), 0, 1, 1000).bars).toEqual([
      { x: 0, width: 100, row: 0 },
      { x: 100, width: 200, row: 1 },
    ]);
  });

  it("gathers what is shorter than a pixel into columns and loses none of it", () => {
    const many: Part[] = Array.from({ length: 100 }, (_, index) => [
      index * 10,
      index * 10 + 10,
      index % 5 === 0 ? 2 : 1,
    ]);
    const { bars, columns } = lay(segments(...many), 0, 100, 10);
    expect(bars).toEqual([]);
    expect(columns).toHaveLength(10);
    for (const column of columns) expect(column.times).toEqual([20, 80]);
  });

  it("draws buckets of several states as columns and of one as bars", () => {
    const { bars, columns } = lay(segments([0, 10, 1, 9], [0, 10, 2, 1], [10, 50, 1, 40]), 0, 10, 100);
    expect(columns).toEqual([{ x: 0, rows: [0, 1], times: [9, 1] }]);
    expect(bars).toEqual([{ x: 1, width: 4, row: 2 }]);
  });

  it("shows an interval of a nanosecond among long ones", () => {
    const { bars } = lay(segments([0, 5_000, 1], [5_000, 5_001, 2], [5_001, 9_000, 1]), 0, 10, 1000);
    expect(bars.map((bar) => bar.row)).toEqual([0, 1, 2]);
    expect(bars[1]?.width).toBe(1);
  });

  it("leaves out what is not in view", () => {
    expect(lay(segments([0, 100, 1], [100, 200, 2], [200, 300, 3]), 120, 1, 50).bars.map((bar) => bar.row)).toEqual([
      1,
    ]);
  });
});

describe("mergeLanes", () => {
  const rank = (state: number): number => state;

  it("shows the most active of the lanes at each moment", () => {
    const merged = mergeLanes(
      [segments([0, 50, 1], [50, 100, 9]), segments([0, 60, 9], [60, 80, 2], [80, 100, 9])],
      rank,
    );
    expect(
      Array.from({ length: merged.length }, (_, row) => [merged.start[row], merged.end[row], merged.state[row]]),
    ).toEqual([
      [0, 50, 1],
      [50, 60, 9],
      [60, 80, 2],
      [80, 100, 9],
    ]);
  });

  it("adds up the parts of buckets, the active ones first, and never more than a bucket", () => {
    const merged = mergeLanes([segments([0, 10, 1, 4], [0, 10, 9, 6]), segments([0, 10, 1, 3], [0, 10, 9, 7])], rank);
    const sums = new Map<number, number>();
    for (let row = 0; row < merged.length; row += 1)
      sums.set(merged.state[row] ?? 0, (sums.get(merged.state[row] ?? 0) ?? 0) + (merged.ns[row] ?? 0));
    expect(sums.get(1)).toBeCloseTo(7);
    expect(sums.get(9)).toBeCloseTo(3);
  });

  it("leaves a single lane as it is", () => {
    const only = segments([0, 1, 1]);
    expect(mergeLanes([only], rank)).toBe(only);
  });
});

describe("summarise", () => {
  it("averages lanes into columns that keep the time", () => {
    const sum = summarise([segments([0, 100, 1]), segments([0, 50, 1], [50, 100, 2])], 0, 100, 4);
    let ones = 0;
    let all = 0;
    for (let row = 0; row < sum.length; row += 1) {
      all += sum.ns[row] ?? 0;
      if (sum.state[row] === 1) ones += sum.ns[row] ?? 0;
    }
    expect(all).toBeCloseTo(100);
    expect(ones).toBeCloseTo(75);
  });
});
