import { chromium } from "playwright-core";

/** Where `virtflow serve` is. */
export const BASE = (process.env.VIRTFLOW_URL ?? "http://127.0.0.1:7711").replace(/\/+$/, "");

/** Chromium without a display and without a graphics processor. */
export function launch(more = []) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync", ...more],
  });
}

/** Waits until nothing is being asked of the server and the picture is painted. */
export async function settled(page) {
  await page.waitForTimeout(400);
  await page.waitForFunction(() => document.querySelector(".busy") === null);
  await page.waitForTimeout(200);
}

export async function sources() {
  const reply = await fetch(`${BASE}/api/v1/sources`);
  return (await reply.json()).sources;
}
