import { createServer } from "node:net";
import { resolve } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, open, settled, spoken, titles } from "./page";
import { ROOT } from "./root";
import { program, serve, type OwnServer } from "./server";

const virtflow = program("a server that goes away");
const TRACES = ["fixtures/single-vm-lossy", "fixtures/seed-nested"].map((path) => resolve(ROOT, path));

let browser: Browser;
let server: OwnServer | undefined;

beforeAll(async () => {
  browser = await launch();
});

afterAll(async () => {
  await browser.close();
  await server?.kill();
});

/** A port that nobody has. */
async function freePort(): Promise<number> {
  const listener = createServer();
  await new Promise<void>((done) => listener.listen(0, "127.0.0.1", done));
  const address = listener.address();
  await new Promise((done) => listener.close(done));
  return typeof address === "object" && address !== null ? address.port : 0;
}

const GONE = "The server does not answer";

async function picture(page: Page): Promise<Buffer> {
  return page.locator("[data-view=vms] .timeline-canvas").screenshot();
}

describe.skipIf(virtflow === null)("a server that does not answer at first", () => {
  it("is said, and asked again until it does", async () => {
    server = await serve(virtflow ?? "", TRACES);
    const page = await browser.newPage();
    let left = 2;
    await page.route("**/api/v1/sources", (route) => {
      left -= 1;
      return left >= 0 ? route.abort("connectionrefused") : route.continue();
    });
    await page.goto(`${server.url}/#source=seed-nested&views=vms`);
    await page.getByText(GONE).waitFor();
    await page.getByText(GONE).waitFor({ state: "detached" });
    await page.locator("[data-view=vms] .tree-title", { hasText: "vCPU 0" }).first().waitFor();
    await page.close();
    await server.kill();
  });
});

describe.skipIf(virtflow === null)("a server that is killed under the page", () => {
  it("is said, leaves the picture, and is found again when it is back, with other ids too", async () => {
    const port = await freePort();
    server = await serve(virtflow ?? "", TRACES, port);
    const { page } = await open(browser, "source=seed-nested&views=vms|budgets", { base: server.url });
    const before = { rows: await titles(page, "vms"), spoken: await spoken(page, "vms"), picture: await picture(page) };
    const budgets = await page.locator("[data-view=budgets] .data-row").allInnerTexts();
    expect(budgets.length).toBeGreaterThan(3);

    await server.kill();
    await page.getByText(GONE).waitFor();
    // What is shown stays, and what was fetched can still be looked at.
    expect(await titles(page, "vms")).toEqual(before.rows);
    expect(await spoken(page, "vms")).toEqual(before.spoken);
    expect(await page.locator("[data-view=budgets] .data-row").allInnerTexts()).toEqual(budgets);
    await page.keyboard.press("w");
    await page.waitForTimeout(600);
    expect((await spoken(page, "vms")).some((text) => /\d+ %/.test(text))).toBe(true);
    await page.waitForTimeout(1500);
    expect(await page.locator(".panel-error", { hasText: "failed" }).count()).toBeLessThanOrEqual(1);

    // Another order of the traces: other ids.
    server = await serve(virtflow ?? "", [...TRACES].reverse(), port);
    await page.getByText(GONE).waitFor({ state: "detached" });
    await page.waitForTimeout(2500);
    await settled(page);
    expect(await page.locator(".timeline-error, .panel-error, .problem").count()).toBe(0);
    // It goes on: zooming brings exact states from the new server.
    await page.keyboard.press("Control+z");
    await settled(page);
    expect(await titles(page, "vms")).toEqual(before.rows);
    expect(await spoken(page, "vms")).toEqual(before.spoken);
    expect((await picture(page)).equals(before.picture)).toBe(true);
    expect(await page.locator("[data-view=budgets] .data-row").allInnerTexts()).toEqual(budgets);
    await page.context().close();
  });
});
