import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { shorten } from "../api/entities";
import type { Interval } from "../api/segments";
import type { MatrixRow, Source } from "../api/source";
import { PanelFrame } from "../app/PanelFrame";
import { changePanel, type Panel } from "../app/layout";
import { goTo, layout, timeFormat } from "../app/session";
import { useReply } from "../app/use-reply";
import { stateText } from "../timeline/looks";
import { formatDuration, formatShare, formatTime } from "../time/time";
import { DataTable, type TableColumn } from "./DataTable";
import { RangeNote, useSubject } from "./scope";

/** Victims' kinds that can be chosen. */
const KINDS: readonly { id: string; title: string; kinds: readonly string[] }[] = [
  { id: "", title: "vCPUs", kinds: ["vcpu", "nested-vcpu"] },
  { id: "processes", title: "guest processes", kinds: ["process", "guest-thread"] },
  { id: "threads", title: "host threads", kinds: ["thread"] },
];

interface Cell {
  ns: number;
  count: number;
  longest: number;
  longestStart: number;
}

interface Matrix {
  victims: { id: number; ns: number }[];
  culprits: { id: number; ns: number }[];
  cells: Map<string, Cell>;
  total: number;
  largest: number;
}

/** More columns than this are not readable; the rest is summed. */
const MOST = 14;
const REST = -2;

/** The states in which somebody else has the processor, as a filter for the server. */
const TAKEN = 'state matches "^(preempted|runnable|ready-in-guest|throttled)"';

/** View 5: who had the processor while somebody wanted it. */
export function MatrixView({ panel, source }: { panel: Panel; source: Source }) {
  const range = useSubject(panel);
  const chosen = KINDS.find((kind) => kind.id === (panel.options["of"] ?? "")) ?? KINDS[0];
  const reply = useReply((signal) => source.matrix(range, signal), [source, range], 200);
  const rows = reply.value.value;
  const matrix = useMemo(() => build(source, rows ?? [], chosen?.kinds ?? []), [source, rows, chosen]);
  const picked = useSignal<{ victim: number; culprit: number } | null>(null);
  return (
    <PanelFrame
      panel={panel}
      busy={reply.busy}
      error={reply.error.value}
      controls={
        <>
          <label class="inline">
            <span class="label-text">Victims</span>
            <select
              value={chosen?.id ?? ""}
              onChange={(event) =>
                (layout.value = changePanel(layout.peek(), panel.id, {
                  options: { ...panel.options, of: event.currentTarget.value },
                }))
              }
            >
              {KINDS.map((kind) => (
                <option key={kind.id} value={kind.id}>
                  {kind.title}
                </option>
              ))}
            </select>
          </label>
          <RangeNote source={source} panel={panel} />
        </>
      }
    >
      <div class="split-rows">
        <div class="matrix-scroll">
          {matrix.victims.length === 0 ? (
            <div class="data-empty">
              {reply.busy.value || rows === null ? "…" : "Nobody of this kind was pre-empted in this range."}
            </div>
          ) : (
            <Grid
              panel={panel}
              source={source}
              matrix={matrix}
              picked={picked.value}
              pick={(victim, culprit) => (picked.value = { victim, culprit })}
            />
          )}
        </div>
        {picked.value !== null && (
          <Intervals panel={panel} source={source} victim={picked.value.victim} culprit={picked.value.culprit} />
        )}
      </div>
    </PanelFrame>
  );
}

function build(source: Source, rows: readonly MatrixRow[], kinds: readonly string[]): Matrix {
  const victims = new Map<number, number>();
  const culprits = new Map<number, number>();
  const own = rows.filter((row) => kinds.includes(source.entities.get(row.victim)?.kind ?? ""));
  for (const row of own) {
    victims.set(row.victim, (victims.get(row.victim) ?? 0) + row.ns);
    culprits.set(row.culprit, (culprits.get(row.culprit) ?? 0) + row.ns);
  }
  const bySize = (map: Map<number, number>): { id: number; ns: number }[] =>
    [...map].map(([id, ns]) => ({ id, ns })).sort((a, b) => b.ns - a.ns);
  const all = bySize(culprits);
  const shown = all.slice(0, MOST);
  const rest = all.slice(MOST);
  if (rest.length > 0) shown.push({ id: REST, ns: rest.reduce((sum, culprit) => sum + culprit.ns, 0) });
  const hidden = new Set(rest.map((culprit) => culprit.id));
  const cells = new Map<string, Cell>();
  for (const row of own) {
    const key = `${row.victim} ${hidden.has(row.culprit) ? REST : row.culprit}`;
    const cell = cells.get(key) ?? { ns: 0, count: 0, longest: 0, longestStart: 0 };
    cell.ns += row.ns;
    cell.count += row.count;
    if (row.longest > cell.longest) {
      cell.longest = row.longest;
      cell.longestStart = row.longestStart;
    }
    cells.set(key, cell);
  }
  const sizes = [...cells.values()].map((cell) => cell.ns);
  return {
    victims: bySize(victims).slice(0, 200),
    culprits: shown,
    cells,
    total: sizes.reduce((sum, ns) => sum + ns, 0),
    largest: Math.max(1, ...sizes),
  };
}

export function culpritTitle(source: Source, id: number): string {
  if (id === REST) return "others";
  return id < 0 ? "nobody or unknown" : shorten(source.entities.who(id), 60);
}

function Grid({
  panel,
  source,
  matrix,
  picked,
  pick,
}: {
  panel: Panel;
  source: Source;
  matrix: Matrix;
  picked: { victim: number; culprit: number } | null;
  pick: (victim: number, culprit: number) => void;
}) {
  return (
    <table class="matrix">
      <thead>
        <tr>
          <th scope="col" class="matrix-corner">
            victim ↓ <span class="faint">had the processor →</span>
          </th>
          <th scope="col" class="matrix-sum">
            all
          </th>
          {matrix.culprits.map((culprit) => (
            <th key={culprit.id} scope="col" title={culpritTitle(source, culprit.id)}>
              <div>{culpritTitle(source, culprit.id)}</div>
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {matrix.victims.map((victim) => (
          <tr key={victim.id}>
            <th scope="row" title={source.entities.title(victim.id)}>
              {shorten(source.entities.title(victim.id), 60)}
            </th>
            <td class="matrix-sum number">{formatDuration(victim.ns)}</td>
            {matrix.culprits.map((culprit) => {
              const cell = matrix.cells.get(`${victim.id} ${culprit.id}`);
              if (cell === undefined)
                return (
                  <td key={culprit.id} class="faint">
                    ·
                  </td>
                );
              const isPicked = picked?.victim === victim.id && picked.culprit === culprit.id;
              const heat = Math.sqrt(cell.ns / matrix.largest);
              return (
                <td key={culprit.id} class={isPicked ? "picked" : ""} style={{ "--heat": `${Math.round(heat * 78)}%` }}>
                  <button
                    type="button"
                    class="heat number"
                    title={`${formatDuration(cell.ns)} in ${cell.count} times (${formatShare(cell.ns / matrix.total)} of all), longest ${formatDuration(cell.longest)}`}
                    onClick={() => {
                      pick(victim.id, culprit.id);
                      goTo(
                        victim.id,
                        {
                          begin: source.moment(cell.longestStart),
                          end: source.moment(cell.longestStart + cell.longest),
                        },
                        -1,
                        panel.id,
                      );
                    }}
                  >
                    {formatDuration(cell.ns)}
                  </button>
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The single times behind a cell, the longest first. */
function Intervals({
  panel,
  source,
  victim,
  culprit,
}: {
  panel: Panel;
  source: Source;
  victim: number;
  culprit: number;
}) {
  const reply = useReply((signal) => source.searchAll(TAKEN, [victim], 50_000, signal), [source, victim], 0);
  const rows = useMemo(() => {
    // A cell is about a vCPU, the interval about its thread.
    const who = (id: number): number => {
      const entity = source.entities.get(id);
      return entity === undefined ? -1 : source.entities.asVcpu(entity).id;
    };
    return (reply.value.value ?? []).filter((interval) => culprit === REST || who(interval.by) === culprit);
  }, [reply.value.value, culprit]);
  const columns = useMemo<TableColumn<Interval>[]>(
    () => [
      {
        title: "Begin",
        value: (row) => row.start,
        width: 24,
        render: (row) => (
          <span class="mono">{formatTime(source.moment(row.start), timeFormat.value, source.origin)}</span>
        ),
      },
      {
        title: "Duration",
        value: (row) => row.end - row.start,
        numeric: true,
        render: (row) => formatDuration(row.end - row.start),
      },
      { title: "State", value: (row) => stateText(source, row.state, row.cause, row.level), width: 12, grow: 1 },
      { title: "Had the processor", value: (row) => source.entities.who(row.by), width: 16, grow: 2 },
    ],
    [source, timeFormat.value],
  );
  return (
    <div class="matrix-intervals">
      <div class="subhead">
        {shorten(source.entities.title(victim), 60)} while {culpritTitle(source, culprit)} had the processor, in all of
        the source
      </div>
      <DataTable
        panel={panel.id}
        name="Intervals"
        columns={columns}
        rows={rows}
        rowKey={(row) => `${row.vcpu} ${row.start}`}
        onOpen={(row) =>
          goTo(victim, { begin: source.moment(row.start), end: source.moment(row.end) }, row.vcpu, panel.id)
        }
        empty={reply.busy.value ? "…" : "None."}
        sortBy={1}
      />
    </div>
  );
}
