import { useSignal } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Source } from "../api/source";
import type { ExitReply } from "../api/types";
import { PanelFrame } from "../app/PanelFrame";
import { changePanel, type Panel } from "../app/layout";
import { dark, goTo, layout } from "../app/session";
import { useReply } from "../app/use-reply";
import { css } from "../surface/surface";
import { readInks } from "../timeline/inks";
import { formatDuration, formatShare, grouped } from "../time/time";
import { DataTable, type TableColumn } from "./DataTable";
import { RangeNote, useSubject } from "./scope";

/** By what exits are told apart besides their reason. */
const GROUPINGS = [
  { id: "reason", title: "reason" },
  { id: "vm", title: "reason and VM" },
  { id: "vcpu", title: "reason and vCPU" },
  { id: "process", title: "reason and process" },
] as const;

export type By = (typeof GROUPINGS)[number]["id"];

function byOf(text: string | undefined): By {
  return GROUPINGS.find((grouping) => grouping.id === text)?.id ?? "reason";
}

interface ExitGroup {
  key: string;
  name: string;
  who: string;
  count: number;
  ns: number;
  kernel: number;
  vmm: number;
  offCpu: number;
  p50: number;
  p99: number;
  max: number;
  maxStart: bigint;
  maxVcpu: number;
  histogram: ReadonlyMap<number, number>;
}

/** View 6: why vCPUs left guest code, and how long until they entered it again. */
export function ExitsView({ panel, source }: { panel: Panel; source: Source }) {
  const range = useSubject(panel);
  const by = byOf(panel.options["by"]);
  const reply = useReply(
    async (signal) => groupsOf(source, await source.exits(range, null, by, signal), by),
    [source, range, by],
    200,
  );
  const groups = reply.value.value ?? [];
  const total = groups.reduce((sum, group) => sum + group.ns, 0);
  const columns = useMemo(() => columnsOf(total, by !== "reason"), [total, by]);
  const picked = useSignal("");
  const current = groups.find((group) => group.key === picked.value) ?? [...groups].sort((a, b) => b.ns - a.ns)[0];
  return (
    <PanelFrame
      panel={panel}
      busy={reply.busy}
      error={reply.error.value}
      controls={
        <>
          <label class="inline">
            <span class="label-text">By</span>
            <select
              value={by}
              onChange={(event) =>
                (layout.value = changePanel(layout.peek(), panel.id, {
                  options: { ...panel.options, by: event.currentTarget.value },
                }))
              }
            >
              {GROUPINGS.map((grouping) => (
                <option key={grouping.id} value={grouping.id}>
                  {grouping.title}
                </option>
              ))}
            </select>
          </label>
          <RangeNote source={source} panel={panel} />
        </>
      }
    >
      <div class="split-rows">
        <DataTable
          panel={panel.id}
          name="Exits"
          columns={columns}
          rows={groups}
          rowKey={(row) => row.key}
          onOpen={(row) => (picked.value = row.key)}
          isCurrent={(row) => row.key === current?.key}
          empty={reply.busy.value ? "…" : "No exits in this range."}
          sortBy={by === "reason" ? 2 : 3}
        />
        {current !== undefined && <Histogram panel={panel.id} source={source} group={current} />}
      </div>
    </PanelFrame>
  );
}

function groupsOf(source: Source, exits: readonly ExitReply[], by: By): ExitGroup[] {
  return exits.map((exit) => ({
    key: `${exit.isa} ${exit.reason} ${exit.reflected} ${exit.who}`,
    name: exit.name + (exit.reflected ? " (to L1)" : ""),
    who: by === "reason" ? "" : exit.who < 0 ? "not known" : source.entities.title(exit.who),
    count: exit.count,
    ns: Number(exit.ns),
    kernel: Number(exit.kernel_ns),
    vmm: Number(exit.vmm_ns),
    offCpu: Number(exit.off_cpu_ns),
    p50: Number(exit.p50_ns),
    p99: Number(exit.p99_ns),
    max: Number(exit.max_ns),
    maxStart: BigInt(exit.max_start_ns),
    maxVcpu: exit.max_vcpu,
    histogram: new Map(exit.histogram.map((bin) => [Number(bin.from_ns), bin.count])),
  }));
}

function columnsOf(total: number, who: boolean): TableColumn<ExitGroup>[] {
  const time = (title: string, value: (row: ExitGroup) => number, tip: string): TableColumn<ExitGroup> => ({
    title,
    value,
    numeric: true,
    width: 9,
    tip,
    render: (row) => formatDuration(value(row)),
  });
  const share = (title: string, value: (row: ExitGroup) => number, tip: string): TableColumn<ExitGroup> => ({
    title,
    value: (row) => (row.ns > 0 ? value(row) / row.ns : 0),
    numeric: true,
    width: 10,
    tip,
    render: (row) => formatShare(row.ns > 0 ? value(row) / row.ns : 0),
  });
  return [
    { title: "Reason", value: (row) => row.name, width: 14, grow: 1 },
    ...(who ? [{ title: "Of", value: (row: ExitGroup) => row.who, width: 16, grow: 1.4 }] : []),
    { title: "Count", value: (row) => row.count, numeric: true, width: 9, render: (row) => grouped(row.count) },
    time("Total", (row) => row.ns, "From the exit to the next entry, summed"),
    {
      title: "Share",
      value: (row) => row.ns,
      numeric: true,
      width: 8,
      tip: "Of the time of all exits",
      render: (row) => formatShare(total > 0 ? row.ns / total : 0),
    },
    share("Kernel", (row) => row.kernel, "Of its time: KVM on a CPU"),
    share("VMM", (row) => row.vmm, "Of its time: the VMM's own code on a CPU"),
    share("Off CPU", (row) => row.offCpu, "Of its time: without a CPU or asleep"),
    time("Median", (row) => row.p50, "Half of them are shorter"),
    time("p99", (row) => row.p99, "One in a hundred is longer"),
    time("Longest", (row) => row.max, "The longest"),
  ];
}

/** How many exits took how long, by powers of two. */
function Histogram({ panel, source, group }: { panel: number; source: Source; group: ExitGroup }) {
  const host = useRef<HTMLDivElement>(null);
  const isDark = dark.value;
  const [exponents, counts] = useMemo(() => {
    const found = [...group.histogram]
      .filter(([from]) => from > 0)
      .map(([from, count]): [number, number] => [Math.round(Math.log2(from)), count]);
    const low = Math.min(...found.map(([exponent]) => exponent), 40);
    const high = Math.max(...found.map(([exponent]) => exponent), low);
    const xs = Array.from({ length: high - low + 1 }, (_, index) => low + index);
    const map = new Map(found);
    return [xs, xs.map((exponent) => map.get(exponent) ?? 0)];
  }, [group]);

  useLayoutEffect(() => {
    const element = host.current;
    if (element === null || exponents.length === 0) return;
    const inks = readInks();
    const axis = {
      stroke: css(inks.faint),
      grid: { stroke: css(inks.grid), width: 1 },
      ticks: { stroke: css(inks.grid), width: 1 },
      font: "11px system-ui, sans-serif",
    };
    const fill = css(inks.accent, 0.55);
    const plot = new uPlot(
      {
        width: Math.max(100, element.clientWidth),
        height: Math.max(80, element.clientHeight),
        legend: { show: false },
        cursor: { drag: { x: false, y: false }, points: { show: false } },
        scales: {
          x: { time: false, range: () => [(exponents[0] ?? 0) - 0.2, (exponents.at(-1) ?? 0) + 1.2] },
          y: { range: (_, __, max) => [0, Math.max(1, max * 1.08)] },
        },
        axes: [
          {
            ...axis,
            space: 56,
            incrs: [1, 2, 4, 5, 10],
            values: (_, splits) =>
              splits.map((exponent) => (Number.isInteger(exponent) ? formatDuration(2 ** exponent) : "")),
          },
          {
            ...axis,
            size: 56,
            values: (_, splits) => splits.map((count) => (Number.isInteger(count) ? grouped(count) : "")),
          },
        ],
        series: [{}, { stroke: css(inks.accent), fill, width: 1, ...bars() }],
      },
      [exponents, counts],
      element,
    );
    const observer = new ResizeObserver(() =>
      plot.setSize({ width: Math.max(100, element.clientWidth), height: Math.max(80, element.clientHeight) }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [exponents, counts, isDark]);

  const words = counts.map((count, index) => `${formatDuration(2 ** (exponents[index] ?? 0))}: ${count}`).join(", ");
  return (
    <div class="histogram">
      <div class="subhead">
        <span>
          {group.name}
          {group.who === "" ? "" : `, ${group.who}`}: {grouped(group.count)} {group.count === 1 ? "exit" : "exits"} by
          how long they took
        </span>
        <button
          type="button"
          class="small"
          onClick={() =>
            goTo(
              group.maxVcpu,
              { begin: group.maxStart, end: group.maxStart + BigInt(Math.round(group.max)) },
              -1,
              panel,
            )
          }
        >
          Go to the longest, {formatDuration(group.max)}
        </button>
      </div>
      <div
        class="histogram-plot"
        ref={host}
        role="img"
        aria-label={`Exits from each length on: ${words}`}
        data-source={source.id}
      />
    </div>
  );
}

/** Bars from each power of two to the next. */
function bars(): Pick<uPlot.Series, "paths" | "points"> {
  const make = uPlot.paths.bars;
  return make === undefined ? {} : { paths: make({ size: [0.9, 200], align: 1 }), points: { show: false } };
}
