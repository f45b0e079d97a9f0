import { timelines, type TimelineModel } from "../timeline/model";
import { addBookmark, stepBookmark } from "./Bookmarks";
import { closePanel, panelsOf, VIEWS } from "./layout";
import {
  activePanel,
  arrows,
  bookmarksOpen,
  currentRow,
  cursor,
  dark,
  filterText,
  goTo,
  grid,
  helpOpen,
  layout,
  maximised,
  mouseTime,
  openPanel,
  openTogether,
  panBy,
  redoZoom,
  say,
  select,
  selection,
  showAll,
  source,
  theme,
  undoZoom,
  zoomAtCursor,
  zoomToSelection,
} from "./session";

/** The timeline that keys act on: the active one, unless another one shows the current row. */
export function activeTimeline(): TimelineModel | undefined {
  const active = timelines.get(activePanel.peek());
  const all = [...timelines.values()];
  if (active?.current !== undefined) return active;
  return all.find((timeline) => timeline.current !== undefined) ?? active ?? all[0];
}

/** A step at once, and steady motion while a key is held. */
const MOTIONS: Record<string, { step: () => void; glide: (seconds: number) => void }> = {
  w: { step: () => zoomAtCursor(0.75), glide: (s) => zoomAtCursor(Math.exp(-2.4 * s)) },
  s: { step: () => zoomAtCursor(1 / 0.75), glide: (s) => zoomAtCursor(Math.exp(2.4 * s)) },
  a: { step: () => panBy(-0.12), glide: (s) => panBy(-1.1 * s) },
  d: { step: () => panBy(0.12), glide: (s) => panBy(1.1 * s) },
};
for (const [alias, key] of [
  ["i", "w"],
  ["k", "s"],
  ["j", "a"],
  ["l", "d"],
] as const) {
  const motion = MOTIONS[key];
  if (motion !== undefined) MOTIONS[alias] = motion;
}

const HOLD_MS = 220;

class Glide {
  private held: string | null = null;
  private frame = 0;

  press(key: string): void {
    const motion = MOTIONS[key];
    if (motion === undefined || this.held === key) return;
    this.release();
    this.held = key;
    motion.step();
    const since = performance.now();
    let last = since;
    const run = (now: number): void => {
      if (this.held !== key) return;
      if (now - since > HOLD_MS) motion.glide(Math.min(0.05, (now - last) / 1000));
      last = now;
      this.frame = requestAnimationFrame(run);
    };
    this.frame = requestAnimationFrame(run);
  }

  release(key?: string): void {
    if (key !== undefined && key !== this.held) return;
    this.held = null;
    cancelAnimationFrame(this.frame);
  }
}

const glide = new Glide();

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, textarea, select, dialog") !== null;
}

/** Whether an element does something of its own with Enter, Space and arrows. */
function ownsKeys(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && target.closest("button, [role=grid], [role=separator], a, [role=menu]") !== null
  );
}

async function searchMatch(to: "next" | "previous"): Promise<void> {
  const opened = source.peek();
  const filter = filterText.peek();
  if (opened === null || filter === "") {
    say("Write a filter first (/).");
    return;
  }
  // The server finds what begins at or after, or what begins before.
  const at = cursor.peek();
  const from = to === "next" ? (at === null ? opened.bounds.begin : at + 1n) : (at ?? opened.bounds.end);
  if (from >= opened.bounds.end && to === "next") return;
  const found = await opened.search(filter, from, to);
  if (found === null) say(to === "next" ? "No match follows." : "No match comes before.");
  else goTo(found.entity, { begin: opened.moment(found.start), end: opened.moment(found.end) }, found.vcpu);
}

function markState(): void {
  const timeline = activeTimeline();
  const row = timeline?.current;
  const time = cursor.peek() ?? mouseTime.peek();
  if (timeline === undefined || row === undefined || time === null) {
    say("Click a state first.");
    return;
  }
  void timeline.intervalAt(row, time).then((interval) => interval !== null && timeline.selectInterval(interval));
}

/** Widens or narrows the selection by a state with Shift and an arrow. */
async function extend(to: "next" | "previous"): Promise<void> {
  const before = selection.peek();
  const timeline = activeTimeline();
  if (before === null || timeline === undefined) return;
  const row = timeline.current;
  if (row === undefined) return;
  const interval = await timeline.intervalAt(row, to === "next" ? before.end : before.begin - 1n);
  const opened = source.peek();
  if (interval === null || opened === null) return;
  select(
    to === "next"
      ? { begin: before.begin, end: opened.moment(interval.end) }
      : { begin: opened.moment(interval.start), end: before.end },
  );
}

/** Why the state at the cursor took so long. */
/** Puts the current row's worker to those that are looked at together. */
function addToTogether(): void {
  const entity = source.peek()?.entities.get(currentRow.peek()?.entity ?? -1);
  if (entity === undefined) say("Choose a row of a thread, vCPU or process first.");
  else openTogether(entity);
}

function whyHere(): void {
  const timeline = activeTimeline();
  const row = timeline?.current;
  const time = cursor.peek() ?? mouseTime.peek();
  if (timeline === undefined || row === undefined || time === null) {
    say("Click a state first.");
    return;
  }
  act(timeline.why(row, time));
}

function escape(): void {
  if (bookmarksOpen.peek()) bookmarksOpen.value = false;
  else if (maximised.peek() !== 0) maximised.value = 0;
  else if (selection.peek() !== null) select(null);
}

function toggleView(index: number): void {
  const name = VIEWS[index];
  if (name === undefined || source.peek() === null) return;
  const open = panelsOf(layout.peek()).find((panel) => panel.view === name);
  if (open === undefined) openPanel(name);
  else layout.value = closePanel(layout.peek(), open.id);
}

function act(promise: Promise<unknown> | undefined): void {
  promise?.catch((error: unknown) => say(error instanceof Error ? error.message : String(error)));
}

function withControl(event: KeyboardEvent): boolean {
  switch (event.key.toLowerCase()) {
    case "z":
      if (event.shiftKey) redoZoom();
      else undoZoom();
      return true;
    case "y":
      redoZoom();
      return true;
    case "f":
      document.getElementById("filter")?.focus();
      return true;
    default:
      return false;
  }
}

function plain(event: KeyboardEvent): boolean {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const timeline = activeTimeline();
  const row = timeline?.current;
  const owned = ownsKeys(event.target);
  if (MOTIONS[key] !== undefined && !event.shiftKey) {
    glide.press(key);
    return true;
  }
  switch (event.key) {
    case "/":
      document.getElementById("filter")?.focus();
      return true;
    case "?":
      helpOpen.value = true;
      return true;
    case "[":
      act(timeline?.follow("back"));
      return true;
    case "]":
      act(timeline?.follow("forth"));
      return true;
    case ".":
      act(timeline?.step("next"));
      return true;
    case ",":
      act(timeline?.step("previous"));
      return true;
    case ">":
      stepBookmark("next");
      return true;
    case "<":
      stepBookmark("previous");
      return true;
    case "ArrowRight":
    case "ArrowLeft": {
      if (owned) return false;
      const to = event.key === "ArrowRight" ? "next" : "previous";
      act(event.shiftKey ? extend(to) : timeline?.step(to));
      return true;
    }
    case "ArrowUp":
    case "ArrowDown":
      if (owned) return false;
      timeline?.moveRow(event.key === "ArrowUp" ? -1 : 1);
      return true;
    case "PageUp":
    case "PageDown":
      if (owned || timeline === undefined) return false;
      timeline.moveRow((event.key === "PageUp" ? -1 : 1) * Math.max(1, timeline.capacity.peek() - 2));
      return true;
    case "Enter":
    case " ":
      if (owned || row === undefined) return false;
      timeline?.toggle(row);
      return true;
    case "0":
    case "Home":
      if (owned && event.key === "Home") return false;
      showAll();
      return true;
    case "Escape":
      escape();
      return true;
  }
  switch (key) {
    case "z":
      zoomToSelection();
      return true;
    case "f":
      act(timeline?.focus());
      return true;
    case "p":
      if (row !== undefined) timeline?.togglePin(row);
      return true;
    case "h":
      if (row !== undefined) timeline?.hideRow(row);
      return true;
    case "m":
      markState();
      return true;
    case "c":
      whyHere();
      return true;
    case "q":
      addToTogether();
      return true;
    case "b":
      addBookmark();
      return true;
    case "e":
      arrows.value = !arrows.peek();
      return true;
    case "g":
      grid.value = !grid.peek();
      return true;
    case "n":
      act(searchMatch(event.shiftKey ? "previous" : "next"));
      return true;
    case "t":
      theme.value = dark.peek() ? "light" : "dark";
      return true;
  }
  if (/^[1-9]$/.test(event.key)) {
    toggleView(Number(event.key) - 1);
    return true;
  }
  return false;
}

/** Installs the page's keys. */
export function installKeys(): void {
  addEventListener("keydown", (event) => {
    if (isTyping(event.target) || event.altKey) return;
    if (source.peek() === null && event.key !== "?") return;
    const taken = event.ctrlKey || event.metaKey ? withControl(event) : plain(event);
    if (taken) event.preventDefault();
  });
  addEventListener("keyup", (event) => glide.release(event.key.toLowerCase()));
  addEventListener("blur", () => glide.release());
}
