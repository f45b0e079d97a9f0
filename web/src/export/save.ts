import { shorten } from "../api/entities";
import { activePanel, filterText, palette, source, view } from "../app/session";
import { activeTimeline } from "../app/keys";
import { Canvas2dSurface } from "../surface/canvas2d";
import { Pattern, type Surface } from "../surface/surface";
import { SvgSurface } from "../surface/svg";
import { PAPER, treeWidth } from "../timeline/inks";
import { seen } from "../timeline/legend-items";
import type { TimelineModel } from "../timeline/model";
import { scaleText } from "../timeline/curve-store";
import { paintEdges, paintWakes } from "../timeline/arrows";
import { axisDay, paintAxis } from "../timeline/axis";
import { paintRows } from "../timeline/bars";
import { AXIS_HEIGHT, ROW_HEIGHT, type Scene } from "../timeline/scene";
import { lookOf } from "../timeline/palette";
import { sceneOf } from "../timeline/Timeline";
import { formatDuration, formatTime } from "../time/time";
import { csvText } from "./csv";

export type FileKind = "svg" | "png" | "csv";

type Cells = (string | number | bigint)[][];

/** What each open table would write, by panel. */
export const tables = new Map<number, () => Cells>();

/** Writes what is on screen to a file; answers what to tell the user. */
export async function saveAs(kind: FileKind): Promise<string> {
  const opened = source.peek();
  if (opened === null) return "Open a source first.";
  const name = `virtflow-${opened.name.replaceAll(/[^\w.-]+/g, "_").slice(0, 60)}`;
  if (kind === "csv") {
    const table = tables.get(activePanel.peek());
    const timeline = activeTimeline();
    const cells = table !== undefined ? table() : timeline === undefined ? null : timelineCells(timeline);
    if (cells === null) return "Open a timeline or a table first.";
    download(`${name}.csv`, new Blob([csvText(cells)], { type: "text/csv" }));
    return `${cells.length - 1} rows written.`;
  }
  const timeline = activeTimeline();
  const scene = timeline === undefined ? null : sceneOf(timeline);
  if (timeline === undefined || scene === null) return "Open a timeline first.";
  const picture = { ...scene, rows: scene.rows.slice(0, timeline.capacity.peek()), inks: PAPER, current: "" };
  if (kind === "svg") {
    const svg = new SvgSurface();
    paintPicture(svg, picture);
    download(`${name}.svg`, new Blob([svg.toString()], { type: "image/svg+xml" }));
    return "SVG written.";
  }
  const canvas = document.createElement("canvas");
  const surface = new Canvas2dSurface(canvas, 2);
  paintPicture(surface, picture);
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/png"));
  if (blob === null) return "The picture is too large.";
  download(`${name}.png`, blob);
  return "PNG written.";
}

function download(name: string, blob: Blob): void {
  const link = document.createElement("a");
  const address = URL.createObjectURL(blob);
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

const HEAD = 40;
const LEGEND_ROW = 18;

/** The whole picture for paper: what it is of, the rows with their names, and the legend. */
function paintPicture(surface: Surface, scene: Scene): void {
  const tree = Math.max(160, treeWidth.peek());
  const width = tree + scene.width + 8;
  const items = legendItems(scene);
  const perRow = Math.max(1, Math.floor((width - 16) / 150));
  const rowsTop = HEAD + AXIS_HEIGHT;
  const legendTop = rowsTop + scene.rows.length * ROW_HEIGHT + 10;
  const { inks, source: opened, range, format } = scene;
  surface.begin(width, legendTop + Math.ceil(items.length / perRow) * LEGEND_ROW + 8, inks.background);
  const text = (time: bigint): string => formatTime(time, format, opened.origin);
  surface.text(
    8,
    17,
    `${shorten(opened.name, 60)}: ${axisDay(range, format)} ${text(range.begin)} to ${text(range.end)} (${formatDuration(range.end - range.begin)})`,
    inks.text,
    { bold: true, room: width - 16, size: 12 },
  );
  const filtered = filterText.peek();
  surface.text(8, 33, filtered === "" ? "virtflow" : `virtflow; filter: ${shorten(filtered, 160)}`, inks.faint, {
    room: width - 16,
  });
  paintRows(surface, scene, tree, rowsTop);
  paintEdges(surface, scene, tree, rowsTop);
  paintWakes(surface, scene, tree, rowsTop);
  paintAxis(surface, scene, tree, HEAD);
  scene.rows.forEach((row, index) => {
    const indent = 8 + row.depth * 12;
    const title = row.pinned ? opened.entities.title(row.node.entity) || row.node.title : row.node.title;
    surface.text(indent, rowsTop + index * ROW_HEIGHT + 15, shorten(title, 120), inks.text, {
      room: tree - indent - 6,
      bold: row.node.children.length > 0,
    });
    const curve = scene.curve(row);
    if (curve !== null)
      surface.text(tree - 6, rowsTop + index * ROW_HEIGHT + 15, scaleText(curve), inks.faint, {
        align: "right",
        size: 10,
      });
  });
  items.forEach(({ title, look }, index) => {
    const x = 8 + (index % perRow) * 150;
    const y = legendTop + Math.floor(index / perRow) * LEGEND_ROW;
    const height = Math.max(2, Math.round(look.height * 12));
    surface.rect(x, y + 12 - height, 20, height, look.color, look.pattern);
    surface.text(x + 26, y + 11, title, inks.text, { room: 120 });
  });
  surface.end();
}

function legendItems(scene: Scene): { title: string; look: { color: number; pattern: Pattern; height: number } }[] {
  const colors = palette.peek();
  return [
    ...seen.peek().states.map((state) => ({ title: state, look: lookOf(state, "", 1, colors) })),
    ...seen.peek().causes.map((cause) => ({ title: `ended by ${cause}`, look: lookOf("halted", cause, 0, colors) })),
    { title: "events lost", look: { color: scene.inks.loss, pattern: Pattern.Cross, height: 0.6 } },
  ];
}

/** The rows' intervals as they are on screen: exact ones, and the parts of buckets where a pixel covers many. */
function timelineCells(timeline: TimelineModel): Cells {
  const { source: opened, store } = timeline;
  const words = opened.vocabulary;
  const range = view.peek();
  const begin = opened.distance(range.begin);
  const end = opened.distance(range.end);
  const rows = timeline.visible.peek();
  const counted = rows.some((row) => row.node.drawing === "curve");
  const states = ["row", "key", "start_ns", "end_ns", "state", "cause", "level", "by", "confidence", "evidence", "ns", "exact"];
  const counters = ["counter", "low", "high", "mean", "values"];
  const none = counted ? counters.map(() => "") : [];
  const out: Cells = [[...states, ...(counted ? counters : [])]];
  for (const row of rows) {
    const curve = timeline.curves.picture(row.node, range, timeline.size.peek().width);
    for (const column of curve?.columns ?? [])
      out.push([
        ...[row.node.title, row.node.id, opened.moment(column.begin), opened.moment(column.end)],
        ...states.slice(4).map(() => ""),
        ...[words.counter(row.node.counter), column.low, column.high, column.mean, column.values],
      ]);
    const segments = store.picture(row.node, range, timeline.size.peek().width);
    // Averages are a help for the eye, not data.
    if (segments === null || row.node.drawing === "average") continue;
    for (let at = 0; at < segments.length; at += 1) {
      const [start, stop] = [segments.start[at] ?? 0, segments.end[at] ?? 0];
      if (stop <= begin || start >= end) continue;
      out.push([
        row.node.title,
        row.node.id,
        opened.moment(start),
        opened.moment(stop),
        words.state(segments.state[at] ?? 0),
        words.cause(segments.cause[at] ?? 0),
        segments.level[at] ?? 0,
        opened.entities.get(segments.by[at] ?? -1)?.key ?? "",
        words.confidence(segments.confidence[at] ?? 0),
        words.evidence(segments.evidence[at] ?? 0),
        Math.round(segments.ns[at] ?? 0),
        String(segments.exact[at] === 1),
        ...none,
      ]);
    }
  }
  return out;
}
