import { formatDuration } from "../time/time";
import type { CurveColumn } from "./curve";

/** How a counter is drawn: a level that holds, each value for itself, or how much per second. */
export type CounterKind = "level" | "each" | "rate";

export interface CounterLook {
  title: string;
  kind: CounterKind;
  /** A value with its unit; of a rate, per second. */
  format(value: number): string;
  /** What one value is, for tooltips. */
  one: string;
}

const PREFIXES = ["", "k", "M", "G", "T"];

/** `1.25 M` and so on, with three digits. */
export function withPrefix(value: number): string {
  let at = 0;
  let shown = value;
  while (shown >= 999.5 && at < PREFIXES.length - 1) {
    shown /= 1000;
    at += 1;
  }
  const digits = at === 0 && Number.isInteger(shown) ? 0 : shown >= 99.95 ? 0 : shown >= 9.995 ? 1 : 2;
  return `${shown.toFixed(digits)} ${PREFIXES[at] ?? ""}`;
}

const bytesPerSecond = (value: number): string => `${withPrefix(value)}B/s`;

const LOOKS: Record<string, CounterLook> = {
  frequency: {
    title: "frequency",
    kind: "level",
    format: (value) => `${withPrefix(value * 1000)}Hz`,
    one: "change",
  },
  queue: { title: "queue", kind: "level", format: String, one: "change" },
  latency: { title: "latency", kind: "each", format: formatDuration, one: "request" },
  transferred: { title: "transferred", kind: "rate", format: bytesPerSecond, one: "request" },
  received: { title: "received", kind: "rate", format: bytesPerSecond, one: "packet" },
  sent: { title: "sent", kind: "rate", format: bytesPerSecond, one: "packet" },
};

/** A counter that this page does not know is drawn by what its values do. */
export function counterLook(name: string, holds: boolean): CounterLook {
  return (
    LOOKS[name] ?? { title: name, kind: holds ? "level" : "each", format: (value) => String(value), one: "value" }
  );
}

/** One column of a curve in words. */
export function columnText(look: CounterLook, column: CurveColumn): string {
  const { low, high, mean, values } = column;
  const around = formatDuration(column.end - column.begin);
  const many = `${values} ${look.one}${values === 1 ? "" : "s"}`;
  if (look.kind === "rate") return `${look.format(mean)}, ${many} in ${around}`;
  if (look.kind === "each")
    return values === 1 ? look.format(high) : `mean ${look.format(mean)}, up to ${look.format(high)}, ${many} in ${around}`;
  return low === high ? look.format(high) : `${look.format(low)} to ${look.format(high)} in ${around}`;
}
