import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { tables } from "../export/save";

export interface TableColumn<Row> {
  title: string;
  /** What is sorted by, and written to CSV files. */
  value: (row: Row) => string | number | bigint;
  render?: (row: Row) => ComponentChildren;
  /** A number: right-aligned, and sorted from the largest. */
  numeric?: boolean;
  /** Its least width in letters. */
  width?: number;
  /** Its share of the room that is left; columns without it keep their width. */
  grow?: number;
  tip?: string;
}

interface Props<Row> {
  panel: number;
  name: string;
  columns: readonly TableColumn<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  /** Enter, or a click. */
  onOpen?: ((row: Row) => void) | undefined;
  isCurrent?: ((row: Row) => boolean) | undefined;
  empty: string;
  /** The column sorted by at first, or none to keep the rows' own order. */
  sortBy?: number;
}

const HEIGHT = 22;

/** A sortable table that only has the visible rows in the page. */
export function DataTable<Row>({ panel, name, columns, rows, rowKey, onOpen, isCurrent, empty, sortBy }: Props<Row>) {
  const sort = useSignal<{ column: number; down: boolean } | null>(
    sortBy === undefined ? null : { column: sortBy, down: columns[sortBy]?.numeric === true },
  );
  const scroller = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(300);
  const focused = useSignal(0);

  const ordered = useMemo(() => {
    const chosen = sort.value;
    const column = chosen === null ? undefined : columns[chosen.column];
    if (chosen === null || column === undefined) return rows;
    const sign = chosen.down ? -1 : 1;
    return [...rows].sort((a, b) => sign * compare(column.value(a), column.value(b)));
  }, [rows, columns, sort.value]);

  useEffect(() => {
    tables.set(panel, () => [
      columns.map((column) => column.title),
      ...ordered.map((row) => columns.map((column) => column.value(row))),
    ]);
    return () => void tables.delete(panel);
  }, [panel, ordered, columns]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => (height.value = element.clientHeight));
    observer.observe(element);
    height.value = element.clientHeight;
    return () => observer.disconnect();
  }, []);

  const first = Math.max(0, Math.floor(top.value / HEIGHT) - 4);
  const last = Math.min(ordered.length, Math.ceil((top.value + height.value) / HEIGHT) + 4);
  const widthOf = (column: TableColumn<Row>): number => column.width ?? (column.numeric === true ? 11 : 12);
  const template = columns
    .map((column) =>
      column.grow === undefined ? `${widthOf(column)}ch` : `minmax(${widthOf(column)}ch, ${column.grow}fr)`,
    )
    .join(" ");
  const least = `${columns.reduce((sum, column) => sum + widthOf(column), 0)}ch`;
  const move = (to: number): void => {
    const next = Math.max(0, Math.min(ordered.length - 1, to));
    focused.value = next;
    const element = scroller.current;
    if (element === null) return;
    if (next * HEIGHT < element.scrollTop) element.scrollTop = next * HEIGHT;
    else if ((next + 2) * HEIGHT > element.scrollTop + element.clientHeight)
      element.scrollTop = (next + 2) * HEIGHT - element.clientHeight;
  };
  const onKey = (event: KeyboardEvent): void => {
    const page = Math.max(1, Math.floor(height.value / HEIGHT) - 2);
    const to: Record<string, number> = {
      ArrowDown: focused.value + 1,
      ArrowUp: focused.value - 1,
      PageDown: focused.value + page,
      PageUp: focused.value - page,
      Home: 0,
      End: ordered.length - 1,
    };
    const target = to[event.key];
    if (target !== undefined) move(target);
    else if (event.key === "Enter") {
      const row = ordered[focused.value];
      if (row !== undefined) onOpen?.(row);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      class="data-table"
      ref={scroller}
      role="grid"
      aria-label={name}
      aria-rowcount={ordered.length + 1}
      tabIndex={0}
      style={{ "--columns": template, "--least": least }}
      onScroll={(event) => (top.value = event.currentTarget.scrollTop)}
      onKeyDown={onKey}
    >
      <div class="data-head" role="row">
        {columns.map((column, index) => {
          const chosen = sort.value?.column === index ? sort.value : null;
          return (
            <div
              key={column.title}
              role="columnheader"
              class={column.numeric === true ? "numeric" : ""}
              aria-sort={chosen === null ? "none" : chosen.down ? "descending" : "ascending"}
            >
              <button
                type="button"
                tabIndex={-1}
                title={column.tip ?? `Sort by ${column.title}`}
                onClick={() => {
                  const first = column.numeric === true;
                  // Where rows have an order of their own, the third click is back at it.
                  const back = chosen !== null && chosen.down !== first && sortBy === undefined;
                  sort.value = back ? null : { column: index, down: chosen === null ? first : !chosen.down };
                }}
              >
                {column.title}
                <span class="sort-mark">{chosen === null ? "" : chosen.down ? "▾" : "▴"}</span>
              </button>
            </div>
          );
        })}
      </div>
      <div class="data-rows" style={{ height: `${ordered.length * HEIGHT}px` }}>
        {ordered.slice(first, last).map((row, index) => {
          const at = first + index;
          return (
            <div
              key={rowKey(row)}
              role="row"
              aria-rowindex={at + 2}
              aria-selected={isCurrent?.(row) ?? at === focused.value}
              class={`data-row ${at === focused.value ? "focused" : ""} ${isCurrent?.(row) === true ? "current" : ""} ${onOpen === undefined ? "" : "openable"}`}
              style={{ transform: `translateY(${at * HEIGHT}px)` }}
              onClick={() => {
                focused.value = at;
                onOpen?.(row);
              }}
            >
              {columns.map((column) => {
                const value = column.value(row);
                return (
                  <div
                    key={column.title}
                    role="gridcell"
                    class={column.numeric === true ? "numeric" : ""}
                    title={typeof value === "string" ? value.slice(0, 400) : undefined}
                  >
                    {column.render === undefined ? String(value).slice(0, 400) : column.render(row)}
                  </div>
                );
              })}
            </div>
          );
        })}
      </div>
      {ordered.length === 0 && <div class="data-empty">{empty}</div>}
    </div>
  );
}

function compare(a: string | number | bigint, b: string | number | bigint): number {
  if (typeof a === "string" && typeof b === "string") return a.localeCompare(b, "en", { numeric: true });
  return a < b ? -1 : a > b ? 1 : 0;
}
