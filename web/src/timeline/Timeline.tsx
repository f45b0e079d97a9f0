import { effect, useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { Source } from "../api/source";
import { PanelFrame } from "../app/PanelFrame";
import type { Panel } from "../app/layout";
import {
  activePanel,
  contextMenu,
  currentRow,
  dark,
  filterHides,
  grid,
  hidden,
  layout,
  palette,
  say,
  showAll,
  timeFormat,
  view,
} from "../app/session";
import { panelsOf } from "../app/layout";
import { IconButton } from "../app/icons";
import type { Range } from "../time/range";
import { Drawing } from "./drawing";
import { installGestures } from "./gestures";
import { readInks, treeWidth } from "./inks";
import { TimelineModel, timelines } from "./model";
import { matcher } from "./row-requests";
import { paintEdges, paintWakes } from "./arrows";
import { axisDay, paintAxis } from "./axis";
import { paintRows } from "./bars";
import { AXIS_HEIGHT, ROW_HEIGHT, type Scene } from "./scene";
import type { Row, TreeNode } from "./rows";
import { Overlay, Spoken } from "./Overlay";
import { Tooltip } from "./Tooltip";
import { Splitter, Tree } from "./Tree";

interface Props {
  panel: Panel;
  source: Source;
  tree: readonly TreeNode[];
  /** More controls for the panel's bar. */
  controls?: ComponentChildren;
  /** Said instead of rows when there are none. */
  empty: string;
}

/** What a panel's rows over time show and do, kept while the panel is open. */
export function useTimeline(panel: Panel, source: Source, tree: readonly TreeNode[]): TimelineModel {
  const options = useComputed(
    () => panelsOf(layout.value).find((other) => other.id === panel.id)?.options ?? panel.options,
  );
  const model = useMemo(
    () => new TimelineModel(panel.id, source, options, timelines.get(panel.id)),
    [panel.id, source],
  );
  useEffect(() => {
    timelines.set(panel.id, model);
    return () => {
      timelines.delete(panel.id);
      model.close();
    };
  }, [model]);
  useLayoutEffect(() => {
    model.tree.value = tree;
  }, [model, tree]);
  return model;
}

/** A tree of rows over time: the page's main instrument. */
export function Timeline({ panel, source, tree, controls, empty }: Props) {
  const model = useTimeline(panel, source, tree);
  return (
    <PanelFrame panel={panel} controls={<TimelineControls model={model} controls={controls} />} busy={model.loading}>
      <TimelineBody model={model} panel={panel} empty={empty} />
    </PanelFrame>
  );
}

function TimelineControls({ model, controls }: { model: TimelineModel; controls: ComponentChildren }) {
  const { group, absent } = panelsOf(layout.value).find((other) => other.id === model.panel)?.options ?? {};
  const flat = group === "flat";
  return (
    <>
      {controls}
      <label class="inline">
        <span class="label-text">Sort</span>
        <select
          value={model.sorting.value}
          onChange={(event) =>
            model.setOption("sort", event.currentTarget.value === "tree" ? "" : event.currentTarget.value)
          }
        >
          <option value="tree">in order</option>
          <option value="name">by name</option>
          <option value="begin">by begin</option>
          <option value="busy">by running time</option>
        </select>
      </label>
      <label class="inline">
        <span class="label-text">Group</span>
        <select
          value={flat ? "flat" : "tree"}
          onChange={(event) => model.setOption("group", event.currentTarget.value === "flat" ? "flat" : "")}
        >
          <option value="tree">as a tree</option>
          <option value="flat">as a flat list</option>
        </select>
      </label>
      <label class="inline" title="Leave out rows that do not live in what is visible">
        <input
          type="checkbox"
          aria-label="Only rows that are present"
          checked={absent === "hide"}
          onChange={(event) => model.setOption("absent", event.currentTarget.checked ? "hide" : "")}
        />
        <span class="label-text">Only present</span>
      </label>
      <IconButton icon="unfold" name="Open all rows" onClick={() => model.setAllOpen(true)} />
      <IconButton icon="fold" name="Close all rows" onClick={() => model.setAllOpen(false)} />
      {hidden.value.size > 0 && (
        <button type="button" class="small" onClick={() => (hidden.value = new Set())}>
          Show {hidden.value.size} hidden
        </button>
      )}
    </>
  );
}

/** The rows with their names and their axis. */
export function TimelineBody({ model, panel, empty }: { model: TimelineModel; panel: Panel; empty: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLDivElement>(null);
  const axis = useRef<HTMLDivElement>(null);
  const zoomBox = useSignal<Range | null>(null);
  const scrollbar = useSignal(0);

  useLayoutEffect(() => {
    const element = host.current;
    const scrolled = scroller.current;
    if (element === null || scrolled === null) return;
    const measure = (): void => {
      // The scrollbar's room, so that axis and rows end at the same pixel.
      scrollbar.value = scrolled.offsetWidth - scrolled.clientWidth;
      const next = { width: element.clientWidth, height: scrolled.clientHeight };
      const before = model.size.peek();
      if (next.width !== before.width || next.height !== before.height) model.size.value = next;
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    observer.observe(scrolled);
    measure();
    return () => observer.disconnect();
  }, [model]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const onScroll = (): void => {
      model.top.value = Math.max(0, Math.round(element.scrollTop / ROW_HEIGHT));
      model.hover.value = null;
    };
    onScroll();
    element.addEventListener("scroll", onScroll);
    model.scrollTo = (row) => {
      const pinned = model.pinnedCount.peek();
      if (row < pinned) return;
      const full = Math.max(1, Math.floor(model.size.peek().height / ROW_HEIGHT) - pinned);
      const at = row - pinned;
      const first = Math.round(element.scrollTop / ROW_HEIGHT);
      if (at < first) element.scrollTop = at * ROW_HEIGHT;
      else if (at >= first + full) element.scrollTop = (at - full + 1) * ROW_HEIGHT;
    };
    return () => element.removeEventListener("scroll", onScroll);
  }, [model]);

  // Painting follows the signals it reads, once per frame at most.
  useLayoutEffect(() => {
    if (canvas.current === null || axis.current === null) return;
    const rows = new Drawing(canvas.current);
    const ticks = new Drawing(axis.current);
    let frame = 0;
    const paint = (): void => {
      frame = 0;
      const scene = sceneOf(model);
      if (scene === null || scene.width === 0) return;
      const { height } = model.size.peek();
      rows.draw((surface) => {
        surface.begin(scene.width, height, scene.inks.background);
        paintRows(surface, scene, 0, 0);
        paintEdges(surface, scene, 0, 0);
        if (scene.path !== null) model.edgesLeftOut.value = paintWakes(surface, scene, 0, 0);
      });
      ticks.draw((surface) => {
        surface.begin(scene.width, AXIS_HEIGHT, scene.inks.background);
        paintAxis(surface, scene, 0, 0);
      });
    };
    const stop = effect(() => {
      // Named so that a change of any of them asks for a new picture.
      void [view.value, model.visible.value, model.size.value, model.stamp.value, model.edges.value, matcher.value];
      void [model.path.value, dark.value, palette.value, timeFormat.value, grid.value, filterHides.value, currentRow.value];
      if (frame === 0) frame = requestAnimationFrame(paint);
    });
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [model]);

  useEffect(() => {
    const element = canvas.current;
    const ruler = axis.current;
    if (element === null || ruler === null) return;
    const rowAt = (y: number): Row | undefined => model.visible.peek()[Math.floor(y / ROW_HEIGHT)];
    const removeRows = installGestures(
      element,
      {
        click: (_, y, time) => {
          activePanel.value = panel.id;
          model.point(rowAt(y), time);
        },
        doubleClick: (_, y, time) => {
          const row = rowAt(y);
          if (row !== undefined) void model.zoomToState(row, time);
        },
        menu: (_, y, time, pageX, pageY) => {
          const row = rowAt(y);
          if (row === undefined) return;
          activePanel.value = panel.id;
          model.setCurrent(row);
          model.hover.value = null;
          void model.menu(row, time).then(
            (items) => (contextMenu.value = items.length > 0 ? { x: pageX, y: pageY, items } : null),
            (error: unknown) => say((error as Error).message),
          );
        },
        hover: (at) => {
          const row = at === null ? undefined : rowAt(at.y);
          model.hover.value =
            at === null || row === undefined ? null : { row, time: at.time, pageX: at.pageX, pageY: at.pageY };
        },
      },
      (range) => (zoomBox.value = range),
    );
    const removeAxis = installGestures(
      ruler,
      { dragZooms: true, wheelZooms: true, doubleClick: () => showAll() },
      (range) => (zoomBox.value = range),
    );
    return () => {
      removeRows();
      removeAxis();
    };
  }, [model]);

  const rows = model.rows.value;
  return (
    <div class="timeline" style={{ "--tree": `${treeWidth.value}px` }}>
      <div class="timeline-head" style={{ paddingRight: `${scrollbar.value}px` }}>
        <div class="timeline-corner faint">{axisDay(view.value, timeFormat.value)}</div>
        <div class="timeline-axis" ref={axis} title="Drag to zoom, wheel to zoom, double-click for everything" />
      </div>
      <div class="timeline-scroll" ref={scroller}>
        <div style={{ height: `${Math.max(1, rows.length) * ROW_HEIGHT}px` }}>
          <div class="timeline-pane" style={{ height: `${Math.max(ROW_HEIGHT, model.size.value.height)}px` }}>
            <Tree model={model} panel={panel} />
            <Splitter />
            <div class="timeline-rows" ref={host}>
              <div class="timeline-canvas" ref={canvas} />
              <Overlay model={model} zoomBox={zoomBox.value} />
            </div>
          </div>
        </div>
      </div>
      {rows.length === 0 && (
        <div class="timeline-empty">{filterHides.value ? "No row passes the filter in what is visible." : empty}</div>
      )}
      {model.error.value !== null && <div class="timeline-error">{model.error.value}</div>}
      {model.edgesLeftOut.value > 0 && <div class="timeline-note">{model.edgesLeftOut.value} more arrows: zoom in</div>}
      <Tooltip model={model} />
      <Spoken model={model} />
    </div>
  );
}

/** What the painter needs, as it is now; null before anything is open. */
export function sceneOf(model: TimelineModel): Scene | null {
  const judge = matcher.peek();
  if (judge === null) return null;
  const range = view.peek();
  const { width } = model.size.peek();
  return {
    source: model.source,
    range,
    width,
    rows: model.visible.peek(),
    picture: (row) => model.store.picture(row.node, range, width),
    curve: (row) => model.curves.picture(row.node, range, width),
    matcher: judge,
    hide: filterHides.peek(),
    palette: palette.peek(),
    inks: readInks(),
    format: timeFormat.peek(),
    grid: grid.peek(),
    edges: model.edges.peek(),
    path: model.path.peek(),
    places: model.places.peek(),
    current: currentRow.peek()?.id ?? "",
  };
}
