import type { Source } from "./source";

/** What the workers of a path are. */
export type Grain = "thread" | "vcpu" | "process";

export const GRAINS: readonly Grain[] = ["thread", "vcpu", "process"];

/** The server's answer: times are nanoseconds from `begin_ns`, -1 stands for none. */
export interface PathReply {
  entity: number;
  grain: Grain;
  begin_ns: string;
  end_ns: string;
  unknown_ns: number;
  likely_ns: number;
  against_causality: number;
  too_deep: number;
  cut: boolean;
  step_count: number;
  steps: Record<"entity" | "start" | "end" | "doing" | "by" | "inside" | "woke", number[]>;
  waits: Record<"entity" | "start" | "end" | "doing" | "ended_by" | "inside", number[]>;
  /** Codes of state, cause, level, confidence and evidence by the numbers in `doing`. */
  doings: Record<string, [number, number, number, number, number]>;
  node_count: number;
  tree: NodeReply[];
  sum_count: number;
  sums: { entity: number; did: Did | null; ns: number; times: number; longest_ns: number; longest_start: number }[];
}

export interface NodeReply {
  depth: number;
  waits_for: boolean;
  entity: number;
  did: Did | null;
  ns: number;
  times: number;
  longest_ns: number;
  longest_start: number;
}

/** Codes of state and cause, and who had the processor or -1. */
export type Did = readonly [state: number, cause: number, by: number];

export interface Doing {
  state: number;
  cause: number;
  level: number;
  confidence: number;
  evidence: number;
}

/** A step of a path; times are nanoseconds from the source's begin. */
export interface PathStep extends Doing {
  at: number;
  entity: number;
  start: number;
  end: number;
  by: number;
  /** The innermost wait that it explains, or -1. */
  inside: number;
  /** Whom it woke at its end, or -1. */
  woke: number;
}

/** A wait that the path looks into. */
export interface PathWait extends Doing {
  entity: number;
  start: number;
  end: number;
  endedBy: number;
  inside: number;
}

/** A node of what a path comes to; what is a part of it follows it, one deeper. */
export interface PathNode {
  depth: number;
  waitsFor: boolean;
  entity: number;
  did: Did | null;
  ns: number;
  times: number;
  longest: number;
  longestStart: number;
}

/** Waits inside of waits that are told of one step. */
const MOST_AROUND = 64;

/** A critical path. */
export class CriticalPath {
  readonly entity: number;
  readonly grain: Grain;
  /** From the source's begin, in nanoseconds. */
  readonly begin: number;
  readonly end: number;
  readonly unknownNs: number;
  readonly likelyNs: number;
  readonly againstCausality: number;
  readonly tooDeep: number;
  /** Whether there are more steps than are told: what lies before them is unknown. */
  readonly cut: boolean;
  /** How many steps there are; more than are told one by one if `length` is zero. */
  readonly stepCount: number;
  readonly length: number;
  readonly start: Float64Array;
  readonly stop: Float64Array;
  readonly who: Int32Array;
  readonly woke: Int32Array;
  readonly nodes: readonly PathNode[];
  readonly nodeCount: number;
  /** The time of each worker, the longest first. */
  readonly workers: readonly { entity: number; ns: number; steps: number }[];

  private readonly doing: Int32Array;
  private readonly by: Int32Array;
  private readonly inside: Int32Array;
  private readonly waits: PathReply["waits"];
  private readonly doings = new Map<number, Doing>();

  constructor(reply: PathReply, sourceBegin: bigint, private readonly unknown: number) {
    this.entity = reply.entity;
    this.grain = reply.grain;
    this.begin = Number(BigInt(reply.begin_ns) - sourceBegin);
    this.end = Number(BigInt(reply.end_ns) - sourceBegin);
    this.unknownNs = reply.unknown_ns;
    this.likelyNs = reply.likely_ns;
    this.againstCausality = reply.against_causality;
    this.tooDeep = reply.too_deep;
    this.cut = reply.cut;
    this.stepCount = reply.step_count;
    const { steps } = reply;
    this.length = steps.start.length;
    this.start = Float64Array.from(steps.start, (at) => at + this.begin);
    this.stop = Float64Array.from(steps.end, (at) => at + this.begin);
    this.who = Int32Array.from(steps.entity);
    this.woke = Int32Array.from(steps.woke);
    this.doing = Int32Array.from(steps.doing);
    this.by = Int32Array.from(steps.by);
    this.inside = Int32Array.from(steps.inside);
    this.waits = reply.waits;
    for (const [number, [state, cause, level, confidence, evidence]] of Object.entries(reply.doings))
      this.doings.set(Number(number), { state, cause, level, confidence, evidence });
    this.nodes = reply.tree.map((node) => ({
      depth: node.depth,
      waitsFor: node.waits_for,
      entity: node.entity,
      did: node.did,
      ns: node.ns,
      times: node.times,
      longest: node.longest_ns,
      longestStart: node.longest_start + this.begin,
    }));
    this.nodeCount = reply.node_count;
    this.workers = workersOf(this, reply);
  }

  get whole(): number {
    return this.end - this.begin;
  }

  /** Whether there are more steps than are told one by one. */
  get tooMany(): boolean {
    return this.stepCount > this.length;
  }

  share(ns: number): number {
    return this.whole > 0 ? ns / this.whole : 0;
  }

  doingOf(at: number): Doing {
    return this.told(this.doing[at] ?? -1);
  }

  byOf(at: number): number {
    return this.by[at] ?? -1;
  }

  step(at: number): PathStep {
    return {
      ...this.doingOf(at),
      at,
      entity: this.who[at] ?? -1,
      start: this.start[at] ?? 0,
      end: this.stop[at] ?? 0,
      by: this.byOf(at),
      inside: this.inside[at] ?? -1,
      woke: this.woke[at] ?? -1,
    };
  }

  /** The step at a moment, or -1. */
  stepAt(time: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.stop[middle] ?? 0) <= time) low = middle + 1;
      else high = middle;
    }
    return low < this.length && (this.start[low] ?? Infinity) <= time ? low : -1;
  }

  /** Who woke whoever goes on with a step: the step before it, if it did; else -1. */
  wokenBy(at: number): number {
    const before = at - 1;
    return before >= 0 && (this.woke[before] ?? -1) >= 0 && this.woke[before] === this.who[at]
      ? (this.who[before] ?? -1)
      : -1;
  }

  /** The waits that a step explains, the innermost first. */
  around(at: number): PathWait[] {
    const out: PathWait[] = [];
    for (let wait = this.inside[at] ?? -1; wait >= 0 && out.length < MOST_AROUND; ) {
      const inside = this.waits.inside[wait] ?? -1;
      out.push({
        ...this.told(this.waits.doing[wait] ?? -1),
        entity: this.waits.entity[wait] ?? -1,
        start: (this.waits.start[wait] ?? 0) + this.begin,
        end: (this.waits.end[wait] ?? 0) + this.begin,
        endedBy: this.waits.ended_by[wait] ?? -1,
        inside,
      });
      if (inside >= wait) break;
      wait = inside;
    }
    return out;
  }

  /** Inside how many waits a step lies. */
  depth(at: number): number {
    let depth = 0;
    for (let wait = this.inside[at] ?? -1; wait >= 0 && depth < MOST_AROUND; depth += 1) wait = this.waits.inside[wait] ?? -1;
    return depth;
  }

  private told(doing: number): Doing {
    return this.doings.get(doing) ?? { state: this.unknown, cause: 0, level: 0, confidence: 0, evidence: 0 };
  }
}

/** The time of each worker; of the sums where the steps are not told. */
function workersOf(path: CriticalPath, reply: PathReply): { entity: number; ns: number; steps: number }[] {
  const sums = new Map<number, { entity: number; ns: number; steps: number }>();
  const add = (entity: number, ns: number, steps: number): void => {
    const sum = sums.get(entity);
    if (sum === undefined) sums.set(entity, { entity, ns, steps });
    else {
      sum.ns += ns;
      sum.steps += steps;
    }
  };
  if (path.length > 0)
    for (let at = 0; at < path.length; at += 1)
      add(path.who[at] ?? -1, (path.stop[at] ?? 0) - (path.start[at] ?? 0), 1);
  else for (const sum of reply.sums) add(sum.entity, sum.ns, sum.times);
  return [...sums.values()].sort((a, b) => b.ns - a.ns || a.entity - b.entity);
}

/** Whether an entity has a line of its own to follow. */
export function isWorker(entity: { kind: string; intervals: number } | undefined): boolean {
  return (
    entity !== undefined &&
    entity.intervals > 0 &&
    ["thread", "vcpu", "nested-vcpu", "process", "guest-thread"].includes(entity.kind)
  );
}

export function pathOf(reply: PathReply, source: Source): CriticalPath {
  return new CriticalPath(reply, source.origin, Math.max(0, source.vocabulary.codeOf("states", "unknown")));
}
