/**
 * Pictures of each view, for docs/page.md.
 *
 * usage: VIRTFLOW_URL=http://127.0.0.1:7711 npm run shots -- DIRECTORY [SOURCE]
 */

import { mkdirSync } from "node:fs";
import { BASE, launch, settled, sources } from "./browser.mjs";

const VIEWS = [
  ["overview", "overview", "dark"],
  ["vms", "vms", "dark"],
  ["processes", "processes", "dark"],
  ["resources", "resources", "dark"],
  ["budgets", "budgets", "dark"],
  ["waits", "waits", "dark"],
  ["matrix", "matrix", "dark"],
  ["exits", "exits", "dark"],
  ["events", "events", "dark"],
  ["explorer", "explorer", "dark"],
  ["light", "vms,waits", "light"],
];

const [directory = ".", name] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });
const all = await sources();
const source = all.find((known) => known.name === name) ?? all[0];
const browser = await launch();
for (const [file, views, theme] of VIEWS) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 720 }, colorScheme: theme });
  await page.goto(`${BASE}/#source=${source.name}&views=${views}`);
  await settled(page);
  await page.screenshot({ path: `${directory}/${file}.png` });
  await page.close();
}
await browser.close();
