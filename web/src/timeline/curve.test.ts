import { describe, expect, it } from "vitest";
import type { Curve } from "../api/curves";
import { columnText, counterLook, withPrefix } from "./counters";
import { columnAt, columnsOf, scaleOf, type CurveView } from "./curve";

/** Single values as the server tells them: time and value, -1 for not known. */
function single(...points: [number, number][]): Curve {
  const column = (of: (point: [number, number]) => number): Float64Array => Float64Array.from(points.map(of));
  return {
    entity: 0,
    counter: 0,
    bucketNs: 0,
    length: points.length,
    start: column(([time]) => time),
    values: column(([, value]) => (value < 0 ? 0 : 1)),
    sum: column(([, value]) => Math.max(0, value)),
    least: column(([, value]) => value),
    greatest: column(([, value]) => value),
    last: column(([, value]) => value),
  };
}

const VIEW: CurveView = { begin: 0, end: 64, nsPerPixel: 8, origin: 0n };

describe("levels", () => {
  it("hold until the next value, from before the picture too", () => {
    const columns = columnsOf(single([-100, 5], [20, 9], [40, 1]), "level", VIEW);
    expect(columns.map(({ begin, end, low, high }) => [begin, end, low, high])).toEqual([
      [0, 16, 5, 5],
      [16, 24, 5, 9],
      [24, 40, 9, 9],
      [40, 48, 1, 1],
      [48, 64, 1, 1],
    ]);
    expect(columns[1]?.mean).toBe(7);
    expect(scaleOf(columns)).toBe(9);
    expect(columnAt(columns, 30)?.high).toBe(9);
  });

  it("show a value however short it held", () => {
    const columns = columnsOf(single([0, 1], [33, 50], [34, 1]), "level", VIEW);
    expect(columnAt(columns, 33)).toMatchObject({ low: 1, high: 50 });
  });

  it("are nowhere where they are not known", () => {
    const columns = columnsOf(single([8, 3], [16, -1], [48, 4]), "level", VIEW);
    expect(columnAt(columns, 4)).toBeUndefined();
    expect(columnAt(columns, 30)).toBeUndefined();
    expect(columnAt(columns, 60)?.high).toBe(4);
  });
});

describe("bars", () => {
  it("are what came in a column, per second", () => {
    const columns = columnsOf(single([1, 100], [5, 60], [33, 40]), "rate", VIEW);
    expect(columns.map(({ begin, end, values, mean }) => [begin, end, values, mean])).toEqual([
      [0, 32, 2, (160 / 32) * 1e9],
      [32, 64, 1, (40 / 32) * 1e9],
    ]);
  });

  it("stand at the same moments wherever the picture begins", () => {
    const curve = single([100, 1], [101, 2], [140, 3]);
    const [a] = columnsOf(curve, "each", { ...VIEW, begin: 96, end: 160, origin: 7n });
    const [b] = columnsOf(curve, "each", { ...VIEW, begin: 99, end: 163, origin: 7n });
    expect(a).toEqual(b);
    expect(a).toMatchObject({ low: 1, high: 2, mean: 1.5, values: 2 });
  });

  it("are no narrower than a bucket", () => {
    const curve = { ...single([0, 10], [64, 20]), bucketNs: 64 };
    const columns = columnsOf(curve, "rate", { ...VIEW, end: 128, nsPerPixel: 1 });
    expect(columns.map((column) => column.end - column.begin)).toEqual([64, 64]);
  });
});

describe("words", () => {
  it("have three digits and a unit", () => {
    expect([0, 7, 999, 1000, 1234, 12_345, 99_960, 2.5].map(withPrefix)).toEqual([
      "0 ",
      "7 ",
      "999 ",
      "1.00 k",
      "1.23 k",
      "12.3 k",
      "100 k",
      "2.50 ",
    ]);
    expect(counterLook("frequency", true).format(2_400_000)).toBe("2.40 GHz");
    expect(counterLook("of-a-later-version", true).kind).toBe("level");
  });

  it("tell what a column came to", () => {
    const column = { begin: 0, end: 1e6, low: 1e3, high: 3e3, mean: 2e3, values: 2 };
    expect(columnText(counterLook("latency", false), column)).toBe("mean 2.00 µs, up to 3.00 µs, 2 requests in 1.00 ms");
    expect(columnText(counterLook("sent", false), { ...column, values: 1 })).toBe("2.00 kB/s, 1 packet in 1.00 ms");
    expect(columnText(counterLook("queue", true), { ...column, low: 0, high: 3 })).toBe("0 to 3 in 1.00 ms");
  });
});
