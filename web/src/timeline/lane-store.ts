import type { LaneSegments, Segments } from "../api/segments";
import { intervalAt, rowsAt, type Interval } from "../api/segments";
import type { Source } from "../api/source";
import type { Range } from "../time/range";
import { mergeLanes, summarise } from "./merge";
import { rankOf } from "./palette";
import { RangeCache, type Answer, type CacheListener } from "./range-cache";
import type { TreeNode } from "./rows";

/** The lanes of one entity. */
interface Lanes {
  lanes: LaneSegments[];
  merged: Segments | null;
}

/** Whoever wants to know of a store's doings. */
export interface StoreListener extends CacheListener {
  seen(lanes: readonly LaneSegments[]): void;
}

/** What the visible rows' lanes did. */
export class LaneStore {
  readonly cache: RangeCache<Lanes>;
  private readonly averages = new WeakMap<TreeNode, { stamp: string; segments: Segments }>();

  constructor(
    private readonly source: Source,
    told: StoreListener,
    before?: LaneStore,
  ) {
    this.cache = new RangeCache(
      source,
      told,
      async (range, pixels, entities, signal) => {
        const { lanes } = await source.viewport(range, pixels, entities, signal);
        if (!signal.aborted) told.seen(lanes);
        return byEntity(entities, lanes);
      },
      before?.cache,
    );
  }

  private lanesFor(entity: number, vcpu: number, range: Range, pixels: number): LaneSegments[] {
    const begin = this.source.distance(range.begin);
    const end = this.source.distance(range.end);
    const best = this.cache.best(entity, begin, end, (end - begin) / Math.max(1, pixels));
    return best?.value.lanes.filter((lane) => vcpu < 0 || lane.vcpu === vcpu) ?? [];
  }

  /** What to draw for a row; null while nothing is known. */
  picture(node: TreeNode, range: Range, pixels: number): Segments | null {
    const begin = this.source.distance(range.begin);
    const end = this.source.distance(range.end);
    const nsPerPixel = (end - begin) / Math.max(1, pixels);
    if (node.drawing === "none") return null;
    if (node.drawing === "steps") return node.steps?.picture(begin, end, nsPerPixel) ?? null;
    if (node.drawing === "lane") return this.lanesFor(node.entity, node.vcpu, range, pixels)[0]?.segments ?? null;
    if (node.drawing === "merge") {
      const best = this.cache.best(node.entity, begin, end, nsPerPixel);
      if (best === null || best.value.lanes.length === 0) return null;
      const words = this.source.vocabulary;
      best.value.merged ??= mergeLanes(
        best.value.lanes.map((lane) => lane.segments),
        (state) => rankOf(words.state(state)),
      );
      return best.value.merged;
    }
    const parts = node.lanes.map((lane) => this.cache.best(lane, begin, end, nsPerPixel));
    const first = parts.find((part) => part !== null);
    if (first === null || first === undefined) return null;
    // Averaged over all of what was fetched, so that panning within it costs nothing.
    const stamp = parts.map((part) => part?.turn ?? 0).join();
    const known = this.averages.get(node);
    if (known?.stamp === stamp) return known.segments;
    const columns = Math.min(2400, Math.max(1, Math.round((first.end - first.begin) / nsPerPixel / 2)));
    const segments = summarise(
      parts.flatMap((part) => part?.value.lanes.map((lane) => lane.segments) ?? []),
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
    if (node.drawing === "steps") {
      const step = node.steps?.at(time, Number(range.end - range.begin) / Math.max(1, pixels)) ?? [];
      return step.length > 0 ? [step] : [];
    }
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
    for (const { value } of this.cache.of(entity)) for (const lane of value.lanes) out.add(lane.vcpu);
    return [...out].sort((a, b) => a - b);
  }
}

function byEntity(entities: readonly number[], lanes: readonly LaneSegments[]): ReadonlyMap<number, Answer<Lanes>> {
  const found = new Map<number, Answer<Lanes>>(
    entities.map((entity) => [entity, { value: { lanes: [], merged: null }, exact: true }]),
  );
  for (const lane of lanes) {
    const answer = found.get(lane.entity);
    if (answer === undefined) continue;
    answer.value.lanes.push(lane);
    answer.exact &&= lane.segments.exact.every((flag) => flag === 1);
  }
  return found;
}
