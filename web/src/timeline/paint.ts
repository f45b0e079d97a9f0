import type { Entities } from "../api/entities";
import { shortName } from "../api/entities";
import type { Segments } from "../api/segments";
import type { Edge, Loss, Source } from "../api/source";
import { blend, inkOn, Pattern, type Rgb, type Surface } from "../surface/surface";
import type { Range } from "../time/range";
import { span } from "../time/range";
import { axisTicks, formatDate, type TimeFormat } from "../time/time";
import type { Matcher } from "./matcher";
import { lookOf, rankOf, taskColor, type Look, type PaletteName } from "./palette";
import type { Row } from "./rows";
import { layBars, shareHeights } from "./stack";

export const ROW_HEIGHT = 22;
export const AXIS_HEIGHT = 24;
const BAR_HEIGHT = 18;
/** Rows that sum up others are lower and plain. */
const SUMMARY_HEIGHT = 12;
const QUIET = rankOf("unknown");

/** The page's own colours, read from its style sheet so that there is one place for them. */
export interface Inks {
  background: Rgb;
  group: Rgb;
  grid: Rgb;
  text: Rgb;
  faint: Rgb;
  accent: Rgb;
  loss: Rgb;
}

export interface Scene {
  source: Source;
  range: Range;
  /** Width of the time axis and height of the rows, in CSS pixels. */
  width: number;
  rows: readonly Row[];
  picture: (row: Row) => Segments | null;
  matcher: Matcher;
  hide: boolean;
  palette: PaletteName;
  inks: Inks;
  format: TimeFormat;
  grid: boolean;
  edges: readonly Edge[];
  current: string;
}

/** Knows how each code looks under one palette; asked for every bar, so it remembers. */
class Looks {
  private readonly known = new Map<number, Look>();
  private readonly labels = new Map<number, string>();
  private readonly ranks = new Map<number, number>();

  constructor(
    private readonly source: Source,
    private readonly palette: PaletteName,
  ) {}

  look(state: number, cause: number, level: number): Look {
    const key = (state << 16) | (cause << 8) | level;
    let look = this.known.get(key);
    if (look === undefined) {
      const words = this.source.vocabulary;
      look = lookOf(words.state(state), words.cause(cause), level, this.palette);
      this.known.set(key, look);
    }
    return look;
  }

  label(state: number, cause: number, level: number): string {
    const key = (state << 16) | (cause << 8) | level;
    let label = this.labels.get(key);
    if (label === undefined) {
      label = stateText(this.source, state, cause, level);
      this.labels.set(key, label);
    }
    return label;
  }

  rank(state: number): number {
    let rank = this.ranks.get(state);
    if (rank === undefined) {
      rank = rankOf(this.source.vocabulary.state(state));
      this.ranks.set(state, rank);
    }
    return rank;
  }
}

/** A state in words: `halted: timer`, `guest L2`. */
export function stateText(source: Source, state: number, cause: number, level: number): string {
  const words = source.vocabulary;
  const name = words.state(state);
  const why = words.cause(cause);
  const deep = level >= 2 && (name === "guest" || name.startsWith("run-")) ? ` L${level}` : "";
  const short = name === "hypervisor" || name === "l0-handling" || name === "run-hypervisor" ? why.replace(/^exit-/, "") : why;
  return name + deep + (short === "" ? "" : `: ${short}`);
}

export function paintAxis(surface: Surface, scene: Pick<Scene, "source" | "range" | "width" | "inks" | "format">, left: number, top: number): void {
  const { source, range, width, inks, format } = scene;
  surface.line(left, top + AXIS_HEIGHT - 0.5, left + width, top + AXIS_HEIGHT - 0.5, inks.grid, 1);
  const length = Number(span(range));
  for (const { time, label } of axisTicks(range.begin, range.end, width, format, source.origin)) {
    const x = left + Math.round((Number(time - range.begin) / length) * width) + 0.5;
    surface.line(x, top + AXIS_HEIGHT - 6, x, top + AXIS_HEIGHT - 1, inks.faint, 1);
    const taken = surface.measure(label, { size: 11 });
    if (x + 4 + taken <= left + width) surface.text(x + 4, top + 15, label, inks.faint, { size: 11 });
  }
  for (const loss of source.loss) {
    const [x, right] = lossSpan(loss, scene);
    if (right > 0 && x < width) surface.rect(left + Math.max(0, x), top, Math.min(width, right) - Math.max(0, x), 5, inks.loss, Pattern.Cross);
  }
}

/** The day at the begin of the axis, for the corner left of it. */
export function axisDay(range: Range, format: TimeFormat): string {
  return format === "utc" || format === "local" ? formatDate(range.begin, format) + (format === "utc" ? " UTC" : "") : "";
}

function lossSpan(loss: Loss, scene: Pick<Scene, "source" | "range" | "width">): [number, number] {
  const begin = scene.source.distance(scene.range.begin);
  const scale = scene.width / Number(span(scene.range));
  const x = (loss.begin - begin) * scale;
  return [x, Math.max(x + 2, (loss.end - begin) * scale)];
}

/** Paints the rows' background, grid and bars; `left` and `top` are where the first row's axis begins. */
export function paintRows(surface: Surface, scene: Scene, left: number, top: number): void {
  const { source, range, width, rows, inks } = scene;
  const length = Number(span(range));
  const begin = source.distance(range.begin);
  const nsPerPixel = length / width;
  const looks = new Looks(source, scene.palette);
  const height = rows.length * ROW_HEIGHT;
  rows.forEach((row, index) => {
    const y = top + index * ROW_HEIGHT;
    if (row.node.drawing === "none" || row.node.drawing === "average") surface.rect(left, y, width, ROW_HEIGHT, inks.group, Pattern.Solid);
    if (row.node.id === scene.current) surface.rect(left, y, width, ROW_HEIGHT, blend(inks.accent, inks.background, 0.16), Pattern.Solid);
  });
  if (scene.grid) {
    for (const { time } of axisTicks(range.begin, range.end, width, scene.format, source.origin)) {
      const x = left + Math.round((Number(time - range.begin) / length) * width);
      surface.rect(x, top, 1, height, inks.grid, Pattern.Solid);
    }
  }
  for (const loss of source.loss) {
    const [x, right] = lossSpan(loss, scene);
    if (right <= 0 || x >= width) continue;
    surface.rect(left + Math.max(0, x), top, Math.min(width, right) - Math.max(0, x), height, inks.loss, Pattern.Solid, 0.14);
  }
  rows.forEach((row, index) => {
    const y = top + index * ROW_HEIGHT;
    surface.rect(left, y + ROW_HEIGHT - 1, width, 1, blend(inks.grid, inks.background, row.pinned ? 1 : 0.6), Pattern.Solid);
    const segments = scene.picture(row);
    if (segments !== null && segments.length > 0) paintBars(surface, scene, looks, row, segments, begin, nsPerPixel, left, y);
  });
  const pinned = rows.filter((row) => row.pinned).length;
  if (pinned > 0 && pinned < rows.length) surface.rect(left, top + pinned * ROW_HEIGHT - 1, width, 2, inks.accent, Pattern.Solid);
}

function paintBars(surface: Surface, scene: Scene, looks: Looks, row: Row, segments: Segments, begin: number, nsPerPixel: number, left: number, y: number): void {
  const { inks, matcher, width } = scene;
  const { state, cause, level, confidence, by } = segments;
  const passes = matcher.active ? matcher.rows(segments, row.node.entity, row.node.vcpu) : null;
  const floor = y + ROW_HEIGHT - 2;
  const isCpu = row.node.kind === "cpu";
  const summary = row.node.drawing === "average";
  const entities = scene.source.entities;
  const running = scene.source.vocabulary.codeOf("states", "running");
  const code = (at: number): number => ((state[at] ?? 0) << 24) | ((cause[at] ?? 0) << 16) | ((level[at] ?? 0) << 8) | (confidence[at] ?? 0) | (passes === null || passes[at] === 1 ? 0 : 2);

  const colorOf = (at: number, look: Look): Rgb => {
    const who = by[at] ?? -1;
    return isCpu && who >= 0 && state[at] === running ? taskColor(colorGroup(entities, who)) : look.color;
  };

  layBars(segments, begin, nsPerPixel, width, code, {
    bar(x, barWidth, at) {
      const look = looks.look(state[at] ?? 0, cause[at] ?? 0, level[at] ?? 0);
      const pass = passes === null || passes[at] === 1;
      if (!pass && scene.hide) return;
      const full = colorOf(at, look);
      const likely = confidence[at] === 1;
      const color = pass ? full : blend(full, inks.background, 0.14);
      const height = Math.max(2, Math.round(look.height * (summary ? SUMMARY_HEIGHT : BAR_HEIGHT)));
      const from = Math.max(0, x);
      const shown = Math.max(1, Math.min(width, x + barWidth) - from);
      const quiet = summary && looks.rank(state[at] ?? 0) >= QUIET;
      const body = quiet ? blend(color, inks.background, 0.28) : pass && likely ? blend(color, inks.background, 0.62) : color;
      surface.rect(left + from, floor - height, shown, height, body, pass && !summary ? look.pattern : Pattern.Solid, 1, shown < 8);
      if (!pass || summary) return;
      if (likely && height > 4) surface.rect(left + from, floor - height, shown, 2, color, Pattern.Upright);
      // A gap of a pixel tells one bar from the next of the same kind.
      if (shown > 4 && barWidth > 4 && x > 0) surface.rect(left + from, floor - height, 1, height, blend(inks.background, full, 0.55), Pattern.Solid);
      if (shown > 24) paintLabel(surface, barText(scene.source, looks, segments, at, isCpu, row.node.entity), left + from, shown, floor, height, body, look, inks);
    },
    column(x, barWidth, rows, times, whole) {
      const order = rows.map((_, index) => index).sort((a, b) => looks.rank(state[rows[a] ?? 0] ?? 0) - looks.rank(state[rows[b] ?? 0] ?? 0) || (rows[a] ?? 0) - (rows[b] ?? 0));
      const heights = shareHeights(
        order.map((index) => times[index] ?? 0),
        whole,
        summary ? SUMMARY_HEIGHT : BAR_HEIGHT,
      );
      let base = floor;
      order.forEach((index, place) => {
        const height = heights[place] ?? 0;
        const at = rows[index] ?? 0;
        const pass = passes === null || passes[at] === 1;
        if (height > 0 && (pass || !scene.hide)) {
          const look = looks.look(state[at] ?? 0, cause[at] ?? 0, level[at] ?? 0);
          const likely = confidence[at] === 1;
          const quiet = summary && looks.rank(state[at] ?? 0) >= QUIET;
          const strong = blend(look.color, inks.background, quiet ? 0.28 : likely ? 0.7 : 1);
          const from = Math.max(0, x);
          surface.rect(left + from, base - height, Math.max(1, Math.min(width, x + barWidth) - from), height, pass ? strong : blend(look.color, inks.background, 0.14), pass && !summary ? look.pattern : Pattern.Solid, 1, barWidth < 8);
        }
        base -= height;
      });
    },
  });
}

/** Threads of one VM share a colour on the processors' rows. */
function colorGroup(entities: Entities, id: number): number {
  const entity = entities.get(id);
  if (entity === undefined) return id;
  return entity.pid >= 0 ? entity.pid : id;
}

function barText(source: Source, looks: Looks, segments: Segments, at: number, isCpu: boolean, victim: number): string {
  const by = source.entities.get(segments.by[at] ?? -1);
  if (isCpu && by !== undefined) {
    const who = source.entities.asVcpu(by);
    const guest = source.entities.guestOf(who);
    return guest === undefined || guest.id === who.id ? shortName(who) : `${shortName(who)} of ${shortName(guest)}`;
  }
  const text = looks.label(segments.state[at] ?? 0, segments.cause[at] ?? 0, segments.level[at] ?? 0);
  return by === undefined ? text : `${text} by ${source.entities.culprit(by.id, victim)}`;
}

function paintLabel(surface: Surface, text: string, x: number, room: number, floor: number, height: number, body: Rgb, look: Look, inks: Inks): void {
  const style = { room: room - 8, size: 10.5 };
  if (height >= 12) {
    if (look.pattern !== Pattern.Solid) {
      const taken = Math.min(room - 8, surface.measure(text, style));
      if (taken < 14) return;
      surface.rect(x + 2, floor - height + 2, taken + 4, height - 3, body, Pattern.Solid);
    }
    surface.text(x + 4, floor - height / 2 + 3.5, text, inkOn(body), style);
  } else if (height >= 3) surface.text(x + 4, floor - height - 2, text, inks.faint, { room: room - 8, size: height > 8 ? 8.5 : 10 });
}

/** Arrows between rows that are both visible; the kinds differ in dashes too. */
export function paintEdges(surface: Surface, scene: Scene, left: number, top: number): void {
  const { source, range, width, rows, inks } = scene;
  const place = new Map<number, number>();
  rows.forEach((row, index) => {
    if (row.node.entity >= 0 && row.node.drawing !== "average" && !place.has(row.node.entity)) place.set(row.node.entity, index);
  });
  // A vCPU's thread is its vCPU where there is no row of its own.
  const rowOf = (id: number): number | undefined => {
    const own = place.get(id);
    const entity = own === undefined ? source.entities.get(id) : undefined;
    const twin = entity === undefined ? undefined : source.entities.twin(entity);
    return twin === undefined ? own : place.get(twin.id);
  };
  const begin = source.distance(range.begin);
  const scale = width / Number(span(range));
  for (const edge of scene.edges) {
    const from = rowOf(edge.from);
    const to = rowOf(edge.to);
    if (from === undefined || to === undefined) continue;
    const x1 = (edge.fromTime - begin) * scale;
    const x2 = (edge.toTime - begin) * scale;
    if (from === to || Math.max(x1, x2) < 0 || Math.min(x1, x2) > width) continue;
    const look = edgeLook(source.vocabulary.edge(edge.kind), inks);
    paintArrow(surface, left + x1, top + (from + 0.5) * ROW_HEIGHT, left + x2, top + (to + 0.5) * ROW_HEIGHT, left, left + width, look.color, look.dash, inks.background);
  }
}

function edgeLook(kind: string, inks: Inks): { color: Rgb; dash: number[] } {
  switch (kind) {
    case "injection":
      return { color: blend(0x56b4e9, inks.text, 0.8), dash: [] };
    case "packet":
      return { color: 0xcc79a7, dash: [6, 3] };
    case "disk":
      return { color: 0x9467bd, dash: [2, 3] };
    case "steal":
      return { color: 0xd55e00, dash: [8, 2, 2, 2] };
    default:
      return { color: inks.text, dash: [] };
  }
}

function paintArrow(surface: Surface, x1: number, y1: number, x2: number, y2: number, left: number, right: number, color: Rgb, dash: number[], halo: Rgb): void {
  // Cut at the edges, so that an arrow from far away keeps its direction.
  const cut = (x: number): [number, number] => {
    const inside = Math.min(right, Math.max(left, x));
    const share = x2 === x1 ? 0 : (inside - x1) / (x2 - x1);
    return [inside, y1 + share * (y2 - y1)];
  };
  const [ax, ay] = cut(x1);
  const [bx, by] = cut(x2);
  surface.line(ax, ay, bx, by, halo, 3.5);
  surface.line(ax, ay, bx, by, color, 1.4, dash);
  if (bx !== x2) return;
  const angle = Math.atan2(by - ay, bx - ax);
  const wing = (turn: number, length: number): [number, number] => [bx - length * Math.cos(angle + turn), by - length * Math.sin(angle + turn)];
  surface.shape([bx + 1.5 * Math.cos(angle), by + 1.5 * Math.sin(angle), ...wing(0.5, 11), ...wing(-0.5, 11)], halo);
  surface.shape([bx, by, ...wing(0.42, 8), ...wing(-0.42, 8)], color);
}

