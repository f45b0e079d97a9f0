import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { Entities, shorten } from "../api/entities";
import { isWorker } from "../api/critical";
import type { Interval } from "../api/segments";
import type { Source } from "../api/source";
import { PanelFrame } from "../app/PanelFrame";
import { IconButton } from "../app/icons";
import type { Panel } from "../app/layout";
import { currentRow, cursor, openWhy, palette, say, select, timeFormat, view } from "../app/session";
import { useReply } from "../app/use-reply";
import { counterLook } from "../timeline/counters";
import { matcher } from "../timeline/row-requests";
import { isWait, lookOf } from "../timeline/palette";
import { stateText } from "../timeline/looks";
import { Swatch } from "../timeline/Swatch";
import { formatDuration, formatTime } from "../time/time";
import { DataTable, type TableColumn } from "./DataTable";

/** The order of the kinds; within one, as the source lists them. */
const KINDS = ["cpu", "vcpu", "nested-vcpu", "process", "guest-thread", "thread", "interrupt"];

/** View 8: the state of everything at the cursor. */
export function ExplorerView({ panel, source }: { panel: Panel; source: Source }) {
  const at = cursor.value;
  const time = at ?? view.value.begin + (view.value.end - view.value.begin) / 2n;
  const text = useSignal("");
  const reply = useReply((signal) => source.stateAt(time, signal), [source, time], 120);
  const rows = useMemo(() => {
    const wanted = text.value.toLowerCase();
    const judge = matcher.value;
    const order = (interval: Interval): number => {
      const place = KINDS.indexOf(source.entities.get(interval.entity)?.kind ?? "");
      return place < 0 ? KINDS.length : place;
    };
    const all = [...(reply.value.value ?? [])].sort(
      (a, b) => order(a) - order(b) || a.entity - b.entity || a.vcpu - b.vcpu,
    );
    return all.filter((interval) => {
      if (judge !== null && judge.active && !judge.interval(interval)) return false;
      if (wanted === "") return true;
      const entity = source.entities.get(interval.entity);
      return `${source.entities.title(interval.entity)} ${entity?.kind ?? ""} ${stateText(source, interval.state, interval.cause, interval.level)}`
        .toLowerCase()
        .includes(wanted);
    });
  }, [reply.value.value, text.value, matcher.value]);

  const jump = (interval: Interval, to: "next" | "previous"): void => {
    void source.change(interval.entity, interval.vcpu, time, to).then(
      (found) => {
        if (found === null) say(to === "next" ? "It does not change again." : "It has not changed before.");
        else choose(source, found);
      },
      (error: unknown) => say((error as Error).message),
    );
  };
  const columns = useMemo(() => columnsOf(source, jump), [source, time, palette.value, timeFormat.value]);
  return (
    <PanelFrame
      panel={panel}
      busy={reply.busy}
      error={reply.error.value}
      controls={
        <>
          <span class="mono">
            {formatTime(time, timeFormat.value, source.origin)}
            {at === null && <span class="faint"> (middle of what is visible)</span>}
          </span>
          <label class="inline">
            <span class="label-text">Find</span>
            <input
              type="text"
              value={text.value}
              onInput={(event) => (text.value = event.currentTarget.value)}
              onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
            />
          </label>
        </>
      }
    >
      <Levels source={source} time={time} />
      <DataTable
        panel={panel.id}
        name="States at the cursor"
        columns={columns}
        rows={rows}
        rowKey={(row) => `${row.entity} ${row.vcpu}`}
        onOpen={(row) => {
          const entity = source.entities.get(row.entity);
          if (entity !== undefined) currentRow.value = { id: entity.key, entity: entity.id, vcpu: -1 };
        }}
        isCurrent={(row) =>
          currentRow.value?.entity === row.entity && (currentRow.value.vcpu < 0 || currentRow.value.vcpu === row.vcpu)
        }
        empty={reply.busy.value ? "…" : "Nothing has a state here."}
      />
    </PanelFrame>
  );
}

/** What holds at the cursor of what is counted: frequencies, queues. */
function Levels({ source, time }: { source: Source; time: bigint }) {
  const holding = source.counters.filter((counter) => source.holds(counter.counter));
  const reply = useReply(
    async (signal) =>
      holding.length === 0
        ? []
        : source.curves({ begin: time, end: time + 1n }, 1, [...new Set(holding.map((of) => of.entity))], signal),
    [source, time],
    120,
  );
  const curves = (reply.value.value ?? []).filter((curve) => source.holds(curve.counter));
  if (curves.length === 0) return null;
  return (
    <ul class="levels" aria-label="Counters at the cursor">
      {curves.map((curve) => {
        const name = source.vocabulary.counter(curve.counter);
        const value = curve.last[curve.length - 1] ?? -1;
        const since = source.moment(curve.start[curve.length - 1] ?? 0);
        return (
          <li key={`${curve.entity} ${name}`} title={`since ${formatTime(since, timeFormat.value, source.origin)}`}>
            <span class="faint">
              {shorten(source.entities.title(curve.entity), 40)} {name}
            </span>{" "}
            <b>{value < 0 ? "not known" : counterLook(name, true).format(value)}</b>
          </li>
        );
      })}
    </ul>
  );
}

/** A process has a lane on each vCPU of its VM, everything else has one. */
function titleOf(source: Source, row: Interval): string {
  const entity = source.entities.get(row.entity);
  const title = source.entities.title(row.entity);
  const split =
    entity !== undefined &&
    entity.kind === "process" &&
    !Entities.isRest(entity) &&
    source.entities.get(entity.vm)?.kind === "vm";
  return split && row.vcpu >= 0 ? `${title}, on vCPU ${row.vcpu}` : title;
}

function choose(source: Source, interval: Interval): void {
  const entity = source.entities.get(interval.entity);
  if (entity !== undefined) currentRow.value = { id: entity.key, entity: entity.id, vcpu: -1 };
  select({ begin: source.moment(interval.start), end: source.moment(interval.end) }, { reveal: true });
}

function columnsOf(
  source: Source,
  jump: (interval: Interval, to: "next" | "previous") => void,
): TableColumn<Interval>[] {
  const words = source.vocabulary;
  const time = (title: string, value: (row: Interval) => number): TableColumn<Interval> => ({
    title,
    value,
    width: 21,
    render: (row) => <span class="mono">{formatTime(source.moment(value(row)), timeFormat.value, source.origin)}</span>,
  });
  return [
    { title: "Entity", value: (row) => titleOf(source, row), width: 31, grow: 1.4 },
    { title: "Kind", value: (row) => source.entities.get(row.entity)?.kind ?? "", width: 13 },
    {
      title: "State",
      value: (row) => stateText(source, row.state, row.cause, row.level),
      width: 22,
      grow: 1.3,
      render: (row) => (
        <span class="with-swatch">
          <Swatch look={lookOf(words.state(row.state), words.cause(row.cause), row.level, palette.value)} />
          {stateText(source, row.state, row.cause, row.level)}
        </span>
      ),
    },
    {
      title: "Change",
      value: () => "",
      width: 12,
      render: (row) => (
        <span class="jumps" onClick={(event) => event.stopPropagation()}>
          <IconButton icon="left" name="Previous change" onClick={() => jump(row, "previous")} />
          <IconButton icon="right" name="Next change" onClick={() => jump(row, "next")} />
          {isWait(words.state(row.state)) && isWorker(source.entities.get(row.entity)) && (
            <IconButton icon="why" name="Why is this waiting?" onClick={() => openWhy(row)} />
          )}
        </span>
      ),
    },
    {
      title: "Duration",
      value: (row) => row.end - row.start,
      numeric: true,
      width: 10,
      render: (row) => formatDuration(row.end - row.start),
    },
    {
      title: "By",
      value: (row) => source.entities.who(row.by),
      width: 14,
      grow: 1,
      render: (row) => shorten(source.entities.who(row.by), 60),
    },
    { title: "Confidence", value: (row) => words.confidence(row.confidence), width: 12 },
    { title: "Evidence", value: (row) => words.evidence(row.evidence), width: 17, grow: 1 },
    time("Begin", (row) => row.start),
    time("End", (row) => row.end),
    { title: "Level", value: (row) => row.level, numeric: true, width: 7 },
  ];
}
