import { batch } from "@preact/signals";
import { ApiError, followProgress, getJson, postJson } from "../api/client";
import { shorten } from "../api/entities";
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
  unreachable,
  version,
  view,
} from "./session";

interface SourcesReply {
  version: string;
  sources: SourceSummary[];
}

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
async function refreshSource(id?: string): Promise<void> {
  const before = source.peek();
  if (before === null) return;
  const whole = sameRange(view.peek(), before.bounds);
  const after = await Source.open(id ?? before.id);
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

let comingBack = false;
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
  // Until what is open has been found again, ids may mean something else.
  if (comingBack || opened?.id !== summary.id || !grown) return;
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

/** How soon a server that has gone is looked for again. */
const AGAIN_MS = 1000;

/** Watches the sources until the page is closed; a server that goes away is waited for. */
export async function watchSources(): Promise<void> {
  for (;;) {
    try {
      await followProgress(
        () => {
          if (!unreachable.peek()) return;
          unreachable.value = false;
          if (!comingBack) void comeBack();
        },
        (element) => void onProgress(element),
        new AbortController().signal,
      );
    } catch {
      // Said below, as is an end without an error.
    }
    unreachable.value = true;
    await new Promise((done) => setTimeout(done, AGAIN_MS));
  }
}

/**
 * The server is there again, perhaps another one: what was open is opened anew by its name, since ids are the server's own,
 * and the picture stays until the new one is there.
 */
async function comeBack(): Promise<void> {
  comingBack = true;
  try {
    await findAgain();
  } finally {
    comingBack = false;
  }
}

async function findAgain(): Promise<void> {
  for (;;) {
    try {
      const reply = await getJson<SourcesReply>("/sources");
      sources.value = reply.sources;
      version.value = reply.version;
      const opened = source.peek();
      if (opened === null) return;
      const same = reply.sources.find((known) => known.name === opened.name);
      if (same === undefined) {
        problem.value = `The server is back, but has no source called “${shorten(opened.name, 80)}”.`;
        return;
      }
      await refreshSource(same.id);
      return;
    } catch {
      // It may have gone again, or have only begun to analyse.
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }
}

/** Asks what sources there are, until there is an answer; null, with the problem told, when it is a refusal. */
export async function listSources(): Promise<readonly SourceSummary[] | null> {
  for (;;) {
    try {
      const reply = await getJson<SourcesReply>("/sources");
      batch(() => {
        version.value = reply.version;
        sources.value = reply.sources;
        unreachable.value = false;
      });
      return reply.sources;
    } catch (error) {
      if (error instanceof ApiError) {
        problem.value = error.message;
        return null;
      }
      unreachable.value = true;
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }
}
