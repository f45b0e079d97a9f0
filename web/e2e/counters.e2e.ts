import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatDuration } from "../src/time/time";
import { getJson, isClose, launch, open, pixel, range, rowBox, settled, sourceOf, spoken, titles, type Source } from "./page";
import { skipped } from "./root";

const NOTHING = { id: "", name: "", begin: 0n, end: 0n };
const containers = await sourceOf("host-containers");
const disks = containers ?? NOTHING;
if (containers === null) skipped("a disk's queue and latency: no source host-containers");
const vms = await sourceOf("two-vms-network");
const network = vms ?? NOTHING;
if (vms === null) skipped("a network device's rates: no source two-vms-network");

let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});

afterAll(() => browser.close());

interface RawEvent {
  time_ns: string;
  name: string;
  fields: Record<string, number | string>;
}

/** The trace's own events, against which the page is checked. */
async function events(source: Source, filter: string): Promise<RawEvent[]> {
  const { events: found } = await getJson<{ events: RawEvent[] }>(
    `/sources/${source.id}/events?from_ns=${source.begin}&limit=1000&filter=${encodeURIComponent(filter)}`,
  );
  return found;
}

describe("what is counted", () => {
  it.skipIf(containers === null)("shows how long a disk took, and how much it had to do", async () => {
    const issued = new Map<string, bigint>();
    let longest = { dev: 0, begin: 0n, end: 0n };
    for (const event of await events(disks, "block_rq_*")) {
      const key = `${event.fields["dev"]} ${event.fields["sector"]}`;
      const time = BigInt(event.time_ns);
      if (event.name === "block_rq_issue") issued.set(key, time);
      const begin = issued.get(key);
      if (event.name === "block_rq_complete" && begin !== undefined && time - begin > longest.end - longest.begin)
        longest = { dev: Number(event.fields["dev"]), begin, end: time };
    }
    expect(longest.end).toBeGreaterThan(longest.begin);
    const length = longest.end - longest.begin;
    const { page, complaints } = await open(
      browser,
      `source=${disks.name}&views=resources&${range(longest.begin - length, longest.end + length)}`,
    );
    const disk = `disk:${longest.dev >> 20}:${longest.dev & 0xfffff}`;
    const latency = await rowBox(page, "resources", "latency", disk);
    // Where its bar stands: columns are powers of two long, three pixels at least, and begin at multiples of that.
    const column = 2 ** Math.ceil(Math.log2((3 * 3 * Number(length)) / latency.width));
    const middle = (longest.end / BigInt(column)) * BigInt(column) + BigInt(column / 2);
    const bar = latency.x + (latency.width * Number(middle - longest.begin + length)) / (3 * Number(length));
    await page.mouse.click(bar, latency.y);
    await settled(page);
    const said = await spoken(page, "resources");
    const of = said.filter((line) => line.includes("latency")).find((line) => !line.endsWith("none here"));
    expect(of).toContain(formatDuration(Number(length)));
    expect(page.url()).toContain("latency");
    expect(isClose(await pixel(page, bar + 1, latency.y - 4), [0x2f, 0x6f, 0x8f])).toBe(true);
    // And in the middle of the request, where the queue has it.
    await page.mouse.click(latency.x + latency.width / 2, latency.y);
    await settled(page);
    const queue = (await spoken(page, "resources")).filter((line) => line.includes("queue"));
    expect(queue.join()).toMatch(/queue: [1-9]/);
    expect(complaints).toEqual([]);
    await page.goto(`${page.url().replace("views=resources", "views=explorer")}`);
    await settled(page);
    expect(await page.getByRole("list", { name: "Counters at the cursor" }).innerText()).toMatch(/queue [1-9]/);
    await page.context().close();
  });

  it.skipIf(vms === null)("shows what a network device took and gave", async () => {
    const packets = (await events(network, "net_dev_xmit")).filter((event) => event.fields["name"] === "tap1");
    const bytes = packets.reduce((sum, event) => sum + Number(event.fields["len"]), 0);
    expect(packets.length).toBeGreaterThan(5);
    const { page, complaints } = await open(browser, `source=${network.name}&views=resources`);
    expect(await titles(page, "resources")).toEqual(
      expect.arrayContaining(["Network devices", "br0", "tap1", "tap2", "received", "sent"]),
    );
    // All of it as CSV: bytes are rates times the columns' lengths.
    const box = await page.locator("[data-view=resources] .tree-row", { hasText: /^tap1$/ }).boundingBox();
    await page.mouse.click((box?.x ?? 0) + 60, (box?.y ?? 0) + 8);
    await page.getByRole("button", { name: "Export" }).click();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("menuitem", { name: /CSV/ }).click(),
    ]);
    const text = await (await import("node:fs/promises")).readFile(await download.path(), "utf8");
    const [head = "", ...lines] = text.trim().split("\n");
    const column = (name: string): number => head.trim().split(",").indexOf(name);
    let sum = 0;
    let count = 0;
    for (const line of lines) {
      const cells = line.split(",");
      if (cells[column("key")] !== "net:tap1#sent") continue;
      const seconds = Number(BigInt(cells[column("end_ns")] ?? 0) - BigInt(cells[column("start_ns")] ?? 0)) / 1e9;
      sum += Number(cells[column("mean")]) * seconds;
      count += Number(cells[column("values")]);
    }
    expect(count).toBe(packets.length);
    expect(Math.round(sum)).toBe(bytes);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});
