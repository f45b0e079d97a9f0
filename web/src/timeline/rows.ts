import { Entities, shortName, shorten, type Entity } from "../api/entities";
import type { Source } from "../api/source";
import { counterLook } from "./counters";
import type { WorkerSteps } from "./path-steps";

/** How a row's picture comes: from one lane, lanes over one another, their average, a counter's values, or a path's steps. */
export type Drawing = "lane" | "merge" | "average" | "curve" | "steps" | "none";

/** A node of a view's tree. */
export interface TreeNode {
  /** A key that names it in links and pins. */
  id: string;
  title: string;
  kind: string;
  entity: number;
  /** The vCPU of a process's lane, -1 for all. */
  vcpu: number;
  /** Which counter a curve is of, else -1. */
  counter: number;
  drawing: Drawing;
  /** The entities whose lanes the picture is made of. */
  lanes: readonly number[];
  children: TreeNode[];
  /** Whether it is open when nobody has said otherwise. */
  open: boolean;
  /** When it begins, for sorting. */
  begin: number;
  end: number;
  /** How much is known of it, for sorting. */
  weight: number;
  /** The steps that a row of a path is made of. */
  steps?: WorkerSteps | undefined;
  /** What stands at the right of its name. */
  note?: string;
}

export interface Row {
  node: TreeNode;
  depth: number;
  open: boolean;
  pinned: boolean;
}

/** More lanes than this are not averaged: the picture would say little and cost much. */
const MOST_AVERAGED = 64;

function leaf(entity: Entity, title = shortName(entity)): TreeNode {
  return {
    id: entity.key,
    title,
    kind: entity.kind,
    entity: entity.id,
    vcpu: -1,
    counter: -1,
    drawing:
      entity.intervals > 0 ? (entity.kind === "process" || entity.kind === "guest-thread" ? "merge" : "lane") : "none",
    lanes: entity.intervals > 0 ? [entity.id] : [],
    children: [],
    open: false,
    begin: entity.begin,
    end: entity.end,
    weight: entity.intervals,
  };
}

function group(
  id: string,
  title: string,
  kind: string,
  entity: number,
  children: TreeNode[],
  lanes: readonly number[],
  open: boolean,
): TreeNode {
  const averaged = lanes.length > 0 && lanes.length <= MOST_AVERAGED;
  return {
    id,
    title,
    kind,
    entity,
    vcpu: -1,
    counter: -1,
    drawing: averaged ? "average" : "none",
    lanes: averaged ? lanes : [],
    children,
    open,
    begin: children.reduce((least, child) => Math.min(least, child.begin), Infinity),
    end: children.reduce((most, child) => Math.max(most, child.end), -Infinity),
    weight: children.reduce((sum, child) => sum + child.weight, 0),
  };
}

export const byNumber = (a: Entity, b: Entity): number =>
  a.vcpu - b.vcpu || a.key.localeCompare(b.key, "en", { numeric: true });

function machines(source: Source): Entity[] {
  return source.entities.ofKind("machine");
}

/** Those of `kind` that hang below a machine, or below nothing on the same machine. */
function below(source: Source, machine: Entity, ...kinds: string[]): Entity[] {
  return source.entities.ofKind(...kinds).filter((entity) => entity.machine === machine.machine);
}

/** View 1: machine, VM, vCPU, nested VM, nested vCPU. */
export function machineTree(source: Source): TreeNode[] {
  const { entities } = source;
  const guest = (vm: Entity): TreeNode => {
    const children = entities.children(vm.id);
    const vcpus = children.filter((child) => child.kind === "vcpu" || child.kind === "nested-vcpu").sort(byNumber);
    const nested = children.filter((child) => child.kind === "nested-vm").sort(byNumber);
    const nodes = [...vcpus.map((vcpu) => leaf(vcpu)), ...nested.map(guest)];
    return group(
      vm.key,
      shortName(vm),
      vm.kind,
      vm.id,
      nodes,
      vcpus.map((vcpu) => vcpu.id),
      true,
    );
  };
  return machines(source).map((machine) => {
    const vms = below(source, machine, "vm").sort((a, b) => a.pid - b.pid || byNumber(a, b));
    const vcpus = below(source, machine, "vcpu").map((vcpu) => vcpu.id);
    return group(machine.key, shortName(machine), "machine", machine.id, vms.map(guest), vcpus, true);
  });
}

/** View 2: the processes of each VM and nested VM; `scope` is the key of the only one, or empty. */
export function processTree(source: Source, scope: string): TreeNode[] {
  const { entities } = source;
  const vcpusOf = (vm: Entity): Entity[] =>
    entities
      .children(vm.id)
      .filter((child) => child.kind === "vcpu" || child.kind === "nested-vcpu")
      .sort(byNumber);
  const guest = (vm: Entity): TreeNode => {
    const vcpus = vcpusOf(vm);
    const processes = entities
      .children(vm.id)
      .filter((child) => child.kind === "process" && child.intervals > 0 && !Entities.isRest(child));
    const nodes = processes.map((process) => processNode(source, process, vm, vcpus));
    const rests = [...vcpus, vm].flatMap((at) => entities.children(at.id).filter(Entities.isRest));
    const rest = rests.map((lane) => {
      const at = entities.get(lane.parent);
      return leaf(lane, at === undefined ? shorten(lane.label) : `${shorten(lane.label, 24)}, ${shortName(at)}`);
    });
    const nested = entities
      .children(vm.id)
      .filter((child) => child.kind === "nested-vm")
      .sort(byNumber);
    const children = [...nodes.sort((a, b) => b.weight - a.weight), ...nested.map(guest)];
    if (rest.length > 0) children.push(group(`${vm.key}/rest`, "guest kernel and idle", "group", -1, rest, [], false));
    return group(
      vm.key,
      shortName(vm),
      vm.kind,
      vm.id,
      children,
      vcpus.map((vcpu) => vcpu.id),
      true,
    );
  };
  const chosen = scope === "" ? undefined : entities.find(scope);
  const tops = chosen === undefined ? entities.ofKind("vm").sort((a, b) => a.pid - b.pid || byNumber(a, b)) : [chosen];
  return tops.map(guest);
}

function processNode(source: Source, process: Entity, vm: Entity, vcpus: readonly Entity[]): TreeNode {
  const node = leaf(process);
  const threads = source.entities.children(process.id).filter((child) => child.kind === "guest-thread");
  node.children = threads.map((thread) => leaf(thread));
  // In a nested VM lanes belong to the VM, so that there is one at most.
  if (vm.kind === "vm" && vcpus.length > 1)
    node.children.push(
      ...vcpus.map((vcpu) => ({
        ...leaf(process, `on ${shortName(vcpu)}`),
        id: `${process.key}@${vcpu.vcpu}`,
        vcpu: vcpu.vcpu,
        drawing: "lane" as const,
        weight: -vcpu.vcpu,
      })),
    );
  return node;
}

/** A curve for each counter of an entity. */
function curveNodes(source: Source, entity: Entity): TreeNode[] {
  return source.countersOf(entity.id).map(({ counter, values }) => {
    const name = source.vocabulary.counter(counter);
    return {
      id: `${entity.key}#${name}`,
      title: counterLook(name, source.holds(counter)).title,
      kind: "counter",
      entity: entity.id,
      vcpu: -1,
      counter,
      drawing: "curve",
      lanes: [],
      children: [],
      open: false,
      begin: 0,
      end: Infinity,
      weight: values,
    };
  });
}

/** Disks and network devices with what is counted of them. */
function deviceGroups(source: Source, machine: Entity): TreeNode[] {
  const devices = below(source, machine, "device").sort((a, b) =>
    a.key.localeCompare(b.key, "en", { numeric: true }),
  );
  const some = (id: string, title: string, wanted: (device: Entity) => boolean): TreeNode[] => {
    const nodes = devices
      .filter(wanted)
      .map((device) => group(device.key, shortName(device), "device", device.id, curveNodes(source, device), [], true));
    return nodes.length === 0 ? [] : [group(`${machine.key}/${id}`, title, "group", -1, nodes, [], true)];
  };
  const isDisk = (device: Entity): boolean => device.key.startsWith("disk:");
  const isNet = (device: Entity): boolean => device.key.startsWith("net:");
  return [
    ...some("disks", "Disks", isDisk),
    ...some("nets", "Network devices", isNet),
    ...some("devices", "Other devices", (device) => !isDisk(device) && !isNet(device)),
  ];
}

/** A processor with its interrupts below, by number within their kind: devices, vectors, soft interrupts. */
function cpuNode(source: Source, cpu: Entity): TreeNode {
  const interrupts = source.entities.children(cpu.id).filter((child) => child.kind === "interrupt");
  interrupts.sort((a, b) => a.key.localeCompare(b.key, "en", { numeric: true }));
  return { ...leaf(cpu), children: interrupts.map((interrupt) => leaf(interrupt, interrupt.label)) };
}

/** Kinds with a place of their own in some view; lanes of others, of a later virtflow say, are listed all the same. */
const KNOWN: ReadonlySet<string> = new Set([
  "machine",
  "cpu",
  "interrupt",
  "device",
  "container",
  "thread",
  "vm",
  "vcpu",
  "nested-vm",
  "nested-vcpu",
  "process",
  "guest-thread",
]);

/** View 3: each machine's processors, devices, and threads by process. */
export function resourceTree(source: Source): TreeNode[] {
  const { entities } = source;
  return machines(source).map((machine) => {
    const cpus = below(source, machine, "cpu").sort((a, b) => a.key.localeCompare(b.key, "en", { numeric: true }));
    const containers = below(source, machine, "container");
    const byPid = new Map<number, Entity[]>();
    const contained = new Set(
      containers.flatMap((container) => entities.children(container.id).map((child) => child.id)),
    );
    const outermost = containers.filter((container) => !contained.has(container.id));
    for (const thread of below(source, machine, "thread")) {
      if (contained.has(thread.id)) continue;
      const list = byPid.get(thread.pid);
      if (list === undefined) byPid.set(thread.pid, [thread]);
      else list.push(thread);
    }
    const vms = new Map(below(source, machine, "vm").map((vm) => [vm.pid, vm]));
    const threadTitle = (thread: Entity): string => `${shortName(thread)}:${thread.tid}`;
    const processes = [...byPid].flatMap(([pid, threads]) => {
      const nodes = threads.map((thread) => leaf(thread, threadTitle(thread)));
      if (threads.length === 1) return nodes;
      const leader = threads.find((thread) => thread.tid === pid) ?? threads[0];
      const vm = vms.get(pid);
      const title = vm !== undefined ? shortName(vm) : leader === undefined ? String(pid) : threadTitle(leader);
      const used = threads.filter((thread) => thread.intervals > 0).map((thread) => thread.id);
      return [
        group(
          `${machine.key}/pid:${pid}`,
          `${title} (${threads.length} threads)`,
          "threads",
          -1,
          nodes.sort((a, b) => b.weight - a.weight),
          used,
          false,
        ),
      ];
    });
    const children = cpus.flatMap((cpu) => [
      cpuNode(source, cpu),
      ...curveNodes(source, cpu).map((node) => ({ ...node, title: `${shortName(cpu)} ${node.title}` })),
    ]);
    children.push(...deviceGroups(source, machine));
    const containerNode = (container: Entity): TreeNode => {
      const inside = entities.children(container.id);
      const nodes = inside.map((child) =>
        child.kind === "container" ? containerNode(child) : leaf(child, threadTitle(child)),
      );
      const lanes = nodes.flatMap((node) => node.lanes);
      return group(container.key, shortName(container), "container", container.id, nodes, lanes, false);
    };
    children.push(...outermost.map(containerNode));
    children.push(
      group(
        `${machine.key}/threads`,
        `Host threads (${below(source, machine, "thread").length})`,
        "group",
        -1,
        processes.sort((a, b) => b.weight - a.weight),
        [],
        true,
      ),
    );
    const others = entities.all.filter(
      (entity) => entity.machine === machine.machine && entity.intervals > 0 && !KNOWN.has(entity.kind),
    );
    if (others.length > 0) {
      const lanes = others.map((other) => leaf(other));
      children.push(group(`${machine.key}/others`, `Other lanes (${lanes.length})`, "group", -1, lanes, [], false));
    }
    return group(
      machine.key,
      shortName(machine),
      "machine",
      machine.id,
      children,
      cpus.map((cpu) => cpu.id),
      true,
    );
  });
}

export type Sorting = "tree" | "name" | "begin" | "busy";

export interface RowOptions {
  /** Opened or closed by hand. */
  toggled: ReadonlySet<string>;
  pins: readonly string[];
  hidden: ReadonlySet<string>;
  sorting: Sorting;
  flat: boolean;
  /** Time on a processor by entity, for the sorting by it. */
  busy: ReadonlyMap<number, number>;
  /** The rows that a filter leaves, or null for all. */
  matching: ReadonlySet<string> | null;
  /** Leaves out what does not live in this stretch, if given. */
  alive: { begin: number; end: number } | null;
}

/** Nested VMs stay below processes and vCPUs, groups below all. */
function place(node: TreeNode): number {
  return node.kind === "group" ? 2 : node.kind === "nested-vm" ? 1 : 0;
}

/** Sorts siblings of a kind; groups and VMs keep their place among processes. */
function sorted(nodes: readonly TreeNode[], options: RowOptions): TreeNode[] {
  const { sorting, busy } = options;
  if (sorting === "tree") return [...nodes];
  const busyOf = (node: TreeNode): number =>
    busy.get(node.entity) ?? node.lanes.reduce((sum, lane) => sum + (busy.get(lane) ?? 0), 0);
  const compare = (a: TreeNode, b: TreeNode): number => {
    if (sorting === "name") return a.title.localeCompare(b.title, "en", { numeric: true });
    if (sorting === "begin") return a.begin - b.begin;
    return busyOf(b) - busyOf(a);
  };
  return [...nodes].sort((a, b) => place(a) - place(b) || compare(a, b));
}

/** The rows to show, from top to bottom: the pinned ones first. */
export function rowsOf(tree: readonly TreeNode[], options: RowOptions): Row[] {
  const rows: Row[] = [];
  const pinned = new Map<string, TreeNode>();
  const wanted = new Set(options.pins);
  const keeps = new Map<string, boolean>();
  const kept = (node: TreeNode): boolean => {
    if (options.alive !== null && (node.end <= options.alive.begin || node.begin >= options.alive.end)) return false;
    if (options.matching === null) return true;
    const known = keeps.get(node.id);
    if (known !== undefined) return known;
    const keep = options.matching.has(node.id) || node.children.some(kept);
    keeps.set(node.id, keep);
    return keep;
  };
  const visit = (nodes: readonly TreeNode[], depth: number): void => {
    for (const node of sorted(nodes, options)) {
      if (wanted.has(node.id)) pinned.set(node.id, node);
      if (options.hidden.has(node.id) || !kept(node)) continue;
      const expandable = node.children.length > 0;
      const open = expandable && node.open !== options.toggled.has(node.id);
      if (options.flat) {
        if (node.drawing !== "none" && (!expandable || node.drawing !== "average"))
          rows.push({ node, depth: 0, open: false, pinned: false });
        if (node.drawing !== "merge") visit(node.children, 0);
        continue;
      }
      rows.push({ node, depth, open, pinned: false });
      if (open) visit(node.children, depth + 1);
    }
  };
  visit(tree, 0);
  if (wanted.size > pinned.size) collect(tree, wanted, pinned);
  const top = options.pins.flatMap((id) => {
    const node = pinned.get(id);
    return node === undefined ? [] : [{ node, depth: 0, open: false, pinned: true }];
  });
  if (options.flat && options.sorting !== "tree") {
    const order = sorted(
      rows.map((row) => row.node),
      options,
    );
    const placed = new Map(order.map((node, index) => [node.id, index]));
    rows.sort((a, b) => (placed.get(a.node.id) ?? 0) - (placed.get(b.node.id) ?? 0));
  }
  return [...top, ...rows];
}

/** Pinned rows are shown although a closed node is above them. */
function collect(nodes: readonly TreeNode[], wanted: ReadonlySet<string>, found: Map<string, TreeNode>): void {
  for (const node of nodes) {
    if (wanted.has(node.id)) found.set(node.id, node);
    collect(node.children, wanted, found);
  }
}

/** The way from the top to the node with this id, itself included; empty if there is none. */
export function pathTo(nodes: readonly TreeNode[], id: string): TreeNode[] {
  for (const node of nodes) {
    if (node.id === id) return [node];
    const below = pathTo(node.children, id);
    if (below.length > 0) return [node, ...below];
  }
  return [];
}

export function allNodes(nodes: readonly TreeNode[]): TreeNode[] {
  return nodes.flatMap((node) => [node, ...allNodes(node.children)]);
}
