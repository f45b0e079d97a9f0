import { existsSync } from "node:fs";
import { resolve } from "node:path";

/** The repository. */
export const ROOT = process.env["VIRTFLOW_ROOT"] ?? resolve(import.meta.dirname, "../..");

/** A file or folder of the repository, or beside it; null, said loudly, where it is not. */
export function there(path: string, what: string): string | null {
  const found = resolve(ROOT, path);
  if (existsSync(found)) return found;
  skipped(`${what}: ${path} is not there`);
  return null;
}

/** Says what is not tried, and why: a test that is skipped must not look like one that passed. */
export function skipped(text: string): void {
  process.stderr.write(`SKIPPED: ${text}\n`);
}
