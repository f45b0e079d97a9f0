import { describe, expect, it } from "vitest";
import { togetherOf } from "./together";

describe("what workers wait for together", () => {
  it("counts times from the source's begin, and has who stood longest first", () => {
    const workers = [
      { entity: 1, waited_ns: 30, queued_ns: 0, longest_ns: 0, longest_start: 0, behind: [] },
      {
        entity: 2,
        waited_ns: 20,
        queued_ns: 15,
        longest_ns: 10,
        longest_start: 40,
        behind: [[1, 15]] as [number, number][],
      },
    ];
    const found = togetherOf(
      {
        begin_ns: "1795381360396387133",
        end_ns: "1795381360396387233",
        shared_count: 3,
        shared: [{ resource: "disks-of", entity: 9, together_ns: 15, at_least_ns: 85, workers }],
      },
      1795381360396387033n,
    );
    expect(found).toMatchObject({ begin: 100, end: 200, whole: 100, count: 3 });
    const [shared] = found.shared;
    expect(shared).toMatchObject({ entity: 9, disksOf: true, ns: 15, atLeast: 85 });
    expect(shared?.waiters.map((waiter) => waiter.entity)).toEqual([2, 1]);
    expect(shared?.waiters[0]).toMatchObject({ longest: 10, longestStart: 140, behind: [{ entity: 1, ns: 15 }] });
  });
});
