import type { Loss } from "../api/source";
import { Pattern, type Surface } from "../surface/surface";
import { span, type Range } from "../time/range";
import { axisTicks, formatDate, type TimeFormat } from "../time/time";
import { AXIS_HEIGHT, type Scene } from "./scene";

/** Marks with their times, and where events were lost. */
export function paintAxis(
  surface: Surface,
  scene: Pick<Scene, "source" | "range" | "width" | "inks" | "format">,
  left: number,
  top: number,
): void {
  const { source, range, width, inks, format } = scene;
  surface.line(left, top + AXIS_HEIGHT - 0.5, left + width, top + AXIS_HEIGHT - 0.5, inks.grid, 1);
  const length = Number(span(range));
  for (const { time, label } of axisTicks(range.begin, range.end, width, format, source.origin)) {
    const x = left + Math.round((Number(time - range.begin) / length) * width) + 0.5;
    surface.line(x, top + AXIS_HEIGHT - 6, x, top + AXIS_HEIGHT - 1, inks.faint, 1);
    const taken = surface.measure(label, { size: 11 });
    if (x + 4 + taken <= left + width) surface.text(x + 4, top + 15, label, inks.faint, { size: 11 });
  }
  for (const [x, right] of lossBands(source.loss, source.distance(range.begin), length / width, width))
    surface.rect(left + x, top, right - x, 5, inks.loss, Pattern.Cross);
}

/** The day at the begin of the axis, for the corner left of it. */
export function axisDay(range: Range, format: TimeFormat): string {
  return format === "utc" || format === "local"
    ? formatDate(range.begin, format) + (format === "utc" ? " UTC" : "")
    : "";
}

/**
 * Where events were lost, in pixels of the axis: at least two pixels wide each, cut at its ends, and joined where they
 * touch, so that there are never more than pixels.
 */
export function lossBands(
  losses: readonly Loss[],
  begin: number,
  nsPerPixel: number,
  width: number,
): [number, number][] {
  const spans = losses
    .map((loss): [number, number] => {
      const x = (loss.begin - begin) / nsPerPixel;
      return [Math.max(0, x), Math.min(width, Math.max(x + 2, (loss.end - begin) / nsPerPixel))];
    })
    .filter(([x, right]) => right > 0 && x < width && right > x)
    .sort((a, b) => a[0] - b[0]);
  const bands: [number, number][] = [];
  for (const [x, right] of spans) {
    const last = bands.at(-1);
    if (last !== undefined && x <= last[1]) last[1] = Math.max(last[1], right);
    else bands.push([x, right]);
  }
  return bands;
}
