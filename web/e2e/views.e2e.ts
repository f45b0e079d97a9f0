import { readFile } from "node:fs/promises";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isClose, launch, NESTED, open, pixel, range, rowBox, settled, sourceOf, titles } from "./page";
import { skipped } from "./root";

const NOTHING = { id: "", name: "", begin: 0n, end: 0n };
const nested = await sourceOf(...NESTED);
const seed = nested ?? NOTHING;
const overcommitted = await sourceOf("overcommit");
const overcommit = overcommitted ?? NOTHING;
if (overcommitted === null) skipped("who has a processor, hiding by a filter, the legend: no source overcommit");
const lossy = await sourceOf("single-vm-lossy");
const SEED = `source=${seed.name}`;

let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});

afterAll(() => browser.close());

describe("overview", () => {
  it.skipIf(nested === null)("lists the sources, then what is in one, with links to the places", async () => {
    const { page, complaints } = await open(browser, "");
    await page.getByRole("button", { name: seed.name, exact: true }).click();
    await settled(page);
    const text = await page.locator("[data-view=overview]").innerText();
    expect(text).toContain("vfhost");
    expect(text).toContain("qemu-system-x86:139");
    expect(text).toMatch(/longest pre-emption/i);
    await page.locator(".findings .link").first().click();
    await settled(page);
    expect(await page.locator(".status-selection").innerText()).toMatch(/ms/);
    expect(await page.locator(".tree-row.current .tree-title").innerText()).toMatch(/vCPU/);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});

describe("processes and resources", () => {
  it.skipIf(nested === null)("shows guest processes of one nested VM", async () => {
    const { page } = await open(browser, `${SEED}&views=processes,vm=vm%3A139%401795381360396387133%2FL2%3A51f6000`);
    const rows = await titles(page, "processes");
    expect(rows[0]).toBe("L2:51f6000");
    expect(rows.slice(1).every((row) => row.startsWith("cr3 ") || row === "guest kernel and idle")).toBe(true);
    await page.context().close();
  });

  it.skipIf(overcommitted === null)("shows who has a processor", async () => {
    const { page } = await open(
      browser,
      `source=overcommit&views=resources&${range(overcommit.begin + 4_000_000_000n, overcommit.begin + 4_020_000_000n)}`,
    );
    const { x, width, y } = await rowBox(page, "resources", "CPU 1");
    await page.mouse.move(x + width / 2, y);
    await page.mouse.move(x + width / 2 + 1, y);
    expect(await page.locator(".tooltip").innerText()).toMatch(/running[\s\S]*by/);
    const spoken = await page.locator("[data-view=resources] .spoken").innerText();
    expect(spoken).toMatch(/CPU 1: running by \S+/);
    await page.context().close();
  });
});

describe("filter and legend", () => {
  it.skipIf(overcommitted === null)("dims first, then hides bars and rows", async () => {
    const moment = overcommit.begin + 4_000_000_000n;
    const { page } = await open(
      browser,
      `source=overcommit&views=vms;resources&${range(moment, moment + 20_000_000n)}`,
    );
    const before = (await titles(page, "resources")).length;
    await page.keyboard.press("/");
    await page.keyboard.type("state == preempted && kind == vcpu");
    await settled(page);
    expect((await titles(page, "resources")).length).toBe(before);
    await page.keyboard.press("Enter");
    await settled(page);
    await settled(page);
    expect(await page.locator("[data-view=resources]").innerText()).toContain("No row passes the filter");
    expect(await titles(page, "vms")).toContain("vCPU 0");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await settled(page);
    expect((await titles(page, "resources")).length).toBe(before);
    await page.context().close();
  });

  it.skipIf(nested === null)("says what it does not understand", async () => {
    const { page } = await open(browser, `${SEED}&views=vms&filter=stat%20%3D%3D%20x`);
    expect(await page.locator("#filter-error").innerText()).toContain("no field is called “stat”");
    expect(await page.locator("#filter").getAttribute("aria-invalid")).toBe("true");
    await page.context().close();
  });

  it.skipIf(overcommitted === null)("turns states off in the legend", async () => {
    const { page } = await open(browser, "source=overcommit&views=vms");
    const { x, width, y } = await rowBox(page, "vms", "vCPU 0");
    const strong = await pixel(page, x + width / 2, y - 6);
    await page.locator(".legend-item", { hasText: /^preempted$/ }).click();
    await settled(page);
    const weak = await pixel(page, x + width / 2, y - 6);
    expect(isClose(strong, weak, 10)).toBe(false);
    expect(page.url()).toContain("muted=state%253Apreempted");
    await page.context().close();
  });

  it.skipIf(nested === null)("finds the next match in all of the source", async () => {
    const { page } = await open(
      browser,
      `${SEED}&views=vms&filter=state%20%3D%3D%20halted%20%26%26%20duration%20%3E%20100ms`,
    );
    await page.keyboard.press("n");
    await settled(page);
    const first = await page.locator(".status-selection").innerText();
    await page.keyboard.press("n");
    await settled(page);
    const second = await page.locator(".status-selection").innerText();
    expect(second).not.toBe(first);
    await page.keyboard.press("Shift+N");
    await settled(page);
    expect(await page.locator(".status-selection").innerText()).toBe(first);
    await page.context().close();
  });
});

describe("link", () => {
  it.skipIf(nested === null)("restores source, views, range, selection, filter, rows and theme", async () => {
    const first = await open(
      browser,
      `${SEED}&views=vms;processes|budgets&theme=dark&${range(seed.begin + 5_000_000_000n, seed.begin + 6_000_000_001n)}`,
    );
    const { x, width, y } = await rowBox(first.page, "vms", "vCPU 1");
    await first.page.mouse.move(x + width * 0.3, y);
    await first.page.mouse.down();
    await first.page.mouse.move(x + width * 0.6, y, { steps: 4 });
    await first.page.mouse.up();
    await first.page.mouse.click(x + 5, y);
    await first.page.keyboard.press("p");
    await first.page.keyboard.press("m");
    await first.page
      .locator("[data-view=vms] .tree-row", { hasText: "qemu-system-x86:145" })
      .getByRole("button", { name: "Close" })
      .click();
    await first.page.keyboard.press("/");
    await first.page.keyboard.type("guest");
    await settled(first.page);
    const hash = new URL(first.page.url()).hash.slice(1);
    const told = async (page: typeof first.page): Promise<unknown> => ({
      rows: await titles(page, "vms"),
      selection: await page.locator(".status-selection").innerText(),
      begin: await page.getByLabel("Begin of what is visible").inputValue(),
      end: await page.getByLabel("End of what is visible").inputValue(),
      filter: await page.locator("#filter").inputValue(),
      views: await page
        .locator("[data-view]")
        .evaluateAll((panels) => panels.map((panel) => (panel as HTMLElement).dataset["view"])),
      theme: await page.evaluate(() => document.documentElement.dataset["theme"]),
    });
    const second = await open(browser, hash);
    expect(await told(second.page)).toEqual(await told(first.page));
    await first.page.context().close();
    await second.page.context().close();
  });

  it.skipIf(nested === null)("takes the background from the theme", async () => {
    for (const [theme, color] of [
      ["dark", [0x18, 0x1b, 0x20]],
      ["light", [0xff, 0xff, 0xff]],
    ] as const) {
      const { page } = await open(browser, `${SEED}&views=vms&theme=${theme}`);
      expect(await pixel(page, 900, 700)).toEqual([...color]);
      await page.context().close();
    }
  });
});

describe("tables", () => {
  it.skipIf(nested === null)("sums budgets to wall time, and sorts", async () => {
    const { page } = await open(browser, `${SEED}&views=vms|budgets`);
    const rows = await page.locator("[data-view=budgets] .data-row").allInnerTexts();
    expect(rows).toHaveLength(5);
    const residuals = await page.locator("[data-view=budgets] .data-row > div:last-child").allInnerTexts();
    expect(residuals.every((text) => text === "0 ns")).toBe(true);
    await page.locator("[data-view=budgets]").getByRole("button", { name: "guest", exact: true }).click();
    const shares = await page.locator("[data-view=budgets] .data-row > div:nth-child(4)").allInnerTexts();
    expect(parseFloat(shares[0] ?? "0")).toBeGreaterThan(parseFloat(shares[4] ?? "100"));
    await page.context().close();
  });

  it.skipIf(nested === null)("goes from a cell of the matrix to the interval", async () => {
    const { page } = await open(browser, `${SEED}&views=vms|matrix`);
    await page.locator(".heat").first().click();
    await settled(page);
    expect(await page.locator(".matrix-intervals .data-row").count()).toBeGreaterThan(3);
    expect(await page.locator(".status-shares").innerText()).toMatch(/preempted 100.0 %/);
    await page.context().close();
  });

  it.skipIf(nested === null)("shows exits with a histogram", async () => {
    const { page } = await open(browser, `${SEED}&views=exits`);
    const text = await page.locator("[data-view=exits] .data-table").innerText();
    expect(text).toMatch(/HLT/);
    expect(text).toMatch(/MSR/);
    expect(await page.locator(".histogram-plot canvas").count()).toBe(1);
    expect(await page.locator(".histogram-plot").getAttribute("aria-label")).toMatch(/µs: \d+/);
    // The same exits by guest process, or the guest's idle task.
    await page.locator("[data-view=exits] select").selectOption("process");
    await settled(page);
    // The table shows as many rows as there is room for: halts are few and long.
    await page.locator("[data-view=exits]").getByRole("button", { name: "Total", exact: true }).click();
    await settled(page);
    const split = await page.locator("[data-view=exits] .data-table").innerText();
    expect(split).toMatch(/HLT\s+idle, vCPU \d of qemu-system-x86:1\d\d/);
    expect(split).toMatch(/\w+\s+cr3 0x\S+ of \S+/);
    expect(page.url()).toContain("by%3Dprocess");
    await page.context().close();
  });

  it.skipIf(nested === null)("keeps events and time together", async () => {
    const moment = seed.begin + 5_000_000_000n;
    const { page } = await open(
      browser,
      `${SEED}&views=vms|events,name=sched_switch&time=ns&sel=${moment}..${moment}&${range(moment - 5_000_000n, moment + 5_000_000n)}`,
    );
    const first = page.locator("[data-view=events] .data-row.current");
    await first.waitFor();
    const time = BigInt((await first.locator("div").first().innerText()).replaceAll(/\s/g, ""));
    expect(time).toBeGreaterThanOrEqual(moment);
    expect(time).toBeLessThan(moment + 50_000_000n);
    expect(await first.innerText()).toContain("sched_switch");
    await page.locator("[data-view=events] .data-table").press("ArrowDown");
    await settled(page);
    expect(await page.locator(".status-selection").innerText()).not.toContain(moment.toString());
    await page.context().close();
  });

  it.skipIf(nested === null)("explores the state of everything and jumps to its changes", async () => {
    const moment = seed.begin + 5_000_000_000n;
    const { page } = await open(browser, `${SEED}&views=vms|explorer&sel=${moment}..${moment}`);
    expect(await page.locator("[data-view=explorer] .data-row").count()).toBeGreaterThan(10);
    const before = await page.locator(".status-selection").innerText();
    await page.getByRole("button", { name: "Next change" }).nth(2).click();
    await settled(page);
    expect(await page.locator(".status-selection").innerText()).not.toBe(before);
    await page.context().close();
  });

  it.skipIf(nested === null)("lists waits by what ended them", async () => {
    const { page } = await open(browser, `${SEED}&views=waits`);
    expect(await page.locator("[data-view=waits]").innerText()).toMatch(/halted: timer/);
    await page.context().close();
  });
});

describe("export", () => {
  it.skipIf(nested === null)("writes SVG, PNG and CSV", async () => {
    const { page } = await open(
      browser,
      `${SEED}&views=vms&${range(seed.begin + 5_000_000_000n, seed.begin + 5_050_000_000n)}`,
    );
    const save = async (name: string): Promise<Buffer> => {
      await page.getByRole("button", { name: "Export" }).click();
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("menuitem", { name }).click(),
      ]);
      return readFile(await download.path());
    };
    const svg = (await save("SVG")).toString("utf8");
    expect(svg.startsWith("<svg xmlns=")).toBe(true);
    expect(svg).toContain(">nested vCPU 0</text>");
    const problems = await page.evaluate(
      (text) => new DOMParser().parseFromString(text, "image/svg+xml").querySelectorAll("parsererror").length,
      svg,
    );
    expect(problems).toBe(0);
    expect((await save("PNG")).subarray(1, 4).toString()).toBe("PNG");
    const lines = (await save("CSV")).toString("utf8").trim().split("\r\n");
    expect(lines[0]).toBe("row,key,start_ns,end_ns,state,cause,level,by,confidence,evidence,ns,exact");
    expect(lines.some((line) => line.includes("preempted"))).toBe(true);
    await page.context().close();
  });
});

describe("bookmarks", () => {
  it.skipIf(nested === null)("keeps notes as text, over a reload", async () => {
    const { page, complaints } = await open(
      browser,
      `${SEED}&views=vms&sel=${seed.begin + 1_000_000_000n}..${seed.begin + 2_000_000_000n}`,
    );
    await page.keyboard.press("b");
    await page.waitForTimeout(200);
    await page.keyboard.type("<img src=x onerror=alert(1)>");
    await page.keyboard.press("Enter");
    await page.reload();
    await settled(page);
    await page.getByRole("button", { name: "Bookmarks" }).click();
    expect(await page.getByLabel("Note").inputValue()).toBe("<img src=x onerror=alert(1)>");
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});

describe("loss", () => {
  it.skipIf(lossy === null)("is said, listed and drawn as bands", async () => {
    const { page } = await open(browser, "source=single-vm-lossy&views=resources|overview&theme=light");
    expect(await page.locator(".status-loss").innerText()).toBe("events were lost");
    expect(await page.locator("[data-view=overview]").innerText()).toContain("Where events were lost");
    await page
      .locator("[data-view=overview] section", { hasText: "Where events were lost" })
      .locator(".link")
      .first()
      .click();
    await settled(page);
    const { x, width } = await rowBox(page, "resources", "CPU 0");
    const axis = await page.locator("[data-view=resources] .timeline-axis").boundingBox();
    const band = await pixel(page, x + width / 2, (axis?.y ?? 0) + 1);
    expect(band[0] - band[1], `${band}`).toBeGreaterThan(40);
    expect(await page.locator("[data-view=resources] .spoken").innerText()).toContain("unknown: lost");
    await page.context().close();
  });
});
