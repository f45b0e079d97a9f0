import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { shorten } from "../api/entities";
import type { Source } from "../api/source";
import { PanelFrame } from "../app/PanelFrame";
import { changePanel, type Panel } from "../app/layout";
import { layout, select, selection, timeFormat, view } from "../app/session";
import { tables } from "../export/save";
import { formatTime } from "../time/time";
import { EventPages, type EventRow } from "./event-pages";

const HEIGHT = 20;

/** View 7: the raw events, page by page around the moment that is looked at. */
export function EventsView({ panel, source }: { panel: Panel; source: Source }) {
  const filter = panel.options["name"] ?? "";
  const typed = useSignal(filter);
  const pages = useMemo(
    () => new EventPages((from, limit, signal) => source.events(from, limit, filter, signal), source.bounds),
    [source, filter],
  );
  const scroller = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(300);
  const focused = useSignal<bigint | null>(null);
  const ours = useRef<bigint | null>(null);
  const rows = pages.rows.value;
  const at = selection.value?.begin ?? null;
  const begin = view.value.begin;
  const anchor = at ?? begin;

  useEffect(() => () => pages.close(), [pages]);

  // Follows the cursor, or else the begin of what is visible, unless the cursor was set from here.
  useEffect(() => {
    if (ours.current === anchor) return;
    ours.current = null;
    const timer = setTimeout(() => {
      void pages.goTo(anchor).then((index) => {
        const element = scroller.current;
        if (element === null || index < 0) return;
        focused.value = pages.rows.peek()[index]?.time ?? null;
        requestAnimationFrame(() => (element.scrollTop = Math.max(0, index * HEIGHT - element.clientHeight / 3)));
      });
    }, 150);
    return () => clearTimeout(timer);
  }, [pages, anchor]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => (height.value = element.clientHeight));
    observer.observe(element);
    height.value = element.clientHeight;
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    tables.set(panel.id, () => [
      ["time_ns", "cpu", "name", "fields"],
      ...pages.rows.peek().map((row) => [row.time, row.cpu, row.name, row.fields]),
    ]);
    return () => void tables.delete(panel.id);
  }, [pages]);

  const onScroll = (): void => {
    const element = scroller.current;
    if (element === null) return;
    top.value = element.scrollTop;
    if (element.scrollTop + element.clientHeight > element.scrollHeight - 40 * HEIGHT) void pages.more();
    if (element.scrollTop < 20 * HEIGHT) {
      const before = pages.rows.peek().length;
      void pages.earlier().then(() => {
        // What was looked at stays where it is.
        const added = pages.rows.peek().length - before;
        if (added > 0) element.scrollTop += added * HEIGHT;
      });
    }
  };

  const choose = (row: EventRow): void => {
    focused.value = row.time;
    ours.current = row.time;
    select({ begin: row.time, end: row.time }, { reveal: true });
  };
  const move = (by: number): void => {
    const index = rows.findIndex((row) => row.time === focused.value);
    const next = Math.max(0, Math.min(rows.length - 1, index + by));
    const row = rows[next];
    const element = scroller.current;
    if (row === undefined || element === null) return;
    choose(row);
    if (next * HEIGHT < element.scrollTop) element.scrollTop = next * HEIGHT;
    else if ((next + 2) * HEIGHT > element.scrollTop + element.clientHeight)
      element.scrollTop = (next + 2) * HEIGHT - element.clientHeight;
  };

  const first = Math.max(0, Math.floor(top.value / HEIGHT) - 6);
  const last = Math.min(rows.length, Math.ceil((top.value + height.value) / HEIGHT) + 6);
  return (
    <PanelFrame
      panel={panel}
      busy={pages.busy}
      error={pages.error.value}
      controls={
        <label class="inline">
          <span class="label-text">Name</span>
          <input
            type="text"
            class="mono"
            placeholder="sched_*"
            spellcheck={false}
            value={typed.value}
            onInput={(event) => (typed.value = event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter")
                layout.value = changePanel(layout.peek(), panel.id, {
                  options: { ...panel.options, name: typed.value.trim() },
                });
              if (event.key === "Escape") event.currentTarget.blur();
            }}
          />
        </label>
      }
    >
      {!source.reply.has_events ? (
        <div class="data-empty">This source is a store: it keeps states, not the events behind them.</div>
      ) : (
        <div
          class="data-table events"
          ref={scroller}
          role="grid"
          aria-label="Events"
          tabIndex={0}
          onScroll={onScroll}
          onKeyDown={(event) => {
            const by: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20 };
            const step = by[event.key];
            if (step === undefined) return;
            move(step);
            event.preventDefault();
            event.stopPropagation();
          }}
          style={{ "--columns": "27ch 5ch 34ch minmax(60ch, 1fr)", "--least": "126ch" }}
        >
          <div class="data-head" role="row">
            {["Time", "CPU", "Event", "Fields"].map((title) => (
              <div key={title} role="columnheader">
                {title}
              </div>
            ))}
          </div>
          <div class="data-rows" style={{ height: `${rows.length * HEIGHT}px` }}>
            {rows.slice(first, last).map((row, index) => (
              <div
                key={first + index}
                role="row"
                class={`data-row openable ${row.time === focused.value ? "current" : ""}`}
                aria-selected={row.time === focused.value}
                style={{ transform: `translateY(${(first + index) * HEIGHT}px)` }}
                onClick={() => choose(row)}
              >
                <div role="gridcell" class="mono">
                  {formatTime(row.time, timeFormat.value, source.origin)}
                </div>
                <div role="gridcell">{row.cpu}</div>
                <div role="gridcell" title={shorten(row.name, 200)}>
                  {shorten(row.name, 80)}
                </div>
                <div role="gridcell" class="mono" title={shorten(row.fields, 1500)}>
                  {shorten(row.fields, 400)}
                </div>
              </div>
            ))}
          </div>
          {rows.length === 0 && <div class="data-empty">{pages.busy.value ? "…" : "No events from here on."}</div>}
        </div>
      )}
    </PanelFrame>
  );
}
