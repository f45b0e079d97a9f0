import type { Curve } from "../api/curves";
import type { Source } from "../api/source";
import type { Range } from "../time/range";
import { counterLook, type CounterLook } from "./counters";
import { columnsOf, scaleOf, type CurveColumn } from "./curve";
import { RangeCache, type Answer, type CacheListener } from "./range-cache";
import type { TreeNode } from "./rows";

/** A row's curve as it is to be drawn. */
export interface CurvePicture {
  look: CounterLook;
  columns: readonly CurveColumn[];
  /** The greatest that is visible. */
  scale: number;
}

/** The height of the row in words. */
export function scaleText({ columns, look, scale }: CurvePicture): string {
  return columns.length === 0 ? "none" : `≤ ${look.format(scale)}`;
}

/** The curves of the visible rows. */
export class CurveStore {
  readonly cache: RangeCache<readonly Curve[]>;
  private readonly pictures = new WeakMap<TreeNode, { stamp: string; picture: CurvePicture }>();

  constructor(
    private readonly source: Source,
    told: CacheListener,
    before?: CurveStore,
  ) {
    this.cache = new RangeCache(
      source,
      told,
      async (range, pixels, entities, signal) => {
        const curves = await source.curves(range, pixels, entities, signal);
        return new Map<number, Answer<readonly Curve[]>>(
          entities.map((entity) => {
            const own = curves.filter((curve) => curve.entity === entity);
            return [entity, { value: own, exact: own.every((curve) => curve.bucketNs === 0) }];
          }),
        );
      },
      before?.cache,
    );
  }

  /** What to draw for a row; null while nothing is known. */
  picture(node: TreeNode, range: Range, pixels: number): CurvePicture | null {
    if (node.drawing !== "curve") return null;
    const begin = this.source.distance(range.begin);
    const end = this.source.distance(range.end);
    const nsPerPixel = (end - begin) / Math.max(1, pixels);
    const best = this.cache.best(node.entity, begin, end, nsPerPixel);
    const curve = best?.value.find((one) => one.counter === node.counter);
    if (best === null) return null;
    const look = counterLook(this.source.vocabulary.counter(node.counter), this.source.holds(node.counter));
    if (curve === undefined) return { look, columns: [], scale: 0 };
    const stamp = `${best.turn} ${begin} ${end} ${pixels}`;
    const known = this.pictures.get(node);
    if (known?.stamp === stamp) return known.picture;
    const columns = columnsOf(curve, look.kind, { begin, end, nsPerPixel, origin: this.source.origin });
    const picture = { look, columns, scale: scaleOf(columns) };
    this.pictures.set(node, { stamp, picture });
    return picture;
  }
}
