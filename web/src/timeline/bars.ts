import { shortName } from "../api/entities";
import type { Segments } from "../api/segments";
import type { Source } from "../api/source";
import { blend, inkOn, Pattern, type Rgb, type Surface } from "../surface/surface";
import { span } from "../time/range";
import { axisTicks } from "../time/time";
import { lossBands } from "./axis";
import { Looks } from "./looks";
import { paintCurve } from "./paint-curve";
import { rankOf, type Look } from "./palette";
import type { Row } from "./rows";
import { ROW_HEIGHT, type Inks, type Scene } from "./scene";
import { layBars, shareHeights } from "./stack";

const BAR_HEIGHT = 18;
/** Rows that sum up others are lower and plain. */
const SUMMARY_HEIGHT = 12;
const QUIET = rankOf("unknown");

/** Paints the rows' background, grid and bars; `left` and `top` are where the first row's axis begins. */
export function paintRows(surface: Surface, scene: Scene, left: number, top: number): void {
  const { source, range, width, rows, inks } = scene;
  const length = Number(span(range));
  const begin = source.distance(range.begin);
  const nsPerPixel = length / width;
  const looks = Looks.of(source, scene.palette);
  const height = rows.length * ROW_HEIGHT;
  rows.forEach((row, index) => {
    const y = top + index * ROW_HEIGHT;
    if (row.node.drawing === "none" || row.node.drawing === "average")
      surface.rect(left, y, width, ROW_HEIGHT, inks.group, Pattern.Solid);
    if (row.node.id === scene.current)
      surface.rect(left, y, width, ROW_HEIGHT, blend(inks.accent, inks.background, 0.16), Pattern.Solid);
  });
  if (scene.grid) {
    for (const { time } of axisTicks(range.begin, range.end, width, scene.format, source.origin)) {
      const x = left + Math.round((Number(time - range.begin) / length) * width);
      surface.rect(x, top, 1, height, inks.grid, Pattern.Solid);
    }
  }
  for (const [x, right] of lossBands(source.loss, begin, nsPerPixel, width))
    surface.rect(left + x, top, right - x, height, inks.loss, Pattern.Solid, 0.14);
  rows.forEach((row, index) => {
    const y = top + index * ROW_HEIGHT;
    surface.rect(
      left,
      y + ROW_HEIGHT - 1,
      width,
      1,
      blend(inks.grid, inks.background, row.pinned ? 1 : 0.6),
      Pattern.Solid,
    );
    const segments = scene.picture(row);
    if (segments !== null && segments.length > 0)
      paintBars(surface, scene, looks, row, segments, begin, nsPerPixel, left, y);
    const curve = scene.curve(row);
    if (curve !== null) paintCurve(surface, scene, curve, begin, nsPerPixel, left, y);
  });
  const pinned = rows.filter((row) => row.pinned).length;
  if (pinned > 0 && pinned < rows.length)
    surface.rect(left, top + pinned * ROW_HEIGHT - 1, width, 2, inks.accent, Pattern.Solid);
}

function paintBars(
  surface: Surface,
  scene: Scene,
  looks: Looks,
  row: Row,
  segments: Segments,
  begin: number,
  nsPerPixel: number,
  left: number,
  y: number,
): void {
  const { inks, matcher, width } = scene;
  const { state, cause, level, confidence, by } = segments;
  const passes = matcher.active ? matcher.rows(segments, row.node.entity, row.node.vcpu) : null;
  const floor = y + ROW_HEIGHT - 2;
  const isCpu = row.node.kind === "cpu";
  const summary = row.node.drawing === "average";
  const running = scene.source.vocabulary.codeOf("states", "running");
  const why = (at: number): number => ((cause[at] ?? 0) << 16) | ((level[at] ?? 0) << 8) | (confidence[at] ?? 0);
  const code = (at: number): number =>
    ((state[at] ?? 0) << 24) |
    // Threads of one VM are one on a processor's row, from afar.
    (isCpu ? looks.task(by[at] ?? -1) & 0xfffffc : why(at)) |
    (passes === null || passes[at] === 1 ? 0 : 2);

  const colorOf = (at: number, look: Look): Rgb => {
    const who = by[at] ?? -1;
    return isCpu && who >= 0 && state[at] === running ? looks.task(who) : look.color;
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
      const body = quiet
        ? blend(color, inks.background, 0.28)
        : pass && likely
          ? blend(color, inks.background, 0.62)
          : color;
      surface.rect(
        left + from,
        floor - height,
        shown,
        height,
        body,
        pass && !summary ? look.pattern : Pattern.Solid,
        1,
        shown < 8,
      );
      if (!pass || summary) return;
      if (likely && height > 4) surface.rect(left + from, floor - height, shown, 2, color, Pattern.Upright);
      // A gap of a pixel tells one bar from the next of the same kind.
      if (shown > 4 && barWidth > 4 && x > 0)
        surface.rect(left + from, floor - height, 1, height, blend(inks.background, full, 0.55), Pattern.Solid);
      if (shown > 24)
        paintLabel(
          surface,
          barText(scene.source, looks, segments, at, isCpu, row.node.entity),
          left + from,
          shown,
          floor,
          height,
          body,
          look,
          inks,
        );
    },
    column(x, barWidth, rows, times, whole) {
      const order = rows
        .map((_, index) => index)
        .sort(
          (a, b) =>
            looks.rank(state[rows[a] ?? 0] ?? 0) - looks.rank(state[rows[b] ?? 0] ?? 0) ||
            (rows[a] ?? 0) - (rows[b] ?? 0),
        );
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
          const full = colorOf(at, look);
          const strong = blend(full, inks.background, quiet ? 0.28 : likely ? 0.7 : 1);
          const from = Math.max(0, x);
          surface.rect(
            left + from,
            base - height,
            Math.max(1, Math.min(width, x + barWidth) - from),
            height,
            pass ? strong : blend(full, inks.background, 0.14),
            pass && !summary ? look.pattern : Pattern.Solid,
            1,
            barWidth < 8,
          );
        }
        base -= height;
      });
    },
  });
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

function paintLabel(
  surface: Surface,
  text: string,
  x: number,
  room: number,
  floor: number,
  height: number,
  body: Rgb,
  look: Look,
  inks: Inks,
): void {
  const style = { room: room - 8, size: 10.5 };
  if (height >= 12) {
    if (look.pattern !== Pattern.Solid) {
      const taken = Math.min(room - 8, surface.measure(text, style));
      if (taken < 14) return;
      surface.rect(x + 2, floor - height + 2, taken + 4, height - 3, body, Pattern.Solid);
    }
    surface.text(x + 4, floor - height / 2 + 3.5, text, inkOn(body), style);
  } else if (height >= 3)
    surface.text(x + 4, floor - height - 2, text, inks.faint, { room: room - 8, size: height > 8 ? 8.5 : 10 });
}
