import { distances, getArrow, getJson, lengths, numbers, postArrow, postJson } from "./client";
import { pathOf, type CriticalPath, type Grain, type PathReply } from "./critical";
import { curvesOf, type Curve } from "./curves";
import { Entities, entitiesOf } from "./entities";
import { intervalAt, lanesOf, type Interval, type LaneSegments } from "./segments";
import { togetherOf, type Together, type TogetherReply } from "./together";
import type { EdgeReply, EventReply, ExitReply, Finding, IntervalReply, SourceReply } from "./types";
import { Vocabulary } from "./vocabulary";
import type { Range } from "../time/range";

export interface Loss {
  machine: number;
  cpu: number;
  begin: number;
  end: number;
  kind: string;
  count: number | null;
}

export interface Edge {
  from: number;
  fromTime: number;
  to: number;
  toTime: number;
  kind: number;
  confidence: number;
  evidence: number;
}

/** What is counted of an entity. */
export interface Counter {
  entity: number;
  counter: number;
  values: number;
}

export interface BudgetRow {
  entity: number;
  vcpu: number;
  state: number;
  cause: number;
  level: number;
  confidence: number;
  ns: number;
}

export interface MatrixRow {
  victim: number;
  culprit: number;
  state: number;
  ns: number;
  count: number;
  longest: number;
  longestStart: number;
}

export interface WaitRow {
  entity: number;
  state: number;
  cause: number;
  count: number;
  ns: number;
  p50: number;
  p99: number;
  max: number;
  maxStart: number;
}

/** Where to read events from: a moment, and how many of the events at that moment were read before. */
export interface EventPlace {
  time: bigint;
  skip: number;
}

export type Direction = "next" | "previous" | "here";

function body(range: Range, more: object): object {
  return { begin_ns: range.begin.toString(), end_ns: range.end.toString(), ...more };
}

/** An opened source: what is fixed about it, and the questions that can be asked. */
export class Source {
  readonly vocabulary: Vocabulary;
  readonly bounds: Range;
  readonly loss: Loss[];

  private constructor(
    readonly reply: SourceReply,
    readonly entities: Entities,
    vocabulary: Vocabulary,
    bounds: Range,
  ) {
    this.vocabulary = vocabulary;
    this.bounds = bounds;
    this.loss = reply.loss.map((loss) => ({
      machine: loss.machine,
      cpu: loss.cpu,
      begin: this.distance(BigInt(loss.begin_ns)),
      end: this.distance(BigInt(loss.end_ns)),
      kind: loss.kind,
      count: loss.count,
    }));
  }

  static async open(id: string, signal?: AbortSignal): Promise<Source> {
    const path = `/sources/${encodeURIComponent(id)}`;
    const reply = await getJson<SourceReply>(path, undefined, signal);
    const vocabulary = new Vocabulary(reply.vocabulary);
    const begin = BigInt(reply.begin_ns ?? "0");
    const end = BigInt(reply.end_ns ?? "0");
    const bounds = { begin, end: end > begin ? end : begin + 1_000n };
    const { table } = await getArrow(`${path}/entities`, undefined, signal);
    return new Source(reply, entitiesOf(table, vocabulary, begin, reply.machines), vocabulary, bounds);
  }

  get id(): string {
    return this.reply.id;
  }
  get name(): string {
    return this.reply.name;
  }
  get origin(): bigint {
    return this.bounds.begin;
  }

  /** From the source's begin, in a double. */
  distance(time: bigint): number {
    return Number(time - this.bounds.begin);
  }

  moment(distance: number): bigint {
    return this.bounds.begin + BigInt(Math.round(distance));
  }

  private path(question: string): string {
    return `/sources/${encodeURIComponent(this.id)}/${question}`;
  }

  async viewport(
    range: Range,
    pixels: number,
    entities: number[],
    signal?: AbortSignal,
  ): Promise<{ lanes: LaneSegments[]; bucketNs: number }> {
    const { table, header } = await postArrow(this.path("viewport"), body(range, { pixels, entities }), signal);
    return { lanes: lanesOf(table, this.origin), bucketNs: header("x-virtflow-bucket-ns") };
  }

  /** What is counted, of what. */
  get counters(): readonly Counter[] {
    return this.reply.counters;
  }

  /** What is counted of an entity, in the order of the counters' codes. */
  countersOf(entity: number): readonly Counter[] {
    return this.reply.counters.filter((counter) => counter.entity === entity);
  }

  /** Whether a counter's values hold until the next. */
  holds(counter: number): boolean {
    return this.reply.holds.includes(counter);
  }

  async curves(range: Range, pixels: number, entities: number[], signal?: AbortSignal): Promise<Curve[]> {
    const { table, header } = await postArrow(this.path("curves"), body(range, { pixels, entities }), signal);
    return curvesOf(table, this.origin, header("x-virtflow-bucket-ns"));
  }

  async budget(range: Range, entities: number[], signal?: AbortSignal): Promise<BudgetRow[]> {
    const { table } = await postArrow(this.path("budget"), body(range, { entities }), signal);
    const [entity, vcpu, state, cause] = ["entity", "vcpu", "state", "cause"].map((name) => numbers(table, name));
    const [level, confidence] = [numbers(table, "level"), numbers(table, "confidence")];
    return Array.from(lengths(table, "ns"), (ns, row) => ({
      entity: entity?.[row] ?? 0,
      vcpu: vcpu?.[row] ?? -1,
      state: state?.[row] ?? 0,
      cause: cause?.[row] ?? 0,
      level: level[row] ?? 0,
      confidence: confidence[row] ?? 0,
      ns,
    }));
  }

  async stateAt(time: bigint, signal?: AbortSignal): Promise<Interval[]> {
    const { table } = await getArrow(this.path("state"), { t: time.toString() }, signal);
    return lanesOf(table, this.origin).flatMap((lane) =>
      Array.from({ length: lane.segments.length }, (_, row) => intervalAt(lane, row)),
    );
  }

  async change(
    entity: number,
    vcpu: number,
    time: bigint,
    to: Direction,
    signal?: AbortSignal,
  ): Promise<Interval | null> {
    const query = { entity, vcpu, t: time.toString(), to };
    const { interval } = await getJson<{ interval: IntervalReply | null }>(this.path("change"), query, signal);
    if (interval === null) return null;
    const start = this.distance(BigInt(interval.start_ns));
    const end = this.distance(BigInt(interval.end_ns));
    return { ...interval, start, end, ns: end - start, exact: true };
  }

  async edges(
    range: Range,
    entities: number[] | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ edges: Edge[]; leftOut: number }> {
    const { table, header } = await postArrow(
      this.path("edges"),
      body(range, { entities, kinds: null, limit }),
      signal,
    );
    const [from, to, kind] = ["from", "to", "kind"].map((name) => numbers(table, name));
    const [confidence, evidence] = [numbers(table, "confidence"), numbers(table, "evidence")];
    const toTime = distances(table, "to_ns", this.origin);
    const edges = Array.from(distances(table, "from_ns", this.origin), (fromTime, row) => ({
      from: from?.[row] ?? 0,
      fromTime,
      to: to?.[row] ?? 0,
      toTime: toTime[row] ?? 0,
      kind: kind?.[row] ?? 0,
      confidence: confidence[row] ?? 0,
      evidence: evidence[row] ?? 0,
    }));
    return { edges, leftOut: header("x-virtflow-left-out") };
  }

  async follow(entity: number, time: bigint, to: "back" | "forth", signal?: AbortSignal): Promise<Edge | null> {
    const { edge } = await getJson<{ edge: EdgeReply | null }>(
      this.path("follow"),
      { entity, t: time.toString(), to },
      signal,
    );
    if (edge === null) return null;
    const { from, to: target, kind, confidence, evidence } = edge;
    return {
      from,
      fromTime: this.distance(BigInt(edge.from_ns)),
      to: target,
      toTime: this.distance(BigInt(edge.to_ns)),
      kind,
      confidence,
      evidence,
    };
  }

  /** Who took the processor from whom; `victims` are lanes, or all vCPUs and guest processes. */
  async matrix(range: Range, signal?: AbortSignal, victims: number[] | null = null): Promise<MatrixRow[]> {
    const { table } = await postArrow(this.path("matrix"), body(range, { entities: victims }), signal);
    const [victim, culprit, state] = ["victim", "culprit", "state"].map((name) => numbers(table, name));
    const [count, longest] = [lengths(table, "count"), lengths(table, "longest_ns")];
    const longestStart = distances(table, "longest_start_ns", this.origin);
    return Array.from(lengths(table, "ns"), (ns, row) => ({
      victim: victim?.[row] ?? 0,
      culprit: culprit?.[row] ?? -1,
      state: state?.[row] ?? 0,
      ns,
      count: count[row] ?? 0,
      longest: longest[row] ?? 0,
      longestStart: longestStart[row] ?? 0,
    }));
  }

  async waits(range: Range, entities: number[] | null, signal?: AbortSignal): Promise<WaitRow[]> {
    const { table } = await postArrow(this.path("waits"), body(range, { entities }), signal);
    const [entity, state, cause] = ["entity", "state", "cause"].map((name) => numbers(table, name));
    const [count, p50, p99, max] = ["count", "p50_ns", "p99_ns", "max_ns"].map((name) => lengths(table, name));
    const maxStart = distances(table, "max_start_ns", this.origin);
    return Array.from(lengths(table, "ns"), (ns, row) => ({
      entity: entity?.[row] ?? 0,
      state: state?.[row] ?? 0,
      cause: cause?.[row] ?? 0,
      count: count?.[row] ?? 0,
      ns,
      p50: p50?.[row] ?? 0,
      p99: p99?.[row] ?? 0,
      max: max?.[row] ?? 0,
      maxStart: maxStart[row] ?? 0,
    }));
  }

  /** What exits cost by reason, and by what was left: its VM, vCPU or process. */
  async exits(
    range: Range,
    entities: number[] | null,
    by: "reason" | "vm" | "vcpu" | "process",
    signal?: AbortSignal,
  ): Promise<ExitReply[]> {
    return (await postJson<{ exits: ExitReply[] }>(this.path("exits"), body(range, { entities, by }), signal)).exits;
  }

  /** Whose time it was while a worker waited; without a grain, the coarsest that has workers of its kind. */
  async criticalPath(entity: number, range: Range, grain: Grain | null, signal?: AbortSignal): Promise<CriticalPath> {
    const question = body(range, { entity, grain });
    // Its numbers all fit in a double, and there may be many.
    return pathOf(await postJson<PathReply>(this.path("critical-path"), question, signal, JSON.parse), this);
  }

  /** What two or more of these workers waited for at the same time. */
  async together(entities: number[], range: Range, signal?: AbortSignal): Promise<Together> {
    const question = body(range, { entities });
    return togetherOf(await postJson<TogetherReply>(this.path("together"), question, signal, JSON.parse), this.origin);
  }

  async findings(signal?: AbortSignal): Promise<Finding[]> {
    return (await getJson<{ findings: Finding[] }>(this.path("findings"), undefined, signal)).findings;
  }

  async events(
    from: EventPlace,
    limit: number,
    filter: string,
    signal?: AbortSignal,
  ): Promise<{ events: EventReply[]; next: EventPlace | null }> {
    const query = { from_ns: from.time.toString(), skip: from.skip, limit, filter: filter === "" ? undefined : filter };
    const reply = await getJson<{ events: EventReply[]; next_ns: string | null; next_skip?: number }>(
      this.path("events"),
      query,
      signal,
    );
    return {
      events: reply.events,
      next: reply.next_ns === null ? null : { time: BigInt(reply.next_ns), skip: reply.next_skip ?? 0 },
    };
  }

  /** The next interval that begins at or after a moment, or the last that begins before it, for which a filter holds. */
  async search(filter: string, from: bigint, to: "next" | "previous", signal?: AbortSignal): Promise<Interval | null> {
    const question = body(this.bounds, { filter, from_ns: from.toString(), to, entities: null, limit: 1 });
    const { table } = await postArrow(this.path("search"), question, signal);
    const lane = lanesOf(table, this.origin)[0];
    return lane === undefined ? null : intervalAt(lane, 0);
  }

  /** All intervals of some entities for which a filter holds, up to a limit. */
  async searchAll(filter: string, entities: number[], limit: number, signal?: AbortSignal): Promise<Interval[]> {
    const question = body(this.bounds, { filter, from_ns: this.bounds.begin.toString(), to: "next", entities, limit });
    const { table } = await postArrow(this.path("search"), question, signal);
    return lanesOf(table, this.origin).flatMap((lane) =>
      Array.from({ length: lane.segments.length }, (_, row) => intervalAt(lane, row)),
    );
  }
}
