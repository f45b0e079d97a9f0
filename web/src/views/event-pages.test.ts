import { describe, expect, it } from "vitest";
import type { EventPlace } from "../api/source";
import type { EventReply } from "../api/types";
import { EventPages } from "./event-pages";

const COUNT = 16_001;

/** Events every ten nanoseconds, two at each moment. */
function ask(from: EventPlace, limit: number): Promise<{ events: EventReply[]; next: EventPlace | null }> {
  const all = Array.from({ length: COUNT }, (_, index) => ({ time: BigInt(Math.floor(index / 2) * 10), index }));
  const start = all.findIndex((event) => event.time >= from.time);
  const rest = start < 0 ? [] : all.slice(start + from.skip);
  const page = rest.slice(0, limit);
  const after = rest[limit];
  const skip = after === undefined ? 0 : page.filter((event) => event.time === after.time).length;
  return Promise.resolve({
    events: page.map(({ time, index }) => ({ time_ns: time.toString(), cpu: 0, name: `e${index}`, fields: { index } })),
    next: after === undefined ? null : { time: after.time, skip },
  });
}

const pages = (): EventPages => new EventPages(ask, { begin: 0n, end: 80_010n });
const names = (of: EventPages): string[] => of.rows.peek().map((row) => row.name);

function isConsecutive(of: EventPages): boolean {
  const numbers = names(of).map((name) => Number(name.slice(1)));
  return numbers.every((number, at) => at === 0 || number === (numbers[at - 1] ?? 0) + 1);
}

describe("EventPages", () => {
  it("starts at a moment", async () => {
    const some = pages();
    expect(await some.goTo(10_000n)).toBe(0);
    expect(some.rows.peek()[0]?.time).toBe(10_000n);
    expect(some.rows.peek()[0]?.fields).toBe("index=2000");
  });

  it("grows at both ends without a gap or a repetition", async () => {
    const some = pages();
    await some.goTo(10_000n);
    for (let turn = 0; turn < 3; turn += 1) {
      await some.more();
      await some.earlier();
    }
    expect(isConsecutive(some)).toBe(true);
    expect(some.rows.peek().length).toBeGreaterThan(1_500);
    expect(some.rows.peek()[0]?.time).toBeLessThan(10_000n);
  });

  it("ends at the begin and at the end", async () => {
    const some = pages();
    await some.goTo(100n);
    for (let turn = 0; turn < 10; turn += 1) await some.earlier();
    expect(names(some)[0]).toBe("e0");
    for (let turn = 0; turn < 60; turn += 1) await some.more();
    expect(names(some).at(-1)).toBe(`e${COUNT - 1}`);
    expect(isConsecutive(some)).toBe(true);
    for (let turn = 0; turn < 60; turn += 1) await some.earlier();
    expect(names(some)[0]).toBe("e0");
    expect(isConsecutive(some)).toBe(true);
    for (let turn = 0; turn < 60; turn += 1) await some.more();
    expect(names(some).at(-1)).toBe(`e${COUNT - 1}`);
    expect(isConsecutive(some)).toBe(true);
  });

  it("stays where it is when a moment is already there", async () => {
    const some = pages();
    await some.goTo(10_000n);
    const before = some.rows.peek();
    expect(await some.goTo(10_500n)).toBe(100);
    expect(some.rows.peek()).toBe(before);
  });
});
