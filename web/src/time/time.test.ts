import { describe, expect, it } from "vitest";
import {
  axisTicks,
  formatDuration,
  formatExact,
  formatShare,
  formatTime,
  grouped,
  parseDuration,
  parseTime,
} from "./time";

const ORIGIN = 1_795_381_360_396_387_133n;

describe("formatTime", () => {
  it("groups what is below the second by three", () => {
    expect(formatTime(ORIGIN, "utc", ORIGIN)).toBe("21:02:40.396 387 133");
    expect(formatTime(ORIGIN, "utc", ORIGIN, 3)).toBe("21:02:40.396");
    expect(formatTime(ORIGIN + 12_000_000_007n, "seconds", ORIGIN)).toBe("12.000 000 007 s");
    expect(formatTime(ORIGIN - 1n, "seconds", ORIGIN)).toBe("-0.000 000 001 s");
    expect(formatTime(ORIGIN, "ns", ORIGIN)).toBe("1 795 381 360 396 387 133");
  });

  it("keeps the fraction after the second before the epoch too", () => {
    expect(formatTime(-1n, "utc", 0n)).toBe("23:59:59.999 999 999");
  });
});

describe("formatDuration", () => {
  it("has three significant digits", () => {
    expect(formatDuration(0)).toBe("0 ns");
    expect(formatDuration(999)).toBe("999 ns");
    expect(formatDuration(1_000)).toBe("1.00 µs");
    expect(formatDuration(807_123)).toBe("807 µs");
    expect(formatDuration(1_370_000_000)).toBe("1.37 s");
    expect(formatDuration(999_999_999)).toBe("1.00 s");
    expect(formatDuration(5_000_000_000_000)).toBe("5 000 s");
    expect(formatDuration(-1_500)).toBe("-1.50 µs");
    expect(formatExact(8_274_489)).toBe("8 274 489 ns");
  });

  it("never shows a small share as none", () => {
    expect(formatShare(0)).toBe("0 %");
    expect(formatShare(0.0001)).toBe("<0.1 %");
    expect(formatShare(0.99999)).toBe(">99.9 %");
    expect(formatShare(1)).toBe("100.0 %");
    expect(grouped(-1234567n)).toBe("-1 234 567");
  });
});

describe("parse", () => {
  it("reads lengths exactly", () => {
    expect(parseDuration("1ms")).toBe(1_000_000n);
    expect(parseDuration("1.000000001 s")).toBe(1_000_000_001n);
    expect(parseDuration("0.5us")).toBe(500n);
    expect(parseDuration("1 000 µs")).toBe(1_000_000n);
    expect(parseDuration("1")).toBeNull();
    expect(parseDuration("ms")).toBeNull();
  });

  it("reads moments in every form that it writes", () => {
    for (const format of ["utc", "local", "seconds", "ns"] as const) {
      const moment = ORIGIN + 12_345_678_901n;
      expect(parseTime(formatTime(moment, format, ORIGIN), format, ORIGIN)).toBe(moment);
    }
    expect(parseTime("+300ms", "utc", ORIGIN)).toBe(ORIGIN + 300_000_000n);
    expect(parseTime("@17", "utc", ORIGIN)).toBe(17n);
    expect(parseTime("noon", "utc", ORIGIN)).toBeNull();
  });

  it("takes a clock time after midnight for the next day", () => {
    const evening = 86_390_000_000_000n;
    expect(parseTime("00:00:05", "utc", evening)).toBe(86_405_000_000_000n);
  });
});

describe("axisTicks", () => {
  it("stands on round moments inside the range", () => {
    const ticks = axisTicks(ORIGIN, ORIGIN + 50_000_000n, 1200, "utc", ORIGIN);
    expect(ticks.length).toBeGreaterThan(3);
    expect(
      ticks.every((tick) => tick.time >= ORIGIN && tick.time <= ORIGIN + 50_000_000n && tick.time % 5_000_000n === 0n),
    ).toBe(true);
    expect(ticks[0]?.label).toBe("21:02:40.400");
  });

  it("has marks on a narrow axis too, and not too many on a wide one", () => {
    expect(axisTicks(ORIGIN, ORIGIN + 10_300_000_000n, 250, "utc", ORIGIN).length).toBeGreaterThanOrEqual(2);
    for (const length of [20n, 1_000n, 999_999n, 77_000_000n, 3_600_000_000_000n, 500_000_000_000_000n]) {
      const count = axisTicks(ORIGIN, ORIGIN + length, 1200, "utc", ORIGIN).length;
      expect(count).toBeGreaterThan(2);
      expect(count).toBeLessThanOrEqual(16);
    }
  });

  it("counts from the begin in seconds, and goes down to the nanosecond", () => {
    expect(axisTicks(ORIGIN, ORIGIN + 10_000_000_000n, 800, "seconds", ORIGIN)[0]?.label).toBe("0 s");
    const fine = axisTicks(ORIGIN, ORIGIN + 20n, 1200, "utc", ORIGIN);
    expect(new Set(fine.map((tick) => tick.label)).size).toBe(fine.length);
    expect(axisTicks(ORIGIN, ORIGIN, 100, "utc", ORIGIN)).toEqual([]);
  });
});
