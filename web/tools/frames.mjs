/**
 * How long a frame takes while a timeline is panned and zoomed.
 *
 * usage: VIRTFLOW_URL=http://127.0.0.1:7711 npm run frames -- [options] [SOURCE]
 *
 *   --views VIEWS     what is open, as in a link (vms)
 *   --seconds N       how long each motion is held (2)
 *   --renderer NAME   canvas or webgl (as the page chooses)
 *   --range A..B      the part that is shown at first, as shares of the source (0.3..0.5)
 *   --height PIXELS   of the window: more rows (900)
 *   --open            open all rows first
 *   --paced           at the display's pace of 60 Hz, which no frame is shorter than; else as fast as frames are made
 *   --profile         say where the time goes
 *
 * Keys are held as a person holds them: pan to the right, zoom in, pan to the left, zoom out. A frame is the time between
 * two calls of requestAnimationFrame; what Chromium without a graphics processor does is the worst that is to be expected.
 */

import { parseArgs } from "node:util";
import { BASE, launch, settled, sources } from "./browser.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    views: { type: "string", default: "vms" },
    seconds: { type: "string", default: "2" },
    renderer: { type: "string", default: "" },
    range: { type: "string", default: "0.3..0.5" },
    height: { type: "string", default: "900" },
    open: { type: "boolean", default: false },
    paced: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
  },
});

const all = await sources();
const source = all.find((known) => known.name === positionals[0]) ?? all[0];
const begin = BigInt(source.begin_ns);
const length = Number(BigInt(source.end_ns) - begin);
const [from, to] = options.range.split("..").map((share) => begin + BigInt(Math.round(Number(share) * length)));

const browser = await launch(options.paced ? [] : ["--disable-frame-rate-limit", "--disable-gpu-vsync"]);
const page = await browser.newPage({ viewport: { width: 1440, height: Number(options.height) }, colorScheme: "dark" });
if (options.renderer !== "")
  await page.addInitScript((name) => localStorage.setItem("virtflow.renderer", name), options.renderer);
const link = new URLSearchParams({ source: source.name, views: options.views, visStart: String(from), visEnd: String(to) });
await page.goto(`${BASE}/#${link}`);
await page.waitForSelector(".timeline-canvas");
await settled(page);
if (options.open) {
  for (const button of await page.getByRole("button", { name: "Open all rows" }).all()) await button.click();
  await settled(page);
}

const devtools = options.profile ? await page.context().newCDPSession(page) : null;
await devtools?.send("Profiler.enable");
await devtools?.send("Profiler.start");

const measured = await page.evaluate(
  async ([motions, holdMs]) => {
    const out = {};
    for (const [name, key] of motions) {
      const frames = [];
      let last = 0;
      let running = true;
      const frame = (now) => {
        if (last > 0) frames.push(now - last);
        last = now;
        if (running) requestAnimationFrame(frame);
      };
      requestAnimationFrame(frame);
      dispatchEvent(new KeyboardEvent("keydown", { key }));
      await new Promise((done) => setTimeout(done, holdMs));
      dispatchEvent(new KeyboardEvent("keyup", { key }));
      running = false;
      out[name] = frames;
      await new Promise((done) => setTimeout(done, 500));
    }
    return out;
  },
  [
    [
      ["pan right", "d"],
      ["zoom in", "w"],
      ["pan left", "a"],
      ["zoom out", "s"],
    ],
    Number(options.seconds) * 1000,
  ],
);

const rows = await page.locator(".tree-row").count();
const renderer = await page.locator(".timeline-canvas").first().getAttribute("data-renderer");
const of = (frames, share) => frames[Math.min(frames.length - 1, Math.floor(frames.length * share))].toFixed(1);
console.log(`${source.name}: ${rows} rows, ${renderer}`);
const line = (name, frames) => {
  const sorted = [...frames].sort((a, b) => a - b);
  const figures = `median ${of(sorted, 0.5)} ms, p99 ${of(sorted, 0.99)} ms, longest ${of(sorted, 1)} ms`;
  console.log(`${name.padEnd(10)} ${figures}, ${frames.length} frames`);
};
for (const [name, frames] of Object.entries(measured)) line(name, frames);
line("all", Object.values(measured).flat());

if (devtools !== null) {
  const { profile } = await devtools.send("Profiler.stop");
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const self = new Map();
  profile.samples.forEach((sample, index) => {
    const { functionName, lineNumber, columnNumber } = nodes.get(sample).callFrame;
    const name = `${functionName || "(anonymous)"} ${lineNumber + 1}:${columnNumber + 1}`;
    self.set(name, (self.get(name) ?? 0) + profile.timeDeltas[index] / 1000);
  });
  for (const [name, ms] of [...self].sort((a, b) => b[1] - a[1]).slice(0, 25))
    console.log(`${ms.toFixed(0).padStart(7)} ms  ${name}`);
}
await browser.close();
