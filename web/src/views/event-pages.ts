import { signal } from "@preact/signals";
import type { EventReply } from "../api/types";
import type { EventPlace } from "../api/source";
import type { Range } from "../time/range";

export interface EventRow {
  time: bigint;
  cpu: number;
  name: string;
  /** `name=value` of each field. */
  fields: string;
}

type Ask = (
  from: EventPlace,
  limit: number,
  signal: AbortSignal,
) => Promise<{ events: EventReply[]; next: EventPlace | null }>;

const PAGE = 300;
/** More rows than this are cut off at the other end. */
const MOST = 6000;

/**
 * A window over the raw events that grows at both ends. The server only reads forwards, so earlier events are looked for
 * from a guessed moment, further back each time until some come.
 */
export class EventPages {
  readonly rows = signal<readonly EventRow[]>([]);
  readonly busy = signal(false);
  readonly error = signal<string | null>(null);
  private next: EventPlace | null = null;
  private controller = new AbortController();
  private running: "more" | "earlier" | null = null;
  private atBegin = false;

  constructor(
    private readonly ask: Ask,
    private readonly bounds: Range,
  ) {}

  close(): void {
    this.controller.abort();
  }

  /** Loads the events from `time` on, unless they are there; the index of the first. */
  async goTo(time: bigint): Promise<number> {
    const rows = this.rows.peek();
    const [first, last] = [rows[0], rows.at(-1)];
    if (first === undefined || last === undefined || time < first.time || time > last.time) {
      this.controller.abort();
      this.controller = new AbortController();
      this.running = null;
      this.atBegin = time <= this.bounds.begin;
      const page = await this.page({ time, skip: 0 }, "more");
      if (page === null) return -1;
      this.next = page.next;
      this.rows.value = page.rows;
    }
    const index = this.rows.peek().findIndex((row) => row.time >= time);
    return index < 0 ? this.rows.peek().length - 1 : index;
  }

  async more(): Promise<void> {
    if (this.next === null || this.running !== null) return;
    const page = await this.page(this.next, "more");
    if (page === null) return;
    this.next = page.next;
    const all = [...this.rows.peek(), ...page.rows];
    let from = Math.max(0, all.length - MOST);
    // Events of one moment stay together: earlier ones are looked for before the first row's moment.
    while (from > 0 && from < all.length && all[from]?.time === all[from - 1]?.time) from += 1;
    if (from > 0) this.atBegin = false;
    this.rows.value = all.slice(from);
  }

  async earlier(): Promise<void> {
    const first = this.rows.peek()[0];
    const last = this.rows.peek().at(-1);
    if (first === undefined || last === undefined || this.running !== null || this.atBegin) return;
    let back = (last.time - first.time) / BigInt(Math.max(1, Math.ceil(this.rows.peek().length / PAGE))) + 1_000n;
    for (let turn = 0; turn < 24; turn += 1) {
      const from = first.time - back > this.bounds.begin ? first.time - back : this.bounds.begin;
      const found = await this.between(from, first.time);
      if (found === null) return;
      if (found.length > 0) this.prepend(found);
      if (from === this.bounds.begin) this.atBegin = true;
      if (found.length > 0 || this.atBegin) return;
      back *= 4n;
    }
  }

  /** Puts rows before the others; what is cut off at the end can be read again from where it was cut. */
  private prepend(found: readonly EventRow[]): void {
    const all = [...found, ...this.rows.peek()];
    const kept = all.slice(0, MOST);
    const cut = all[MOST];
    if (cut !== undefined) this.next = { time: cut.time, skip: kept.filter((row) => row.time === cut.time).length };
    this.rows.value = kept;
  }

  /** All events of `[from, to)`, in as many pages as it takes; the last ones only if they are very many. */
  private async between(from: bigint, to: bigint): Promise<EventRow[] | null> {
    const found: EventRow[] = [];
    let at: EventPlace | null = { time: from, skip: 0 };
    for (let turn = 0; at !== null && at.time < to && turn < 12; turn += 1) {
      const page: { rows: EventRow[]; next: EventPlace | null } | null = await this.page(at, "earlier");
      if (page === null) return null;
      found.push(...page.rows.filter((row) => row.time < to));
      at = page.next;
    }
    return found;
  }

  private async page(
    from: EventPlace,
    running: "more" | "earlier",
  ): Promise<{ rows: EventRow[]; next: EventPlace | null } | null> {
    const { signal: aborted } = this.controller;
    this.running = running;
    this.busy.value = true;
    try {
      const { events, next } = await this.ask(from, PAGE, aborted);
      this.error.value = null;
      return { rows: events.map(rowOf), next };
    } catch (error) {
      if (!aborted.aborted) this.error.value = (error as Error).message;
      return null;
    } finally {
      if (!aborted.aborted) {
        this.running = null;
        this.busy.value = false;
      }
    }
  }
}

function rowOf(event: EventReply): EventRow {
  const fields = Object.entries(event.fields).map(
    ([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`,
  );
  return { time: BigInt(event.time_ns), cpu: event.cpu, name: event.name, fields: fields.join(" ") };
}
