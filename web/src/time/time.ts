/**
 * Times are signed nanoseconds since the epoch in a BigInt, since they do not fit in a double. Lengths and distances
 * from a source's begin do (104 days), and are plain numbers.
 */

/** How moments are shown. */
export type TimeFormat = "utc" | "local" | "seconds" | "ns";

export const TIME_FORMATS: readonly { id: TimeFormat; title: string }[] = [
  { id: "utc", title: "UTC" },
  { id: "local", title: "Local time" },
  { id: "seconds", title: "Seconds" },
  { id: "ns", title: "Nanoseconds" },
];

const SECOND = 1_000_000_000n;
const DAY = 86_400n * SECOND;

/** Splits towards minus infinity, so that times before the epoch have their fraction after the second too. */
function divideFloor(value: bigint, by: bigint): [bigint, bigint] {
  let quotient = value / by;
  let rest = value % by;
  if (rest < 0n) {
    quotient -= 1n;
    rest += by;
  }
  return [quotient, rest];
}

function two(value: number | bigint): string {
  return value.toString().padStart(2, "0");
}

/** Nine digits in groups of three, or as many groups as `digits` asks for. */
function fraction(ns: bigint, digits: number): string {
  if (digits <= 0) return "";
  const all = ns.toString().padStart(9, "0");
  const groups: string[] = [];
  for (let at = 0; at < digits; at += 3) groups.push(all.slice(at, at + 3));
  return "." + groups.join(" ");
}

/** Digits in groups of three, for reading long numbers. */
export function grouped(value: bigint | number): string {
  const text = value.toString();
  const negative = text.startsWith("-");
  const digits = negative ? text.slice(1) : text;
  const head = digits.length % 3;
  const parts = head > 0 ? [digits.slice(0, head)] : [];
  for (let at = head; at < digits.length; at += 3) parts.push(digits.slice(at, at + 3));
  return (negative ? "-" : "") + parts.join(" ");
}

/** A moment as text; `digits` after the second: 0, 3, 6 or 9. */
export function formatTime(time: bigint, format: TimeFormat, origin: bigint, digits = 9): string {
  if (format === "ns") return grouped(time);
  if (format === "seconds") {
    const relative = time - origin;
    const size = relative < 0n ? -relative : relative;
    const [seconds, rest] = divideFloor(size, SECOND);
    return `${relative < 0n ? "-" : ""}${seconds}${fraction(rest, digits)} s`;
  }
  const [seconds, rest] = divideFloor(time, SECOND);
  if (format === "local") {
    const date = new Date(Number(seconds) * 1000);
    return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}${fraction(rest, digits)}`;
  }
  const [, ofDay] = divideFloor(time, DAY);
  const second = ofDay / SECOND;
  return `${two(second / 3600n)}:${two((second / 60n) % 60n)}:${two(second % 60n)}${fraction(rest, digits)}`;
}

/** The date of a moment, `2026-11-22`. */
export function formatDate(time: bigint, format: TimeFormat): string {
  const [ms] = divideFloor(time, 1_000_000n);
  const date = new Date(Number(ms));
  if (format !== "local") return date.toISOString().slice(0, 10);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

const UNITS: readonly [string, number][] = [
  ["s", 1e9],
  ["ms", 1e6],
  ["µs", 1e3],
];

/** A length with three significant digits: `1.37 s`, `807 µs`. */
export function formatDuration(ns: number | bigint): string {
  const value = Number(ns);
  if (value < 0) return "-" + formatDuration(-value);
  if (value >= 99_950_000_000) return `${grouped(Math.round(value / 1e9))} s`;
  for (const [unit, size] of UNITS) {
    if (value < size * 0.99995) continue;
    const scaled = value / size;
    const text = scaled >= 99.95 ? scaled.toFixed(0) : scaled >= 9.995 ? scaled.toFixed(1) : scaled.toFixed(2);
    return `${text} ${unit}`;
  }
  return `${Math.round(value)} ns`;
}

/** A length to the nanosecond. */
export function formatExact(ns: number | bigint): string {
  return `${grouped(ns)} ns`;
}

/** A share as per cent: `12.3 %`, `<0.1 %`. */
export function formatShare(share: number): string {
  if (share === 0) return "0 %";
  if (share < 0.0005) return "<0.1 %";
  if (share > 0.9995 && share < 1) return ">99.9 %";
  return `${(share * 100).toFixed(1)} %`;
}

const SCALE: Record<string, bigint> = { ns: 1n, us: 1_000n, µs: 1_000n, μs: 1_000n, ms: 1_000_000n, s: SECOND };

/** Reads `1.5ms` or `200us` to nanoseconds, exactly; null if it is no length. */
export function parseDuration(text: string): bigint | null {
  const match = /^(-?)(\d+)(?:\.(\d+))?\s*(ns|us|µs|μs|ms|s)$/.exec(text.trim().replaceAll(/(?<=\d)[ _](?=\d)/g, ""));
  if (match === null) return null;
  const scale = SCALE[match[4] ?? ""];
  if (scale === undefined) return null;
  const decimals = match[3] ?? "";
  const value = BigInt((match[2] ?? "0") + decimals) * scale;
  const ns = value / 10n ** BigInt(decimals.length);
  return match[1] === "-" ? -ns : ns;
}

/**
 * Reads a moment: a length from the begin (`12.5s`, `+300ms`), a time of the source's first day (`21:02:41.5`), or
 * nanoseconds since the epoch (`@1795...` or just digits). Null if it is none of these.
 */
export function parseTime(text: string, format: TimeFormat, origin: bigint): bigint | null {
  const trimmed = text.trim();
  const offset = parseDuration(trimmed.replace(/^\+/, ""));
  if (offset !== null) return origin + offset;
  const digits = trimmed.replace(/^@/, "").replaceAll(" ", "");
  if (/^-?\d+$/.test(digits)) return BigInt(digits);
  const clock = /^(\d{1,2}):(\d{2}):(\d{2})(?:\.([\d ]+))?$/.exec(trimmed);
  if (clock === null) return null;
  const part = (index: number): bigint => BigInt(clock[index] ?? "0");
  const rest = (clock[4] ?? "").replaceAll(" ", "").slice(0, 9).padEnd(9, "0");
  const wanted = (part(1) * 3600n + part(2) * 60n + part(3)) * SECOND + BigInt(rest);
  const zone =
    format === "local" ? -BigInt(new Date(Number(origin / 1_000_000n)).getTimezoneOffset()) * 60n * SECOND : 0n;
  const [days, ofDay] = divideFloor(origin + zone, DAY);
  const sameDay = days * DAY + wanted - zone;
  // A recording over midnight: a clock time well before the begin belongs to the next day.
  return wanted + DAY / 2n < ofDay ? sameDay + DAY : sameDay;
}

export interface Tick {
  time: bigint;
  label: string;
}

/** Round steps in nanoseconds; from a second on those of a clock. */
function steps(): bigint[] {
  const out: bigint[] = [];
  for (let power = 1n; power < SECOND; power *= 10n) out.push(power, 2n * power, 5n * power);
  for (const seconds of [
    1n,
    2n,
    5n,
    10n,
    15n,
    30n,
    60n,
    120n,
    300n,
    600n,
    900n,
    1800n,
    3600n,
    7200n,
    21600n,
    43200n,
    86400n,
  ])
    out.push(seconds * SECOND);
  return out;
}

const STEPS = steps();

/** Digits after the second that tell marks a step apart. */
function digitsOf(step: bigint): number {
  return step >= SECOND ? 0 : step >= 1_000_000n ? 3 : step >= 1_000n ? 6 : 9;
}

/** Room that a mark with its label takes, in pixels. */
function roomOf(digits: number, format: TimeFormat): number {
  return format === "ns" ? 190 : 80 + digits * 9;
}

/** The marks of a time axis that is `width` pixels wide. */
export function axisTicks(begin: bigint, end: bigint, width: number, format: TimeFormat, origin: bigint): Tick[] {
  const span = end - begin;
  if (span <= 0n || width <= 0) return [];
  const pixels = (step: bigint): number => (Number(step) / Number(span)) * width;
  const step =
    STEPS.find((candidate) => pixels(candidate) >= roomOf(digitsOf(candidate), format)) ??
    DAY * BigInt(Math.ceil(roomOf(0, format) / pixels(DAY)));
  const digits = digitsOf(step);
  const anchor = format === "seconds" ? origin : 0n;
  const [before, rest] = divideFloor(begin - anchor, step);
  const ticks: Tick[] = [];
  for (let time = anchor + (before + (rest > 0n ? 1n : 0n)) * step; time <= end; time += step)
    ticks.push({ time, label: formatTime(time, format, origin, digits) });
  return ticks;
}
