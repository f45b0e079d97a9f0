import { describe, expect, it } from "vitest";
import { CriticalPath, type PathReply } from "../api/critical";
import { stepsByWorker, wakesOf } from "./path-steps";

/** Steps of two workers that take turns: 1 for 9, 2 for 1, and so on; each wakes the other. */
function turns(count: number): CriticalPath {
  const at = Array.from({ length: count }, (_, step) => step);
  const begin = (step: number): number => Math.floor(step / 2) * 10 + (step % 2) * 9;
  const reply: PathReply = {
    entity: 1,
    grain: "thread",
    begin_ns: "0",
    end_ns: String(begin(count)),
    unknown_ns: 0,
    likely_ns: 0,
    against_causality: 0,
    too_deep: 0,
    cut: false,
    step_count: count,
    steps: {
      entity: at.map((step) => 1 + (step % 2)),
      start: at.map(begin),
      end: at.map((step) => begin(step + 1)),
      doing: at.map((step) => step % 4),
      by: at.map(() => -1),
      inside: at.map(() => -1),
      woke: at.map((step) => 2 - (step % 2)),
    },
    waits: { entity: [], start: [], end: [], doing: [], ended_by: [], inside: [] },
    doings: { "0": [1, 0, 0, 0, 0], "1": [1, 0, 0, 0, 0], "2": [2, 0, 0, 0, 0], "3": [2, 0, 0, 1, 0] },
    node_count: 0,
    tree: [],
    sum_count: 0,
    sums: [],
  };
  return new CriticalPath(reply, 0n, 0);
}

const sum = (values: ArrayLike<number>): number => Array.from(values).reduce((all, value) => all + value, 0);

describe("a worker's steps as a row", () => {
  it("are bars where they are wide enough", () => {
    const steps = stepsByWorker(turns(20)).get(1);
    const picture = steps?.picture(0, 100, 0.5);
    expect(picture?.length).toBe(10);
    expect([...(picture?.exact ?? [])]).toEqual(Array.from({ length: 10 }, () => 1));
    expect([picture?.start[1], picture?.end[1]]).toEqual([10, 19]);
  });

  it("are summed up by column else, and no nanosecond is lost", () => {
    const path = turns(100_000);
    for (const nsPerPixel of [10, 64, 700, 12_345.678])
      for (const [entity, share] of [
        [1, 0.9],
        [2, 0.1],
      ] as const) {
        const picture = stepsByWorker(path).get(entity)?.picture(0, 500_000, nsPerPixel);
        if (picture === undefined) throw new Error("no picture");
        expect(sum(picture.ns)).toBeCloseTo(500_000 * share, 3);
        // As full as its part is, whatever shares the column.
        const full = new Map<number, number>();
        for (let row = 0; row < picture.length; row += 1)
          full.set(picture.start[row] ?? 0, (full.get(picture.start[row] ?? 0) ?? 0) + (picture.ns[row] ?? 0));
        for (const ns of full.values()) expect(ns).toBeLessThanOrEqual(nsPerPixel * 1.0001);
        expect(picture.length).toBeLessThan(4 * (500_000 / nsPerPixel + 2));
      }
  });

  it("keep states apart in a column", () => {
    const picture = stepsByWorker(turns(40)).get(1)?.picture(0, 200, 100);
    expect(new Set(picture?.state)).toEqual(new Set([1, 2]));
  });

  it("are drawn once for what is panned to", () => {
    const steps = stepsByWorker(turns(100)).get(1);
    const first = steps?.picture(100, 200, 1);
    expect(steps?.picture(120, 220, 1)).toBe(first);
    expect(steps?.picture(120, 220, 2)).not.toBe(first);
  });

  it("are found at a moment, near it, and one after the other", () => {
    const steps = stepsByWorker(turns(20)).get(2);
    expect(steps?.stepAt(9)).toBe(1);
    expect(steps?.stepAt(11)).toBe(-1);
    expect(steps?.stepAt(11, 3)).toBe(1);
    expect(steps?.stepAt(17, 3)).toBe(3);
    expect(steps?.change(9, "next")?.start).toBe(19);
    expect(steps?.change(11, "next")?.start).toBe(19);
    expect(steps?.change(19, "previous")?.start).toBe(9);
    expect(steps?.change(5, "previous")).toBeNull();
    expect(steps?.change(99, "next")).toBeNull();
  });
});

describe("arrows between rows", () => {
  const rows = new Map([
    [1, 0],
    [2, 1],
  ]);

  it("go from who woke to who was woken, at the end of the step", () => {
    const { wakes, leftOut } = wakesOf(turns(4), rows, 0, 0.1, 200);
    expect(wakes).toEqual([
      { x: 90, from: 0, to: 1 },
      { x: 100, from: 1, to: 0 },
      { x: 190, from: 0, to: 1 },
      { x: 200, from: 1, to: 0 },
    ]);
    expect(leftOut).toBe(0);
  });

  it("are one where they would stand upon one another, and never too many", () => {
    const { wakes, leftOut } = wakesOf(turns(100_000), rows, 0, 500, 1000);
    expect(wakes.length).toBeLessThanOrEqual(400);
    expect(wakes.length + leftOut).toBe(100_000);
  });

  it("are left out to rows that are not in sight", () => {
    expect(wakesOf(turns(100), new Map([[1, 0]]), 0, 1, 500).wakes).toEqual([]);
  });
});
