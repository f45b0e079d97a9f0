import type { CriticalPath } from "../api/critical";
import type { Segments } from "../api/segments";
import type { Edge, Source } from "../api/source";
import type { Rgb } from "../surface/surface";
import type { Range } from "../time/range";
import type { TimeFormat } from "../time/time";
import type { CurvePicture } from "./curve-store";
import type { Matcher } from "./matcher";
import type { PaletteName } from "./palette";
import type { Row } from "./rows";

export const ROW_HEIGHT = 22;
export const AXIS_HEIGHT = 24;

/** The page's own colours, read from its style sheet so that there is one place for them. */
export interface Inks {
  background: Rgb;
  group: Rgb;
  grid: Rgb;
  text: Rgb;
  faint: Rgb;
  accent: Rgb;
  loss: Rgb;
  curve: Rgb;
}

export interface Scene {
  source: Source;
  range: Range;
  /** Width of the time axis and height of the rows, in CSS pixels. */
  width: number;
  rows: readonly Row[];
  picture: (row: Row) => Segments | null;
  curve: (row: Row) => CurvePicture | null;
  matcher: Matcher;
  hide: boolean;
  palette: PaletteName;
  inks: Inks;
  format: TimeFormat;
  grid: boolean;
  edges: readonly Edge[];
  /** The path whose wake-ups are drawn. */
  path: CriticalPath | null;
  /** At which of the rows each of its workers is; those out of sight are before the first or after the last. */
  places: ReadonlyMap<number, number>;
  current: string;
}
