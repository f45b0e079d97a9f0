import { GRAINS, type Grain } from "../api/critical";
import type { Range } from "../time/range";

/** Which path is asked for; without a range, of all there is. */
export interface PathAsk {
  /** The worker's key. */
  of: string;
  range: Range | null;
  grain: Grain | null;
}

type Options = Readonly<Record<string, string>>;

function grainOf(text: string | undefined): Grain | null {
  return GRAINS.find((grain) => grain === text) ?? null;
}

function rangeOf(from: string | undefined, to: string | undefined): Range | null {
  const digits = /^-?\d{1,19}$/;
  if (from === undefined || to === undefined || !digits.test(from) || !digits.test(to)) return null;
  const [begin, end] = [BigInt(from), BigInt(to)];
  return begin <= end ? { begin, end } : null;
}

/** What a panel's options ask for; null if they name nobody. */
export function askOf(options: Options): PathAsk | null {
  const of = options["of"] ?? "";
  return of === ""
    ? null
    : { of, range: rangeOf(options["from"], options["to"]), grain: grainOf(options["grain"]) };
}

/** The options with another path; what does not belong to it stays. */
export function withAsk(options: Options, ask: PathAsk): Record<string, string> {
  const { from: _, to: __, grain: ___, ...others } = options;
  return {
    ...others,
    of: ask.of,
    ...(ask.range === null ? {} : { from: ask.range.begin.toString(), to: ask.range.end.toString() }),
    ...(ask.grain === null ? {} : { grain: ask.grain }),
  };
}

/** The path that another is compared with, in one option: range, grain and key. */
export function askToText(ask: PathAsk): string {
  const range = ask.range === null ? "" : `${ask.range.begin}..${ask.range.end}`;
  return `${range} ${ask.grain ?? ""} ${ask.of}`;
}

export function askFromText(text: string | undefined): PathAsk | null {
  const match = /^(?:(-?\d{1,19})\.\.(-?\d{1,19}))? ([a-z]*) (.+)$/s.exec(text ?? "");
  if (match === null) return null;
  return { of: match[4] ?? "", range: rangeOf(match[1], match[2]), grain: grainOf(match[3]) };
}

export function sameAsk(a: PathAsk, b: PathAsk): boolean {
  return askToText(a) === askToText(b);
}
