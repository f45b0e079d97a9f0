import type { LaneSegments, Segments } from "../api/segments";
import { intervalAt, rowsAt, type Interval } from "../api/segments";
import type { Source } from "../api/source";
import { mergeLanes, summarise } from "./merge";
import { rankOf } from "./palette";
import type { TreeNode } from "./rows";
import { clamp, span, type Range } from "../time/range";

/** What was fetched of one entity: its lanes over a stretch of time at some resolution. */
interface Fetched {
  begin: number;
  end: number;
  nsPerPixel: number;
  exact: boolean;
  lanes: LaneSegments[];
  merged: Segments | null;
  /** When it was fetched; the latest wins, the oldest is forgotten. */
  turn: number;
}

const PER_ENTITY = 4;
const DEBOUNCE_MS = 50;
/** A request younger than this is let through, so that steady zooming still shows progress. */
const PATIENCE_MS = 300;
/** What failed is asked again after this. */
const RETRY_MS = 2000;
/** How much is asked for beyond each edge of what is visible. */
const MARGIN = 0.5;

/** Whoever wants to know of a store's doings. */
export interface StoreListener {
  /** New data is there, or what went wrong. */
  changed(error: string | null): void;
  busy(busy: boolean): void;
  seen(lanes: readonly LaneSegments[]): void;
}

/**
 * Fetches what the visible rows need and keeps some of what it had, so that panning and undoing draw at once.
 * Whatever is stale stays on screen, stretched, until its replacement is there.
 */
export class LaneStore {
  private readonly fetched = new Map<number, Fetched[]>();
  private readonly averages = new WeakMap<TreeNode, { stamp: string; segments: Segments }>();
  private controller: AbortController | null = null;
  private sentAt = 0;
  private timer = 0;
  private turn = 0;
  private wanted: { entities: number[]; range: Range; pixels: number } | null = null;
  private closed = false;
  private failedAt = -Infinity;

  constructor(
    private readonly source: Source,
    private readonly told: StoreListener,
    /** The store of the same source before it grew: what it had stays on screen until there is better. */
    before?: LaneStore,
  ) {
    if (before === undefined || before.source.name !== source.name || before.source.origin !== source.origin) return;
    this.turn = before.turn;
    for (const [entity, list] of before.fetched) {
      const key = source.entities.get(entity)?.key;
      if (key !== undefined && key === before.source.entities.get(entity)?.key) this.fetched.set(entity, [...list]);
    }
  }

  close(): void {
    this.closed = true;
    this.controller?.abort();
    clearTimeout(this.timer);
  }

  /** Says what is visible now; asks the server for what is not there yet. */
  want(entities: number[], range: Range, pixels: number): void {
    this.wanted = { entities, range, pixels };
    if (pixels <= 0 || this.missing().length === 0) return;
    if (this.timer !== 0) return;
    this.timer = window.setTimeout(() => this.send(), DEBOUNCE_MS);
  }

  private missing(): number[] {
    if (this.wanted === null) return [];
    const { entities, range, pixels } = this.wanted;
    const begin = this.source.distance(range.begin);
    const end = this.source.distance(range.end);
    const nsPerPixel = (end - begin) / pixels;
    return entities.filter((entity) => {
      const best = this.best(entity, begin, end, nsPerPixel);
      return best === null || !covers(best, begin, end) || !(best.exact || best.nsPerPixel <= nsPerPixel * 1.3);
    });
  }

  private send(): void {
    this.timer = 0;
    if (this.closed || this.wanted === null) return;
    const now = performance.now();
    const wait = this.controller !== null ? PATIENCE_MS - (now - this.sentAt) : RETRY_MS - (now - this.failedAt);
    if (wait > 0 && wait < RETRY_MS) {
      this.timer = window.setTimeout(() => this.send(), wait);
      return;
    }
    const entities = this.missing();
    if (entities.length === 0) return;
    this.controller?.abort();
    const controller = new AbortController();
    this.controller = controller;
    this.sentAt = now;
    this.told.busy(true);
    void this.fetch(entities, this.wanted.range, this.wanted.pixels, controller);
  }

  private async fetch(entities: number[], visible: Range, pixels: number, controller: AbortController): Promise<void> {
    const side = BigInt(Math.round(Number(span(visible)) * MARGIN));
    const range = clamp({ begin: visible.begin - side, end: visible.end + side }, this.source.bounds);
    const asked = Math.max(1, Math.round((pixels * Number(span(range))) / Number(span(visible))));
    try {
      const { lanes } = await this.source.viewport(range, asked, entities, controller.signal);
      if (controller.signal.aborted || this.closed) return;
      this.keep(entities, range, asked, lanes);
      this.told.seen(lanes);
      this.controller = null;
      this.told.busy(false);
      this.told.changed(null);
    } catch (error) {
      if (controller.signal.aborted || this.closed) return;
      this.controller = null;
      this.told.busy(false);
      this.failedAt = performance.now();
      if (this.timer === 0) this.timer = window.setTimeout(() => this.send(), RETRY_MS);
      this.told.changed((error as Error).message);
      return;
    }
    if (this.missing().length > 0 && this.timer === 0) this.timer = window.setTimeout(() => this.send(), DEBOUNCE_MS);
  }

  private keep(entities: readonly number[], range: Range, pixels: number, lanes: readonly LaneSegments[]): void {
    this.turn += 1;
    const begin = this.source.distance(range.begin);
    const end = this.source.distance(range.end);
    const byEntity = new Map<number, LaneSegments[]>(entities.map((entity) => [entity, []]));
    for (const lane of lanes) byEntity.get(lane.entity)?.push(lane);
    for (const [entity, own] of byEntity) {
      const exact = own.every((lane) => lane.segments.exact.every((flag) => flag === 1));
      const list = this.fetched.get(entity) ?? [];
      list.unshift({
        begin,
        end,
        nsPerPixel: (end - begin) / pixels,
        exact,
        lanes: own,
        merged: null,
        turn: this.turn,
      });
      if (list.length > PER_ENTITY) list.pop();
      this.fetched.set(entity, list);
    }
    if (this.fetched.size > 2000)
      for (const [entity, list] of this.fetched) if ((list[0]?.turn ?? 0) < this.turn - 20) this.fetched.delete(entity);
  }

  /** The best of what is there: all of the stretch and fine enough, else all of it, else the latest. */
  private best(entity: number, begin: number, end: number, nsPerPixel: number): Fetched | null {
    let best: Fetched | null = null;
    let bestScore = Infinity;
    for (const candidate of this.fetched.get(entity) ?? []) {
      const covering = covers(candidate, begin, end);
      const coarse = candidate.exact ? 0 : Math.max(0, Math.log2(candidate.nsPerPixel / nsPerPixel));
      const fine = Math.max(0, Math.log2(nsPerPixel / candidate.nsPerPixel)) * 0.01;
      const overlap = Math.max(0, Math.min(end, candidate.end) - Math.max(begin, candidate.begin)) / (end - begin);
      const score = (covering ? 0 : 4 * (1 - overlap) + 1) + coarse + fine;
      if (score < bestScore) {
        best = candidate;
        bestScore = score;
      }
    }
    return best;
  }

  private lanesFor(entity: number, vcpu: number, range: Range, pixels: number): LaneSegments[] {
    const begin = this.source.distance(range.begin);
    const end = this.source.distance(range.end);
    const best = this.best(entity, begin, end, (end - begin) / Math.max(1, pixels));
    return best?.lanes.filter((lane) => vcpu < 0 || lane.vcpu === vcpu) ?? [];
  }

  /** What to draw for a row; null while nothing is known. */
  picture(node: TreeNode, range: Range, pixels: number): Segments | null {
    const begin = this.source.distance(range.begin);
    const end = this.source.distance(range.end);
    const nsPerPixel = (end - begin) / Math.max(1, pixels);
    if (node.drawing === "none") return null;
    if (node.drawing === "lane") return this.lanesFor(node.entity, node.vcpu, range, pixels)[0]?.segments ?? null;
    if (node.drawing === "merge") {
      const best = this.best(node.entity, begin, end, nsPerPixel);
      if (best === null || best.lanes.length === 0) return null;
      const words = this.source.vocabulary;
      best.merged ??= mergeLanes(
        best.lanes.map((lane) => lane.segments),
        (state) => rankOf(words.state(state)),
      );
      return best.merged;
    }
    const parts = node.lanes.map((lane) => this.best(lane, begin, end, nsPerPixel));
    const first = parts.find((part) => part !== null);
    if (first === null || first === undefined) return null;
    // Averaged over all of what was fetched, so that panning within it costs nothing.
    const stamp = parts.map((part) => part?.turn ?? 0).join();
    const known = this.averages.get(node);
    if (known?.stamp === stamp) return known.segments;
    const columns = Math.min(2400, Math.max(1, Math.round((first.end - first.begin) / nsPerPixel / 2)));
    const segments = summarise(
      parts.flatMap((part) => part?.lanes.map((lane) => lane.segments) ?? []),
      first.begin,
      first.end,
      columns,
    );
    this.averages.set(node, { stamp, segments });
    return segments;
  }

  /** What a row's lanes say at a moment, the most active lane first: one exact interval each, or parts of a bucket. */
  at(node: TreeNode, time: number, range: Range, pixels: number): Interval[][] {
    if (node.drawing === "none") return [];
    if (node.drawing === "average") {
      const segments = this.picture(node, range, pixels);
      if (segments === null) return [];
      const [from, to] = rowsAt(segments, time);
      const lane = { entity: node.entity, vcpu: -1, segments };
      return [
        Array.from({ length: to - from }, (_, index) => intervalAt(lane, from + index)).sort((a, b) => b.ns - a.ns),
      ];
    }
    const words = this.source.vocabulary;
    const found = this.lanesFor(node.entity, node.vcpu, range, pixels)
      .map((lane) => {
        const [from, to] = rowsAt(lane.segments, time);
        return Array.from({ length: to - from }, (_, index) => intervalAt(lane, from + index));
      })
      .filter((parts) => parts.length > 0);
    return found.sort((a, b) => rankOf(words.state(a[0]?.state ?? 0)) - rankOf(words.state(b[0]?.state ?? 0)));
  }

  /** The vCPUs on which an entity is known to have lanes. */
  vcpusOf(entity: number): number[] {
    const out = new Set<number>();
    for (const fetched of this.fetched.get(entity) ?? []) for (const lane of fetched.lanes) out.add(lane.vcpu);
    return [...out].sort((a, b) => a - b);
  }
}

function covers(fetched: Fetched, begin: number, end: number): boolean {
  return fetched.begin <= begin && fetched.end >= end;
}
