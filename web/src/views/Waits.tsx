import { useMemo } from "preact/hooks";
import type { Source, WaitRow } from "../api/source";
import { PanelFrame } from "../app/PanelFrame";
import type { Panel } from "../app/layout";
import { goTo, palette } from "../app/session";
import { useReply } from "../app/use-reply";
import { css } from "../surface/surface";
import { lookOf } from "../timeline/palette";
import { stateText } from "../timeline/looks";
import { Swatch } from "../timeline/Swatch";
import { formatDuration, formatShare } from "../time/time";
import { DataTable, type TableColumn } from "./DataTable";
import { entitiesIn, RangeNote, ScopePicker, scopeOf, useSubject } from "./scope";

/** View 4, second half: what was waited for, how often and how long. A click goes to the longest wait. */
export function WaitsView({ panel, source }: { panel: Panel; source: Source }) {
  const scope = scopeOf(panel);
  const range = useSubject(panel);
  const reply = useReply(
    (signal) => {
      const ids = entitiesIn(source, scope).map((entity) => entity.id);
      return ids.length === 0 ? null : source.waits(range, ids, signal);
    },
    [source, scope, range],
    200,
  );
  const rows = reply.value.value ?? [];
  const columns = useMemo(() => columnsOf(source), [source, palette.value]);
  return (
    <PanelFrame
      panel={panel}
      busy={reply.busy}
      error={reply.error.value}
      controls={
        <>
          <ScopePicker panel={panel} />
          <RangeNote source={source} panel={panel} />
        </>
      }
    >
      <div class="split-rows">
        <Totals source={source} rows={rows} />
        <DataTable
          panel={panel.id}
          name="Waits"
          columns={columns}
          rows={rows}
          rowKey={(row) => `${row.entity} ${row.state} ${row.cause}`}
          onOpen={(row) =>
            goTo(
              row.entity,
              { begin: source.moment(row.maxStart), end: source.moment(row.maxStart + row.max) },
              -1,
              panel.id,
            )
          }
          empty={reply.busy.value ? "…" : "Nobody of this kind waited in this range."}
          sortBy={3}
        />
      </div>
    </PanelFrame>
  );
}

function columnsOf(source: Source): TableColumn<WaitRow>[] {
  const words = source.vocabulary;
  const time = (title: string, value: (row: WaitRow) => number, tip: string): TableColumn<WaitRow> => ({
    title,
    value,
    numeric: true,
    width: 9,
    tip,
    render: (row) => formatDuration(value(row)),
  });
  return [
    { title: "Who", value: (row) => source.entities.title(row.entity), width: 30, grow: 1 },
    {
      title: "Wait",
      value: (row) => stateText(source, row.state, row.cause, 0),
      width: 16,
      grow: 1,
      render: (row) => (
        <span class="with-swatch">
          <Swatch look={lookOf(words.state(row.state), words.cause(row.cause), 0, palette.value)} />
          {stateText(source, row.state, row.cause, 0)}
        </span>
      ),
    },
    { title: "Count", value: (row) => row.count, numeric: true, width: 8 },
    time("Total", (row) => row.ns, "All of them together"),
    time("Mean", (row) => (row.count > 0 ? row.ns / row.count : 0), "The mean"),
    time("Median", (row) => row.p50, "Half of them are shorter"),
    time("p99", (row) => row.p99, "One in a hundred is longer"),
    time("Longest", (row) => row.max, "Click a row to go to the longest"),
  ];
}

/** The whole range's waits by state and cause, as one bar each. */
function Totals({ source, rows }: { source: Source; rows: readonly WaitRow[] }) {
  const sums = new Map<string, { state: number; cause: number; ns: number; count: number }>();
  for (const row of rows) {
    const key = `${row.state} ${row.cause}`;
    const sum = sums.get(key) ?? { state: row.state, cause: row.cause, ns: 0, count: 0 };
    sum.ns += row.ns;
    sum.count += row.count;
    sums.set(key, sum);
  }
  const sorted = [...sums.values()].sort((a, b) => b.ns - a.ns).slice(0, 8);
  const total = [...sums.values()].reduce((sum, part) => sum + part.ns, 0);
  const words = source.vocabulary;
  if (total === 0) return null;
  return (
    <div
      class="bars"
      role="img"
      aria-label={`Waits by cause: ${sorted.map((part) => `${stateText(source, part.state, part.cause, 0)} ${formatShare(part.ns / total)}`).join(", ")}`}
    >
      {sorted.map((part) => {
        const look = lookOf(words.state(part.state), words.cause(part.cause), 0, palette.value);
        return (
          <div class="bar-row" key={`${part.state} ${part.cause}`}>
            <span class="bar-name">{stateText(source, part.state, part.cause, 0)}</span>
            <span class="bar-track">
              <i
                class={`stack-part pattern-${look.pattern}`}
                style={{ left: "0", width: `${(part.ns / (sorted[0]?.ns ?? 1)) * 100}%`, "--color": css(look.color) }}
              />
            </span>
            <span class="number">{formatDuration(part.ns)}</span>
            <span class="number">{formatShare(part.ns / total)}</span>
          </div>
        );
      })}
    </div>
  );
}
