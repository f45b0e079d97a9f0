import { describe, expect, it } from "vitest";
import { ZoomHistory } from "./history";
import { around, clamp, ordered, pan, pixelOf, reveal, SHORTEST, span, timeAt, zoom } from "./range";

const BOUNDS = { begin: 1_795_381_360_396_387_133n, end: 1_795_381_393_298_451_151n };

describe("zoom", () => {
  it("keeps the moment under the mouse, to the nanosecond", () => {
    const range = { begin: BOUNDS.begin + 1_000_000_007n, end: BOUNDS.begin + 1_000_010_007n };
    const closer = zoom(range, 0.5, 0.25, BOUNDS);
    expect(span(closer)).toBe(5_000n);
    expect(closer.begin + 1_250n).toBe(range.begin + 2_500n);
  });

  it("comes back to the same range from the same place", () => {
    const range = { begin: BOUNDS.begin + 5_000_000_000n, end: BOUNDS.begin + 6_000_000_000n };
    expect(zoom(zoom(range, 0.5, 0.5, BOUNDS), 2, 0.5, BOUNDS)).toEqual(range);
  });

  it("always moves, never beyond the shortest or the whole", () => {
    let range = { begin: BOUNDS.begin, end: BOUNDS.begin + 100n };
    for (let turn = 0; turn < 50; turn += 1) range = zoom(range, 0.99, 0.5, BOUNDS);
    expect(span(range)).toBeGreaterThanOrEqual(SHORTEST);
    expect(span(range)).toBeLessThan(60n);
    expect(zoom(BOUNDS, 4, 0.3, BOUNDS)).toEqual(BOUNDS);
  });
});

describe("pan, clamp, reveal, around", () => {
  it("stops at the bounds without changing the length", () => {
    const range = { begin: BOUNDS.begin + 10n, end: BOUNDS.begin + 1_010n };
    expect(pan(range, -0.5, BOUNDS)).toEqual({ begin: BOUNDS.begin, end: BOUNDS.begin + 1_000n });
    expect(clamp({ begin: BOUNDS.end - 5n, end: BOUNDS.end + 95n }, BOUNDS)).toEqual({
      begin: BOUNDS.end - 100n,
      end: BOUNDS.end,
    });
  });

  it("reveals only what is not visible", () => {
    const range = { begin: BOUNDS.begin, end: BOUNDS.begin + 1_000n };
    expect(reveal(range, BOUNDS.begin + 10n, BOUNDS)).toBe(range);
    const moved = reveal(range, BOUNDS.begin + 5_000n, BOUNDS);
    expect(span(moved)).toBe(1_000n);
    expect(moved.begin).toBe(BOUNDS.begin + 4_500n);
  });

  it("leaves a margin around a moment too", () => {
    const moment = BOUNDS.begin + 5_000n;
    const shown = around({ begin: moment, end: moment }, BOUNDS);
    expect(shown.begin).toBeLessThan(moment);
    expect(shown.end).toBeGreaterThan(moment);
  });

  it("maps pixels to moments and back", () => {
    const range = { begin: BOUNDS.begin, end: BOUNDS.begin + 1_000n };
    expect(timeAt(range, 250, 1000)).toBe(BOUNDS.begin + 250n);
    expect(pixelOf(range, BOUNDS.begin + 250n, 1000)).toBeCloseTo(250);
    expect(timeAt(range, 5, 0)).toBe(range.begin);
    expect(ordered(3n, 1n)).toEqual({ begin: 1n, end: 3n });
  });
});

describe("ZoomHistory", () => {
  const at = (n: number) => ({ begin: BigInt(n), end: BigInt(n + 100) });

  it("goes back and forth", () => {
    const history = new ZoomHistory(400);
    history.leave(at(1), 0);
    history.leave(at(2), 1000);
    expect(history.undo(at(3))).toEqual(at(2));
    expect(history.undo(at(2))).toEqual(at(1));
    expect(history.undo(at(1))).toBeNull();
    expect(history.redo(at(1))).toEqual(at(2));
    expect(history.redo(at(2))).toEqual(at(3));
    expect(history.redo(at(3))).toBeNull();
  });

  it("takes one turn of a wheel for one step", () => {
    const history = new ZoomHistory(400);
    history.leave(at(1), 0);
    history.leave(at(2), 50);
    history.leave(at(3), 100);
    expect(history.undo(at(4))).toEqual(at(1));
  });

  it("forgets what was undone after a new zoom", () => {
    const history = new ZoomHistory(400);
    history.leave(at(1), 0);
    history.undo(at(2));
    history.leave(at(1), 5000);
    expect(history.redo(at(9))).toBeNull();
  });
});
