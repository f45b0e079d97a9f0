import { effect, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { Segments } from "../api/segments";
import type { Source } from "../api/source";
import { lossBands } from "../timeline/axis";
import { Drawing } from "../timeline/drawing";
import { readInks } from "../timeline/inks";
import { summarise } from "../timeline/merge";
import { lookOf, rankOf } from "../timeline/palette";
import { layBars, shareHeights } from "../timeline/stack";
import { blend, Pattern } from "../surface/surface";
import { clamp, ordered, pixelOf, span, timeAt } from "../time/range";
import { bookmarks, dark, palette, selection, show, view, zoomBy } from "./session";
import { useReply } from "./use-reply";

const HEIGHT = 30;

/** The whole source in one strip: what all vCPUs did, where events were lost, and what is visible now. */
export function Minimap({ source }: { source: Source }) {
  const host = useRef<HTMLDivElement>(null);
  const width = useSignal(0);
  const entities = useMemo(() => {
    const vcpus = source.entities.ofKind("vcpu");
    return (vcpus.length > 0 ? vcpus : source.entities.ofKind("cpu")).slice(0, 256).map((entity) => entity.id);
  }, [source]);
  const reply = useReply<Segments>(
    (signal) =>
      width.value === 0 || entities.length === 0
        ? null
        : source.viewport(source.bounds, Math.min(600, width.value), entities, signal).then(({ lanes }) =>
            summarise(
              lanes.map((lane) => lane.segments),
              0,
              source.distance(source.bounds.end),
              Math.min(600, width.value),
            ),
          ),
    [source, width.value > 0],
  );

  useLayoutEffect(() => {
    const element = host.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => (width.value = element.clientWidth));
    observer.observe(element);
    width.value = element.clientWidth;
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const element = host.current;
    if (element === null) return;
    const drawing = new Drawing(element);
    return effect(() => {
      void dark.value;
      const segments = reply.value.value;
      const pixels = width.value;
      const colors = palette.value;
      const inks = readInks();
      if (pixels === 0) return;
      drawing.draw((surface) => {
        surface.begin(pixels, HEIGHT, inks.background);
        const nsPerPixel = Number(span(source.bounds)) / pixels;
        const words = source.vocabulary;
        if (segments !== null) {
          const { state, cause, level } = segments;
          const paint = (x: number, barWidth: number, at: number, base: number, height: number): void => {
            const look = lookOf(words.state(state[at] ?? 0), words.cause(cause[at] ?? 0), level[at] ?? 0, colors);
            const quiet = rankOf(words.state(state[at] ?? 0)) >= rankOf("unknown");
            surface.rect(
              x,
              base - height,
              Math.max(1, barWidth),
              height,
              quiet ? blend(look.color, inks.background, 0.28) : look.color,
              Pattern.Solid,
            );
          };
          layBars(segments, 0, nsPerPixel, pixels, (row) => (state[row] ?? 0) * 256 + (cause[row] ?? 0), {
            bar: (x, barWidth, at) => paint(x, barWidth, at, HEIGHT, HEIGHT - 2),
            column: (x, barWidth, rows, times, whole) => {
              const order = rows
                .map((_, index) => index)
                .sort(
                  (a, b) =>
                    rankOf(words.state(state[rows[a] ?? 0] ?? 0)) - rankOf(words.state(state[rows[b] ?? 0] ?? 0)),
                );
              const heights = shareHeights(
                order.map((index) => times[index] ?? 0),
                whole,
                HEIGHT - 2,
              );
              let base = HEIGHT;
              order.forEach((index, place) => {
                paint(x, barWidth, rows[index] ?? 0, base, heights[place] ?? 0);
                base -= heights[place] ?? 0;
              });
            },
          });
        }
        for (const [x, right] of lossBands(source.loss, 0, nsPerPixel, pixels))
          surface.rect(x, 0, right - x, 6, inks.loss, Pattern.Cross);
      });
    });
  }, [source]);

  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    let grabbed: { kind: "move"; offset: bigint } | { kind: "draw"; from: bigint } | null = null;
    const timeOf = (event: MouseEvent): bigint => {
      const bounds = element.getBoundingClientRect();
      return timeAt(source.bounds, event.clientX - bounds.left, bounds.width);
    };
    const down = (event: PointerEvent): void => {
      const time = timeOf(event);
      const range = view.peek();
      const inside = time >= range.begin && time < range.end && span(range) < (span(source.bounds) * 9n) / 10n;
      grabbed = inside && !event.shiftKey ? { kind: "move", offset: time - range.begin } : { kind: "draw", from: time };
      element.setPointerCapture(event.pointerId);
    };
    const move = (event: PointerEvent): void => {
      if (grabbed === null) return;
      const time = timeOf(event);
      const length = span(view.peek());
      if (grabbed.kind === "move")
        show(clamp({ begin: time - grabbed.offset, end: time - grabbed.offset + length }, source.bounds));
      else if (time !== grabbed.from) show(ordered(grabbed.from, time));
    };
    const up = (event: PointerEvent): void => {
      if (grabbed?.kind === "draw" && timeOf(event) === grabbed.from) {
        const length = span(view.peek());
        show(clamp({ begin: grabbed.from - length / 2n, end: grabbed.from + length / 2n }, source.bounds));
      }
      grabbed = null;
    };
    const wheel = (event: WheelEvent): void => {
      event.preventDefault();
      const bounds = element.getBoundingClientRect();
      const at = timeAt(source.bounds, event.clientX - bounds.left, bounds.width);
      const range = view.peek();
      const inside = at >= range.begin && at <= range.end;
      zoomBy(Math.exp(event.deltaY * 0.0035), inside ? Number(at - range.begin) / Number(span(range)) : 0.5);
    };
    element.addEventListener("pointerdown", down);
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", up);
    element.addEventListener("wheel", wheel, { passive: false });
    return () => {
      element.removeEventListener("pointerdown", down);
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", up);
      element.removeEventListener("wheel", wheel);
    };
  }, [source]);

  const pixels = width.value;
  const left = pixelOf(source.bounds, view.value.begin, pixels);
  const right = pixelOf(source.bounds, view.value.end, pixels);
  const chosen = selection.value;
  return (
    <div class="minimap" ref={host} aria-label="The whole source; drag to choose what is visible" role="img">
      <div class="minimap-shade" style={{ left: "0px", width: `${Math.max(0, left)}px` }} />
      <div class="minimap-shade" style={{ left: `${right}px`, width: `${Math.max(0, pixels - right)}px` }} />
      <div class="minimap-window" style={{ left: `${left}px`, width: `${Math.max(2, right - left)}px` }} />
      {chosen !== null && (
        <div
          class="minimap-selection"
          style={{
            left: `${pixelOf(source.bounds, chosen.begin, pixels)}px`,
            width: `${Math.max(1, pixelOf(source.bounds, chosen.end, pixels) - pixelOf(source.bounds, chosen.begin, pixels))}px`,
          }}
        />
      )}
      {bookmarks.value.map((mark) => (
        <div
          key={mark.id}
          class="overlay-bookmark"
          style={{ left: `${pixelOf(source.bounds, mark.begin, pixels)}px` }}
        />
      ))}
    </div>
  );
}
