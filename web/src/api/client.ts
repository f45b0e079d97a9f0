import { tableFromIPC, type Table } from "@uwdata/flechette";

/** An answer of the server that says why not, in words for people. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const TOKEN = "virtflow.token";

/** Takes `token=...` out of the address once, so that it is neither shown nor copied with a link. */
export function adoptToken(): void {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const token = parameters.get("token");
  if (token === null) return;
  sessionStorage.setItem(TOKEN, token);
  parameters.delete("token");
  history.replaceState(null, "", "#" + parameters.toString());
}

function headers(json: boolean): HeadersInit {
  const out: Record<string, string> = {};
  if (json) out["Content-Type"] = "application/json";
  const token = sessionStorage.getItem(TOKEN);
  if (token !== null) out["Authorization"] = `Bearer ${token}`;
  return out;
}

function url(path: string, query?: Record<string, string | number | undefined>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) parameters.set(name, String(value));
  const text = parameters.toString();
  return `api/v1${path}${text === "" ? "" : "?" + text}`;
}

async function checked(reply: Response): Promise<Response> {
  if (reply.ok) return reply;
  let code = "http";
  let message = `the server answered ${reply.status}`;
  try {
    const body = (await reply.json()) as { error?: { code?: string; message?: string } };
    code = body.error?.code ?? code;
    message = body.error?.message ?? message;
  } catch {
    // Not the server's own words; the status has to do.
  }
  throw new ApiError(reply.status, code, message);
}

/** Reads JSON with integers that a double cannot hold (times, addresses) as strings of digits. */
export function parseJson(text: string): unknown {
  return JSON.parse(
    text.replaceAll(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (found) => (/^-?\d{16,}$/.test(found) ? `"${found}"` : found)),
  );
}

export type Query = Record<string, string | number | undefined>;

export async function getJson<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  const reply = await checked(await fetch(url(path, query), { headers: headers(false), signal: signal ?? null }));
  return parseJson(await reply.text()) as T;
}

export async function postJson<T>(
  path: string,
  body: unknown,
  signal?: AbortSignal,
  parse: (text: string) => unknown = parseJson,
): Promise<T> {
  const reply = await checked(
    await fetch(url(path), {
      method: "POST",
      headers: headers(true),
      body: JSON.stringify(body),
      signal: signal ?? null,
    }),
  );
  return parse(await reply.text()) as T;
}

export interface ArrowReply {
  table: Table;
  header(name: string): number;
}

async function decoded(reply: Response): Promise<ArrowReply> {
  const bytes = new Uint8Array(await reply.arrayBuffer());
  const table = tableFromIPC(bytes, { useBigInt: true });
  return { table, header: (name) => Number(reply.headers.get(name) ?? 0) };
}

export async function getArrow(path: string, query?: Query, signal?: AbortSignal): Promise<ArrowReply> {
  return decoded(await checked(await fetch(url(path, query), { headers: headers(false), signal: signal ?? null })));
}

export async function postArrow(path: string, body: unknown, signal?: AbortSignal): Promise<ArrowReply> {
  return decoded(
    await checked(
      await fetch(url(path), {
        method: "POST",
        headers: headers(true),
        body: JSON.stringify(body),
        signal: signal ?? null,
      }),
    ),
  );
}

/**
 * Follows the sources' progress, from when the server has `answered` until it goes away; EventSource cannot send a token,
 * so this reads the stream itself.
 */
export async function followProgress(
  answered: () => void,
  each: (element: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const reply = await checked(await fetch(url("/progress"), { headers: headers(false), signal }));
  answered();
  const reader = reply.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  let buffered = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    buffered += value.replaceAll("\r\n", "\n");
    let cut = buffered.indexOf("\n\n");
    while (cut >= 0) {
      const data = buffered
        .slice(0, cut)
        .split("\n")
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart())
        .join("\n");
      buffered = buffered.slice(cut + 2);
      if (data !== "") each(JSON.parse(data));
      cut = buffered.indexOf("\n\n");
    }
  }
}

/** A column's values as a typed array, without a copy where the reply is one batch. */
export function numbers(table: Table, name: string): ArrayLike<number> {
  return table.getChild(name).toArray() as ArrayLike<number>;
}

/** A column of 64-bit times, as distances from `origin` in doubles: exact for sources of up to 104 days. */
export function distances(table: Table, name: string, origin: bigint): Float64Array {
  const column = table.getChild(name).toArray() as ArrayLike<bigint>;
  const out = new Float64Array(column.length);
  for (let row = 0; row < out.length; row += 1) out[row] = Number((column[row] ?? 0n) - origin);
  return out;
}

/** A column of 64-bit lengths or counts. */
export function lengths(table: Table, name: string): Float64Array {
  return distances(table, name, 0n);
}

export function texts(table: Table, name: string): (string | null)[] {
  return table.getChild(name).toArray() as (string | null)[];
}
