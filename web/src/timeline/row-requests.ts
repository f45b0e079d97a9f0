import { batch, computed, effect, type ReadonlySignal } from "@preact/signals";
import { arrows, filter, filterHides, muted, source, view } from "../app/session";
import type { Range } from "../time/range";
import { Matcher } from "./matcher";
import type { TimelineModel } from "./model";
import { isSteal, isWait, rankOf } from "./palette";
import { allNodes, type TreeNode } from "./rows";

/** One matcher for all timelines, made anew when the filter or the legend changes. */
export const matcher: ReadonlySignal<Matcher | null> = computed(() => {
  const opened = source.value;
  return opened === null ? null : new Matcher(opened, filter.value.expression, muted.value);
});

/** Runs `ask` whenever what it reads changes: a little later, once, and with the question before it aborted. */
function asking(delayMs: number, ask: () => ((signal: AbortSignal) => Promise<void>) | null): () => void {
  let timer = 0;
  let controller = new AbortController();
  const stop = effect(() => {
    clearTimeout(timer);
    controller.abort();
    const question = ask();
    if (question === null) return;
    const { signal } = (controller = new AbortController());
    // What fails is asked again with the next change; the picture itself says when the server is away.
    timer = window.setTimeout(() => void question(signal).catch(() => undefined), delayMs);
  });
  return () => {
    stop();
    clearTimeout(timer);
    controller.abort();
  };
}

/** More arrows than this hide what they are about. */
const MOST_EDGES = 1500;

/** Keeps the arrows between the visible rows up to date while they are wanted. */
export function followEdges(model: TimelineModel): () => void {
  return asking(150, () => {
    const range = view.value;
    const rows = model.visible.value.filter(
      ({ node }) => node.entity >= 0 && node.drawing !== "average" && node.drawing !== "steps",
    );
    if (!arrows.value || rows.length === 0) {
      model.edges.value = [];
      model.edgesLeftOut.value = 0;
      return null;
    }
    const entities = [...new Set(rows.map((row) => row.node.entity))];
    return async (signal) => {
      const { edges, leftOut } = await model.source.edges(range, entities, MOST_EDGES, signal);
      batch(() => {
        model.edges.value = edges;
        model.edgesLeftOut.value = leftOut;
      });
    };
  });
}

/** Keeps the time that each row ran in what is visible, while rows are sorted by it. */
export function followBusy(model: TimelineModel): () => void {
  return asking(250, () => {
    if (model.sorting.value !== "busy") return null;
    const range = view.value;
    const entities = [...new Set(allNodes(model.tree.value).flatMap((node) => node.lanes))];
    return async (signal) => {
      const sums = new Map<number, number>();
      for (const row of await model.source.budget(range, entities, signal)) {
        const state = model.source.vocabulary.state(row.state);
        if (rankOf(state) <= rankOf("irq-stolen") && !isSteal(state) && !isWait(state))
          sums.set(row.entity, (sums.get(row.entity) ?? 0) + row.ns);
      }
      model.busy.value = sums;
    };
  });
}

/** A filter that hides leaves out rows without a match in what is visible; a coarse look at every row finds them. */
export function followMatches(model: TimelineModel): () => void {
  return asking(200, () => {
    const judge = matcher.value;
    const range = view.value;
    const all = allNodes(model.tree.value);
    const nodes = all.filter((node) => node.drawing === "lane" || node.drawing === "merge");
    const paths = all.filter((node) => node.drawing === "steps");
    if (!filterHides.value || judge === null || !judge.active || filter.value.error !== null) {
      model.matching.value = null;
      return null;
    }
    return async (signal) => {
      const found = await findMatches(model, nodes, judge, range, signal);
      for (const node of paths) {
        const steps = model.store.picture(node, range, PROBE_PIXELS);
        if (steps !== null && judge.rows(steps, node.entity, -1).includes(1)) found.add(node.id);
      }
      model.matching.value = found;
    };
  });
}

/** Entities of one coarse look, and its width: states are kept however coarse it is. */
const PROBE_ENTITIES = 200;
const PROBE_PIXELS = 400;

async function findMatches(
  model: TimelineModel,
  nodes: readonly TreeNode[],
  judge: Matcher,
  range: Range,
  signal: AbortSignal,
): Promise<Set<string>> {
  const found = new Set<string>();
  const entities = [...new Set(nodes.map((node) => node.entity))];
  const hits = new Set<string>();
  for (let at = 0; at < entities.length; at += PROBE_ENTITIES) {
    const { lanes } = await model.source.viewport(range, PROBE_PIXELS, entities.slice(at, at + PROBE_ENTITIES), signal);
    for (const lane of lanes) {
      if (!judge.rows(lane.segments, lane.entity, lane.vcpu).includes(1)) continue;
      hits.add(`${lane.entity}@-1`);
      hits.add(`${lane.entity}@${lane.vcpu}`);
    }
  }
  for (const node of nodes) if (hits.has(`${node.entity}@${node.vcpu}`)) found.add(node.id);
  return found;
}
