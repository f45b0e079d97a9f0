import type { Entity } from "../api/entities";
import { Entities } from "../api/entities";
import type { Source } from "../api/source";
import { changePanel, type Panel } from "../app/layout";
import { followedFrom, layout, selection, subject, timeFormat } from "../app/session";
import type { Range } from "../time/range";
import { formatDuration, formatTime } from "../time/time";

/** Which lanes a table sums over. */
const SCOPES = [
  { id: "vcpus", title: "vCPUs" },
  { id: "processes", title: "guest processes" },
  { id: "cpus", title: "physical CPUs" },
  { id: "threads", title: "host threads" },
] as const;

export type ScopeName = (typeof SCOPES)[number]["id"];

export function scopeOf(panel: Panel): ScopeName {
  return SCOPES.find((scope) => scope.id === panel.options["of"])?.id ?? "vcpus";
}

export function entitiesIn(source: Source, scope: ScopeName): Entity[] {
  const { entities } = source;
  switch (scope) {
    case "vcpus":
      return entities.ofKind("vcpu", "nested-vcpu");
    case "processes":
      return entities.ofKind("process").filter((entity) => !Entities.isRest(entity));
    case "cpus":
      return entities.ofKind("cpu");
    case "threads":
      return entities.ofKind("thread");
  }
}

export function ScopePicker({ panel }: { panel: Panel }) {
  return (
    <label class="inline">
      <span class="label-text">Of</span>
      <select
        value={scopeOf(panel)}
        onChange={(event) => {
          layout.value = changePanel(layout.peek(), panel.id, {
            options: { ...panel.options, of: event.currentTarget.value },
          });
        }}
      >
        {SCOPES.map((scope) => (
          <option key={scope.id} value={scope.id}>
            {scope.title}
          </option>
        ))}
      </select>
    </label>
  );
}

/**
 * The stretch that a table is about: the selection or what is visible, but when one of its own rows was followed, still
 * the stretch before that.
 */
export function useSubject(panel: Panel): Range {
  if (followedFrom.value !== panel.id) held.set(panel.id, subject.value);
  return held.get(panel.id) ?? subject.value;
}

/** What each panel was last about; here and not in the panel, which is made anew when it is moved. */
const held = new Map<number, Range>();

/** Says which stretch a table is about. */
export function RangeNote({ source, panel }: { source: Source; panel: Panel }) {
  const range = useSubject(panel);
  const isKept = followedFrom.value === panel.id;
  const chosen = selection.value !== null && selection.value.end > selection.value.begin;
  const text = (time: bigint): string => formatTime(time, timeFormat.value, source.origin, 3);
  return (
    <>
      <span class="range-note faint">
        {isKept ? "kept" : chosen ? "selection" : "visible"} {text(range.begin)} +{" "}
        {formatDuration(range.end - range.begin)}
      </span>
      {isKept && (
        <button type="button" class="small" title="Be about the selection" onClick={() => (followedFrom.value = 0)}>
          Follow
        </button>
      )}
    </>
  );
}
