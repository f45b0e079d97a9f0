import type { Table } from "@uwdata/flechette";
import { distances, lengths, numbers, texts } from "./client";
import type { Vocabulary } from "./vocabulary";

export interface Entity {
  id: number;
  machine: number;
  kind: string;
  parent: number;
  vm: number;
  vcpu: number;
  tid: number;
  pid: number;
  cr3: string | null;
  key: string;
  label: string;
  /** Nanoseconds from the source's begin. */
  begin: number;
  end: number;
  intervals: number;
}

/** Everything that a source knows of, by id and by key, with who belongs to whom. */
export class Entities {
  readonly all: readonly Entity[];
  private readonly byId = new Map<number, Entity>();
  private readonly byKey = new Map<string, Entity>();
  private readonly below = new Map<number, Entity[]>();
  private readonly vcpuByThread = new Map<string, Entity>();
  private readonly threadByTid = new Map<string, Entity>();

  constructor(all: Entity[]) {
    this.all = all;
    for (const entity of all) {
      this.byId.set(entity.id, entity);
      this.byKey.set(entity.key, entity);
      if (entity.kind === "vcpu" && entity.tid >= 0) this.vcpuByThread.set(`${entity.machine} ${entity.tid}`, entity);
      if (entity.kind === "thread") this.threadByTid.set(`${entity.machine} ${entity.tid}`, entity);
    }
    for (const entity of all) {
      const siblings = this.below.get(entity.parent);
      if (siblings === undefined) this.below.set(entity.parent, [entity]);
      else siblings.push(entity);
    }
  }

  get(id: number): Entity | undefined {
    return this.byId.get(id);
  }

  find(key: string): Entity | undefined {
    return this.byKey.get(key);
  }

  children(id: number): readonly Entity[] {
    return this.below.get(id) ?? [];
  }

  ofKind(...kinds: string[]): Entity[] {
    return this.all.filter((entity) => kinds.includes(entity.kind));
  }

  /** The VM or nested VM around an entity, itself included. */
  guestOf(entity: Entity): Entity | undefined {
    if (entity.kind === "vm" || entity.kind === "nested-vm") return entity;
    return (
      this.get(entity.vm) ?? this.ancestors(entity).find((above) => above.kind === "vm" || above.kind === "nested-vm")
    );
  }

  /** Parent, its parent and so on; a loop in broken data ends it. */
  ancestors(entity: Entity): Entity[] {
    const out: Entity[] = [];
    let above = this.get(entity.parent);
    while (above !== undefined && out.length < 32) {
      out.push(above);
      above = this.get(above.parent);
    }
    return out;
  }

  /** Whether a lane is a vCPU's `idle` or `kernel` lane and not a process of its own. */
  static isRest(entity: Entity): boolean {
    return entity.kind === "process" && /\/(idle|kernel)$/.test(entity.key);
  }

  /** The vCPU that a host thread is, or the entity itself. */
  asVcpu(entity: Entity): Entity {
    return entity.kind === "thread" ? (this.vcpuByThread.get(`${entity.machine} ${entity.tid}`) ?? entity) : entity;
  }

  /** The thread of a vCPU, or the vCPU of a thread: two lanes of one thing. */
  twin(entity: Entity): Entity | undefined {
    const key = `${entity.machine} ${entity.tid}`;
    return entity.kind === "vcpu"
      ? this.threadByTid.get(key)
      : entity.kind === "thread"
        ? this.vcpuByThread.get(key)
        : undefined;
  }

  /** Who had a processor, in as few letters as say it on the row of `victim`: `vCPU 1`, or `vCPU 1 of qemu:145`. */
  culprit(id: number, victim: number): string {
    const entity = this.get(id);
    if (entity === undefined) return "";
    const who = this.asVcpu(entity);
    const of = this.get(victim);
    const guest = this.guestOf(who);
    const same = of !== undefined && guest !== undefined && this.guestOf(this.asVcpu(of))?.id === guest.id;
    return same ? shortName(who) : this.title(who.id);
  }

  /** The title of whoever had a processor; a vCPU's thread is its vCPU. */
  who(id: number): string {
    const entity = this.get(id);
    return entity === undefined ? "" : this.title(this.asVcpu(entity).id);
  }

  /** A name that says enough on its own: `vCPU 0 of qemu:139`. */
  title(id: number): string {
    const entity = this.get(id);
    if (entity === undefined) return "";
    const name = shortName(entity);
    const guest = this.guestOf(entity);
    if (entity.kind === "thread" && entity.tid >= 0) return `${name}:${entity.tid}`;
    if (guest === undefined || guest.id === entity.id) return name;
    if (Entities.isRest(entity)) {
      const of = this.get(entity.parent);
      return of === undefined ? `${name} of ${shortName(guest)}` : `${name}, ${shortName(of)} of ${shortName(guest)}`;
    }
    return `${name} of ${shortName(guest)}`;
  }
}

/** At most `most` characters, so that a name of many kilobytes costs nothing to lay out. */
export function shorten(text: string, most = 120): string {
  const clean = text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\uFFFD");
  return clean.length <= most ? clean : clean.slice(0, most - 1) + "…";
}

export function shortName(entity: Entity): string {
  if (entity.kind === "cpu") return `CPU ${entity.key.split(":").at(-1) ?? ""}`.slice(0, 24);
  if (entity.kind === "vcpu") return `vCPU ${entity.vcpu >= 0 ? entity.vcpu : shorten(entity.label, 40)}`;
  if (entity.kind === "nested-vcpu") return `nested vCPU ${entity.vcpu >= 0 ? entity.vcpu : shorten(entity.label, 40)}`;
  if (entity.kind === "nested-vm")
    return shorten((entity.label === "" ? entity.key : entity.label).split("/").at(-1) ?? "", 60);
  return shorten(entity.label === "" ? entity.key : entity.label);
}

/** Kinds that hang directly below a machine when nothing else is above them. */
const TOP = new Set(["cpu", "thread", "vm", "container", "device"]);

/**
 * Completes what the table leaves open: machines are rows too, whatever has no parent hangs below its machine, a vCPU's
 * `idle` and `kernel` lanes hang below the vCPU, and what has no lane lives as long as what is below it.
 */
export function settle(all: Entity[], machines: readonly { number: number; name: string }[]): Entity[] {
  const out = all.map((entity) => ({ ...entity }));
  const machineIds = new Map(
    out.filter((entity) => entity.kind === "machine").map((entity) => [entity.machine, entity.id]),
  );
  let next = out.reduce((most, entity) => Math.max(most, entity.id), -1) + 1;
  for (const machine of machines) {
    if (machineIds.has(machine.number)) continue;
    machineIds.set(machine.number, next);
    out.push({
      id: next,
      machine: machine.number,
      kind: "machine",
      parent: -1,
      vm: -1,
      vcpu: -1,
      tid: -1,
      pid: -1,
      cr3: null,
      key: `machine:${machine.name}`,
      label: machine.name,
      begin: 0,
      end: 0,
      intervals: 0,
    });
    next += 1;
  }
  const byKey = new Map(out.map((entity) => [entity.key, entity]));
  for (const entity of out) {
    if (entity.parent < 0 && TOP.has(entity.kind)) entity.parent = machineIds.get(entity.machine) ?? -1;
    if (!Entities.isRest(entity)) continue;
    const vcpu = byKey.get(entity.key.slice(0, entity.key.lastIndexOf("/")));
    if (vcpu !== undefined) entity.parent = vcpu.id;
  }
  const tree = new Entities(out);
  const live = (entity: Entity, depth: number): void => {
    if (entity.intervals > 0 || depth > 32) return;
    for (const child of tree.children(entity.id)) live(child, depth + 1);
    const below = tree.children(entity.id).filter((child) => child.end > child.begin);
    if (below.length === 0) return;
    entity.begin = below.reduce((least, child) => Math.min(least, child.begin), Infinity);
    entity.end = below.reduce((most, child) => Math.max(most, child.end), -Infinity);
  };
  for (const entity of out) if (tree.get(entity.parent) === undefined) live(entity, 0);
  return out;
}

export function entitiesOf(
  table: Table,
  vocabulary: Vocabulary,
  origin: bigint,
  machines: readonly { number: number; name: string }[],
): Entities {
  const column = (name: string): ArrayLike<number> => numbers(table, name);
  const [id, machine, kind, parent, vm] = [
    column("id"),
    column("machine"),
    column("kind"),
    column("parent"),
    column("vm"),
  ];
  const [vcpu, tid, pid] = [column("vcpu"), column("tid"), column("pid")];
  const [cr3, key, label] = [texts(table, "cr3"), texts(table, "key"), texts(table, "label")];
  const begin = distances(table, "begin_ns", origin);
  const end = distances(table, "end_ns", origin);
  const intervals = lengths(table, "intervals");
  const all: Entity[] = [];
  for (let row = 0; row < table.numRows; row += 1) {
    all.push({
      id: id[row] ?? 0,
      machine: machine[row] ?? 0,
      kind: vocabulary.kind(kind[row] ?? 255),
      parent: parent[row] ?? -1,
      vm: vm[row] ?? -1,
      vcpu: vcpu[row] ?? -1,
      tid: tid[row] ?? -1,
      pid: pid[row] ?? -1,
      cr3: cr3[row] ?? null,
      key: key[row] ?? "",
      label: label[row] ?? "",
      begin: begin[row] ?? 0,
      end: end[row] ?? 0,
      intervals: intervals[row] ?? 0,
    });
  }
  return new Entities(settle(all, machines));
}
