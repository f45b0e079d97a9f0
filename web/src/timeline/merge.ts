import { SegmentsBuilder, type Segments } from "../api/segments";

/** One interval, or one bucket with its parts: rows `[from, to)` of a lane. */
interface Group {
  from: number;
  to: number;
}

function groupsOf(segments: Segments): Group[] {
  const groups: Group[] = [];
  for (let from = 0; from < segments.length;) {
    let to = from + 1;
    if (segments.exact[from] !== 1)
      while (
        to < segments.length &&
        segments.exact[to] !== 1 &&
        segments.start[to] === segments.start[from] &&
        segments.end[to] === segments.end[from]
      )
        to += 1;
    groups.push({ from, to });
    from = to;
  }
  return groups;
}

/**
 * Lays the lanes of one process (one for each vCPU) over one another: where it runs on one of them it runs, whatever the
 * other lanes say. `rank` orders states, the most active smallest. The parts of buckets are added up, the most active
 * first, until the bucket is full.
 */
export function mergeLanes(lanes: readonly Segments[], rank: (state: number) => number): Segments {
  const [only] = lanes;
  if (lanes.length === 1 && only !== undefined) return only;
  const cuts = new Set<number>();
  for (const lane of lanes) {
    for (let row = 0; row < lane.length; row += 1) {
      cuts.add(lane.start[row] ?? 0);
      cuts.add(lane.end[row] ?? 0);
    }
  }
  const times = Float64Array.from(cuts).sort();
  const grouped = lanes.map(groupsOf);
  const at = lanes.map(() => 0);
  const builder = new SegmentsBuilder();
  for (let index = 0; index + 1 < times.length; index += 1) {
    const start = times[index] ?? 0;
    const end = times[index + 1] ?? 0;
    const present: { lane: Segments; group: Group }[] = [];
    lanes.forEach((lane, number) => {
      const groups = grouped[number] ?? [];
      let group = groups[at[number] ?? 0];
      while (group !== undefined && (lane.end[group.from] ?? 0) <= start) {
        at[number] = (at[number] ?? 0) + 1;
        group = groups[at[number] ?? 0];
      }
      if (group !== undefined && (lane.start[group.from] ?? 0) <= start) present.push({ lane, group });
    });
    if (present.length > 0) combine(present, start, end, rank, builder);
  }
  return builder.finish();
}

function combine(
  present: { lane: Segments; group: Group }[],
  start: number,
  end: number,
  rank: (state: number) => number,
  builder: SegmentsBuilder,
): void {
  const parts: { lane: Segments; row: number; ns: number; order: number }[] = [];
  let exact = true;
  for (const { lane, group } of present) {
    const whole = (lane.end[group.from] ?? 0) - (lane.start[group.from] ?? 0);
    for (let row = group.from; row < group.to; row += 1) {
      const isExact = lane.exact[row] === 1;
      if (!isExact) exact = false;
      const share = isExact || whole <= 0 ? 1 : Math.min(1, (lane.ns[row] ?? 0) / whole);
      parts.push({ lane, row, ns: share * (end - start), order: rank(lane.state[row] ?? 0) });
    }
  }
  parts.sort((a, b) => a.order - b.order);
  let room = end - start;
  for (const { lane, row, ns } of parts) {
    if (room <= 0) break;
    const taken = Math.min(ns, room);
    if (taken <= 0) continue;
    room -= taken;
    const last = builder.last;
    const state = lane.state[row] ?? 0;
    const cause = lane.cause[row] ?? 0;
    const by = lane.by[row] ?? -1;
    const continues =
      exact &&
      last !== undefined &&
      last.exact &&
      last.end === start &&
      last.state === state &&
      last.cause === cause &&
      last.by === by &&
      last.confidence === lane.confidence[row];
    if (continues) {
      last.end = end;
      last.ns += taken;
      continue;
    }
    builder.push({
      start,
      end,
      state,
      cause,
      by,
      ns: taken,
      exact,
      level: lane.level[row] ?? 0,
      confidence: lane.confidence[row] ?? 0,
      evidence: lane.evidence[row] ?? 0,
    });
  }
}

/** The average of many lanes in `columns` equal columns of `[begin, end)`: what a VM does as a whole. */
export function summarise(lanes: readonly Segments[], begin: number, end: number, columns: number): Segments {
  const width = (end - begin) / columns;
  const sums = Array.from({ length: columns }, () => new Map<number, number>());
  for (const lane of lanes) {
    for (let row = 0; row < lane.length; row += 1) {
      const from = Math.max(begin, lane.start[row] ?? 0);
      const to = Math.min(end, lane.end[row] ?? 0);
      if (to <= from) continue;
      const whole = (lane.end[row] ?? 0) - (lane.start[row] ?? 0);
      const density = whole > 0 ? (lane.ns[row] ?? 0) / whole : 0;
      const key =
        ((lane.state[row] ?? 0) << 24) |
        ((lane.cause[row] ?? 0) << 16) |
        ((lane.level[row] ?? 0) << 8) |
        (lane.confidence[row] ?? 0);
      const last = Math.min(columns - 1, Math.floor((to - begin) / width));
      for (let column = Math.max(0, Math.floor((from - begin) / width)); column <= last; column += 1) {
        const left = begin + column * width;
        const overlap = Math.min(to, left + width) - Math.max(from, left);
        const sum = sums[column];
        if (overlap > 0 && sum !== undefined) sum.set(key, (sum.get(key) ?? 0) + (overlap * density) / lanes.length);
      }
    }
  }
  const builder = new SegmentsBuilder();
  sums.forEach((sum, column) => {
    for (const [key, ns] of sum)
      builder.push({
        start: begin + column * width,
        end: begin + (column + 1) * width,
        state: key >>> 24,
        cause: (key >> 16) & 255,
        level: (key >> 8) & 255,
        confidence: key & 255,
        evidence: 0,
        by: -1,
        ns,
        exact: false,
      });
  });
  return builder.finish();
}
