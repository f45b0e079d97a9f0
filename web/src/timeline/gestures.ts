import { mouseTime, panBy, select, show, source, view, zoomBy } from "../app/session";
import { ordered, pan, span, timeAt, type Range } from "../time/range";

/** What the mouse does over a time axis; the same over rows and over the axis itself. */
export interface GestureTarget {
  /** A click without movement. */
  click?: (x: number, y: number, time: bigint) => void;
  doubleClick?: (x: number, y: number, time: bigint) => void;
  /** A click of the other button without movement. */
  menu?: (x: number, y: number, time: bigint, pageX: number, pageY: number) => void;
  hover?: (at: { x: number; y: number; time: bigint; pageX: number; pageY: number } | null) => void;
  /** Whether a plain drag zooms, as on an axis, instead of selecting. */
  dragZooms?: boolean;
  /** Whether the plain wheel zooms, as on an axis, instead of scrolling. */
  wheelZooms?: boolean;
}

/** The stretch that a drag is about to zoom to. */
type Mode = "select" | "pan" | "zoom";

/** Installs the gestures; returns what removes them. `onZoomBox` draws the stretch that is being dragged. */
export function installGestures(
  element: HTMLElement,
  target: GestureTarget,
  onZoomBox: (range: Range | null) => void,
): () => void {
  let mode: Mode | null = null;
  let anchor = 0n;
  let startX = 0;
  let moved = false;
  let panFrom: Range | null = null;
  let box: Range | null = null;

  const at = (event: MouseEvent): { x: number; y: number; width: number; time: bigint } => {
    const bounds = element.getBoundingClientRect();
    const x = event.clientX - bounds.left;
    return { x, y: event.clientY - bounds.top, width: bounds.width, time: timeAt(view.peek(), x, bounds.width) };
  };

  const down = (event: PointerEvent): void => {
    const { x, time } = at(event);
    mode =
      event.button === 1 || (event.button === 0 && event.shiftKey)
        ? "pan"
        : event.button === 2 || target.dragZooms === true
          ? "zoom"
          : event.button === 0
            ? "select"
            : null;
    if (mode === null) return;
    anchor = time;
    startX = x;
    moved = false;
    panFrom = view.peek();
    element.setPointerCapture(event.pointerId);
    if (event.button === 1) event.preventDefault();
  };

  const move = (event: PointerEvent): void => {
    const { x, y, width, time } = at(event);
    mouseTime.value = time;
    if (mode === null) {
      target.hover?.({ x, y, time, pageX: event.clientX, pageY: event.clientY });
      return;
    }
    if (!moved && Math.abs(x - startX) < 3) return;
    moved = true;
    target.hover?.(null);
    if (mode === "pan" && panFrom !== null && width > 0) {
      const bounds = source.peek()?.bounds;
      if (bounds !== undefined) show(pan(panFrom, (startX - x) / width, bounds));
    } else if (mode === "select") select(ordered(anchor, time));
    else if (mode === "zoom") {
      box = ordered(anchor, time);
      onZoomBox(box);
    }
  };

  const up = (event: PointerEvent): void => {
    const { x, y, time } = at(event);
    const ended = mode;
    mode = null;
    if (ended === null) return;
    if (!moved && event.button === 0) target.click?.(x, y, time);
    if (!moved && event.button === 2) target.menu?.(x, y, time, event.clientX, event.clientY);
    if (ended === "zoom" && box !== null && span(box) > 0n) show(box);
    box = null;
    onZoomBox(null);
  };

  const leave = (): void => {
    if (mode !== null) return;
    mouseTime.value = null;
    target.hover?.(null);
  };

  const double = (event: MouseEvent): void => {
    const { x, y, time } = at(event);
    target.doubleClick?.(x, y, time);
  };

  const wheel = (event: WheelEvent): void => {
    const { x, width } = at(event);
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.ctrlKey || event.metaKey || target.wheelZooms === true) {
      event.preventDefault();
      zoomBy(Math.exp(Math.max(-80, Math.min(80, event.deltaY)) * 0.0035), width > 0 ? x / width : 0.5);
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      panBy((sideways / Math.max(1, width)) * 1.2);
    }
  };

  const menu = (event: Event): void => event.preventDefault();

  element.addEventListener("pointerdown", down);
  element.addEventListener("pointermove", move);
  element.addEventListener("pointerup", up);
  element.addEventListener("pointercancel", up);
  element.addEventListener("pointerleave", leave);
  element.addEventListener("dblclick", double);
  element.addEventListener("wheel", wheel, { passive: false });
  element.addEventListener("contextmenu", menu);
  return () => {
    element.removeEventListener("pointerdown", down);
    element.removeEventListener("pointermove", move);
    element.removeEventListener("pointerup", up);
    element.removeEventListener("pointercancel", up);
    element.removeEventListener("pointerleave", leave);
    element.removeEventListener("dblclick", double);
    element.removeEventListener("wheel", wheel);
    element.removeEventListener("contextmenu", menu);
  };
}
