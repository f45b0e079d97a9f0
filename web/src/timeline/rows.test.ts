import { describe, expect, it } from "vitest";
import { parseJson } from "../api/client";
import { Entities, settle, shorten, type Entity } from "../api/entities";
import type { Source } from "../api/source";
import { machineTree, pathTo, processTree, resourceTree, rowsOf, type RowOptions, type TreeNode } from "./rows";

let last = -1;

function entity(kind: string, key: string, parent: number, more: Partial<Entity> = {}): Entity {
  last += 1;
  return {
    id: last,
    machine: 0,
    kind,
    parent,
    vm: -1,
    vcpu: -1,
    tid: -1,
    pid: -1,
    cr3: null,
    key,
    label: key,
    begin: 0,
    end: 100,
    intervals: 1,
    ...more,
  };
}

/** A host with a VM of two vCPUs, a nested VM, two processes and some threads. */
function host(): Entity[] {
  last = -1;
  return [
    entity("machine", "machine", -1, { intervals: 0 }),
    entity("vm", "vm:1", 0, { intervals: 0, pid: 1 }),
    entity("vcpu", "vm:1/vcpu:1", 1, { vcpu: 1, vm: 1, tid: 11, pid: 1 }),
    entity("vcpu", "vm:1/vcpu:0", 1, { vcpu: 0, vm: 1, tid: 10, pid: 1 }),
    entity("nested-vm", "vm:1/L2:a", 1, { vm: 1, intervals: 0 }),
    entity("nested-vcpu", "vm:1/L2:a/vcpu:b", 4, { vcpu: 0, vm: 4 }),
    entity("process", "vm:1/cr3:1#0", 1, { vm: 1, intervals: 5, begin: 0, end: 10 }),
    entity("process", "vm:1/cr3:2#0", 1, { vm: 1, intervals: 9, begin: 50, end: 90 }),
    entity("process", "vm:1/vcpu:0/idle", 3, { vm: 1 }),
    entity("cpu", "cpu:10", 0),
    entity("cpu", "cpu:2", 0),
    entity("thread", "thread:10", -1, { tid: 10, pid: 1, label: "CPU 0/KVM" }),
    entity("thread", "thread:11", -1, { tid: 11, pid: 1, label: "CPU 1/KVM" }),
    entity("thread", "thread:5", -1, { tid: 5, pid: 5, label: "kswapd" }),
    entity("interrupt", "cpu:2/softirq:9", 10, { label: "softirq RCU" }),
    entity("interrupt", "cpu:2/irq:24", 10, { label: "IRQ 24 virtio0" }),
  ];
}

const COUNTERS = ["frequency", "queue", "latency", "sent"];

function sourceOf(all: Entity[], counters: { entity: number; counter: number; values: number }[] = []): Source {
  return {
    entities: new Entities(all),
    vocabulary: { counter: (code: number) => COUNTERS[code] ?? "" },
    countersOf: (entity: number) => counters.filter((counter) => counter.entity === entity),
    holds: (counter: number) => counter < 2,
  } as unknown as Source;
}

const OPTIONS: RowOptions = {
  toggled: new Set(),
  pins: [],
  hidden: new Set(),
  sorting: "tree",
  flat: false,
  busy: new Map(),
  matching: null,
  alive: null,
};

function titles(tree: readonly TreeNode[], options: Partial<RowOptions> = {}): string[] {
  return rowsOf(tree, { ...OPTIONS, ...options }).map(
    (row) => `${"  ".repeat(row.depth)}${row.pinned ? "* " : ""}${row.node.title}`,
  );
}

describe("trees", () => {
  it("shows machine, VM, vCPU, nested VM and nested vCPU", () => {
    expect(titles(machineTree(sourceOf(host())))).toEqual([
      "machine",
      "  vm:1",
      "    vCPU 0",
      "    vCPU 1",
      "    L2:a",
      "      nested vCPU 0",
    ]);
  });

  it("shows processes by activity, and what is left at the end", () => {
    expect(titles(processTree(sourceOf(host()), ""))).toEqual([
      "vm:1",
      "  vm:1/cr3:2#0",
      "  vm:1/cr3:1#0",
      "  L2:a",
      "  guest kernel and idle",
    ]);
    expect(titles(processTree(sourceOf(host()), "vm:1/L2:a"))).toEqual(["L2:a"]);
  });

  it("shows processors by number and threads by process", () => {
    expect(titles(resourceTree(sourceOf(host())))).toEqual([
      "machine",
      "  CPU 2",
      "  CPU 10",
      "  Host threads (3)",
      "    vm:1 (2 threads)",
      "    kswapd:5",
    ]);
    const opened = titles(resourceTree(sourceOf(host())), { toggled: new Set(["cpu:2"]) });
    expect(opened.slice(1, 4)).toEqual(["  CPU 2", "    IRQ 24 virtio0", "    softirq RCU"]);
  });

  it("shows a container inside of the one around it", () => {
    const all = host();
    const outer = entity("container", "container:1", -1, { intervals: 0 });
    const inner = entity("container", "container:2", outer.id, { intervals: 0 });
    const threads = [
      entity("thread", "thread:7", outer.id, { tid: 7, pid: 7, label: "sh" }),
      entity("thread", "thread:8", inner.id, { tid: 8, pid: 8, label: "work" }),
    ];
    const tree = resourceTree(sourceOf([...all, outer, inner, ...threads]));
    const toggled = new Set(["container:1", "container:2"]);
    expect(titles(tree, { toggled }).slice(3, 8)).toEqual([
      "  container:1",
      "    container:2",
      "      work:8",
      "    sh:7",
      "  Host threads (5)",
    ]);
    expect(pathTo(tree, "container:1").at(-1)?.lanes).toHaveLength(2);
  });

  it("shows what is counted of processors, disks and network devices", () => {
    const all = host();
    const [disk, net] = [entity("device", "disk:8:0", -1, { intervals: 0 }), entity("device", "net:tap1", -1, { intervals: 0 })];
    const counted = (of: Entity, counter: number) => ({ entity: of.id, counter, values: 7 });
    const counters = [{ entity: 9, counter: 0, values: 3 }, counted(disk, 1), counted(disk, 2), counted(net, 3)];
    const tree = resourceTree(sourceOf([...all, disk, net], counters));
    expect(titles(tree).slice(1, 11)).toEqual([
      "  CPU 2",
      "  CPU 10",
      "  CPU 10 frequency",
      "  Disks",
      "    disk:8:0",
      "      queue",
      "      latency",
      "  Network devices",
      "    net:tap1",
      "      sent",
    ]);
    expect(pathTo(tree, "disk:8:0#latency").at(-1)?.drawing).toBe("curve");
    // They live as long as the recording does.
    expect(titles(tree, { alive: { begin: 500, end: 600 } })).toContain("      latency");
  });

  it("lists lanes of kinds that it does not know", () => {
    const source = sourceOf([...host(), entity("lane", "lane:1", -1)]);
    expect(titles(resourceTree(source), { toggled: new Set(["machine/others"]) }).slice(-2)).toEqual([
      "  Other lanes (1)",
      "    lane:1",
    ]);
  });

  it("draws a process from its lanes and a VM from its vCPUs", () => {
    const source = sourceOf(host());
    const [vm] = processTree(source, "");
    expect(vm?.drawing).toBe("average");
    expect(vm?.lanes).toEqual([3, 2]);
    expect(vm?.children[0]?.drawing).toBe("merge");
    expect(vm?.children[0]?.children.map((lane) => lane.vcpu)).toEqual([0, 1]);
  });
});

describe("rowsOf", () => {
  it("closes, pins, hides, filters and flattens", () => {
    const tree = machineTree(sourceOf(host()));
    expect(titles(tree, { toggled: new Set(["vm:1"]) })).toEqual(["machine", "  vm:1"]);
    expect(titles(tree, { pins: ["vm:1/vcpu:1"], toggled: new Set(["vm:1"]) })).toEqual([
      "* vCPU 1",
      "machine",
      "  vm:1",
    ]);
    expect(titles(tree, { hidden: new Set(["vm:1/L2:a"]) })).toEqual(["machine", "  vm:1", "    vCPU 0", "    vCPU 1"]);
    expect(titles(tree, { matching: new Set(["vm:1/vcpu:1"]) })).toEqual(["machine", "  vm:1", "    vCPU 1"]);
    expect(titles(tree, { flat: true })).toEqual(["vCPU 0", "vCPU 1", "nested vCPU 0"]);
  });

  it("sorts by name, begin and time running", () => {
    const tree = processTree(sourceOf(host()), "");
    expect(titles(tree, { sorting: "begin" })[1]).toBe("  vm:1/cr3:1#0");
    expect(titles(tree, { sorting: "name" })[1]).toBe("  vm:1/cr3:1#0");
    expect(
      titles(tree, {
        sorting: "busy",
        busy: new Map([
          [6, 5],
          [7, 4],
        ]),
      })[1],
    ).toBe("  vm:1/cr3:1#0");
  });

  it("leaves out what does not live in a stretch", () => {
    const tree = processTree(sourceOf(host()), "");
    expect(titles(tree, { alive: { begin: 20, end: 40 } })).not.toContain("  vm:1/cr3:1#0");
    expect(titles(tree, { alive: { begin: 60, end: 70 } })).toContain("  vm:1/cr3:2#0");
  });

  it("finds the way to a row", () => {
    const tree = machineTree(sourceOf(host()));
    expect(pathTo(tree, "vm:1/L2:a/vcpu:b").map((node) => node.title)).toEqual([
      "machine",
      "vm:1",
      "L2:a",
      "nested vCPU 0",
    ]);
    expect(pathTo(tree, "nobody")).toEqual([]);
  });
});

describe("entities", () => {
  it("knows which vCPU a thread is, and says the VM only where it is another", () => {
    const { entities } = sourceOf(host());
    expect(entities.who(11)).toBe("vCPU 0 of vm:1");
    expect(entities.culprit(11, 2)).toBe("vCPU 0");
    expect(entities.culprit(11, 9)).toBe("vCPU 0 of vm:1");
    expect(entities.title(11)).toBe("CPU 0/KVM:10");
    expect(entities.title(13)).toBe("kswapd:5");
    expect(entities.title(-1)).toBe("");
  });

  it("makes machines of their names, and puts what is loose below them", () => {
    last = -1;
    const loose = [
      entity("vm", "vm:1", -1, { intervals: 0, begin: -9, end: -9 }),
      entity("vcpu", "vm:1/vcpu:0", 0, { vm: 0, begin: 3, end: 50 }),
      entity("process", "vm:1/vcpu:0/idle", 0, { vm: 0 }),
    ];
    const settled = new Entities(settle(loose, [{ number: 0, name: "host" }]));
    const machine = settled.ofKind("machine")[0];
    expect(machine?.label).toBe("host");
    expect(settled.get(0)?.parent).toBe(machine?.id);
    expect([settled.get(0)?.begin, settled.get(0)?.end, machine?.begin]).toEqual([3, 50, 3]);
    expect(settled.get(2)?.parent).toBe(1);
  });

  it("does not loop on broken parents", () => {
    const loop = new Entities([entity("vm", "a", 1, { id: 0 }), entity("vm", "b", 0, { id: 1 })]);
    const first = loop.get(0);
    expect(first === undefined ? 0 : loop.ancestors(first).length).toBeLessThanOrEqual(32);
  });

  it("shortens hostile names and shows control characters", () => {
    expect(shorten("x".repeat(10_000))).toHaveLength(120);
    expect(shorten("a\u0000b\u202Ec\nd")).toBe("a\uFFFDb\uFFFDc\uFFFDd");
  });
});

describe("parseJson", () => {
  it("keeps integers that a double cannot hold, and leaves texts alone", () => {
    expect(
      parseJson(
        '{"a":1795381370000017029,"b":[-18446612689484658112,7,1.5,0.33296534594324111,1e-7],"c":"x:1795381370000017029,\\"1795381370000017029"}',
      ),
    ).toEqual({
      a: "1795381370000017029",
      b: ["-18446612689484658112", 7, 1.5, 0.33296534594324111, 1e-7],
      c: 'x:1795381370000017029,"1795381370000017029',
    });
  });
});
