import { shortName, type Entities, type Entity } from "../api/entities";
import type { Interval, Segments } from "../api/segments";
import type { Source } from "../api/source";
import { evaluate, type Subject } from "../filter/evaluate";
import type { Expression, Field } from "../filter/parser";
import { isWait } from "./palette";

/** What the legend turns off: states, what ended waits, and degrees of confidence. */
export function mutedBy(muted: ReadonlySet<string>, state: string, cause: string, confidence: string): boolean {
  if (muted.size === 0) return false;
  return (
    muted.has(`state:${state}`) ||
    (isWait(state) && muted.has(`cause:${cause}`)) ||
    muted.has(`confidence:${confidence}`)
  );
}

/** One interval as the filter language sees it. */
class IntervalSubject implements Subject {
  private entity: Entity | undefined;
  private interval: Pick<
    Interval,
    "start" | "end" | "state" | "cause" | "level" | "confidence" | "evidence" | "by" | "exact" | "vcpu"
  > | null = null;

  constructor(
    private readonly source: Source,
    private readonly entities: Entities,
  ) {}

  set(entity: Entity | undefined, interval: NonNullable<IntervalSubject["interval"]>): void {
    this.entity = entity;
    this.interval = interval;
  }

  text(field: Field): string {
    const { entity, interval } = this;
    const words = this.source.vocabulary;
    if (interval === null) return "";
    switch (field) {
      case "state":
        return words.state(interval.state);
      case "cause":
        return words.cause(interval.cause);
      case "confidence":
        return words.confidence(interval.confidence);
      case "evidence":
        return words.evidence(interval.evidence);
      case "by": {
        const by = this.entities.get(interval.by);
        return by === undefined ? "" : `${this.entities.title(by.id)} ${by.key}`;
      }
      case "level":
        return String(interval.level);
      case "duration":
        return interval.exact ? String(interval.end - interval.start) : "";
      case "name":
        return entity === undefined ? "" : `${shortName(entity)} ${entity.label}`;
      case "key":
        return entity?.key ?? "";
      case "kind":
        return entity?.kind ?? "";
      case "cr3":
        return entity?.cr3 ?? "";
      case "vm": {
        const guest = entity === undefined ? undefined : this.entities.guestOf(entity);
        return guest === undefined ? "" : `${guest.label} ${guest.key}`;
      }
      case "vcpu":
      case "tid":
      case "pid": {
        const value = this.number(field);
        return value === undefined || Number.isNaN(value) ? "" : String(value);
      }
    }
  }

  number(field: Field): number | undefined {
    const { entity, interval } = this;
    if (interval === null) return NaN;
    const known = (value: number | undefined): number => (value === undefined || value < 0 ? NaN : value);
    switch (field) {
      case "duration":
        return interval.exact ? interval.end - interval.start : undefined;
      case "level":
        return interval.level;
      case "vcpu":
        return known(interval.vcpu >= 0 ? interval.vcpu : entity?.vcpu);
      case "tid":
        return known(entity?.tid);
      case "pid":
        return known(entity?.pid);
      default:
        return NaN;
    }
  }
}

/** Answers for each row of a picture whether it passes the filter and the legend; remembers its answers. */
export class Matcher {
  private readonly answers = new WeakMap<Segments, Uint8Array>();
  private readonly one: IntervalSubject;

  constructor(
    private readonly source: Source,
    private readonly expression: Expression | null,
    private readonly muted: ReadonlySet<string>,
  ) {
    this.one = new IntervalSubject(source, source.entities);
  }

  get active(): boolean {
    return this.expression !== null || this.muted.size > 0;
  }

  /** 1 for each row that passes; what cannot be known at this scale passes. */
  rows(segments: Segments, entity: number, vcpu: number): Uint8Array {
    const known = this.answers.get(segments);
    if (known !== undefined) return known;
    const words = this.source.vocabulary;
    const who = this.source.entities.get(entity);
    const out = new Uint8Array(segments.length);
    for (let row = 0; row < out.length; row += 1) {
      const [state, cause, confidence] = [
        segments.state[row] ?? 0,
        segments.cause[row] ?? 0,
        segments.confidence[row] ?? 0,
      ];
      if (mutedBy(this.muted, words.state(state), words.cause(cause), words.confidence(confidence))) continue;
      if (this.expression !== null) {
        this.one.set(who, {
          vcpu,
          state,
          cause,
          confidence,
          start: segments.start[row] ?? 0,
          end: segments.end[row] ?? 0,
          level: segments.level[row] ?? 0,
          evidence: segments.evidence[row] ?? 0,
          by: segments.by[row] ?? -1,
          exact: segments.exact[row] === 1,
        });
        if (evaluate(this.expression, this.one) === false) continue;
      }
      out[row] = 1;
    }
    this.answers.set(segments, out);
    return out;
  }

  interval(interval: Interval): boolean {
    const words = this.source.vocabulary;
    if (
      mutedBy(
        this.muted,
        words.state(interval.state),
        words.cause(interval.cause),
        words.confidence(interval.confidence),
      )
    )
      return false;
    if (this.expression === null) return true;
    this.one.set(this.source.entities.get(interval.entity), interval);
    return evaluate(this.expression, this.one) !== false;
  }
}
