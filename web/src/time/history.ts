import { sameRange, type Range } from "./range";

/** Undo and redo of zooms. Steps that follow one another quickly (a wheel, a held key) are one. */
export class ZoomHistory {
  private back: Range[] = [];
  private ahead: Range[] = [];
  private last = -Infinity;

  constructor(
    private readonly quietMs = 400,
    private readonly limit = 200,
  ) {}

  /** Notes that `from` is about to be left at clock time `now`. */
  leave(from: Range, now: number): void {
    const continues = now - this.last < this.quietMs;
    this.last = now;
    this.ahead = [];
    if (continues && this.back.length > 0) return;
    const top = this.back.at(-1);
    if (top === undefined || !sameRange(top, from)) this.back.push(from);
    if (this.back.length > this.limit) this.back.shift();
  }

  /** The range before `current`, or null. */
  undo(current: Range): Range | null {
    this.last = -Infinity;
    let range = this.back.pop();
    while (range !== undefined && sameRange(range, current)) range = this.back.pop();
    if (range === undefined) return null;
    this.ahead.push(current);
    return range;
  }

  /** The range that was undone last, or null. */
  redo(current: Range): Range | null {
    this.last = -Infinity;
    const range = this.ahead.pop();
    if (range === undefined) return null;
    this.back.push(current);
    return range;
  }

  get depth(): { back: number; ahead: number } {
    return { back: this.back.length, ahead: this.ahead.length };
  }
}
