import { useMemo } from "preact/hooks";
import { shortName, type Entity } from "../api/entities";
import type { Source } from "../api/source";
import { changePanel, type Panel } from "../app/layout";
import { layout } from "../app/session";
import { machineTree, processTree, resourceTree } from "../timeline/rows";
import { Timeline } from "../timeline/Timeline";

interface Props {
  panel: Panel;
  source: Source;
}

/** View 1: machines, VMs, vCPUs, nested VMs and their vCPUs. */
export function MachinesView({ panel, source }: Props) {
  const tree = useMemo(() => machineTree(source), [source]);
  return <Timeline panel={panel} source={source} tree={tree} empty="No virtual machine was seen." />;
}

/** View 2: guest processes, of all VMs or of one. */
export function ProcessesView({ panel, source }: Props) {
  const scope = panel.options["vm"] ?? "";
  const tree = useMemo(() => processTree(source, scope), [source, scope]);
  return (
    <Timeline
      panel={panel}
      source={source}
      tree={tree}
      controls={<GuestPicker panel={panel} source={source} />}
      empty="No guest process was seen: the trace needs the CR3 of entries or exits."
    />
  );
}

/** View 3: physical CPUs, devices, host threads. */
export function ResourcesView({ panel, source }: Props) {
  const tree = useMemo(() => resourceTree(source), [source]);
  return <Timeline panel={panel} source={source} tree={tree} empty="No processor was seen." />;
}

/** A guest's name with those around it. */
export function guestTitle(source: Source, guest: Entity): string {
  const around = source.entities.ancestors(guest).filter((above) => above.kind === "vm" || above.kind === "nested-vm");
  return [...around.reverse(), guest].map(shortName).join(" / ");
}

export function GuestPicker({ panel, source }: Props) {
  const guests = source.entities.ofKind("vm", "nested-vm");
  return (
    <label class="inline">
      <span class="label-text">Of</span>
      <select
        value={panel.options["vm"] ?? ""}
        onChange={(event) => {
          const { vm: _, ...others } = panel.options;
          const chosen = event.currentTarget.value;
          layout.value = changePanel(layout.peek(), panel.id, {
            options: chosen === "" ? others : { ...others, vm: chosen },
          });
        }}
      >
        <option value="">all VMs</option>
        {guests.map((guest) => (
          <option key={guest.key} value={guest.key}>
            {guestTitle(source, guest)}
          </option>
        ))}
      </select>
    </label>
  );
}
