import { describe, expect, it } from "vitest";
import { Entities, type Entity } from "../api/entities";
import { SegmentsBuilder, type Interval } from "../api/segments";
import type { Loss, Source } from "../api/source";
import { Vocabulary } from "../api/vocabulary";
import { parseFilter } from "../filter/parser";
import { lossBands } from "./axis";
import { Matcher, mutedBy } from "./matcher";

const NAMES = (...names: string[]): { code: number; name: string }[] => names.map((name, code) => ({ code, name }));
const VOCABULARY = new Vocabulary({
  kinds: NAMES("cpu", "thread", "vcpu", "vm"),
  states: NAMES("unknown", "guest", "preempted", "halted"),
  causes: NAMES("", "timer", "disk"),
  confidences: NAMES("proved", "likely"),
  evidences: NAMES("", "sched-switch"),
  edges: NAMES("wake-up"),
  counters: [],
});

function entity(id: number, kind: string, more: Partial<Entity>): Entity {
  const none = {
    machine: 0,
    parent: -1,
    vm: -1,
    vcpu: -1,
    tid: -1,
    pid: -1,
    cr3: null,
    begin: 0,
    end: 9,
    intervals: 1,
  };
  return { id, kind, key: `${kind}:${id}`, label: `${kind} ${id}`, ...none, ...more };
}

const SOURCE = {
  vocabulary: VOCABULARY,
  entities: new Entities([
    entity(0, "vm", { label: "db" }),
    entity(1, "vcpu", { vm: 0, parent: 0, vcpu: 3, tid: 77, pid: 70 }),
    entity(2, "thread", { tid: 5, label: "backup" }),
  ]),
} as unknown as Source;

function interval(more: Partial<Interval>): Interval {
  const plain = {
    start: 0,
    end: 2_000_000,
    state: 2,
    cause: 0,
    level: 0,
    confidence: 0,
    evidence: 1,
    by: 2,
    exact: true,
  };
  return { entity: 1, vcpu: -1, ns: 2_000_000, ...plain, ...more };
}

function passes(filter: string, of: Interval, muted: string[] = []): boolean {
  return new Matcher(SOURCE, parseFilter(filter), new Set(muted)).interval(of);
}

describe("Matcher", () => {
  it("knows every field of an interval and its entity", () => {
    for (const filter of [
      "state == preempted",
      "by contains backup",
      "culprit == backup:5 || culprit matches thread:2",
      "vm contains db",
      "kind == vcpu && vcpu == 3 && tid == 77 && pid == 70",
      "name contains vcpu",
      "key == vcpu:1",
      "duration == 2ms && level == 0",
      "confidence == proved && evidence == sched-switch",
      "by present && !(cause present)",
    ])
      expect(passes(filter, interval({})), filter).toBe(true);
    expect(passes("by present", interval({ by: -1 }))).toBe(false);
    expect(passes("cr3 present", interval({}))).toBe(false);
  });

  it("lets pass what cannot be known at this scale", () => {
    expect(passes("duration > 1s", interval({}))).toBe(false);
    expect(passes("duration > 1s", interval({ exact: false }))).toBe(true);
  });

  it("turns off what the legend turns off", () => {
    expect(passes("", interval({}), ["state:preempted"])).toBe(false);
    expect(passes("", interval({ confidence: 1 }), ["confidence:likely"])).toBe(false);
    expect(mutedBy(new Set(["cause:timer"]), "halted", "timer", "proved")).toBe(true);
    expect(mutedBy(new Set(["cause:timer"]), "guest", "timer", "proved")).toBe(false);
  });

  it("answers for a whole lane at once, the same each time", () => {
    const builder = new SegmentsBuilder();
    for (const state of [1, 2, 3]) builder.push(interval({ state, start: state, end: state + 1 }));
    const segments = builder.finish();
    const matcher = new Matcher(SOURCE, parseFilter("state == halted"), new Set());
    expect([...matcher.rows(segments, 1, -1)]).toEqual([0, 0, 1]);
    expect(matcher.rows(segments, 1, -1)).toBe(matcher.rows(segments, 1, -1));
  });
});

describe("lossBands", () => {
  it("joins what touches, widens what is short and cuts at the edges", () => {
    const loss = (begin: number, end: number): Loss => ({ machine: 0, cpu: 0, begin, end, kind: "", count: null });
    expect(lossBands([loss(500, 501), loss(0, 100), loss(50, 120), loss(990, 2000)], 0, 10, 100)).toEqual([
      [0, 12],
      [50, 52],
      [99, 100],
    ]);
    expect(lossBands([loss(0, 10)], 500, 10, 100)).toEqual([]);
  });
});
