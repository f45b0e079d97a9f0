import { signal } from "@preact/signals";
import type { LaneSegments } from "../api/segments";
import type { Source } from "../api/source";
import { isWait, rankOf } from "./palette";

/** What the legend lists: only what has been seen on screen. */
export interface Seen {
  states: readonly string[];
  causes: readonly string[];
}

export const seen = signal<Seen>({ states: [], causes: [] });

const states = new Set<string>();
const causes = new Set<string>();
let of: string | null = null;

/** Takes note of the states, and the causes of waits, in what has come. */
export function seeLanes(source: Source, lanes: readonly LaneSegments[]): void {
  if (of !== source.id) {
    of = source.id;
    states.clear();
    causes.clear();
  }
  const before = states.size + causes.size;
  const words = source.vocabulary;
  const pairs = new Set<number>();
  for (const { segments } of lanes)
    for (let row = 0; row < segments.length; row += 1)
      pairs.add(((segments.state[row] ?? 0) << 8) | (segments.cause[row] ?? 0));
  for (const pair of pairs) {
    const state = words.state(pair >> 8);
    const cause = words.cause(pair & 255);
    states.add(state);
    if (isWait(state) && cause !== "") causes.add(cause);
  }
  if (states.size + causes.size === before && seen.peek().states.length > 0) return;
  seen.value = { states: [...states].sort((a, b) => rankOf(a) - rankOf(b)), causes: [...causes].sort() };
}
