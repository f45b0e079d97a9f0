import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BASE, isClose, launch, open, pixel, range, rowBox, settled, sourceOf } from "./page";
import { skipped } from "./root";

const found = await sourceOf("seed-nested");
if (found === null) skipped("critical paths: no source seed-nested");
const seed = found ?? { id: "", name: "", begin: 0n, end: 0n };
const SEED = `source=${seed.name}`;
/** The thread that started all others: it waits for many. */
const SHELL = `thread:1@${seed.begin}`;
/** A link's options of the path of a worker. */
const of = (key: string, more = ""): string => encodeURIComponent(`path,of=${encodeURIComponent(key)}${more}`);

let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});

afterAll(() => browser.close());

async function choose(page: Page, text: string): Promise<void> {
  await page.getByRole("combobox", { name: "Whose critical path" }).fill(text);
  await page.locator(".worker-list [role=option]").first().waitFor();
  await page.keyboard.press("Enter");
  await settled(page);
}

const numbers = (texts: readonly string[]): number[] => texts.map((text) => Number(/[\d.]+/.exec(text)?.[0]));
const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

/** The cells of a column of the table beside the rows. */
async function cells(page: Page, column: number): Promise<string[]> {
  return page.locator(`[data-view=path] .data-row [role=gridcell]:nth-child(${column})`).allInnerTexts();
}

describe.skipIf(found === null)("critical path", () => {
  it("is opened from the menu, of a worker that is looked for by name", async () => {
    const { page, complaints } = await open(browser, SEED);
    await page.locator(".views button", { hasText: /^Path$/ }).click();
    await settled(page);
    expect(await page.locator("[data-view=path] .path-start li").count()).toBeGreaterThan(3);
    await choose(page, "bash:1");
    expect(await page.locator(".path-summary").innerText()).toMatch(/^bash:1\s+6\.00 s, \d+ steps of \d+ workers/);

    // Whoever takes part has a row: the asked one on top, then by share; the shares add up.
    const rows = await page.locator("[data-view=path] .tree-title").allInnerTexts();
    expect(rows[0]).toBe("bash:1");
    await page.locator("[data-view=path]").getByRole("button", { name: "Maximise" }).click();
    await page.setViewportSize({ width: 1440, height: 7200 });
    await settled(page);
    const shares = numbers(await page.locator("[data-view=path] .tree-row .tree-scale").allInnerTexts());
    expect(shares.slice(1)).toEqual([...shares.slice(1)].sort((a, b) => b - a));
    expect(Math.abs(sum(shares) - 100)).toBeLessThan(3);

    // The tree's outermost parts are all of the time, to the nanosecond.
    await page.waitForFunction(() => {
      const table = document.querySelector("[data-view=path] .data-table");
      return Number(table?.getAttribute("aria-rowcount")) === 1 + (table?.querySelectorAll(".data-row").length ?? 0);
    });
    const top = await page.locator("[data-view=path] .data-row").evaluateAll((all) =>
      all
        .filter((row) => (row.querySelector(".with-swatch") as HTMLElement).style.paddingLeft === "0px")
        .map((row) => row.querySelector("[role=gridcell]:nth-child(2) [title]")?.getAttribute("title") ?? ""),
    );
    expect(sum(top.map((text) => Number(text.replaceAll(/\D/g, ""))))).toBe(6_000_000_000);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("is told by the server without a nanosecond missing", async () => {
    const reply = (await (
      await fetch(`${BASE}/api/v1/sources/${seed.id}/critical-path`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ entity: 0, begin_ns: seed.begin.toString(), end_ns: seed.end.toString() }),
      })
    ).json()) as { tree: { depth: number; ns: number }[]; steps: { start: number[]; end: number[] } };
    const whole = Number(seed.end - seed.begin);
    expect(sum(reply.tree.filter((node) => node.depth === 0).map((node) => node.ns))).toBe(whole);
    expect(sum(reply.steps.start.map((start, at) => (reply.steps.end[at] ?? 0) - start))).toBe(whole);
  });

  it("paints steps and arrows, and a click on one is followed by the other views", async () => {
    const { page, complaints } = await open(browser, `${SEED}&views=${of(SHELL)}|explorer&time=seconds`);
    const names = await page.locator("[data-view=path] .tree-title").allInnerTexts();
    const other = names[1] ?? "";
    await page.getByRole("tab", { name: "Steps" }).click();
    await settled(page);
    await page.locator("[data-view=path] .data-head button", { hasText: "For" }).click();
    await page.locator("[data-view=path] .data-row").first().click();
    await settled(page);
    const state = await page.locator("[data-view=explorer] .panel-controls .mono").innerText();
    expect(await page.locator(".status-selection").innerText()).toContain(state.replace(" s", "").slice(0, 6));
    expect(await page.locator("[data-view=path] .data-row.current").count()).toBe(1);
    const row = await page.locator(".status-row").innerText();
    expect(await page.locator("[data-view=path] .tree-row.current .tree-title").innerText()).toBe(row);

    // A click on the picture: where that row has its step, which is half the selection's way on.
    await page.keyboard.press("f");
    await settled(page);
    const { x, width, y } = await rowBox(page, "path", row);
    expect(isClose(await pixel(page, x + width / 2, y + 6), [255, 255, 255])).toBe(false);
    await page.keyboard.press("Escape");
    await page.mouse.click(x + width / 2, y);
    await settled(page);
    expect(await page.locator(".status-row").innerText()).toBe(row);
    await page.mouse.move(x + width / 2 + 3, y);
    await page.waitForTimeout(150);
    const tip = await page.locator(".tooltip").innerText();
    expect(tip).toMatch(/share[\s\S]*of the path/);
    expect(tip).toMatch(/confidence[\s\S]*evidence/);
    expect(other).not.toBe("");
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("goes to the longest part of a node, and stays the same path meanwhile", async () => {
    const { page } = await open(browser, `${SEED}&views=${of(SHELL)}`);
    const before = await page.locator(".path-summary").innerText();
    const wait = page.locator("[data-view=path] .data-row", { hasText: "sleeping: timer" }).first();
    const longest = await wait.locator("[role=gridcell]").last().innerText();
    await wait.click();
    await settled(page);
    expect(await page.locator(".status-selection b").innerText()).toBe(longest);
    expect(await page.locator(".path-summary").innerText()).toBe(before);
    await page.context().close();
  });

  it("is restored by a link, with its range", async () => {
    const from = seed.begin + 3_000_000_000n;
    const link = of(SHELL, `,from=${from},to=${from + 500_000_000n},tab=steps`);
    const { page } = await open(browser, `${SEED}&views=${link}`);
    expect(await page.locator(".path-summary").innerText()).toMatch(/^bash:1\s+500 ms/);
    expect(await page.getByRole("tab", { name: "Steps" }).getAttribute("aria-selected")).toBe("true");
    await page.getByRole("group", { name: "In which stretch" }).getByRole("button", { name: "all" }).click();
    await settled(page);
    expect(await page.locator(".path-summary").innerText()).toMatch(/^bash:1\s+6\.00 s/);
    await page.context().close();
  });
});

describe.skipIf(found === null)("why is this waiting", () => {
  async function waiting(views: string): Promise<{ page: Page; at: { x: number; y: number } }> {
    const { page } = await open(browser, `${SEED}&views=${views}&${range(seed.begin, seed.begin + 1_500_000_000n)}`);
    const { x, width, y } = await rowBox(page, "vms", "nested vCPU 0");
    // Its first second is mostly one halt.
    return { page, at: { x: x + width * 0.5, y } };
  }

  async function explained(page: Page): Promise<void> {
    await settled(page);
    expect(await page.getByRole("tab", { name: "Steps" }).getAttribute("aria-selected")).toBe("true");
    expect(await page.locator(".path-summary").innerText()).toMatch(/^nested vCPU 0 of L2:\S+/);
    // The path is as long as the wait, and what it is about is selected.
    const path = await page.locator(".path-summary").innerText();
    const wait = await page.locator(".status-selection b").innerText();
    expect(path).toContain(wait);
    const [first = ""] = await cells(page, 1);
    expect(first).toBe("+0 ns");
    const lengths = await cells(page, 4);
    expect(lengths.length).toBeGreaterThan(0);
  }

  it("is answered with a key", async () => {
    const { page, at } = await waiting("vms");
    await page.mouse.click(at.x, at.y);
    await page.keyboard.press("c");
    await explained(page);
    await page.context().close();
  });

  it("is answered with the other mouse button", async () => {
    const { page, at } = await waiting("vms");
    await page.mouse.click(at.x, at.y, { button: "right" });
    await page.getByRole("menuitem", { name: /Why is this waiting/ }).click();
    await explained(page);
    expect(await page.locator(".context-menu").count()).toBe(0);
    await page.context().close();
  });

  it("is answered in the explorer", async () => {
    const { page, at } = await waiting("vms|explorer");
    await page.mouse.click(at.x, at.y);
    await settled(page);
    const row = page.locator("[data-view=explorer] .data-row", { hasText: "nested vCPU 0 of" }).first();
    await row.getByRole("button", { name: "Why is this waiting?" }).click();
    await explained(page);
    await page.context().close();
  });
});

describe.skipIf(found === null)("two paths", () => {
  it("are compared by who and what, what differs most first", async () => {
    const half = seed.begin + 1_000_000_000n;
    const { page, complaints } = await open(browser, `${SEED}&views=${of(SHELL, `,from=${seed.begin},to=${half}`)}`);
    await page.getByRole("button", { name: "Compare with…" }).click();
    await settled(page);
    expect(await page.locator("[data-view=path] .path-side").innerText()).toContain("Now choose the one to compare");
    await page.getByRole("group", { name: "In which stretch" }).getByRole("button", { name: "all" }).click();
    await settled(page);
    expect(await page.locator(".compare-titles").innerText()).toMatch(/A bash:1[\s\S]*1\.00 s[\s\S]*B bash:1[\s\S]*6\.00 s/);
    const outermost = await page.locator("[data-view=path] .data-row").evaluateAll((all) =>
      all
        .filter((row) => (row.querySelector(".with-swatch") as HTMLElement).style.paddingLeft === "0px")
        .map((row) => row.querySelector("[role=gridcell]:last-child .number")?.textContent ?? ""),
    );
    const differences = numbers(outermost);
    expect(differences.length).toBeGreaterThan(2);
    expect(differences).toEqual([...differences].sort((a, b) => b - a));
    // Threads of one name are one row, or each is one.
    expect(await cells(page, 1)).toContain("sleeping: task, for sleep");
    await page.getByRole("checkbox", { name: "Threads by name" }).uncheck();
    await settled(page);
    expect((await cells(page, 1)).some((text) => /for \w+:\d+$/.test(text))).toBe(true);
    expect(await page.locator(".chip").innerText()).toContain("compared with bash:1");
    // The link has both.
    await page.waitForTimeout(300);
    const hash = await page.evaluate(() => location.hash);
    const again = await open(browser, hash.slice(1));
    expect(await again.page.locator(".compare-titles").innerText()).toMatch(/A bash:1/);
    await again.page.context().close();
    await page.getByRole("button", { name: "Compare with nothing" }).click();
    await settled(page);
    expect(await page.locator(".compare-titles").count()).toBe(0);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});

describe.skipIf(found === null)("a source that grows", () => {
  it("has a path that grows with it", async () => {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    const page = await context.newPage();
    const half = { state: "analysing", end_ns: (seed.begin + 3_000_000_000n).toString() };
    const early = { ...half, complete_to_ns: half.end_ns };
    // As it is at first; the server then says how far it really is.
    let growing = true;
    await page.route("**/api/v1/sources", async (route) => {
      const reply = await route.fetch();
      const told = (await reply.json()) as { sources: { id: string }[] };
      const sources = told.sources.map((known) => (known.id === seed.id ? { ...known, ...early } : known));
      await route.fulfill({ json: { ...told, sources } });
    });
    await page.route(`**/api/v1/sources/${seed.id}`, async (route) => {
      const reply = await route.fetch();
      const told = (await reply.json()) as object;
      await route.fulfill({ json: growing ? { ...told, ...early } : told });
    });
    let goOn = (): void => undefined;
    const until = new Promise<void>((done) => (goOn = done));
    await page.route("**/api/v1/progress", async (route) => {
      await until;
      await route.continue();
    });
    await page.goto(`${BASE}/#${SEED}&views=${of(SHELL)}`);
    await settled(page);
    const summary = page.locator(".path-summary");
    expect(await summary.innerText()).toMatch(/^bash:1\s+3\.00 s[\s\S]*still being analysed/);
    const rows = await page.locator("[data-view=path] .data-table").getAttribute("aria-rowcount");
    growing = false;
    goOn();
    await page.waitForFunction(() => /6\.00 s/.test(document.querySelector(".path-summary")?.textContent ?? ""));
    await settled(page);
    expect(await summary.innerText()).not.toContain("still being analysed");
    expect(Number(await page.locator("[data-view=path] .data-table").getAttribute("aria-rowcount"))).toBeGreaterThan(
      Number(rows),
    );
    await context.close();
  });
});

describe.skipIf(found === null)("what cannot be shown", () => {
  it("is said: nobody of that name, an empty stretch, a failure", async () => {
    const { page } = await open(browser, `${SEED}&views=${of("thread:nobody")}`);
    expect(await page.locator("[data-view=path]").innerText()).toContain("nobody called “thread:nobody”");
    await page.context().close();

    const before = seed.begin - 2_000_000_000n;
    const link = of(SHELL, `,from=${before},to=${before + 1_000_000n}`);
    const empty = await open(browser, `${SEED}&views=${link}`);
    expect(await empty.page.locator(".path-summary").innerText()).toContain("was not there in this stretch");
    expect(empty.complaints).toEqual([]);
    await empty.page.context().close();

    const failing = await open(browser, SEED);
    await failing.page.route("**/critical-path", (route) =>
      route.fulfill({ status: 500, json: { error: { code: "broken", message: "a chunk cannot be read <b>" } } }),
    );
    await failing.page.locator(".views button", { hasText: /^Path$/ }).click();
    await choose(failing.page, "bash:1");
    expect(await failing.page.locator("[data-view=path] .panel-error").innerText()).toBe("a chunk cannot be read <b>");
    expect(await failing.page.locator("[data-view=path] .tree-row").count()).toBe(0);
    await failing.page.context().close();
  });

  it("is said of more steps than are told, beside the tree; and of what is not sure", async () => {
    const { page } = await open(browser, SEED);
    await page.route("**/critical-path", async (route) => {
      const reply = await route.fetch();
      const told = (await reply.json()) as Record<string, unknown>;
      const columns = (names: string[]): Record<string, number[]> => Object.fromEntries(names.map((name) => [name, []]));
      const steps = columns(["entity", "start", "end", "doing", "by", "inside", "woke"]);
      const waits = columns(["entity", "start", "end", "doing", "ended_by", "inside"]);
      const doubts = { unknown_ns: 720_000_000, likely_ns: 60_000_000, against_causality: 3, too_deep: 1 };
      await route.fulfill({ json: { ...told, ...doubts, steps, waits, step_count: 250_000 } });
    });
    await page.locator(".views button", { hasText: /^Path$/ }).click();
    await choose(page, "bash:1");
    const text = await page.locator("[data-view=path]").innerText();
    expect(text).toContain("250 000 steps are too many to be drawn one by one");
    expect(text).toContain("12.0 % of it unknown");
    expect(text).toContain("1.0 % only likely");
    expect(text).toContain("3 wake-ups not followed");
    expect(text).toContain("1 wait not followed: too deep");
    expect(await page.locator("[data-view=path] .data-row").count()).toBeGreaterThan(5);
    await page.context().close();
  });
});
