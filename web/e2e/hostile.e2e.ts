import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, open, settled } from "./page";
import { ROOT, skipped } from "./root";
import { program, serve, type OwnServer } from "./server";

const WHAT = "hostile names";
const virtflow = program(WHAT);
const hasPyarrow = spawnSync("python3", ["-c", "import pyarrow"]).status === 0;
if (!hasPyarrow) skipped(`${WHAT}: needs python3 with pyarrow`);
const possible = virtflow !== null && hasPyarrow;

/** Names of programs, and what takes their place in the trace: as long, so that the trace stays one. */
const COMMS: readonly [string, string][] = [
  ["qemu-system-x86", "<img src=x a=1>"],
  ["rcu_preempt", '"><b>x\u001b[1m\u0007'],
  ["ksoftirqd/1", "\u202Eta\r\n&lt;"],
];

/** Every view, and all that open at once. */
const VIEWS = [
  "overview",
  "vms",
  "processes",
  "resources",
  "budgets",
  "budgets,of=processes",
  "waits,of=processes",
  "taken",
  "matrix",
  "matrix,of=processes",
  "exits",
  "events",
  "explorer",
  "path",
];

let browser: Browser;
let server: OwnServer | undefined;
const folder = mkdtempSync(join(tmpdir(), "virtflow-hostile-"));

beforeAll(async () => {
  browser = await launch();
  if (!possible) return;
  const trace = join(folder, "trace");
  cpSync(resolve(ROOT, "fixtures/seed-nested/trace"), trace, { recursive: true });
  const kernel = join(trace, "kernel");
  for (const stream of readdirSync(kernel).filter((name) => name.startsWith("k_"))) rename(join(kernel, stream));
  // Its folder gives the source its name.
  const store = join(folder, "<img src=x onerror=alert(1)>");
  run(virtflow, ["analyze", trace, "-o", store]);
  run("python3", [resolve(import.meta.dirname, "hostile.py"), store]);
  server = await serve(virtflow, [store, resolve(ROOT, "fixtures/host-containers")]);
});

afterAll(async () => {
  await browser.close();
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

function run(command: string, args: string[]): void {
  const done = spawnSync(command, args, { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`${command}: ${done.stderr}`);
}

function rename(stream: string): void {
  const bytes = readFileSync(stream);
  for (const [name, other] of COMMS) {
    const [from, to] = [Buffer.from(name), Buffer.from(other)];
    expect(to.length).toBe(from.length);
    for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1)) to.copy(bytes, at);
  }
  writeFileSync(stream, bytes);
}

/** What in the page is not as it should be whatever names there are. */
async function faults(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const out: string[] = [];
    if ("owned" in window) out.push("a script ran");
    if (document.querySelector("img, iframe, object, embed, [onerror], [onload], [onmouseover]") !== null)
      out.push("a name became markup");
    if (document.scripts.length !== 1) out.push(`${document.scripts.length} scripts`);
    const root = document.documentElement;
    if (root.scrollWidth > innerWidth || root.scrollHeight > innerHeight) out.push("the page overflows");
    for (const panel of document.querySelectorAll(".panel, .toolbar, .status, .legend, .minimap, .problem, .tooltip")) {
      const box = panel.getBoundingClientRect();
      if (box.left < -1 || box.top < -1 || box.right > innerWidth + 1 || box.bottom > innerHeight + 1)
        out.push(`${panel.className} is outside of the window`);
    }
    for (const panel of document.querySelectorAll(".toolbar-row, .panel-bar, .status"))
      if (panel.clientHeight > 60) out.push(`${panel.className} is ${panel.clientHeight} high`);
    for (const bar of document.querySelectorAll(".panel-bar")) {
      const edge = bar.getBoundingClientRect().right + 1;
      const close = bar.querySelector("[aria-label=Close]")?.getBoundingClientRect();
      if (close !== undefined && close.right > edge) out.push("a panel's buttons are pushed out");
    }
    for (const row of document.querySelectorAll(".data-row, .tree-row, .plain tr, .findings li"))
      if (row.getBoundingClientRect().height > 160) out.push(`a row is ${row.clientHeight} high`);
    for (const box of document.querySelectorAll(".overview, .taken, .data-row > div"))
      if (getComputedStyle(box).overflowX === "visible" && box.scrollWidth > box.clientWidth + 1)
        out.push(`${box.className} overflows`);
    for (const box of document.querySelectorAll(".overview, .taken"))
      if (box.scrollWidth > box.clientWidth + 1) out.push(`${box.className} is wider than its panel`);
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node !== null; node = walk.nextNode()) {
      const text = node.nodeValue ?? "";
      if (text.length > 1000) out.push(`a text of ${text.length} letters: ${text.slice(0, 30)}`);
      // Line ends are the page's own.
      if (/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u202a-\u202e\ufeff]/.test(text))
        out.push(`control characters: ${JSON.stringify(text.slice(0, 60))}`);
    }
    for (const element of document.querySelectorAll("[title], [aria-label]"))
      for (const name of ["title", "aria-label"])
        if ((element.getAttribute(name)?.length ?? 0) > 4000) out.push(`a ${name} of many letters`);
    return [...new Set(out)];
  });
}

describe.skipIf(!possible)("hostile names", () => {
  for (const view of VIEWS)
    it(`are text in ${view}`, async () => {
      const source = encodeURIComponent("<img src=x onerror=alert(1)>");
      const { page, complaints } = await open(browser, `source=${source}&views=${encodeURIComponent(view)}`, {
        base: server?.url ?? "",
      });
      // The source itself, not only the list of sources.
      expect(await page.locator(`[data-view=${view.split(",")[0] ?? ""}]`).count()).toBe(1);
      expect(await page.locator(".minimap").count()).toBe(1);
      if (view === "taken") {
        await page.locator("[data-view=taken] select").selectOption({ index: 1 });
        await settled(page);
      }
      if (view === "path") {
        await page.getByRole("combobox", { name: "Whose critical path" }).click();
        expect(await faults(page)).toEqual([]);
        await page.locator(".worker-list button").first().click();
        await settled(page);
        await page.getByRole("button", { name: "Compare with…" }).click();
        await page.getByRole("combobox", { name: "Whose critical path" }).fill("img");
        await page.keyboard.press("Enter");
        await settled(page);
        expect(await page.locator("[data-view=path] .data-row").count()).toBeGreaterThan(0);
        expect(await faults(page)).toEqual([]);
        await page.getByRole("tab", { name: "Steps" }).click();
        await settled(page);
        const picture = await page.locator("[data-view=path] .timeline-canvas").boundingBox();
        if (picture === null) throw new Error("no picture");
        await page.mouse.click(picture.x + picture.width / 2, picture.y + 10, { button: "right" });
        await page.mouse.move(picture.x + picture.width / 2, picture.y + 12);
        await settled(page);
      }
      expect(await faults(page)).toEqual([]);
      const text = await page.locator(".app").innerText();
      expect(text).toMatch(/<img src=x|<script>|<b><b>/);
      expect(complaints).toEqual([]);
      await page.context().close();
    });

  it("are text in tooltips, the status, the notice and the search", async () => {
    const source = encodeURIComponent("<img src=x onerror=alert(1)>");
    const { page, complaints } = await open(browser, `source=${source}&views=vms;resources&filter=img`, {
      base: server?.url ?? "",
    });
    await page.keyboard.press("n");
    await settled(page);
    for (const view of ["vms", "resources"]) {
      const rows = page.locator(`[data-view=${view}] .tree-row`);
      const canvas = await page.locator(`[data-view=${view}] .timeline-canvas`).boundingBox();
      if (canvas === null) throw new Error("no picture");
      for (let row = 1; row < Math.min(9, await rows.count()); row += 1) {
        const box = await rows.nth(row).boundingBox();
        if (box === null || box.y > 780) continue;
        await page.mouse.move(canvas.x + canvas.width / 2, box.y + box.height / 2);
        await page.mouse.move(canvas.x + canvas.width / 2 + 1, box.y + box.height / 2);
        await page.mouse.click(canvas.x + canvas.width / 2 + 1, box.y + box.height / 2);
        await page.keyboard.press("[");
        await page.waitForTimeout(60);
        expect(await faults(page)).toEqual([]);
      }
    }
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("are text in a picture that is saved, and no formula in a table", async () => {
    const source = encodeURIComponent("<img src=x onerror=alert(1)>");
    const { page } = await open(browser, `source=${source}&views=resources`, { base: server?.url ?? "" });
    const save = async (name: string): Promise<string> => {
      await page.getByRole("button", { name: "Export" }).click();
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("menuitem", { name }).click(),
      ]);
      expect(download.suggestedFilename()).not.toMatch(/[<>\u0000-\u001f/\\]/);
      return (await readFile(await download.path())).toString("utf8");
    };
    const svg = await save("SVG");
    const found = await page.evaluate((text) => {
      const read = new DOMParser().parseFromString(text, "image/svg+xml");
      return [
        read.querySelectorAll("parsererror").length,
        read.querySelectorAll("script, img, image, foreignObject, b, a").length,
      ];
    }, svg);
    expect(found).toEqual([0, 0]);
    expect(svg).toContain("&lt;img src=x");
    const csv = await save("CSV");
    expect(csv.split(/\r\n/).some((line) => /^["']?=/.test(line) || /,"?=cmd/.test(line))).toBe(false);
    await page.context().close();
  });
});
