import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { shorten } from "../api/entities";
import { saveAs } from "../export/save";
import { formatDuration, formatTime, parseDuration, parseTime, TIME_FORMATS, type TimeFormat } from "../time/time";
import { Icon, IconButton } from "./icons";
import { closePanel, panelsOf, VIEW_NAMES, VIEWS, VIEW_TITLES } from "./layout";
import {
  addPanel,
  arrows,
  bookmarksOpen,
  dark,
  filter,
  filterHides,
  filterText,
  forgetFilter,
  helpOpen,
  layout,
  openPanel,
  openSource,
  palette,
  panBy,
  redoZoom,
  saveFilter,
  savedFilters,
  say,
  show,
  showAll,
  source,
  sources,
  theme,
  timeFormat,
  undoZoom,
  version,
  view,
  zoomBy,
} from "./session";

export function Toolbar() {
  return (
    <div class="toolbar" role="toolbar" aria-label="Page">
      <div class="toolbar-row">
        <span class="brand" title={`virtflow ${version.value}`}>
          virtflow
        </span>
        <SourcePicker />
        <nav class="views" aria-label="Views">
          {VIEWS.map((name, index) => {
            const open = panelsOf(layout.value).filter((panel) => panel.view === name);
            return (
              <button
                key={name}
                type="button"
                aria-pressed={open.length > 0}
                title={`${VIEW_TITLES[name]}${index < 9 ? ` (${index + 1})` : ""}\nShift+click: one more of it`}
                disabled={source.value === null && name !== "overview"}
                onClick={(event) => {
                  const [last] = open.slice(-1);
                  if (event.shiftKey) addPanel(name);
                  else if (last === undefined) openPanel(name);
                  else layout.value = closePanel(layout.peek(), last.id);
                }}
              >
                {VIEW_NAMES[name]}
              </button>
            );
          })}
        </nav>
        <span class="spring" />
        <SaveMenu />
        <select aria-label="Time format" title="How times are shown" value={timeFormat.value} onChange={(event) => (timeFormat.value = event.currentTarget.value as TimeFormat)}>
          {TIME_FORMATS.map((format) => (
            <option key={format.id} value={format.id}>
              {format.title}
            </option>
          ))}
        </select>
        <select
          aria-label="Colours"
          title="Light or dark; “classic” has Trace Compass's colours, the others suit colour-blind eyes too"
          value={`${theme.value} ${palette.value}`}
          onChange={(event) => {
            const [nextTheme, nextPalette] = event.currentTarget.value.split(" ");
            theme.value = nextTheme === "dark" || nextTheme === "light" ? nextTheme : "system";
            palette.value = nextPalette === "classic" ? "classic" : "safe";
          }}
        >
          {(["system", "light", "dark"] as const).map((name) => (
            <>
              <option value={`${name} safe`}>{THEME_TITLES[name]}</option>
              <option value={`${name} classic`}>{THEME_TITLES[name]}, classic</option>
            </>
          ))}
        </select>
        <IconButton icon="bookmark" name="Bookmarks" pressed={bookmarksOpen.value} onClick={() => (bookmarksOpen.value = !bookmarksOpen.value)} />
        <button type="button" class="icon-button" title="Help (?)" aria-label="Help" onClick={() => (helpOpen.value = true)}>
          ?
        </button>
      </div>
      {source.value !== null && (
        <div class="toolbar-row">
          <RangeFields />
          <div class="group">
            <IconButton icon="left" name="Pan left (A)" onClick={() => panBy(-0.25)} />
            <IconButton icon="right" name="Pan right (D)" onClick={() => panBy(0.25)} />
            <IconButton icon="plus" name="Zoom in (W)" onClick={() => zoomBy(0.5)} />
            <IconButton icon="minus" name="Zoom out (S)" onClick={() => zoomBy(2)} />
            <IconButton icon="fit" name="Show everything (0)" onClick={showAll} />
            <IconButton icon="undo" name="Undo zoom (Ctrl+Z)" onClick={undoZoom} />
            <IconButton icon="redo" name="Redo zoom (Ctrl+Y)" onClick={redoZoom} />
            <IconButton icon="arrows" name="Arrows: who woke, interrupted or pre-empted whom (E)" pressed={arrows.value} onClick={() => (arrows.value = !arrows.value)} />
          </div>
          <FilterBox />
        </div>
      )}
    </div>
  );
}

const THEME_TITLES = { system: "Auto", light: "Light", dark: "Dark" };

function SourcePicker() {
  const opened = source.value;
  return (
    <select
      class="source-picker"
      aria-label="Source"
      title="The trace or store that is shown"
      value={opened?.id ?? ""}
      onChange={(event) => {
        if (event.currentTarget.value !== "") void openSource(event.currentTarget.value);
      }}
    >
      {opened === null && <option value="">Open a source…</option>}
      {sources.value.map((known) => (
        <option key={known.id} value={known.id} disabled={known.state === "failed" || known.begin_ns === null}>
          {shorten(known.name, 40)}
          {known.state === "analysing" ? ` (${percent(known.bytes_read, known.bytes)})` : known.state === "failed" ? " (failed)" : ""}
        </option>
      ))}
    </select>
  );
}

export function percent(part: number, whole: number): string {
  return whole > 0 ? `${Math.min(100, Math.floor((part / whole) * 100))} %` : "…";
}

function SaveMenu() {
  const open = useSignal(false);
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open.value) return;
    const outside = (event: Event): void => {
      if (element.current?.contains(event.target as Node) !== true) open.value = false;
    };
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [open.value]);
  const item = (kind: "svg" | "png" | "csv", text: string) => (
    <button
      type="button"
      role="menuitem"
      onClick={() => {
        open.value = false;
        void saveAs(kind).then(say);
      }}
    >
      {text}
    </button>
  );
  return (
    <div
      class="menu"
      ref={element}
      onKeyDown={(event) => {
        if (event.key === "Escape" && open.value) {
          open.value = false;
          event.stopPropagation();
          element.current?.querySelector("button")?.focus();
        }
      }}
    >
      <button type="button" aria-haspopup="menu" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
        Export
      </button>
      {open.value && (
        <div class="menu-items" role="menu">
          {item("svg", "The active timeline as SVG")}
          {item("png", "The active timeline as PNG")}
          {item("csv", "The active view as CSV")}
        </div>
      )}
    </div>
  );
}

/** Begin, end and length of what is visible, to read and to type. */
function RangeFields() {
  const opened = source.value;
  if (opened === null) return null;
  const { begin, end } = view.value;
  const text = (time: bigint): string => formatTime(time, timeFormat.value, opened.origin);
  const read = (typed: string): bigint | null => parseTime(typed, timeFormat.peek(), opened.origin);
  return (
    <div class="range-fields">
      <Field name="Begin of what is visible" value={text(begin)} width="23ch" apply={(typed) => applyRange(read(typed), (time) => ({ begin: time, end: time < end ? end : time + (end - begin) }))} />
      <span class="faint">to</span>
      <Field name="End of what is visible" value={text(end)} width="23ch" apply={(typed) => applyRange(read(typed), (time) => ({ begin: begin < time ? begin : time - (end - begin), end: time }))} />
      <Field name="Length of what is visible" value={formatDuration(end - begin)} width="9ch" apply={(typed) => applyRange(parseDuration(typed), (length) => ({ begin, end: begin + length }))} />
    </div>
  );
}

function applyRange(value: bigint | null, range: (value: bigint) => { begin: bigint; end: bigint }): void {
  if (value === null) say("That is no time: write 12.5s, +300ms, 21:02:41.5 or nanoseconds.");
  else show(range(value));
}

function Field({ name, value, width, apply }: { name: string; value: string; width: string; apply: (typed: string) => void }) {
  const typed = useSignal<string | null>(null);
  return (
    <input
      type="text"
      class="mono"
      style={{ width }}
      aria-label={name}
      title={name}
      spellcheck={false}
      value={typed.value ?? value}
      onFocus={(event) => event.currentTarget.select()}
      onInput={(event) => (typed.value = event.currentTarget.value)}
      onBlur={() => (typed.value = null)}
      onKeyDown={(event) => {
        if (event.key === "Enter" && typed.value !== null) apply(typed.value);
        if (event.key === "Enter" || event.key === "Escape") {
          typed.value = null;
          event.currentTarget.blur();
        }
      }}
    />
  );
}

function FilterBox() {
  const { error } = filter.value;
  const text = filterText.value;
  return (
    <div class="filter">
      <label class="filter-box">
        <Icon name="zoom" />
        <input
          id="filter"
          type="text"
          class="mono"
          spellcheck={false}
          autocomplete="off"
          list="filter-examples"
          aria-label="Filter"
          aria-invalid={error !== null}
          aria-describedby="filter-error"
          placeholder="Filter:  state == preempted && duration > 1ms     (dims; Enter hides)"
          value={text}
          onInput={(event) => {
            filterText.value = event.currentTarget.value;
            filterHides.value = false;
          }}
          onKeyDown={(event) => {
            if (event.key === "Enter" && error === null && text !== "") filterHides.value = true;
            if (event.key === "Escape") {
              if (filterHides.value) filterHides.value = false;
              else if (text !== "") filterText.value = "";
              else event.currentTarget.blur();
            }
          }}
        />
        <datalist id="filter-examples">
          <option value="state == preempted && duration > 1ms" />
          <option value="state == halted && cause == timer" />
          <option value="by matches qemu" />
          <option value="confidence == proved" />
          <option value="cause present && !(cause == idle)" />
        </datalist>
      </label>
      <span id="filter-error" class="filter-error" role="status">
        {error ?? ""}
      </span>
      {text !== "" && (
        <>
          <button type="button" class="small" aria-pressed={filterHides.value} title="Dim what does not match, or hide it (Enter)" onClick={() => (filterHides.value = !filterHides.value)}>
            {filterHides.value ? "Hidden" : "Dimmed"}
          </button>
          <IconButton icon="star" name="Keep this filter" onClick={() => saveFilter(text)} />
          <IconButton
            icon="close"
            name="Clear the filter"
            onClick={() => {
              filterText.value = "";
              filterHides.value = false;
            }}
          />
        </>
      )}
      {savedFilters.value.map((saved) => (
        <span class={`chip ${saved === text ? "on" : ""}`} key={saved}>
          <button
            type="button"
            title={saved}
            onClick={() => {
              filterText.value = saved === text ? "" : saved;
              filterHides.value = false;
            }}
          >
            {shorten(saved, 22)}
          </button>
          <button type="button" class="chip-close" aria-label={`Forget ${saved}`} onClick={() => forgetFilter(saved)}>
            <Icon name="close" />
          </button>
        </span>
      ))}
    </div>
  );
}

/** Marks the page for the style sheet. */
export function themeName(): string {
  return dark.value ? "dark" : "light";
}
