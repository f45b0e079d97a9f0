import { describe, expect, it } from "vitest";
import { CriticalPath, isWorker, type PathReply } from "./critical";

/** Worker 1 waits for 2, which waits for 3; then 1 runs. States: 0 unknown, 1 running, 2 waiting. */
export function replyOf(more: Partial<PathReply> = {}): PathReply {
  return {
    entity: 1,
    grain: "thread",
    begin_ns: "1000",
    end_ns: "1100",
    unknown_ns: 10,
    likely_ns: 0,
    against_causality: 0,
    too_deep: 0,
    cut: false,
    step_count: 4,
    steps: {
      entity: [1, 3, 2, 1],
      start: [0, 10, 40, 60],
      end: [10, 40, 60, 100],
      doing: [-1, 7, 7, 7],
      by: [-1, -1, -1, -1],
      inside: [-1, 1, 0, -1],
      woke: [-1, 2, 1, -1],
    },
    waits: {
      entity: [1, 2],
      start: [10, 10],
      end: [60, 40],
      doing: [8, 8],
      ended_by: [2, 3],
      inside: [-1, 0],
    },
    doings: { "7": [1, 0, 0, 2, 3], "8": [2, 4, 0, 2, 3] },
    node_count: 5,
    tree: [
      { depth: 0, waits_for: true, entity: 2, did: [2, 4, -1], ns: 50, times: 1, longest_ns: 50, longest_start: 10 },
      { depth: 1, waits_for: true, entity: 3, did: [2, 4, -1], ns: 30, times: 1, longest_ns: 30, longest_start: 10 },
      { depth: 2, waits_for: false, entity: 3, did: [1, 0, -1], ns: 30, times: 1, longest_ns: 30, longest_start: 10 },
      { depth: 1, waits_for: false, entity: 2, did: [1, 0, -1], ns: 20, times: 1, longest_ns: 20, longest_start: 40 },
      { depth: 0, waits_for: false, entity: 1, did: [1, 0, -1], ns: 40, times: 1, longest_ns: 40, longest_start: 60 },
    ],
    sum_count: 0,
    sums: [],
    ...more,
  };
}

export function pathFrom(more: Partial<PathReply> = {}): CriticalPath {
  return new CriticalPath(replyOf(more), 500n, 0);
}

describe("a critical path", () => {
  it("counts times from the source's begin", () => {
    const path = pathFrom();
    expect([path.begin, path.end, path.whole]).toEqual([500, 600, 100]);
    expect(path.step(1)).toMatchObject({ entity: 3, start: 510, end: 540, woke: 2, state: 1, evidence: 3 });
    expect(path.nodes[1]).toMatchObject({ depth: 1, longestStart: 510 });
  });

  it("finds the step at a moment", () => {
    const path = pathFrom();
    expect([499, 500, 509, 510, 599, 600].map((time) => path.stepAt(time))).toEqual([-1, 0, 0, 1, 3, -1]);
  });

  it("tells around a step what it explains, the innermost first", () => {
    const path = pathFrom();
    expect(path.around(1).map(({ entity, endedBy }) => [entity, endedBy])).toEqual([
      [2, 3],
      [1, 2],
    ]);
    expect([0, 1, 2, 3].map((at) => path.depth(at))).toEqual([0, 2, 1, 0]);
    expect([0, 1, 2, 3].map((at) => path.wokenBy(at))).toEqual([-1, -1, 3, 2]);
  });

  it("takes a step of which nothing is said for unknown", () => {
    expect(pathFrom().step(0)).toMatchObject({ state: 0, cause: 0 });
  });

  it("adds up the workers' time to the whole, the longest first", () => {
    const path = pathFrom();
    expect(path.workers).toEqual([
      { entity: 1, ns: 50, steps: 2 },
      { entity: 3, ns: 30, steps: 1 },
      { entity: 2, ns: 20, steps: 1 },
    ]);
    expect(path.workers.reduce((sum, { ns }) => sum + path.share(ns), 0)).toBeCloseTo(1);
  });

  it("has the workers of the sums where the steps are too many to be told", () => {
    const none = { entity: [], start: [], end: [], doing: [], by: [], inside: [], woke: [] };
    const sums = [{ entity: 3, did: null, ns: 70, times: 9, longest_ns: 9, longest_start: 0 }];
    const path = pathFrom({ steps: none, step_count: 200_000, sums });
    expect(path.tooMany).toBe(true);
    expect(path.workers).toEqual([{ entity: 3, ns: 70, steps: 9 }]);
  });

  it("does not run in circles in broken data", () => {
    const waits = { entity: [1, 2], start: [0, 0], end: [1, 1], doing: [8, 8], ended_by: [2, 1], inside: [1, 0] };
    const path = pathFrom({ waits });
    expect(path.around(1).length).toBeLessThan(10);
    expect(path.depth(1)).toBeLessThan(100);
  });
});

describe("workers", () => {
  it("are what has a line to follow", () => {
    expect(isWorker({ kind: "thread", intervals: 3 })).toBe(true);
    expect(isWorker({ kind: "thread", intervals: 0 })).toBe(false);
    expect(isWorker({ kind: "cpu", intervals: 3 })).toBe(false);
    expect(isWorker(undefined)).toBe(false);
  });
});
