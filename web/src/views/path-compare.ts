import type { CriticalPath, Did, PathNode } from "../api/critical";

/** What one path has of a node: none where the node is only the other's. */
export interface Side {
  ns: number;
  share: number;
  times: number;
  longest: number;
  longestStart: number;
  /** Whose the longest is. */
  entity: number;
}

/** A node of two paths together. */
export interface Difference {
  key: string;
  depth: number;
  waitsFor: boolean;
  /** Whose it is, and whose the node above it is. */
  who: string;
  above: string;
  what: string;
  did: Did | null;
  first: Side | null;
  second: Side | null;
  /** What the second has more of, as a share of all. */
  more: number;
}

/** What counts as the same: those that are called the same. */
export interface Names {
  who: (entity: number) => string;
  did: (did: Did | null) => string;
  /** The worker that a path is of, so that paths of two workers have something in common. */
  itself: string;
}

interface Joint extends Difference {
  children: Map<string, Joint>;
}

/**
 * Two trees laid upon one another by who and what, each node below what it is a part of; of what stands side by side, that
 * which differs most comes first.
 */
export function compare(first: CriticalPath, second: CriticalPath, names: Names): Difference[] {
  const root = new Map<string, Joint>();
  lay(root, first, "first", names);
  lay(root, second, "second", names);
  const out: Difference[] = [];
  const visit = (nodes: ReadonlyMap<string, Joint>): void => {
    const all = [...nodes.values()];
    for (const node of all) node.more = (node.second?.share ?? 0) - (node.first?.share ?? 0);
    all.sort((a, b) => Math.abs(b.more) - Math.abs(a.more) || largest(b) - largest(a));
    for (const { children, ...node } of all) {
      out.push(node);
      visit(children);
    }
  };
  visit(root);
  return out;
}

function largest(node: Difference): number {
  return Math.max(node.first?.share ?? 0, node.second?.share ?? 0);
}

function lay(root: Map<string, Joint>, path: CriticalPath, side: "first" | "second", names: Names): void {
  const who = (entity: number): string => (entity === path.entity ? names.itself : names.who(entity));
  const open: Joint[] = [];
  for (const node of path.nodes) {
    const above = open[node.depth - 1];
    const siblings = node.depth === 0 ? root : above?.children;
    if (siblings === undefined) continue;
    const joint = find(siblings, node, who(node.entity), names, above);
    joint[side] = together(joint[side], node, path);
    open.length = node.depth;
    open.push(joint);
  }
}

/** What there was of it, and one more node. */
function together(before: Side | null, node: PathNode, path: CriticalPath): Side {
  const { ns, times, longest, longestStart, entity } = node;
  const one = { ns, share: path.share(ns), times, longest, longestStart, entity };
  if (before === null) return one;
  const longer = before.longest >= longest ? before : one;
  return { ...longer, ns: before.ns + ns, share: path.share(before.ns + ns), times: before.times + times };
}

function find(
  siblings: Map<string, Joint>,
  node: PathNode,
  who: string,
  names: Names,
  above: Joint | undefined,
): Joint {
  const what = names.did(node.did);
  const own = `${node.waitsFor ? "wait" : "step"}\n${who}\n${what}`;
  let joint = siblings.get(own);
  if (joint === undefined) {
    joint = {
      key: `${above?.key ?? ""}\n${own}`,
      depth: node.depth,
      waitsFor: node.waitsFor,
      who,
      above: above?.who ?? names.itself,
      what,
      did: node.did,
      first: null,
      second: null,
      more: 0,
      children: new Map(),
    };
    siblings.set(own, joint);
  }
  return joint;
}
