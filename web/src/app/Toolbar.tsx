import { shorten } from "../api/entities";
import { TIME_FORMATS, type TimeFormat } from "../time/time";
import { FilterBox } from "./FilterBox";
import { IconButton } from "./icons";
import { closePanel, panelsOf, VIEW_NAMES, VIEW_TITLES, VIEWS } from "./layout";
import { openSource } from "./opening";
import { RangeFields } from "./RangeFields";
import { SaveMenu } from "./SaveMenu";
import {
  addPanel,
  arrows,
  bookmarksOpen,
  helpOpen,
  layout,
  openPanel,
  palette,
  panBy,
  redoZoom,
  showAll,
  source,
  sources,
  theme,
  timeFormat,
  undoZoom,
  version,
  zoomBy,
} from "./session";

/** The page's bars: sources, views and looks; time and filter. */
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
        <select
          aria-label="Time format"
          title="How times are shown"
          value={timeFormat.value}
          onChange={(event) => (timeFormat.value = event.currentTarget.value as TimeFormat)}
        >
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
        <IconButton
          icon="bookmark"
          name="Bookmarks"
          pressed={bookmarksOpen.value}
          onClick={() => (bookmarksOpen.value = !bookmarksOpen.value)}
        />
        <button
          type="button"
          class="icon-button"
          title="Help (?)"
          aria-label="Help"
          onClick={() => (helpOpen.value = true)}
        >
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
            <IconButton
              icon="arrows"
              name="Arrows: who woke, interrupted or pre-empted whom (E)"
              pressed={arrows.value}
              onClick={() => (arrows.value = !arrows.value)}
            />
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
          {known.state === "analysing"
            ? ` (${percent(known.bytes_read, known.bytes)})`
            : known.state === "failed"
              ? " (failed)"
              : ""}
        </option>
      ))}
    </select>
  );
}

export function percent(part: number, whole: number): string {
  return whole > 0 ? `${Math.min(100, Math.floor((part / whole) * 100))} %` : "…";
}
