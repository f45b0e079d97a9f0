import { useMemo } from "preact/hooks";
import type { BudgetRow, Source } from "../api/source";
import { PanelFrame } from "../app/PanelFrame";
import type { Panel } from "../app/layout";
import { currentRow, palette } from "../app/session";
import { useReply } from "../app/use-reply";
import { css } from "../surface/surface";
import { isWait, lookOf, rankOf } from "../timeline/palette";
import { stateText } from "../timeline/looks";
import { formatDuration, formatShare } from "../time/time";
import { DataTable, type TableColumn } from "./DataTable";
import { entitiesIn, RangeNote, ScopePicker, scopeOf, useSubject } from "./scope";

/** One entity's time by state and cause; several lanes of a process add up to more than wall time. */
interface Budget {
  entity: number;
  title: string;
  total: number;
  /** What the lanes' lives within the range leave to account for: wall time less the sum. */
  residual: number;
  likely: number;
  parts: { state: number; cause: number; ns: number }[];
}

/** View 4, first half: where the time went. */
export function BudgetsView({ panel, source }: { panel: Panel; source: Source }) {
  const scope = scopeOf(panel);
  const range = useSubject(panel);
  const reply = useReply(
    (signal) => {
      const ids = entitiesIn(source, scope).map((entity) => entity.id);
      return ids.length === 0 ? null : source.budget(range, ids, signal);
    },
    [source, scope, range],
    200,
  );
  const rows = reply.value.value;
  const budgets = useMemo(
    () => group(source, rows ?? [], source.distance(range.begin), source.distance(range.end)),
    [source, rows],
  );
  const states = useMemo(() => statesOf(source, budgets), [budgets]);
  const columns = useMemo(() => columnsOf(source, states), [source, states, palette.value]);
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
      <DataTable
        panel={panel.id}
        name="Time by state"
        columns={columns}
        rows={budgets}
        rowKey={(row) => String(row.entity)}
        onOpen={(row) => {
          const entity = source.entities.get(row.entity);
          if (entity !== undefined) currentRow.value = { id: entity.key, entity: entity.id, vcpu: -1 };
        }}
        isCurrent={(row) => currentRow.value?.entity === row.entity}
        empty={reply.busy.value ? "…" : "Nothing of this kind in this range."}
        sortBy={scope === "vcpus" || scope === "cpus" ? 0 : 2}
      />
    </PanelFrame>
  );
}

function group(source: Source, rows: readonly BudgetRow[], begin: number, end: number): Budget[] {
  const words = source.vocabulary;
  const byEntity = new Map<number, Budget & { lanes: Set<number> }>();
  for (const row of rows) {
    let budget = byEntity.get(row.entity);
    if (budget === undefined) {
      budget = {
        entity: row.entity,
        title: source.entities.title(row.entity),
        total: 0,
        residual: 0,
        likely: 0,
        parts: [],
        lanes: new Set(),
      };
      byEntity.set(row.entity, budget);
    }
    budget.lanes.add(row.vcpu);
    budget.total += row.ns;
    if (words.confidence(row.confidence) === "likely" && words.state(row.state) !== "unknown") budget.likely += row.ns;
    const cause = isWait(words.state(row.state)) ? row.cause : 0;
    const part = budget.parts.find((other) => other.state === row.state && other.cause === cause);
    if (part === undefined) budget.parts.push({ state: row.state, cause, ns: row.ns });
    else part.ns += row.ns;
  }
  return [...byEntity.values()].map(({ lanes, ...budget }) => {
    const entity = source.entities.get(budget.entity);
    // Only lanes with one life have a wall time of their own.
    const life =
      entity === undefined || lanes.size > 1 || entity.kind === "process"
        ? budget.total
        : Math.min(end, entity.end) - Math.max(begin, entity.begin);
    budget.parts.sort((a, b) => rankOf(words.state(a.state)) - rankOf(words.state(b.state)) || a.cause - b.cause);
    return { ...budget, residual: life - budget.total };
  });
}

/** The states that occur, the most active first. */
function statesOf(source: Source, budgets: readonly Budget[]): number[] {
  const states = new Set(budgets.flatMap((budget) => budget.parts.map((part) => part.state)));
  return [...states].sort((a, b) => rankOf(source.vocabulary.state(a)) - rankOf(source.vocabulary.state(b)));
}

function columnsOf(source: Source, states: readonly number[]): TableColumn<Budget>[] {
  const colors = palette.value;
  const words = source.vocabulary;
  const sumOf = (row: Budget, state: number): number =>
    row.parts.reduce((sum, part) => sum + (part.state === state ? part.ns : 0), 0);
  return [
    { title: "Who", value: (row) => row.title, width: 30, grow: 1 },
    {
      title: "Share",
      value: (row) => row.total,
      width: 20,
      grow: 2,
      render: (row) => <StackedBar source={source} row={row} />,
      numeric: false,
      tip: "Shares of its time by state",
    },
    { title: "Sum", value: (row) => row.total, numeric: true, width: 8, render: (row) => formatDuration(row.total) },
    ...states.map((state): TableColumn<Budget> => {
      const name = words.state(state);
      return {
        title: name,
        numeric: true,
        width: Math.max(9, name.length + 3),
        value: (row) => sumOf(row, state),
        tip: `Time in ${name}`,
        render: (row) => {
          const ns = sumOf(row, state);
          return ns === 0 ? (
            <span class="faint">–</span>
          ) : (
            <span title={formatDuration(ns)}>
              <i class="dot" style={{ background: css(lookOf(name, "", 1, colors).color) }} />
              {formatShare(ns / row.total)}
            </span>
          );
        },
      };
    }),
    {
      title: "likely",
      value: (row) => row.likely,
      numeric: true,
      width: 8,
      tip: "Of the sum: what is likely and not proved",
      render: (row) => formatShare(row.total > 0 ? row.likely / row.total : 0),
    },
    {
      title: "residual",
      value: (row) => row.residual,
      numeric: true,
      width: 10,
      tip: "Wall time less the sum: must be zero",
      render: (row) => formatDuration(Math.round(row.residual)),
    },
  ];
}

function StackedBar({ source, row }: { source: Source; row: Budget }) {
  const words = source.vocabulary;
  let x = 0;
  return (
    <span
      class="stacked"
      role="img"
      aria-label={row.parts
        .map((part) => `${stateText(source, part.state, part.cause, 0)} ${formatShare(part.ns / row.total)}`)
        .join(", ")}
    >
      {row.parts.map((part) => {
        const width = (part.ns / row.total) * 100;
        const left = x;
        x += width;
        const look = lookOf(words.state(part.state), words.cause(part.cause), 1, palette.value);
        const text = `${stateText(source, part.state, part.cause, 0)}: ${formatDuration(part.ns)} (${formatShare(part.ns / row.total)})`;
        return (
          <i
            key={`${part.state} ${part.cause}`}
            title={text}
            class={`stack-part pattern-${look.pattern}`}
            style={{ left: `${left}%`, width: `max(1px, ${width}%)`, "--color": css(look.color) }}
          />
        );
      })}
    </span>
  );
}
