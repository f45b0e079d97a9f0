import { describe, expect, it } from "vitest";
import { Entities, type Entity } from "../api/entities";
import { membersOf, SET_MAX, siblingsOf, withMembers } from "./path-set";

describe("workers that are looked at together", () => {
  const of = { of: "thread:1@5", tab: "together" };

  it("are the path's worker alone until others are put there", () => {
    expect(membersOf({})).toEqual([]);
    expect(membersOf(of)).toEqual(["thread:1@5"]);
    expect(withMembers(of, ["thread:1@5"])).toEqual(of);
    expect(withMembers({ ...of, set: "x" }, [])).toEqual(of);
  });

  it("go through a panel's options and back, whatever their keys are, each once", () => {
    const keys = ["thread:1@5", "vm:1@5/L2:a, b;c|d/vcpu 0", "100% sure"];
    const options = withMembers(of, [...keys, "100% sure"]);
    expect(membersOf(options)).toEqual(keys);
    expect(options).toMatchObject(of);
    expect(membersOf({ set: "%zz a" })).toEqual(["%zz", "a"]);
  });

  it("stay when the path is another's, also when one is left", () => {
    const options = { ...withMembers(of, ["thread:1@5", "thread:2@5"]), of: "thread:3@5" };
    expect(membersOf(options)).toEqual(["thread:1@5", "thread:2@5"]);
    expect(membersOf(withMembers(options, ["thread:2@5"]))).toEqual(["thread:2@5"]);
  });

  it("are no more than the server takes", () => {
    const many = Array.from({ length: 100 }, (_, at) => `thread:${at}@5`);
    expect(membersOf(withMembers(of, many))).toHaveLength(SET_MAX);
    expect(membersOf({ set: many.join(" ") })).toHaveLength(SET_MAX);
  });
});

describe("siblings", () => {
  let id = 0;
  const entity = (kind: string, more: Partial<Entity>): Entity => ({
    id: id++,
    machine: 0,
    kind,
    parent: -1,
    vm: -1,
    vcpu: -1,
    tid: -1,
    pid: -1,
    cr3: null,
    key: `${kind} ${id}`,
    label: "",
    begin: 0,
    end: 1,
    intervals: id,
    ...more,
  });
  const main = entity("thread", { pid: 7 });
  const small = entity("thread", { pid: 7 });
  const large = entity("thread", { pid: 7 });
  const idle = entity("thread", { pid: 7, intervals: 0 });
  const elsewhere = entity("thread", { pid: 7, machine: 1 });
  const alone = entity("thread", { pid: -1 });
  const vcpus = [0, 1].map((vcpu) => entity("vcpu", { vm: 90, vcpu, pid: 7 }));
  const otherVm = entity("vcpu", { vm: 91, vcpu: 0 });
  const processes = ["vm:90/cr3:1#0", "vm:90/cr3:2#0", "vm:90/vcpu:0/idle"].map((key) =>
    entity("process", { vm: 90, key }),
  );
  const all = new Entities([main, small, large, idle, elsewhere, alone, ...vcpus, otherVm, ...processes]);

  it("are the threads of a process, those that did most first", () => {
    expect(siblingsOf(all, main)).toEqual([large, small]);
    expect(siblingsOf(all, alone)).toEqual([]);
  });

  it("are the vCPUs, or the processes, of a VM", () => {
    expect(siblingsOf(all, vcpus[0] as Entity)).toEqual([vcpus[1]]);
    expect(siblingsOf(all, processes[0] as Entity)).toEqual([processes[1]]);
  });
});
