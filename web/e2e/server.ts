import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { ROOT, skipped } from "./root";

/** The program, for tests that need a server of their own; null, said loudly, where there is none. */
export function program(what: string): string | null {
  const named = process.env["VIRTFLOW_PROGRAM"];
  const path = resolve(ROOT, named ?? "target/release/virtflow");
  if (existsSync(path)) return path;
  skipped(`${what}: there is no ${path}; VIRTFLOW_PROGRAM names it`);
  return null;
}

export interface OwnServer {
  url: string;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
}

/** Starts a server of one's own; `port` 0 is any that is free. */
export async function serve(virtflow: string, traces: string[], port = 0): Promise<OwnServer> {
  const child = spawn(virtflow, ["serve", "--no-open", "--no-cache", "--listen", `127.0.0.1:${port}`, ...webRoot(), ...traces], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const url = await address(child);
  await ready(url);
  return {
    url,
    kill: () =>
      new Promise((done) => {
        child.once("exit", () => done());
        if (!child.kill("SIGKILL")) done();
      }),
  };
}

/** A page to serve instead of the program's own, as when it is being developed. */
function webRoot(): string[] {
  const folder = process.env["VIRTFLOW_WEB_ROOT"];
  return folder === undefined ? [] : ["--web-root", folder];
}

function address(child: ChildProcess): Promise<string> {
  return new Promise((found, failed) => {
    let said = "";
    const listen = (chunk: Buffer): void => {
      said += chunk.toString();
      const url = /http:\/\/\S+:\d+/.exec(said)?.[0];
      if (url !== undefined) found(url);
    };
    child.stdout?.on("data", listen);
    child.stderr?.on("data", listen);
    child.once("exit", (code) => failed(new Error(`virtflow serve ended with ${code}: ${said}`)));
    child.once("error", failed);
  });
}

/** Waits until every source is analysed. */
async function ready(url: string): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) {
    const reply = await fetch(`${url}/api/v1/sources`);
    const { sources } = (await reply.json()) as { sources: { state: string; error: string | null }[] };
    const failed = sources.find((source) => source.state === "failed");
    if (failed !== undefined) throw new Error(failed.error ?? "a source failed");
    if (sources.every((source) => source.state === "complete")) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("the server is not done after 20 s");
}
