import { spawnSync } from "node:child_process";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, open, rowBox, settled, sourceOf } from "./page";
import { ROOT, skipped } from "./root";
import { program } from "./server";

const found = await sourceOf("host-containers");
if (found === null) skipped("waiting for the same: no source host-containers");
const SOURCE = "source=host-containers&time=seconds";

let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});

afterAll(() => browser.close());

/** Finds a worker by what is typed, with keys alone. */
async function choose(page: Page, box: string, text: string): Promise<void> {
  await page.getByRole("combobox", { name: box }).fill(text);
  await page.locator(".worker-list [role=option]").first().waitFor();
  await page.keyboard.press("Enter");
  await settled(page);
}

/** Opens the path of a container's thread, and what it waits for together with another's. */
async function two(): Promise<{ page: Page; complaints: string[] }> {
  const opened = await open(browser, `${SOURCE}&views=path`);
  await choose(opened.page, "Whose critical path", "c1chB");
  await opened.page.getByRole("tab", { name: "Waiting for the same" }).click();
  expect(await opened.page.locator(".together").innerText()).toContain("Add a second worker");
  await choose(opened.page, "Add a worker", "c2chB");
  return opened;
}

const members = (page: Page): Promise<string[]> => page.locator(".together-set .chip button:first-child").allInnerTexts();

interface Told {
  together: {
    key: string;
    elapsed_ns: number;
    together_ns: number;
    at_least_without_ns: number;
    workers: { key: string; waited_ns: number; queued_ns: number; behind: { key: string; queued_ns: number }[] }[];
  }[];
}

/** What the command says of the same two. */
function command(): Told["together"] | null {
  const virtflow = program("waiting for the same, as the command says it");
  if (virtflow === null) return null;
  const trace = `${ROOT}/fixtures/host-containers`;
  const given = ["critical-path", trace, "--of", "208", "--of", "212", "--format", "json", "--no-cache"];
  return (JSON.parse(spawnSync(virtflow, given, { encoding: "utf8" }).stdout) as Told).together;
}

const exact = (texts: readonly (string | null)[]): number[] => texts.map((text) => Number(text?.replaceAll(/\D/g, "")));

describe.skipIf(found === null)("waiting for the same", () => {
  it("is told of two workers, with keys alone, as the command tells it", async () => {
    const { page, complaints } = await two();
    expect(await members(page)).toEqual(["c1chB:208", "c2chB:212"]);
    // The box is ready for the next one.
    expect(await page.getByRole("combobox", { name: "Add a worker" }).evaluate((box) => box === document.activeElement)).toBe(true);
    const disk = page.getByRole("region", { name: "vdc" });
    expect(await disk.innerText()).toMatch(/of the time two or more wait for it[\s\S]*Had it served each at once/);
    const rows = disk.locator("tbody tr");
    expect(await rows.locator("th").allInnerTexts()).toEqual(["c1chB:208", "c2chB:212"]);
    expect(await rows.nth(0).innerText()).toMatch(/c2chB:212 [\d.]+ ms/);
    const told = command();
    if (told !== null) {
      expect(told).toHaveLength(1);
      const sums = await Promise.all(
        [1, 2].map(async (column) =>
          exact(await rows.locator("td.numeric").evaluateAll((cells, at) => cells.filter((_, cell) => cell % 3 === at - 1).map((cell) => cell.getAttribute("title")), column)),
        ),
      );
      const workers = told[0]?.workers ?? [];
      expect(sums).toEqual([workers.map((worker) => worker.waited_ns), workers.map((worker) => worker.queued_ns)]);
      const ns = exact([await disk.locator("p [title]").getAttribute("title")]);
      expect(ns).toEqual([told[0]?.together_ns]);
    }
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("leads to the longest, and stays when the path becomes another's", async () => {
    const { page, complaints } = await two();
    const longest = page.locator(".together-waiters tbody tr").first().locator(".link");
    const length = await longest.innerText();
    await longest.focus();
    await page.keyboard.press("Enter");
    await settled(page);
    expect(await page.locator(".status-selection b").innerText()).toBe(length);
    expect(await page.locator(".status-row").innerText()).toBe("c1chB:208");
    await page.locator(".together-set .chip", { hasText: "c2chB" }).locator("button").first().click();
    await settled(page);
    expect(await page.locator(".path-summary").innerText()).toMatch(/^c2chB:212/);
    expect(await members(page)).toEqual(["c1chB:208", "c2chB:212"]);
    // A link has all of it.
    await page.waitForTimeout(300);
    const again = await open(browser, (await page.evaluate(() => location.hash)).slice(1));
    expect(await members(again.page)).toEqual(["c1chB:208", "c2chB:212"]);
    expect(await again.page.locator(".together-waiters tbody tr").count()).toBe(2);
    await again.page.context().close();
    await page.getByRole("button", { name: "Without c1chB:208" }).click();
    await settled(page);
    expect(await members(page)).toEqual(["c2chB:212"]);
    expect(await page.locator(".together-waiters").count()).toBe(0);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("is asked of rows, with a key and with the other mouse button", async () => {
    const { page, complaints } = await open(browser, `${SOURCE}&views=resources`);
    // All rows, also when the path stands below them.
    await page.setViewportSize({ width: 1440, height: 2000 });
    await settled(page);
    const row = (name: string) => page.locator("[data-view=resources] .tree-row", { hasText: name }).first();
    await row("CPU 0").click();
    await page.keyboard.press("q");
    expect(await page.locator("body").innerText()).toContain("Only threads, vCPUs and guest processes wait");
    await row("kworker/1:0:22").click();
    await page.keyboard.press("q");
    await settled(page);
    expect(await members(page)).toEqual(["kworker/1:0:22"]);
    const { x, width, y } = await rowBox(page, "resources", "kworker/0:2:91");
    await page.mouse.click(x + width / 2, y, { button: "right" });
    await page.getByRole("menuitem", { name: /Waiting for the same/ }).click();
    await settled(page);
    expect(await members(page)).toEqual(["kworker/1:0:22", "kworker/0:2:91"]);
    // Both wait for one thread: the page does not say why, but what that did.
    const thread = page.getByRole("region", { name: "Client manageme:163" });
    await thread.getByRole("button", { name: "What it did meanwhile" }).click();
    await settled(page);
    expect(await page.locator(".path-summary").innerText()).toMatch(/^Client manageme:163/);
    expect(await members(page)).toHaveLength(2);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("says so where nobody stands in anybody's way, and where it cannot be told", async () => {
    const { page } = await two();
    await page.getByRole("button", { name: "Without c2chB:212" }).click();
    await settled(page);
    await choose(page, "Add a worker", "plainhog");
    expect(await page.locator(".together").innerText()).toMatch(/In [\d.]+ m?s never two of them wait at once/);
    await page.route("**/together", (route) =>
      route.fulfill({ status: 500, json: { error: { code: "broken", message: "a chunk cannot be read <b>" } } }),
    );
    await choose(page, "Add a worker", "c2chB");
    expect(await page.locator("[data-view=path] .panel-error").innerText()).toBe("a chunk cannot be read <b>");
    await page.context().close();
  });

  it("is asked of all that make up one thing at once", async () => {
    const { page } = await open(browser, `${SOURCE}&views=path`);
    await choose(page, "Whose critical path", "lttng-consumerd");
    await page.getByRole("tab", { name: "Waiting for the same" }).click();
    const button = page.getByRole("button", { name: /^Add the other/ });
    const count = Number(/\d+/.exec(await button.innerText())?.[0] ?? 1);
    await button.click();
    await settled(page);
    expect(await members(page)).toHaveLength(1 + count);
    expect(await button.count()).toBe(0);
    await page.context().close();
  });
});
