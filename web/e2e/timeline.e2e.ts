import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  getJson,
  isClose,
  launch,
  NESTED,
  open,
  pixel,
  range,
  rowBox,
  settled,
  sourceOf,
  spoken,
  titles,
  worstOf,
} from "./page";

interface Change {
  interval: { start_ns: string; end_ns: string } | null;
}

const ORANGE = [0xd5, 0x5e, 0x00];
const GREEN = [0x00, 0x9e, 0x73];

const found = await sourceOf(...NESTED);
const seed = found ?? { id: "", name: "", begin: 0n, end: 0n };
const worst = found === null ? { begin: 0n, end: 0n, row: "", key: "", entity: -1 } : await worstOf(found);
const SEED = `source=${seed.name}`;

let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});

afterAll(() => browser.close());

describe.skipIf(found === null)("virtual machines", () => {
  it("shows machine, VM, vCPU, nested VM and nested vCPU", async () => {
    const { page, complaints } = await open(browser, `${SEED}&views=vms`);
    const rows = await titles(page, "vms");
    expect(rows.slice(0, 5)).toEqual(["vfhost", "qemu-system-x86:139", "vCPU 0", "vCPU 1", "L2:51f6000"]);
    expect(rows.filter((row) => row.startsWith("nested vCPU"))).toHaveLength(2);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  for (const renderer of ["canvas", "webgl"] as const) {
    it(`paints the longest pre-emption where and as it is, with ${renderer}`, async () => {
      const length = worst.end - worst.begin;
      const { page } = await open(
        browser,
        `${SEED}&views=vms&${range(worst.begin - length / 2n, worst.end + length / 2n)}`,
        { renderer },
      );
      expect(await page.locator(".timeline-canvas").getAttribute("data-renderer")).toBe(renderer);
      const { x, width, y } = await rowBox(page, "vms", worst.row, worst.key);
      // Left of its label a bar is plain, whatever its pattern.
      const inside = await pixel(page, x + width * 0.25 + 3, y + 4);
      expect(isClose(inside, ORANGE), `${inside}`).toBe(true);
      const middle = await spoken(page, "vms");
      expect(middle.some((text) => text.startsWith(`${worst.row}: preempted by`))).toBe(true);
      await page.context().close();
    });
  }

  it("loses no short state however far out one is", async () => {
    const moment = seed.begin + 5_000_000_000n;
    const { page } = await open(browser, `${SEED}&views=vms&sel=${moment}..${moment}`);
    const { x, width, y } = await rowBox(page, "vms", "vCPU 0");
    let greens = 0;
    for (let at = 0.2; at < 0.5; at += 0.03)
      if (isClose(await pixel(page, x + width * at, y + 8), GREEN, 60)) greens += 1;
    expect(greens).toBeGreaterThan(7);
    const middle = await spoken(page, "vms");
    const parts = middle.find((text) => text.startsWith("vCPU 0:")) ?? "";
    expect(parts).toMatch(/guest( L2)? \d+ %/);
    expect(parts.match(/ \d+ %/g)?.length ?? 0).toBeGreaterThan(3);
    await page.context().close();
  });

  it("tells the exact interval in the tooltip", async () => {
    const { page } = await open(
      browser,
      `${SEED}&views=vms&time=ns&${range(worst.begin - 1_000_000n, worst.end + 1_000_000n)}`,
    );
    const { x, width, y } = await rowBox(page, "vms", worst.row, worst.key);
    await page.mouse.move(x + width / 2, y);
    await page.mouse.move(x + width / 2 + 1, y);
    const tooltip = await page.locator(".tooltip").innerText();
    const plain = tooltip.replaceAll(" ", "");
    expect(plain).toContain(worst.begin.toString());
    expect(tooltip).toContain("sched-switch");
    expect(tooltip).toContain("proved");
    await page.context().close();
  });
});

describe.skipIf(found === null)("time", () => {
  it("zooms, pans and comes back to the nanosecond", async () => {
    const hash = `${SEED}&views=vms&time=ns&${range(seed.begin + 5_000_000_007n, seed.begin + 6_000_000_007n)}`;
    const { page } = await open(browser, hash);
    const begin = page.getByLabel("Begin of what is visible");
    const first = await begin.inputValue();
    await page.keyboard.press("w");
    await settled(page);
    expect(await begin.inputValue()).not.toBe(first);
    await page.waitForTimeout(500);
    await page.keyboard.press("d");
    await settled(page);
    await page.keyboard.press("Control+z");
    await page.keyboard.press("Control+z");
    expect(await begin.inputValue()).toBe(first);
    await page.keyboard.press("Control+y");
    expect(await begin.inputValue()).not.toBe(first);
    await page.context().close();
  });

  it("goes down to twenty nanoseconds", async () => {
    const { page } = await open(
      browser,
      `${SEED}&views=vms&${range(seed.begin + 5_000_000_000n, seed.begin + 5_000_000_100n)}`,
    );
    for (let turn = 0; turn < 12; turn += 1) await page.keyboard.press("w");
    await settled(page);
    expect(await page.getByLabel("Length of what is visible").inputValue()).toBe("20 ns");
    await page.keyboard.press("0");
    await settled(page);
    expect(await page.getByLabel("Length of what is visible").inputValue()).toMatch(/^(32\.9|6\.00) s$/);
    await page.context().close();
  });

  it("reads a typed range", async () => {
    const { page } = await open(browser, `${SEED}&views=vms&time=seconds`);
    await page.getByLabel("Begin of what is visible").fill("+5s");
    await page.keyboard.press("Enter");
    await page.getByLabel("Length of what is visible").fill("50ms");
    await page.keyboard.press("Enter");
    expect(await page.getByLabel("End of what is visible").inputValue()).toBe("5.050 000 000 s");
    await page.context().close();
  });
});

describe.skipIf(found === null)("states and rows, from the keyboard alone", () => {
  it("steps from state to state as the server tells them", async () => {
    const { page } = await open(
      browser,
      `${SEED}&views=vms&time=ns&${range(worst.begin - 1_000_000n, worst.end + 1_000_000n)}&sel=${worst.begin}..${worst.begin}`,
    );
    await page.locator("[data-view=vms] .tree").focus();
    for (
      let turn = 0;
      turn < 12 && (await page.locator(`.tree-row.current [title$="${worst.key}"]`).count()) === 0;
      turn += 1
    )
      await page.keyboard.press("ArrowDown");
    await page.keyboard.press(".");
    await settled(page);
    const { interval } = await getJson<Change>(
      `/sources/${seed.id}/change?entity=${worst.entity}&vcpu=-1&t=${worst.begin}&to=next`,
    );
    const shown = (await page.locator(".status-selection").innerText()).replaceAll(" ", "");
    expect(shown).toContain(interval?.start_ns ?? "none");
    expect(shown).toContain(interval?.end_ns ?? "none");
    await page.keyboard.press(",");
    await settled(page);
    expect((await page.locator(".status-selection").innerText()).replaceAll(" ", "")).toContain(worst.begin.toString());
    await page.context().close();
  });

  it("follows who took the processor", async () => {
    const { page } = await open(
      browser,
      `${SEED}&views=vms&${range(worst.begin, worst.end)}&sel=${worst.end}..${worst.end}`,
    );
    const { x, width, y } = await rowBox(page, "vms", worst.row, worst.key);
    await page.mouse.click(x + width - 2, y);
    await page.keyboard.press("[");
    await settled(page);
    expect(await page.locator(".status-notice").innerText()).toMatch(/^(steal|injection|wake-up)/);
    await page.context().close();
  });

  it("closes, pins and hides rows", async () => {
    const { page } = await open(browser, `${SEED}&views=vms&row=vm%3A139%401795381360396387133`);
    await page.locator("[data-view=vms] .tree").focus();
    await page.keyboard.press("Enter");
    expect(await titles(page, "vms")).toEqual(["vfhost", "qemu-system-x86:139", "qemu-system-x86:145", "vCPU 0"]);
    await page.keyboard.press("Enter");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("p");
    expect((await titles(page, "vms"))[0]).toBe("vCPU 0 of qemu-system-x86:139");
    await page.keyboard.press("h");
    expect(await page.locator("[data-view=vms] .tree-row:not(.pinned) .tree-title").allInnerTexts()).toHaveLength(9);
    await page.context().close();
  });

  it("shows focus, and help on ?", async () => {
    const { page } = await open(browser, `${SEED}&views=vms`);
    await page.keyboard.press("Tab");
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle);
    expect(outline).toBe("solid");
    await page.keyboard.press("Escape");
    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Help" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog", { name: "Help" }).waitFor({ state: "detached" });
    await page.context().close();
  });
});
