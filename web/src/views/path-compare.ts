import type { CriticalPath, Did, PathNode } from "../api/critical";

/** What one path has of a node: none where the node is only the other's. */
export interface Side {
  ns: number;
  share: number;
  times: number;
  longest: number;
  longestStart: number;
}

/** A node of two paths together. */
export interface Difference {
  key: string;
  depth: number;
  waitsFor: boolean;
  /** Whose it is, -1 for the worker that the path is of. */
  entity: number;
  /** Whose the node above it is, -1 as well. */
  above: number;
  did: Did | null;
  first: Side | null;
  second: Side | null;
  /** What the second has more of, as a share of all. */
  more: number;
}

interface Joint extends Difference {
  children: Map<string, Joint>;
}

/** The worker that a path is of; so that paths of two workers have something in common. */
const ITSELF = -1;

/**
 * Two trees laid upon one another by who and what, each node below what it is a part of; of what stands side by side, that
 * which differs most comes first.
 */
export function compare(first: CriticalPath, second: CriticalPath): Difference[] {
  const root = new Map<string, Joint>();
  lay(root, first, "first");
  lay(root, second, "second");
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

function lay(root: Map<string, Joint>, path: CriticalPath, side: "first" | "second"): void {
  const who = (entity: number): number => (entity === path.entity ? ITSELF : entity);
  const open: Joint[] = [];
  for (const node of path.nodes) {
    const above = open[node.depth - 1];
    const siblings = node.depth === 0 ? root : above?.children;
    if (siblings === undefined) continue;
    const joint = find(siblings, node, who, above);
    joint[side] = {
      ns: node.ns,
      share: path.share(node.ns),
      times: node.times,
      longest: node.longest,
      longestStart: node.longestStart,
    };
    open.length = node.depth;
    open.push(joint);
  }
}

function find(
  siblings: Map<string, Joint>,
  node: PathNode,
  who: (entity: number) => number,
  above: Joint | undefined,
): Joint {
  const entity = who(node.entity);
  const did: Did | null = node.did === null ? null : [node.did[0], node.did[1], node.did[2]];
  const by = did === null ? "" : `${did[0]}/${did[1]}/${did[2]}`;
  const own = `${node.waitsFor ? "wait" : "step"} ${entity} ${by}`;
  let joint = siblings.get(own);
  if (joint === undefined) {
    joint = {
      key: `${above?.key ?? ""}|${own}`,
      depth: node.depth,
      waitsFor: node.waitsFor,
      entity,
      above: above?.entity ?? ITSELF,
      did,
      first: null,
      second: null,
      more: 0,
      children: new Map(),
    };
    siblings.set(own, joint);
  }
  return joint;
}
