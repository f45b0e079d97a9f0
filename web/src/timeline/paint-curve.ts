import { blend, Pattern, type Surface } from "../surface/surface";
import type { CurvePicture } from "./curve-store";
import { ROW_HEIGHT, type Scene } from "./scene";

const CURVE_HEIGHT = 17;

/** Paints a curve from its floor up; its greatest visible value is the row's height, which is told beside its name. */
export function paintCurve(
  surface: Surface,
  scene: Scene,
  picture: CurvePicture,
  begin: number,
  nsPerPixel: number,
  left: number,
  y: number,
): void {
  const { inks, width } = scene;
  const { columns, look, scale } = picture;
  const floor = y + ROW_HEIGHT - 2;
  const strong = inks.curve;
  const weak = blend(inks.curve, inks.background, 0.3);
  const heightOf = (value: number): number =>
    value <= 0 || scale <= 0 ? 0 : Math.max(1, Math.round((value / scale) * CURVE_HEIGHT));
  for (const column of columns) {
    const from = Math.max(0, Math.round((column.begin - begin) / nsPerPixel));
    const to = Math.min(width, Math.max(from + 1, Math.round((column.end - begin) / nsPerPixel)));
    if (to <= 0 || from >= width) continue;
    const rect = (low: number, high: number, color: number): void => {
      if (high > low) surface.rect(left + from, floor - high, to - from, high - low, color, Pattern.Solid);
    };
    const [low, high] = [heightOf(column.low), heightOf(column.high)];
    if (look.kind === "level") {
      rect(0, low, weak);
      // The line itself, from the least to the greatest of the column.
      rect(Math.max(0, Math.min(low, high - 1) - 1), Math.max(high, 1), strong);
    } else if (look.kind === "rate") rect(0, high, strong);
    else {
      rect(0, high, weak);
      rect(0, heightOf(column.mean), strong);
    }
  }
}
