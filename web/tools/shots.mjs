/**
 * Pictures of each view, for docs/page.md.
 *
 * usage: VIRTFLOW_URL=http://127.0.0.1:7711 npm run shots -- [DIRECTORY [SOURCE]]
 *
 * DIRECTORY is docs/page unless given, SOURCE is seed-nested; the server has two-vms-network and host-containers as well.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { BASE, launch, settled, sources } from "./browser.mjs";
import { indexedPng } from "./indexed.mjs";

const [directory = resolve(import.meta.dirname, "../../docs/page"), name = "seed-nested"] = process.argv.slice(2);
const all = await sources();
const source = all.find((known) => known.name === name);
if (source === undefined) throw new Error(`${BASE} has no source called ${name}`);

const begin = BigInt(source.begin_ns);
/** From and to, in milliseconds from the begin. */
const part = (from, to) => [begin + BigInt(from) * 1_000_000n, begin + BigInt(to) * 1_000_000n];
const WHOLE = null;

/** The thread that started all others. */
const SHELL = `thread:1@${begin}`;

/** The view of its critical path, of all or from and to in milliseconds. */
function path(from, to) {
  const range = from === undefined ? "" : `,from=${part(from, to)[0]},to=${part(from, to)[1]}`;
  return `path,of=${encodeURIComponent(SHELL)}${range}`;
}

/** What these threads of two containers wait for at the same time. */
function together() {
  const both = ["thread:208@1795378867633582016", "thread:212@1795378867687142234"];
  const options = { of: both[0], tab: "together", set: both.map(encodeURIComponent).join(" ") };
  return ["path", ...Object.entries(options).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)].join(",");
}

/** Name, views, what is visible, what is selected, theme, what is done before the picture is taken, and of which source. */
const SHOTS = [
  ["overview", "overview", WHOLE, null, "dark"],
  ["vms", "vms*0.80;processes", part(3000, 3120), part(3040, 3070), "dark"],
  ["processes", "processes", part(3000, 3300), null, "dark"],
  ["resources", "resources,absent=hide", part(3000, 3060), null, "dark"],
  ["devices", "resources", WHOLE, null, "dark", undefined, "two-vms-network"],
  ["budgets", "budgets", WHOLE, null, "dark", wide],
  ["waits", "waits", WHOLE, null, "dark"],
  ["taken", "overview|taken", WHOLE, null, "dark", lastNested],
  ["matrix", "matrix", WHOLE, null, "dark"],
  ["exits", "exits", WHOLE, null, "dark"],
  ["events", "vms*0.50;events", part(3000, 3020), part(3010, 3010), "dark"],
  ["explorer", "explorer", part(3000, 3020), part(3010, 3010), "dark"],
  ["path", path(), WHOLE, null, "dark"],
  ["path-compare", `${path(0, 1000)},vs=${encodeURIComponent(`${part(1000, 6000).join("..")}  ${SHELL}`)},tab=compare`, WHOLE, null, "light"],
  ["path-together", together(), WHOLE, null, "dark", undefined, "host-containers"],
  ["light", "vms*0.80;processes", part(3000, 3120), null, "light"],
];

function lastNested(page) {
  return page.locator(".guests tr:has-text('nested VM')").last().locator(".link").nth(1).click();
}

/** More columns than fit into the others' width. */
function wide(page) {
  return page.setViewportSize({ width: 1900, height: 420 });
}

/** The same picture with a palette; the browser is what reads the PNG. */
async function reduced(page, png) {
  const [pixels, width, height] = await page.evaluate(async (source) => {
    const image = new Image();
    image.src = source;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    let text = "";
    for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
    return [btoa(text), image.width, image.height];
  }, `data:image/png;base64,${png.toString("base64")}`);
  return indexedPng(Buffer.from(pixels, "base64"), width, height);
}

mkdirSync(directory, { recursive: true });
const browser = await launch();
for (const [file, views, visible, selected, theme, act, of] of SHOTS) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: theme });
  const link = new URLSearchParams({ source: of ?? source.name, views, time: "seconds" });
  if (visible !== WHOLE) {
    link.set("visStart", String(visible[0]));
    link.set("visEnd", String(visible[1]));
  }
  if (selected !== null) link.set("sel", selected.join(".."));
  await page.goto(`${BASE}/#${link}`);
  await settled(page);
  if (act !== undefined) {
    await act(page);
    await settled(page);
  }
  await page.mouse.move(0, 0);
  writeFileSync(`${directory}/${file}.png`, await reduced(page, await page.screenshot()));
  await page.close();
}
await browser.close();
