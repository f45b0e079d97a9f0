import { shorten } from "../api/entities";
import type { CriticalPath, Did, PathNode } from "../api/critical";
import type { Source } from "../api/source";
import { stateText } from "../timeline/looks";
import { formatDuration, formatShare, grouped } from "../time/time";

/** State and cause, and who had the processor; `unknown` where nobody knows. */
export function didText(source: Source, did: Did | null): string {
  if (did === null) return "unknown";
  const text = stateText(source, did[0], did[1], 0);
  const by = did[2] < 0 ? "" : source.entities.who(did[2]);
  return by === "" ? text : `${text} by ${shorten(by, 60)}`;
}

/** A node in words: whose time it is stands above, unless it is another's. */
export function nodeText(
  source: Source,
  node: { waitsFor: boolean; entity: number; did: Did | null },
  above: number,
): string {
  const name = (entity: number): string => shorten(source.entities.title(entity), 80);
  const did = didText(source, node.did);
  if (node.waitsFor) return `${did}, for ${name(node.entity)}`;
  return node.entity === above ? did : `${name(node.entity)}: ${did}`;
}

/** Whose the node is that each is a part of; the worker's where it is a part of none. */
export function aboveEach(path: CriticalPath): number[] {
  const open: PathNode[] = [];
  return path.nodes.map((node) => {
    open.length = Math.min(open.length, node.depth);
    const above = open[node.depth - 1]?.entity ?? path.entity;
    open[node.depth] = node;
    return above;
  });
}

/** What is not sure about a path, plainly; nothing if all is. */
export function doubts(path: CriticalPath): { kind: "unknown" | "likely" | "causality" | "depth" | "cut"; text: string }[] {
  const out: ReturnType<typeof doubts> = [];
  if (path.unknownNs > 0)
    out.push({
      kind: "unknown",
      text: `${formatShare(path.share(path.unknownNs))} of it unknown (${formatDuration(path.unknownNs)})`,
    });
  if (path.likelyNs > 0)
    out.push({
      kind: "likely",
      text: `${formatShare(path.share(path.likelyNs))} only likely (${formatDuration(path.likelyNs)})`,
    });
  if (path.againstCausality > 0)
    out.push({
      kind: "causality",
      text: `${grouped(path.againstCausality)} wake-up${path.againstCausality === 1 ? "" : "s"} not followed: the waker did not run at the time`,
    });
  if (path.tooDeep > 0)
    out.push({
      kind: "depth",
      text: `${grouped(path.tooDeep)} wait${path.tooDeep === 1 ? "" : "s"} not followed: too deep`,
    });
  if (path.cut) out.push({ kind: "cut", text: "longer than is told: what lies before its first step is unknown" });
  return out;
}
