import { batch } from "@preact/signals";
import { ApiError, followProgress, getJson, postJson } from "../api/client";
import { Source } from "../api/source";
import type { SourceSummary } from "../api/types";
import { clamp, sameRange } from "../time/range";
import { firstLayout, layoutFromText, panelsOf } from "./layout";
import type { LinkState } from "./link";
import {
  activePanel,
  currentRow,
  forgetZooms,
  hidden,
  layout,
  loadBookmarks,
  maximised,
  opening,
  pins,
  problem,
  say,
  selection,
  source,
  sources,
  version,
  view,
} from "./session";

let openingNow: AbortController | null = null;

/** Opens a source; `link` is what to restore, else all of it is shown with the overview. */
export async function openSource(id: string, link?: LinkState): Promise<void> {
  openingNow?.abort();
  const controller = new AbortController();
  openingNow = controller;
  opening.value = true;
  try {
    const opened = await Source.open(id, controller.signal);
    if (controller.signal.aborted) return;
    forgetZooms();
    batch(() => {
      source.value = opened;
      problem.value = null;
      view.value = link?.range != null ? clamp(link.range, opened.bounds) : opened.bounds;
      selection.value = link?.selection ?? null;
      const row = opened.entities.find(link?.row ?? "");
      currentRow.value = row === undefined ? null : { id: row.key, entity: row.id, vcpu: -1 };
      layout.value = layoutFromText(link?.views ?? "") ?? firstLayout();
      activePanel.value = panelsOf(layout.value)[0]?.id ?? 0;
      maximised.value = 0;
      pins.value = link?.pins ?? [];
      hidden.value = new Set(link?.hidden ?? []);
      loadBookmarks(opened.name);
    });
  } catch (error) {
    if (!controller.signal.aborted) problem.value = `The source cannot be opened: ${(error as Error).message}`;
  } finally {
    if (openingNow === controller) opening.value = false;
  }
}

/** Loads what a source that is still being analysed has got meanwhile; what is shown stays. */
async function refreshSource(): Promise<void> {
  const before = source.peek();
  if (before === null) return;
  const whole = sameRange(view.peek(), before.bounds);
  const after = await Source.open(before.id);
  if (source.peek() !== before) return;
  batch(() => {
    source.value = after;
    if (whole) view.value = after.bounds;
  });
}

/** Asks the server to open what lies at `path` below its root, and shows it as soon as there is something to see. */
export async function openPath(path: string): Promise<void> {
  try {
    const summary = await postJson<SourceSummary>("/sources", { path });
    if (!sources.peek().some((known) => known.id === summary.id)) sources.value = [...sources.peek(), summary];
    if (summary.begin_ns !== null) await openSource(summary.id);
    else say("It is being opened; it can be chosen as soon as its begin is known.");
  } catch (error) {
    problem.value = `“${path.slice(0, 120)}” cannot be opened: ${(error as Error).message}`;
  }
}

/** At most one refresh in this time, so that a source that grows quickly stays usable. */
const REFRESH_MS = 1500;

let refreshing = false;
let grownMeanwhile = false;

async function onProgress(element: unknown): Promise<void> {
  const summary = element as SourceSummary;
  const known = sources.peek();
  const before = known.find((other) => other.id === summary.id);
  sources.value =
    before === undefined ? [...known, summary] : known.map((other) => (other.id === summary.id ? summary : other));
  const opened = source.peek();
  const grown =
    before !== undefined && (before.complete_to_ns !== summary.complete_to_ns || before.state !== summary.state);
  if (opened?.id !== summary.id || !grown) return;
  grownMeanwhile = true;
  if (refreshing) return;
  refreshing = true;
  try {
    while (grownMeanwhile) {
      grownMeanwhile = false;
      await refreshSource();
      await new Promise((done) => setTimeout(done, REFRESH_MS));
    }
  } catch (error) {
    problem.value = (error as Error).message;
  } finally {
    refreshing = false;
  }
}

/** Watches the sources until the page is closed; a connection that breaks is made again. */
export async function watchSources(): Promise<void> {
  for (;;) {
    try {
      await followProgress((element) => void onProgress(element), new AbortController().signal);
    } catch {
      // The server may be restarting; what is shown stays usable.
    }
    await new Promise((done) => setTimeout(done, 3000));
  }
}

/** Asks what sources there are; null, with the problem told, when there is no answer. */
export async function listSources(): Promise<readonly SourceSummary[] | null> {
  try {
    const reply = await getJson<{ version: string; sources: SourceSummary[] }>("/sources");
    batch(() => {
      version.value = reply.version;
      sources.value = reply.sources;
    });
    return reply.sources;
  } catch (error) {
    problem.value =
      error instanceof ApiError ? error.message : `The server does not answer: ${(error as Error).message}`;
    return null;
  }
}
