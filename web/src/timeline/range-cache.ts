import type { Source } from "../api/source";
import { clamp, span, type Range } from "../time/range";

/** What was fetched of one entity, over a stretch of time at some resolution. */
export interface Kept<T> {
  readonly begin: number;
  readonly end: number;
  readonly nsPerPixel: number;
  /** Nothing finer can be had. */
  readonly exact: boolean;
  readonly value: T;
  /** When it was fetched; the latest wins, the oldest is forgotten. */
  readonly turn: number;
}

/** What came of one entity. */
export interface Answer<T> {
  value: T;
  exact: boolean;
}

export type Ask<T> = (
  range: Range,
  pixels: number,
  entities: number[],
  signal: AbortSignal,
) => Promise<ReadonlyMap<number, Answer<T>>>;

const PER_ENTITY = 4;
const DEBOUNCE_MS = 50;
/** A request younger than this is let through, so that steady zooming still shows progress. */
const PATIENCE_MS = 300;
/** What failed is asked again after this. */
const RETRY_MS = 2000;
/** How much is asked for beyond each edge of what is visible. */
const MARGIN = 0.5;

/** Whoever wants to know of a cache's doings. */
export interface CacheListener {
  /** New data is there, or what went wrong. */
  changed(error: string | null): void;
  busy(busy: boolean): void;
}

/**
 * Fetches what the visible rows need and keeps some of what it had, so that panning and undoing draw at once.
 * Whatever is stale stays on screen, stretched, until its replacement is there.
 */
export class RangeCache<T> {
  private readonly kept = new Map<number, Kept<T>[]>();
  private controller: AbortController | null = null;
  private sentAt = 0;
  private timer = 0;
  private turn = 0;
  private wanted: { entities: number[]; range: Range; pixels: number } | null = null;
  private closed = false;
  private failedAt = -Infinity;

  constructor(
    private readonly source: Source,
    private readonly told: CacheListener,
    private readonly ask: Ask<T>,
    /** The cache of the same source before it grew: what it had stays on screen until there is better. */
    before?: RangeCache<T>,
  ) {
    if (before === undefined || before.source.name !== source.name || before.source.origin !== source.origin) return;
    this.turn = before.turn;
    for (const [entity, list] of before.kept) {
      const key = source.entities.get(entity)?.key;
      if (key !== undefined && key === before.source.entities.get(entity)?.key) this.kept.set(entity, [...list]);
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

  /** All that is there of an entity. */
  of(entity: number): readonly Kept<T>[] {
    return this.kept.get(entity) ?? [];
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
      const answers = await this.ask(range, asked, entities, controller.signal);
      if (controller.signal.aborted || this.closed) return;
      this.keep(answers, range, asked);
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

  private keep(answers: ReadonlyMap<number, Answer<T>>, range: Range, pixels: number): void {
    this.turn += 1;
    const begin = this.source.distance(range.begin);
    const end = this.source.distance(range.end);
    const nsPerPixel = (end - begin) / pixels;
    for (const [entity, { value, exact }] of answers) {
      const list = this.kept.get(entity) ?? [];
      list.unshift({ begin, end, nsPerPixel, exact, value, turn: this.turn });
      if (list.length > PER_ENTITY) list.pop();
      this.kept.set(entity, list);
    }
    if (this.kept.size > 2000)
      for (const [entity, list] of this.kept) if ((list[0]?.turn ?? 0) < this.turn - 20) this.kept.delete(entity);
  }

  /** The best of what is there: all of the stretch and fine enough, else all of it, else the latest. */
  best(entity: number, begin: number, end: number, nsPerPixel: number): Kept<T> | null {
    let best: Kept<T> | null = null;
    let bestScore = Infinity;
    for (const candidate of this.of(entity)) {
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
}

function covers(kept: Kept<unknown>, begin: number, end: number): boolean {
  return kept.begin <= begin && kept.end >= end;
}
