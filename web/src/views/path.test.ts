import { describe, expect, it } from "vitest";
import { CriticalPath, type Did, type NodeReply, type PathReply } from "../api/critical";
import { askFromText, askOf, askToText, sameAsk, withAsk } from "./path-ask";
import { compare } from "./path-compare";
import { aboveEach, doubts } from "./path-words";

function node(depth: number, entity: number, state: number, ns: number, waits = false, by = -1): NodeReply {
  return { depth, waits_for: waits, entity, did: [state, 0, by], ns, times: 1, longest_ns: ns, longest_start: 0 };
}

function path(entity: number, whole: number, tree: NodeReply[], more: Partial<PathReply> = {}): CriticalPath {
  return new CriticalPath(
    {
      entity,
      grain: "thread",
      begin_ns: "0",
      end_ns: String(whole),
      unknown_ns: 0,
      likely_ns: 0,
      against_causality: 0,
      too_deep: 0,
      cut: false,
      step_count: 0,
      steps: { entity: [], start: [], end: [], doing: [], by: [], inside: [], woke: [] },
      waits: { entity: [], start: [], end: [], doing: [], ended_by: [], inside: [] },
      doings: {},
      node_count: tree.length,
      tree,
      sum_count: 0,
      sums: [],
      ...more,
    },
    0n,
    0,
  );
}

describe("what is asked for", () => {
  const ask = { of: "vm:1@5/L2:a, b;c|d/vcpu 0", range: { begin: -3n, end: 1795381360396387133n }, grain: "vcpu" } as const;

  it("goes through a panel's options and back", () => {
    expect(askOf(withAsk({ tab: "steps", from: "1" }, ask))).toEqual(ask);
    expect(withAsk({ tab: "steps", grain: "thread" }, { of: "a", range: null, grain: null })).toEqual({
      tab: "steps",
      of: "a",
    });
    expect(askOf({})).toBeNull();
    expect(askOf({ of: "a", from: "x", to: "5", grain: "cow" })).toEqual({ of: "a", range: null, grain: null });
  });

  it("goes through one text and back", () => {
    expect(askFromText(askToText(ask))).toEqual(ask);
    const all = { of: "a b", range: null, grain: null };
    expect(askFromText(askToText(all))).toEqual(all);
    expect(sameAsk(all, { ...all, grain: "thread" })).toBe(false);
    for (const broken of [undefined, "", "x", "1..2", " "]) expect(askFromText(broken)).toBeNull();
  });
});

describe("two paths compared", () => {
  const names = {
    who: (entity: number): string => `thread ${entity % 100}`,
    did: (did: Did | null): string => (did === null ? "unknown" : did.join("/")),
    itself: "itself",
  };

  it("stand upon one another by who and what, whoever each is of", () => {
    const rows = compare(
      path(1, 100, [node(0, 1, 5, 60), node(0, 9, 6, 40, true), node(1, 9, 5, 40)]),
      path(2, 1000, [node(0, 2, 5, 100), node(0, 9, 6, 900, true), node(1, 9, 5, 800), node(1, 8, 5, 100)]),
      names,
    );
    expect(rows.map((row) => [row.depth, row.who, row.waitsFor, row.first?.ns, row.second?.ns])).toEqual([
      [0, "thread 9", true, 40, 900],
      [1, "thread 9", false, 40, 800],
      [1, "thread 8", false, undefined, 100],
      [0, "itself", false, 60, 100],
    ]);
    expect(rows.map((row) => Math.round(row.more * 100))).toEqual([50, 40, 10, -50]);
  });

  it("have what differs most first, among what stands side by side", () => {
    const rows = compare(
      path(1, 100, [node(0, 1, 5, 50), node(0, 1, 6, 30), node(0, 1, 7, 20)]),
      path(1, 100, [node(0, 1, 5, 48), node(0, 1, 6, 2), node(0, 1, 8, 50)]),
      names,
    );
    expect(rows.map((row) => row.did?.[0])).toEqual([8, 6, 7, 5]);
    expect(rows.reduce((sum, row) => sum + row.more, 0)).toBeCloseTo(0);
  });

  it("take for one what is called the same: sums, and the longest of all", () => {
    const rows = compare(
      path(1, 100, [node(0, 9, 6, 40, true), node(1, 9, 5, 40), node(0, 109, 6, 60, true), node(1, 109, 5, 60)]),
      path(1, 100, [node(0, 209, 6, 100, true), node(1, 209, 5, 100)]),
      names,
    );
    expect(rows.map((row) => [row.first?.ns, row.first?.times, row.first?.longest, row.second?.ns])).toEqual([
      [100, 2, 60, 100],
      [100, 2, 60, 100],
    ]);
    expect(rows[0]?.first?.entity).toBe(109);
    expect(rows.every((row) => row.more === 0)).toBe(true);
  });

  it("differ in nothing where they are the same", () => {
    const one = path(1, 100, [node(0, 1, 5, 100, true), node(1, 2, 5, 100)]);
    expect(compare(one, one, names).every((row) => row.more === 0)).toBe(true);
  });
});

describe("what is said of a path", () => {
  it("knows whose time a node would be", () => {
    const told = path(1, 100, [
      node(0, 2, 6, 50, true),
      node(1, 3, 6, 30, true),
      node(2, 3, 5, 30),
      node(1, 2, 5, 20),
      node(0, 1, 5, 50),
    ]);
    expect(aboveEach(told)).toEqual([1, 2, 3, 2, 1]);
  });

  it("says what is not sure", () => {
    const more = { unknown_ns: 12, likely_ns: 3, against_causality: 1, too_deep: 2, cut: true };
    const texts = doubts(path(1, 100, [], more)).map(({ text }) => text);
    expect(texts).toEqual([
      "12.0 % of it unknown (12 ns)",
      "3.0 % only likely (3 ns)",
      "1 wake-up not followed: the waker did not run at the time",
      "2 waits not followed: too deep",
      "longer than is told: what lies before its first step is unknown",
    ]);
    expect(doubts(path(1, 100, []))).toEqual([]);
  });
});
