import { describe, expect, it } from "vitest";
import { Entities, type Entity } from "../api/entities";
import type { MatrixRow } from "../api/source";
import { Vocabulary } from "../api/vocabulary";
import { levelsOf, partyOf, victimsOf } from "./takers";

function entity(id: number, kind: string, parent: number, more: Partial<Entity> = {}): Entity {
  return {
    id,
    machine: 0,
    kind,
    parent,
    vm: parent,
    vcpu: -1,
    tid: -1,
    pid: -1,
    cr3: null,
    key: `${kind}:${id}`,
    label: "",
    begin: 0,
    end: 1000,
    intervals: 1,
    ...more,
  };
}

const entities = new Entities([
  entity(1, "vm", -1),
  entity(2, "vcpu", 1, { vcpu: 0, tid: 20 }),
  entity(3, "vcpu", 1, { vcpu: 1, tid: 21 }),
  entity(4, "nested-vm", 1, { cr3: "0xa000" }),
  entity(5, "nested-vcpu", 4),
  entity(6, "nested-vm", 1, { cr3: "0xb000" }),
  entity(7, "nested-vcpu", 6),
  entity(8, "process", 1, { cr3: "0xa000" }),
  entity(9, "process", 1, { cr3: "0xc000" }),
  entity(10, "process", 1, { cr3: "0xa000", begin: 1000, end: 2000 }),
  entity(11, "thread", -1, { tid: 20 }),
]);

const STATES = ["guest", "preempted", "runnable", "preempted-l0", "preempted-l1"];
const vocabulary = new Vocabulary({
  kinds: [],
  states: STATES.map((name, code) => ({ code, name })),
  causes: [],
  confidences: [],
  evidences: [],
  edges: [],
  counters: [],
});

function row(victim: number, culprit: number, state: string, ns: number): MatrixRow {
  return { victim, culprit, state: STATES.indexOf(state), ns, count: 1, longest: ns, longestStart: ns };
}

describe("who took the processor", () => {
  it("is about the vCPUs of a VM or a nested VM, and about a vCPU's thread as its vCPU", () => {
    const of = (id: number): number[] => {
      const found = entities.get(id);
      return found === undefined ? [] : victimsOf(entities, found).map((victim) => victim.id);
    };
    expect(of(1)).toEqual([2, 3]);
    expect(of(6)).toEqual([7]);
    expect(of(11)).toEqual([2]);
  });

  it("takes a nested VM's vCPU and the process that runs it for one party, as long as it lives", () => {
    expect([5, 8, 9, 10, 2, -1].map((id) => partyOf(entities, id))).toEqual([4, 4, 9, 10, 2, -1]);
  });

  it("tells the host's decisions from those of the guest's hypervisor", () => {
    const rows = [
      row(7, 2, "preempted-l0", 30),
      row(7, 3, "preempted-l0", 40),
      row(7, 8, "preempted-l1", 5),
      row(7, 5, "preempted-l1", 6),
      row(7, 9, "preempted-l1", 7),
      row(7, -1, "guest", 99),
      row(5, 2, "preempted-l0", 1000),
    ];
    const levels = levelsOf(entities, vocabulary, rows, new Set([7]));
    const short = levels.map((level) => [level.decider, level.ns, level.takers.map((taker) => [taker.id, taker.ns])]);
    expect(short).toEqual([
      ["l0", 70, [[3, 40], [2, 30]]],
      ["l1", 18, [[4, 11], [9, 7]]],
    ]);
  });

  it("says how much of it followed a wake-up, and where the longest is", () => {
    const [level] = levelsOf(
      entities,
      vocabulary,
      [row(2, 3, "preempted", 30), row(2, 3, "runnable", 8)],
      new Set([2, 3]),
    );
    expect(level?.takers).toEqual([
      { id: 3, ns: 38, count: 2, wokenNs: 8, longest: 30, longestStart: 30, victim: 2 },
    ]);
  });
});
