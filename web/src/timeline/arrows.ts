import { blend, type Rgb, type Surface } from "../surface/surface";
import { span } from "../time/range";
import { wakesOf } from "./path-steps";
import { ROW_HEIGHT, type Inks, type Scene } from "./scene";

/** Arrows between rows that are both visible; the kinds differ in dashes too. */
export function paintEdges(surface: Surface, scene: Scene, left: number, top: number): void {
  const { source, range, width, rows, inks } = scene;
  const place = new Map<number, number>();
  rows.forEach((row, index) => {
    if (row.node.entity >= 0 && row.node.drawing !== "average" && !place.has(row.node.entity))
      place.set(row.node.entity, index);
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
    paintArrow(
      surface,
      left + x1,
      top + (from + 0.5) * ROW_HEIGHT,
      left + x2,
      top + (to + 0.5) * ROW_HEIGHT,
      left,
      left + width,
      look.color,
      look.dash,
      inks.background,
    );
  }
}

/** Arrows of a path, from who woke another to who was woken; answers how many there was no room for. */
export function paintWakes(surface: Surface, scene: Scene, left: number, top: number): number {
  const { source, range, width, rows, inks, path, places } = scene;
  if (path === null) return 0;
  const { wakes, leftOut } = wakesOf(path, places, source.distance(range.begin), Number(span(range)) / width, width);
  // Many arrows are thinner, so that bars are seen between them.
  const dense = wakes.length > 160;
  const color = dense ? blend(inks.text, inks.background, 0.7) : inks.text;
  for (const { x, from, to } of wakes) {
    const down = to > from ? 1 : -1;
    const y1 = top + Math.min(rows.length, Math.max(0, from + 0.5)) * ROW_HEIGHT + down * 4;
    const y2 = top + Math.min(rows.length, Math.max(0, to + 0.5)) * ROW_HEIGHT - down * 3;
    const at = left + Math.round(x) + 0.5;
    if (!dense) surface.line(at, y1, at, y2, inks.background, 3);
    surface.line(at, y1, at, y2, color, dense ? 0.8 : 1.2);
    surface.shape([at, y2 + down, at - 3, y2 - down * 6, at + 3, y2 - down * 6], color);
  }
  return leftOut;
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

function paintArrow(
  surface: Surface,
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  left: number,
  right: number,
  color: Rgb,
  dash: number[],
  halo: Rgb,
): void {
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
  const wing = (turn: number, length: number): [number, number] => [
    bx - length * Math.cos(angle + turn),
    by - length * Math.sin(angle + turn),
  ];
  surface.shape([bx + 1.5 * Math.cos(angle), by + 1.5 * Math.sin(angle), ...wing(0.5, 11), ...wing(-0.5, 11)], halo);
  surface.shape([bx, by, ...wing(0.42, 8), ...wing(-0.42, 8)], color);
}
