import type { Entities, Entity } from "../api/entities";
import type { MatrixRow } from "../api/source";
import type { Vocabulary } from "../api/vocabulary";

/** Where the decision fell that somebody else runs: in the host, in a hypervisor above it, or in the guest itself. */
export type Decider = "l0" | "l1" | "l2" | "below" | "guest";

/** Which states are whose decision. */
const DECIDERS: Readonly<Record<string, Decider>> = {
  preempted: "l0",
  runnable: "l0",
  throttled: "l0",
  "preempted-l0": "l0",
  "preempted-l1": "l1",
  "preempted-l2": "l2",
  "preempted-on-host": "below",
  "ready-in-guest": "guest",
};

const ORDER: readonly Decider[] = ["l0", "l1", "l2", "below", "guest"];

/** One who had the processor meanwhile. */
export interface Taker {
  /** The entity that stands for it; -1: nobody, or nobody knows. */
  id: number;
  ns: number;
  count: number;
  /** Of `ns`, what passed between a wake-up and running again. */
  wokenNs: number;
  longest: number;
  longestStart: number;
  /** Whose longest time that is. */
  victim: number;
}

export interface Level {
  decider: Decider;
  ns: number;
  takers: Taker[];
}

/** The lanes that want a processor for an entity: its own, or those of its vCPUs. */
export function victimsOf(entities: Entities, entity: Entity): Entity[] {
  if (entity.kind === "vm" || entity.kind === "nested-vm")
    return entities.children(entity.id).filter((child) => child.kind === "vcpu" || child.kind === "nested-vcpu");
  return [entities.asVcpu(entity)];
}

/**
 * Whoever had the processor, as one party: a nested VM is both its vCPUs and the process of the guest's hypervisor that
 * runs it, whichever of them the trace happened to show.
 */
export function partyOf(entities: Entities, id: number): number {
  const entity = entities.get(id);
  if (entity === undefined) return -1;
  if (entity.kind === "nested-vcpu") return entities.guestOf(entity)?.id ?? id;
  if (entity.kind !== "process" || entity.cr3 === null) return id;
  const guest = entities.guestOf(entity);
  const run = entities
    .children(guest?.id ?? -1)
    .find(
      (nested) =>
        nested.kind === "nested-vm" &&
        nested.cr3 === entity.cr3 &&
        nested.begin < entity.end &&
        entity.begin < nested.end,
    );
  return run?.id ?? id;
}

/** Sums what `victims` lost by who decided it and who got the processor; the largest first. */
export function levelsOf(
  entities: Entities,
  vocabulary: Vocabulary,
  rows: readonly MatrixRow[],
  victims: ReadonlySet<number>,
): Level[] {
  const levels = new Map<Decider, Map<number, Taker>>();
  for (const row of rows) {
    const state = vocabulary.state(row.state);
    const decider = DECIDERS[state];
    if (decider === undefined || !victims.has(row.victim)) continue;
    const takers = levels.get(decider) ?? new Map<number, Taker>();
    levels.set(decider, takers);
    const id = partyOf(entities, row.culprit);
    const taker = takers.get(id) ?? { id, ns: 0, count: 0, wokenNs: 0, longest: -1, longestStart: 0, victim: -1 };
    takers.set(id, taker);
    taker.ns += row.ns;
    taker.count += row.count;
    if (state === "runnable") taker.wokenNs += row.ns;
    if (row.longest > taker.longest) {
      taker.longest = row.longest;
      taker.longestStart = row.longestStart;
      taker.victim = row.victim;
    }
  }
  return ORDER.flatMap((decider) => {
    const takers = [...(levels.get(decider)?.values() ?? [])].sort((a, b) => b.ns - a.ns);
    return takers.length === 0 ? [] : [{ decider, ns: takers.reduce((sum, taker) => sum + taker.ns, 0), takers }];
  });
}
