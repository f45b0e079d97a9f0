import { useMemo } from "preact/hooks";
import type { CriticalPath, Did, PathNode, PathStep } from "../api/critical";
import { shorten, shortName } from "../api/entities";
import type { Source } from "../api/source";
import type { Panel } from "../app/layout";
import { currentRow, palette, select, selection } from "../app/session";
import { css } from "../surface/surface";
import { stateText } from "../timeline/looks";
import { lookOf, type Look } from "../timeline/palette";
import { Swatch } from "../timeline/Swatch";
import { formatDuration, formatExact, formatShare, grouped } from "../time/time";
import { DataTable, type TableColumn } from "./DataTable";
import { compare, type Difference, type Names, type Side } from "./path-compare";
import { aboveEach, didText, nodeText } from "./path-words";

/** How far a row is set in at most. */
const INDENT_MAX = 14;

function lookFor(source: Source, did: Did | null): Look {
  const words = source.vocabulary;
  return did === null ? lookOf("unknown", "", 0, palette.value) : lookOf(words.state(did[0]), words.cause(did[1]), 0, palette.value);
}

function Indented({ depth, look, text, strong }: { depth: number; look: Look; text: string; strong?: boolean }) {
  return (
    <span class="with-swatch" style={{ paddingLeft: `${Math.min(depth, INDENT_MAX) * 14}px` }}>
      <Swatch look={look} />
      {strong === true ? <b>{text}</b> : text}
    </span>
  );
}

/** Selects what a table names, and brings it into view. */
export function goToPart(source: Source, entity: number, start: number, end: number, focus: boolean): void {
  const found = source.entities.get(entity);
  if (found !== undefined) currentRow.value = { id: found.key, entity, vcpu: -1 };
  select({ begin: source.moment(start), end: source.moment(end) }, focus ? { focus: true } : { reveal: true });
}

/** A share as a bar that looks as its state, and as a number. */
function ShareBar({ share, look }: { share: number; look: Look }) {
  return (
    <span class="share-bar">
      <span class="bar-track">
        <i
          class={`stack-part pattern-${look.pattern}`}
          style={{ left: "0", width: `${Math.min(1, share) * 100}%`, "--color": css(look.color) }}
        />
      </span>
      <span class="number">{formatShare(share)}</span>
    </span>
  );
}

interface NodeRow extends PathNode {
  at: number;
  above: number;
}

/** What a path came to, each part below what it is a part of. A click goes to its longest. */
export function PathTreeTable({ panel, source, path }: { panel: Panel; source: Source; path: CriticalPath }) {
  const rows = useMemo(() => {
    const above = aboveEach(path);
    return path.nodes.map((node, at): NodeRow => ({ ...node, at, above: above[at] ?? path.entity }));
  }, [path]);
  const columns = useMemo<TableColumn<NodeRow>[]>(
    () => [
      {
        title: "What",
        value: (row) => nodeText(source, row, row.above),
        width: 24,
        grow: 4,
        render: (row) => (
          <Indented
            depth={row.depth}
            look={lookFor(source, row.did)}
            text={nodeText(source, row, row.above)}
            strong={row.waitsFor}
          />
        ),
      },
      {
        title: "Time",
        value: (row) => row.ns,
        numeric: true,
        width: 9,
        render: (row) => <span title={formatExact(row.ns)}>{formatDuration(row.ns)}</span>,
      },
      {
        title: "Share",
        value: (row) => path.share(row.ns),
        numeric: true,
        width: 15,
        grow: 0.4,
        render: (row) => <ShareBar share={path.share(row.ns)} look={lookFor(source, row.did)} />,
      },
      { title: "Times", value: (row) => row.times, numeric: true, width: 8, render: (row) => grouped(row.times) },
      {
        title: "Longest",
        value: (row) => row.longest,
        numeric: true,
        width: 9,
        tip: "A click on the row goes there",
        render: (row) => formatDuration(row.longest),
      },
    ],
    [source, path, palette.value],
  );
  const left = path.nodeCount - path.nodes.length;
  return (
    <>
      <DataTable
        panel={panel.id}
        name="What the path came to"
        columns={columns}
        rows={rows}
        rowKey={(row) => String(row.at)}
        onOpen={(row) => goToPart(source, row.entity, row.longestStart, row.longestStart + row.longest, true)}
        empty="There is nothing in this stretch."
      />
      {left > 0 && <div class="faint table-note">and {grouped(left)} smaller parts</div>}
    </>
  );
}

/** Every step in time order, from the root of the first wait to the end. */
export function PathSteps({ panel, source, path }: { panel: Panel; source: Source; path: CriticalPath }) {
  const rows = useMemo(() => Array.from({ length: path.length }, (_, at) => path.step(at)), [path]);
  const columns = useMemo<TableColumn<PathStep>[]>(() => {
    const words = source.vocabulary;
    const name = (entity: number): string => (entity < 0 ? "" : shorten(source.entities.title(entity), 80));
    const what = (row: PathStep): string => {
      const by = row.by < 0 ? "" : source.entities.who(row.by);
      const text = stateText(source, row.state, row.cause, row.level);
      return by === "" || row.by === row.entity ? text : `${text} by ${shorten(by, 60)}`;
    };
    return [
      {
        title: "At",
        value: (row) => row.start,
        numeric: true,
        width: 10,
        tip: "From the begin of the path",
        render: (row) => `+${formatDuration(row.start - path.begin)}`,
      },
      {
        title: "Who",
        value: (row) => name(row.entity),
        width: 16,
        grow: 1.2,
        render: (row) => (
          <span style={{ paddingLeft: `${Math.min(path.depth(row.at), 8) * 8}px` }}>
            {name(row.entity)}
          </span>
        ),
      },
      {
        title: "Did what",
        value: what,
        width: 16,
        grow: 1.4,
        render: (row) => (
          <span class="with-swatch">
            <Swatch look={lookOf(words.state(row.state), words.cause(row.cause), row.level, palette.value)} />
            {what(row)}
            {words.confidence(row.confidence) === "likely" && <span class="faint">likely</span>}
          </span>
        ),
      },
      {
        title: "For",
        value: (row) => row.end - row.start,
        numeric: true,
        width: 9,
        render: (row) => <span title={formatExact(row.end - row.start)}>{formatDuration(row.end - row.start)}</span>,
      },
      {
        title: "Woke",
        value: (row) => name(row.woke),
        width: 12,
        grow: 1,
        render: (row) => (row.woke < 0 ? "" : `→ ${name(row.woke)}`),
      },
    ];
  }, [source, path, palette.value]);
  const chosen = selection.value;
  return (
    <DataTable
      panel={panel.id}
      name="Steps of the path"
      columns={columns}
      rows={rows}
      rowKey={(row) => String(row.at)}
      onOpen={(row) => goToPart(source, row.entity, row.start, row.end, false)}
      isCurrent={(row) =>
        chosen !== null && chosen.begin === source.moment(row.start) && chosen.end === source.moment(row.end)
      }
      empty={path.tooMany ? `${grouped(path.stepCount)} steps are too many to be listed.` : "There is no step."}
    />
  );
}

/** Two paths side by side, what differs most first. */
export function PathCompared({
  panel,
  source,
  first,
  second,
  titles,
  setEach,
}: {
  panel: Panel;
  source: Source;
  first: CriticalPath;
  second: CriticalPath;
  titles: readonly [string, string];
  setEach: (each: boolean) => void;
}) {
  const each = panel.options["each"] === "1";
  const names = useMemo<Names>(() => {
    const { entities } = source;
    const who = (entity: number): string => {
      const found = entities.get(entity);
      return shorten(found?.kind === "thread" && !each ? shortName(found) : entities.title(entity), 80);
    };
    const name = (entity: number): string => {
      const found = entities.get(entity);
      return found === undefined ? "" : who(entities.asVcpu(found).id);
    };
    return {
      who,
      did: (did) => {
        const by = did === null ? "" : name(did[2]);
        const text = didText(source, did === null ? null : [did[0], did[1], -1]);
        return by === "" ? text : `${text} by ${by}`;
      },
      itself: first.entity === second.entity ? entities.title(first.entity) : "itself",
    };
  }, [source, first, second, each]);
  const rows = useMemo(() => compare(first, second, names), [first, second, names]);
  const most = Math.max(0.001, ...rows.map((row) => Math.abs(row.more)));
  const columns = useMemo<TableColumn<Difference>[]>(() => {
    const text = (row: Difference): string =>
      row.waitsFor ? `${row.what}, for ${row.who}` : row.who === row.above ? row.what : `${row.who}: ${row.what}`;
    const side = (letter: string, of: (row: Difference) => Side | null): TableColumn<Difference>[] => [
      {
        title: `${letter} time`,
        value: (row) => of(row)?.ns ?? 0,
        numeric: true,
        width: 9,
        render: (row) => formatSide(of(row), (it) => formatDuration(it.ns)),
      },
      {
        title: `${letter} share`,
        value: (row) => of(row)?.share ?? 0,
        numeric: true,
        width: 10,
        render: (row) => formatSide(of(row), (it) => formatShare(it.share)),
      },
    ];
    return [
      {
        title: "What",
        value: text,
        width: 22,
        grow: 2,
        render: (row) => (
          <Indented depth={row.depth} look={lookFor(source, row.did)} text={text(row)} strong={row.waitsFor} />
        ),
      },
      ...side("A", (row) => row.first),
      ...side("B", (row) => row.second),
      {
        title: "Difference",
        value: (row) => row.more,
        numeric: true,
        width: 16,
        tip: "What B has more of, in points of its share",
        render: (row) => <MoreBar more={row.more} most={most} />,
      },
    ];
  }, [source, names, most, palette.value]);
  return (
    <>
      <div class="compare-titles">
        <span>
          <b>A</b> {titles[0]} <span class="faint">{formatDuration(first.whole)}</span>
        </span>
        <span>
          <b>B</b> {titles[1]} <span class="faint">{formatDuration(second.whole)}</span>
        </span>
        <label class="inline" title="Threads of one name are one row, whatever their numbers">
          <input type="checkbox" checked={!each} onChange={() => setEach(!each)} />
          Threads by name
        </label>
      </div>
      <DataTable
        panel={panel.id}
        name="Two paths compared"
        columns={columns}
        rows={rows}
        rowKey={(row) => row.key}
        onOpen={(row) => {
          const side = row.second ?? row.first;
          if (side !== null) goToPart(source, side.entity, side.longestStart, side.longestStart + side.longest, true);
        }}
        empty="Neither path has anything in it."
      />
    </>
  );
}

function formatSide(side: Side | null, format: (side: Side) => string) {
  return side === null ? <span class="faint">none</span> : format(side);
}

/** A difference to the left or right of the middle, and as a number with its sign. */
function MoreBar({ more, most }: { more: number; most: number }) {
  const width = (Math.abs(more) / most) * 50;
  const sign = more > 0 ? "+" : more < 0 ? "−" : "";
  return (
    <span class="share-bar">
      <span class="bar-track more-track">
        <i class={more < 0 ? "less" : "more"} style={{ width: `${width}%` }} />
      </span>
      <span class="number">
        {sign}
        {formatShare(Math.abs(more)).replace(" %", "")} pp
      </span>
    </span>
  );
}
