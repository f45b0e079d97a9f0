import { tableFromIPC } from "@uwdata/flechette";
import { chromium, type Browser, type Page } from "playwright-core";

/** A running `virtflow serve`. */
export const BASE = (process.env["VIRTFLOW_URL"] ?? "http://127.0.0.1:7711").replace(/\/+$/, "");

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: FLAGS });
}

export interface Opened {
  page: Page;
  /** Whatever the browser complained about: a script that failed, a request refused by the content policy. */
  complaints: string[];
}

/** Opens the page at a hash, in a browser profile of its own. */
export async function open(
  browser: Browser,
  hash: string,
  options: { dark?: boolean; renderer?: "canvas" | "webgl"; base?: string } = {},
): Promise<Opened> {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    colorScheme: options.dark === true ? "dark" : "light",
    acceptDownloads: true,
  });
  await context.addInitScript(
    (renderer) => localStorage.setItem("virtflow.renderer", renderer),
    options.renderer ?? "canvas",
  );
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("dialog", (dialog) => complaints.push(dialog.message()));
  await page.goto(`${options.base?.replace(/\/+$/, "") ?? BASE}/#${hash}`);
  await page.waitForSelector(".status");
  await settled(page);
  return { page, complaints };
}

/** Waits until nothing is being asked of the server and the picture is painted. */
export async function settled(page: Page): Promise<void> {
  await page.waitForTimeout(350);
  await page.waitForFunction(() => document.querySelector(".busy") === null);
  await page.waitForTimeout(150);
}

export async function getJson<T>(path: string): Promise<T> {
  const reply = await fetch(`${BASE}/api/v1${path}`);
  if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
  return (await reply.json()) as T;
}

export interface Source {
  id: string;
  name: string;
  begin: bigint;
  end: bigint;
}

/** The first of these sources that the server has, or null: what needs it is skipped then. */
export async function sourceOf(...names: string[]): Promise<Source | null> {
  const { sources } = await getJson<{ sources: { id: string; name: string; begin_ns: string; end_ns: string }[] }>(
    "/sources",
  );
  for (const name of names) {
    const found = sources.find((source) => source.name === name);
    if (found !== undefined) return { id: found.id, name, begin: BigInt(found.begin_ns), end: BigInt(found.end_ns) };
  }
  return null;
}

/** A recording with nested VMs: all of it, or its first six seconds. */
export const NESTED = ["seed", "seed-nested"];

/** The colour at a point of the page, as it is on the screen: below it may be either kind of canvas. */
export async function pixel(page: Page, x: number, y: number): Promise<[number, number, number]> {
  const picture = await page.screenshot({ clip: { x: Math.round(x), y: Math.round(y), width: 1, height: 1 } });
  const address = `data:image/png;base64,${picture.toString("base64")}`;
  return page.evaluate(async (source): Promise<[number, number, number]> => {
    const image = new Image();
    image.src = source;
    await image.decode();
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d");
    context?.drawImage(image, 0, 0);
    const data = context?.getImageData(0, 0, 1, 1).data ?? [];
    return [data[0] ?? 0, data[1] ?? 0, data[2] ?? 0];
  }, address);
}

/** Where a row with this title, or this key, is in a view: its middle in height, and the axis in width. */
export async function rowBox(
  page: Page,
  view: string,
  title: string,
  key?: string,
): Promise<{ x: number; width: number; y: number }> {
  const named = page.locator(`[data-view=${view}] .tree-row`, {
    has: page.locator(".tree-title", { hasText: new RegExp(`^${title}$`) }),
  });
  const row = (key === undefined ? named : named.filter({ has: page.locator(`[title*="${key}"]`) })).first();
  const [box, canvas] = await Promise.all([
    row.boundingBox(),
    page.locator(`[data-view=${view}] .timeline-canvas`).boundingBox(),
  ]);
  if (box === null || canvas === null) throw new Error(`${view} has no visible row ${title}`);
  return { x: canvas.x, width: canvas.width, y: box.y + box.height / 2 };
}

/** The rows' states in words. */
export async function spoken(page: Page, view: string): Promise<string[]> {
  return page.locator(`[data-view=${view}] .spoken td`).allInnerTexts();
}

export async function titles(page: Page, view: string): Promise<string[]> {
  return page.locator(`[data-view=${view}] .tree-title`).allInnerTexts();
}

export function range(begin: bigint, end: bigint): string {
  return `visStart=${begin}&visEnd=${end}`;
}

export function isClose(a: readonly number[], b: readonly number[], by = 24): boolean {
  return a.every((value, index) => Math.abs(value - (b[index] ?? 0)) <= by);
}

interface Entity {
  id: number;
  key: string;
  kind: number;
  vcpu: number;
}

async function table(
  source: Source,
  question: string,
  body?: object,
): Promise<Record<string, ArrayLike<number | bigint | string>>> {
  const init =
    body === undefined
      ? {}
      : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const reply = await fetch(`${BASE}/api/v1/sources/${source.id}/${question}`, init);
  const read = tableFromIPC(new Uint8Array(await reply.arrayBuffer()), { useBigInt: true });
  return Object.fromEntries(
    read.names.map((name) => [name, read.getChild(String(name)).toArray() as ArrayLike<number | bigint | string>]),
  );
}

async function entities(source: Source): Promise<Entity[]> {
  const columns = await table(source, "entities");
  const column = (name: string, row: number): number => Number(columns[name]?.[row] ?? -1);
  return Array.from(columns["key"] ?? [], (key, row) => ({
    id: column("id", row),
    kind: column("kind", row),
    vcpu: column("vcpu", row),
    key: String(key),
  }));
}

/** The longest time that a vCPU waited for a processor which somebody else had, by the server's matrix. */
export async function worstOf(
  source: Source,
): Promise<{ begin: bigint; end: bigint; row: string; key: string; entity: number }> {
  const all = await entities(source);
  const matrix = await table(source, "matrix", { begin_ns: source.begin.toString(), end_ns: source.end.toString() });
  let best = { begin: 0n, end: 0n, row: "", key: "", entity: -1 };
  Array.from(matrix["victim"] ?? []).forEach((victim, row) => {
    const entity = all.find((known) => known.id === Number(victim));
    const length = BigInt(matrix["longest_ns"]?.[row] ?? 0);
    const begin = BigInt(matrix["longest_start_ns"]?.[row] ?? 0);
    const isPreempted = Number(matrix["state"]?.[row]) === 4 && Number(matrix["culprit"]?.[row]) >= 0;
    if (entity?.kind === 2 && isPreempted && length > best.end - best.begin)
      best = { begin, end: begin + length, row: `vCPU ${entity.vcpu}`, key: entity.key, entity: entity.id };
  });
  return best;
}
