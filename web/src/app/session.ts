import { batch, computed, effect, signal } from "@preact/signals";
import { isWorker } from "../api/critical";
import type { Entity } from "../api/entities";
import type { Source } from "../api/source";
import type { SourceSummary } from "../api/types";
import { FilterError } from "../filter/lexer";
import { parseFilter, type Expression } from "../filter/parser";
import type { PaletteName } from "../timeline/palette";
import { ZoomHistory } from "../time/history";
import { around, clamp, pan, reveal, sameRange, zoom, type Range } from "../time/range";
import { TIME_FORMATS, type TimeFormat } from "../time/time";
import { withAsk, type PathAsk } from "../views/path-ask";
import { membersOf, withMembers } from "../views/path-set";
import { bookmarksFromText, bookmarksToText, type Bookmark } from "./bookmarks";
import { changePanel, firstLayout, newColumn, newPanel, openView, panelsOf, type Layout, type ViewName } from "./layout";

/** What the whole page shares: the opened source, what is looked at, and how. */

export type Theme = "system" | "light" | "dark";

export interface MenuItem {
  text: string;
  keys?: string;
  act: () => void;
}

const NOTHING: Range = { begin: 0n, end: 1_000n };

export const version = signal("");
export const sources = signal<readonly SourceSummary[]>([]);
export const source = signal<Source | null>(null);
export const opening = signal(false);
export const problem = signal<string | null>(null);
/** Whether the server has gone away, for now at least. */
export const unreachable = signal(false);

export const view = signal<Range>(NOTHING);
export const selection = signal<Range | null>(null);
export const mouseTime = signal<bigint | null>(null);
/** The row that keys act on; its key, and its lane. */
export const currentRow = signal<{ id: string; entity: number; vcpu: number } | null>(null);

export const layout = signal<Layout>(firstLayout());
export const activePanel = signal(0);
export const maximised = signal(0);

export const filterText = signal("");
export const filterHides = signal(false);
export const muted = signal<ReadonlySet<string>>(new Set());
export const pins = signal<readonly string[]>([]);
export const hidden = signal<ReadonlySet<string>>(new Set());
export const arrows = signal(false);
export const grid = signal(true);
export const helpOpen = signal(false);
export const bookmarksOpen = signal(false);
/** What can be done with what was clicked with the other button, and where it was. */
export const contextMenu = signal<{ x: number; y: number; items: readonly MenuItem[] } | null>(null);
/** What was just said to the user, also read aloud. */
export const notice = signal("");

function stored<T extends string>(key: string, known: readonly T[], otherwise: T): T {
  const value = localStorage.getItem(`virtflow.${key}`);
  return known.find((candidate) => candidate === value) ?? otherwise;
}

export const theme = signal<Theme>(stored("theme", ["system", "light", "dark"], "system"));
export const palette = signal<PaletteName>(stored("palette", ["safe", "classic"], "safe"));
export const timeFormat = signal<TimeFormat>(
  stored(
    "time",
    TIME_FORMATS.map((format) => format.id),
    "utc",
  ),
);

const systemDark = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(systemDark.matches);
systemDark.addEventListener("change", () => (systemIsDark.value = systemDark.matches));
export const dark = computed(() => theme.value === "dark" || (theme.value === "system" && systemIsDark.value));

// Before anything else follows the theme: pictures read their colours from the style sheet.
effect(() => {
  document.documentElement.dataset["theme"] = dark.value ? "dark" : "light";
});

/** The range that tables are about: the selection, or all that is visible. */
export const subject = computed<Range>(() => {
  const chosen = selection.value;
  return chosen !== null && chosen.end > chosen.begin ? chosen : view.value;
});

/** The table whose row was followed to what is selected now: it stays about what it was about. 0: none. */
export const followedFrom = signal(0);

/** The moment that point views are about. */
export const cursor = computed<bigint | null>(() => selection.value?.begin ?? null);

export interface Filter {
  expression: Expression | null;
  error: string | null;
}

export const filter = computed<Filter>(() => {
  try {
    return { expression: parseFilter(filterText.value), error: null };
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    return { expression: null, error: `${error.message} (at ${error.at + 1})` };
  }
});

const bookmarkLists = signal<readonly Bookmark[]>([]);
export const bookmarks = computed(() => bookmarkLists.value);

export function setBookmarks(next: readonly Bookmark[]): void {
  bookmarkLists.value = next;
  const opened = source.peek();
  if (opened !== null) localStorage.setItem(`virtflow.bookmarks.${opened.name}`, bookmarksToText(next));
}

/** Those that this browser keeps for a source. */
export function loadBookmarks(name: string): void {
  bookmarkLists.value = bookmarksFromText(localStorage.getItem(`virtflow.bookmarks.${name}`));
}

export const savedFilters = signal<readonly string[]>(readSavedFilters());

function readSavedFilters(): string[] {
  try {
    const parsed: unknown = JSON.parse(localStorage.getItem("virtflow.filters") ?? "[]");
    return Array.isArray(parsed) ? parsed.map(String).slice(0, 4) : [];
  } catch {
    return [];
  }
}

/** Keeps a filter; the oldest of more than four is forgotten. */
export function saveFilter(text: string): void {
  if (text.trim() === "") return;
  const next = [text, ...savedFilters.peek().filter((other) => other !== text)].slice(0, 4);
  savedFilters.value = next;
  localStorage.setItem("virtflow.filters", JSON.stringify(next));
}

export function forgetFilter(text: string): void {
  const next = savedFilters.peek().filter((other) => other !== text);
  savedFilters.value = next;
  localStorage.setItem("virtflow.filters", JSON.stringify(next));
}

let zooms = new ZoomHistory();

/** Another source has other ranges. */
export function forgetZooms(): void {
  zooms = new ZoomHistory();
}

/** Shows another range; the one before can be had back. */
export function show(range: Range): void {
  const opened = source.peek();
  if (opened === null) return;
  const next = clamp(range, opened.bounds);
  const before = view.peek();
  if (sameRange(next, before)) return;
  zooms.leave(before, performance.now());
  view.value = next;
}

export function zoomBy(factor: number, fraction = 0.5): void {
  const opened = source.peek();
  if (opened !== null) show(zoom(view.peek(), factor, fraction, opened.bounds));
}

/** Zooms around the cursor when it is visible, else around the middle. */
export function zoomAtCursor(factor: number): void {
  const at = mouseTime.peek() ?? cursor.peek();
  const range = view.peek();
  const inside = at !== null && at >= range.begin && at < range.end;
  zoomBy(factor, inside ? Number(at - range.begin) / Number(range.end - range.begin) : 0.5);
}

export function panBy(fraction: number): void {
  const opened = source.peek();
  if (opened !== null) show(pan(view.peek(), fraction, opened.bounds));
}

export function showAll(): void {
  const opened = source.peek();
  if (opened !== null) show(opened.bounds);
}

export function zoomToSelection(): void {
  const chosen = selection.peek();
  if (chosen !== null && chosen.end > chosen.begin) show(chosen);
}

export function undoZoom(): void {
  const range = zooms.undo(view.peek());
  if (range !== null) view.value = range;
}

export function redoZoom(): void {
  const range = zooms.redo(view.peek());
  if (range !== null) view.value = range;
}

/** Selects a stretch (or a moment) and brings its begin into view. */
export function select(range: Range | null, options: { reveal?: boolean; focus?: boolean } = {}): void {
  const opened = source.peek();
  if (opened === null) return;
  batch(() => {
    selection.value = range;
    followedFrom.value = 0;
    if (range === null) return;
    if (options.focus === true) show(around(range, opened.bounds));
    else if (options.reveal === true) show(reveal(view.peek(), range.begin, opened.bounds));
  });
}

export function say(text: string): void {
  notice.value = text;
}

/** Opens a view, or makes the open one active. */
export function openPanel(name: ViewName, options?: Record<string, string>): void {
  const open = panelsOf(layout.peek()).find(
    (panel) => panel.view === name && (options === undefined || sameOptions(panel.options, options)),
  );
  if (open !== undefined) {
    activePanel.value = open.id;
    return;
  }
  addPanel(name, options);
}

/** Opens a view even if it is open: the same thing twice, with other options. */
export function addPanel(name: ViewName, options?: Record<string, string>, weight?: number): void {
  const panel = newPanel(name, options, weight);
  batch(() => {
    layout.value = openView(layout.peek(), panel);
    activePanel.value = panel.id;
    maximised.value = 0;
  });
}

/** Says who took the processor from an entity, in the open view of that kind if there is one. */
export function openTaken(key: string): void {
  const open = panelsOf(layout.peek()).find((panel) => panel.view === "taken");
  if (open === undefined) {
    addPanel("taken", { of: key });
    return;
  }
  batch(() => {
    layout.value = changePanel(layout.peek(), open.id, { options: { ...open.options, of: key } });
    activePanel.value = open.id;
  });
}

/** Shows the critical path of a worker, in the open view of that kind if there is one. */
export function openPath(ask: PathAsk, tab = ""): void {
  const open = panelsOf(layout.peek()).find((panel) => panel.view === "path");
  const { tab: _, ...others } = withAsk(open?.options ?? {}, ask);
  const options = tab === "" ? others : { ...others, tab };
  if (open === undefined) {
    addPanel("path", options, 1.5);
    return;
  }
  batch(() => {
    layout.value = changePanel(layout.peek(), open.id, { options });
    activePanel.value = open.id;
    if (maximised.peek() !== 0) maximised.value = open.id;
  });
}

/** Puts a worker to those of which the open path says what they wait for together; without one, its path opens. */
export function openTogether(entity: Entity): void {
  const opened = source.peek();
  if (opened === null) return;
  if (!isWorker(entity)) {
    say("Only threads, vCPUs and guest processes wait for somebody.");
    return;
  }
  const open = panelsOf(layout.peek()).find((panel) => panel.view === "path");
  const members = membersOf(open?.options ?? {});
  const name = opened.entities.title(entity.id);
  if (open === undefined || members.length === 0) {
    const range = view.peek();
    openPath({ of: entity.key, range: sameRange(range, opened.bounds) ? null : range, grain: null }, "together");
    say(`${name}: now add another.`);
    return;
  }
  const all = members.includes(entity.key) ? members : [...members, entity.key];
  batch(() => {
    const options = { ...withMembers(open.options, all), tab: "together" };
    layout.value = changePanel(layout.peek(), open.id, { options });
    if (maximised.peek() !== 0) maximised.value = open.id;
  });
  say(`${name} is looked at together with ${all.length - 1} more.`);
}

/** Says why an interval took as long as it did: the critical path of whose it is, while it lasted. */
export function openWhy(interval: { entity: number; start: number; end: number }): void {
  const opened = source.peek();
  const entity = opened?.entities.get(interval.entity);
  if (opened === null || entity === undefined) return;
  if (!isWorker(entity)) {
    say("Only threads, vCPUs and guest processes wait for somebody.");
    return;
  }
  const range = { begin: opened.moment(interval.start), end: opened.moment(interval.end) };
  batch(() => {
    currentRow.value = { id: entity.key, entity: entity.id, vcpu: -1 };
    select(range, { focus: true });
    openPath({ of: entity.key, range, grain: null }, "steps");
  });
}

/** Replaces what is open by these views, column by column. */
export function batchOpen(columns: readonly (readonly ViewName[])[]): void {
  const next = columns.map((views, index) =>
    newColumn(
      views.map((name) => newPanel(name)),
      index === 0 ? 1.6 : 1,
    ),
  );
  batch(() => {
    layout.value = next;
    activePanel.value = next[0]?.panels[0]?.id ?? 0;
    maximised.value = 0;
  });
}

function sameOptions(a: Readonly<Record<string, string>>, b: Record<string, string>): boolean {
  return Object.entries(b).every(([name, value]) => a[name] === value);
}

/** Goes to a place that a finding or a table, the panel `from`, names: row, selection and range. */
export function goTo(entity: number, range: Range, vcpu = -1, from = 0): void {
  const opened = source.peek();
  if (opened === null) return;
  const found = opened.entities.get(entity);
  batch(() => {
    if (found !== undefined) currentRow.value = { id: found.key, entity, vcpu };
    const timeline = viewOf(found?.kind ?? "");
    if (timeline !== null && !panelsOf(layout.peek()).some((panel) => panel.view === timeline)) openPanel(timeline);
    select(range, { focus: true });
    followedFrom.value = from;
  });
}

function viewOf(kind: string): ViewName | null {
  if (kind === "vcpu" || kind === "nested-vcpu" || kind === "vm" || kind === "nested-vm") return "vms";
  if (kind === "process" || kind === "guest-thread") return "processes";
  return kind === "cpu" || kind === "thread" || kind === "device" || kind === "container" ? "resources" : null;
}
