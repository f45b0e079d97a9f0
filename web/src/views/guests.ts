import type { Entity } from "../api/entities";
import type { Source } from "../api/source";
import { byNumber } from "../timeline/rows";

/** VMs with their vCPUs, their nested VMs and so on, in the order of the timelines' rows. */
export function guestsIn(source: Source): { entity: Entity; depth: number }[] {
  const { entities } = source;
  const out: { entity: Entity; depth: number }[] = [];
  const visit = (guest: Entity, depth: number): void => {
    out.push({ entity: guest, depth });
    if (depth > 12) return;
    const below = entities.children(guest.id);
    const vcpus = below.filter((child) => child.kind === "vcpu" || child.kind === "nested-vcpu").sort(byNumber);
    // With one vCPU the VM's row says it all.
    if (vcpus.length > 1) for (const vcpu of vcpus) out.push({ entity: vcpu, depth: depth + 1 });
    for (const nested of below.filter((child) => child.kind === "nested-vm").sort(byNumber)) visit(nested, depth + 1);
  };
  for (const guest of entities.ofKind("vm").sort((a, b) => a.pid - b.pid || byNumber(a, b))) visit(guest, 0);
  return out;
}
