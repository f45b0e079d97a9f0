import { computed, useComputed } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo } from "preact/hooks";
import { isWorker, type CriticalPath, type Grain } from "../api/critical";
import { shorten } from "../api/entities";
import type { Source } from "../api/source";
import type { Together } from "../api/together";
import { PanelFrame } from "../app/PanelFrame";
import { changePanel, panelsOf, type Panel } from "../app/layout";
import { currentRow, layout, palette, selection, subject, timeFormat, view } from "../app/session";
import { useReply } from "../app/use-reply";
import { seeLanes } from "../timeline/legend-items";
import { TimelineBody, useTimeline } from "../timeline/Timeline";
import { isWait } from "../timeline/palette";
import { pathTree, stepsByWorker } from "../timeline/path-steps";
import { sameRange, type Range } from "../time/range";
import { formatDuration, formatTime, grouped } from "../time/time";
import { askFromText, askOf, askToText, sameAsk, withAsk, type PathAsk } from "./path-ask";
import { membersOf, withMembers } from "./path-set";
import { doubts } from "./path-words";
import { PathTogether } from "./PathTogether";
import { PathCompared, PathSteps, PathTreeTable } from "./PathTables";
import { WorkerPicker, workersLike } from "./WorkerPicker";

/** A path, and what was asked for. */
interface Told {
  ask: PathAsk;
  path: CriticalPath;
}

const TABS = [
  { id: "", title: "What it came to" },
  { id: "steps", title: "Steps" },
  { id: "together", title: "Waiting for the same" },
  { id: "compare", title: "Compare" },
] as const;

type Tab = (typeof TABS)[number]["id"];

const GRAIN_TITLES: readonly [Grain | "", string][] = [
  ["", "as it is"],
  ["thread", "host threads"],
  ["vcpu", "vCPUs"],
  ["process", "guest processes"],
];

/** Whose time it was while a worker waited: steps over time with who woke whom, and what they come to. */
export function PathView({ panel, source }: { panel: Panel; source: Source }) {
  const options = useComputed(() => panelsOf(layout.value).find((other) => other.id === panel.id)?.options ?? panel.options);
  const ask = useMemo(() => askOf(options.value), [options.value]);
  const members = useMemo(() => membersOf(options.value), [options.value]);
  const pinned = useMemo(() => askFromText(options.value["vs"]), [options.value]);
  const row = currentRow.value;
  const setOptions = (next: Record<string, string>): void => {
    layout.value = changePanel(layout.peek(), panel.id, { options: next });
  };
  const setAsk = (next: PathAsk): void => setOptions(withAsk(panelOptions(panel), next));
  const setTab = (tab: Tab): void => {
    const { tab: _, ...others } = panelOptions(panel);
    setOptions(tab === "" ? others : { ...others, tab });
  };
  // As long as nobody is chosen, the first row that is will be it.
  useEffect(() => {
    const entity = source.entities.get(row?.entity ?? -1);
    if (ask === null && entity !== undefined && isWorker(entity)) setAsk({ of: entity.key, range: subjectOf(source), grain: null });
  }, [ask, row, source]);

  const told = useTold(source, ask);
  const other = useTold(source, pinned);
  const current = told.value.value;
  const path = current !== null && ask !== null && sameAsk(current.ask, ask) && told.error.value === null ? current.path : null;
  const second = other.value.value;
  const first = second !== null && pinned !== null && sameAsk(second.ask, pinned) ? second.path : null;
  const wanted = TABS.find((tab) => tab.id === options.value["tab"])?.id ?? "";
  const tab = wanted === "compare" && pinned === null ? "" : wanted;
  const shared = useTogether(source, tab === "together" ? members : [], ask?.range ?? null);
  const together = shared.value.value;
  const busy = useMemo(
    () => computed(() => told.busy.value || other.busy.value || shared.busy.value),
    [told, other, shared],
  );
  const worker = ask === null ? undefined : source.entities.find(ask.of);
  return (
    <PanelFrame
      panel={panel}
      busy={busy}
      error={told.error.value ?? other.error.value ?? shared.error.value}
      controls={path !== null && <span class="range-note faint">{rangeText(source, path)}</span>}
    >
      <div class="path-head">
        <WorkerPicker
          source={source}
          label="Whose critical path"
          placeholder="Find a thread, vCPU or process"
          chosen={worker}
          onChoose={(entity) =>
            setAsk({ of: entity.key, range: ask === null ? subjectOf(source) : ask.range, grain: null })
          }
        />
        <Ranges source={source} ask={ask} setAsk={setAsk} />
        <label class="inline" title="What takes part: threads of the host, vCPUs, or guest processes where it is known which one ran">
          <span class="label-text">Workers</span>
          <select
            aria-label="What takes part"
            value={ask?.grain ?? ""}
            disabled={ask === null}
            onChange={(event) => {
              const grain = GRAIN_TITLES.find(([id]) => id === event.currentTarget.value)?.[0] ?? "";
              if (ask !== null) setAsk({ ...ask, grain: grain === "" ? null : grain });
            }}
          >
            {GRAIN_TITLES.map(([id, title]) => (
              <option key={id} value={id}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <span class="spring" />
        {pinned === null ? (
          <button
            type="button"
            disabled={ask === null || path === null}
            title="Keep this path, and compare the next one with it"
            onClick={() => ask !== null && setOptions({ ...panelOptions(panel), vs: askToText(ask), tab: "compare" })}
          >
            Compare with…
          </button>
        ) : (
          <span class="chip on">
            <button type="button" title="Show this path again" onClick={() => setAsk(pinned)}>
              compared with {askTitle(source, pinned)}
            </button>
            <button
              type="button"
              class="chip-close"
              aria-label="Compare with nothing"
              onClick={() => {
                const { vs: _, tab: __, ...others } = panelOptions(panel);
                setOptions(others);
              }}
            >
              ×
            </button>
          </span>
        )}
      </div>
      {ask === null ? (
        <Suggestions source={source} setAsk={setAsk} />
      ) : worker === undefined ? (
        <div class="data-empty">The trace has nobody called “{shorten(ask.of, 120)}”.</div>
      ) : path === null ? (
        <div class="data-empty">{told.error.value === null ? "…" : "There is no path to show."}</div>
      ) : (
        <>
          <Summary source={source} path={path} />
          <div class="path">
            <Rows panel={panel} source={source} path={path} setAsk={() => setAsk({ ...ask, range: view.peek() })} />
            <div class={`path-side ${tab === "compare" && pinned !== null && !sameAsk(pinned, ask) ? "wide" : ""}`}>
              <div class="tabs" role="tablist" aria-label="The path as a table">
                {TABS.filter(({ id }) => id !== "compare" || pinned !== null).map(({ id, title }) => (
                  <button key={id} type="button" role="tab" aria-selected={tab === id} onClick={() => setTab(id)}>
                    {title}
                  </button>
                ))}
              </div>
              {tab === "together" ? (
                <PathTogether
                  panel={panel}
                  source={source}
                  members={members}
                  setMembers={(next) => setOptions(withMembers(panelOptions(panel), next))}
                  showPath={(entity) => setAsk({ of: entity.key, range: ask.range, grain: null })}
                  together={together !== null && together.asked === togetherText(members, ask.range) ? together.found : null}
                />
              ) : tab === "steps" ? (
                <PathSteps panel={panel} source={source} path={path} />
              ) : tab === "compare" && pinned !== null ? (
                sameAsk(pinned, ask) ? (
                  <div class="data-empty">
                    This path is kept. Now choose the one to compare with it: another worker, another range, or “Why is this
                    waiting?” of another wait.
                  </div>
                ) : first === null ? (
                  <div class="data-empty">…</div>
                ) : (
                  <PathCompared
                    panel={panel}
                    source={source}
                    first={first}
                    second={path}
                    titles={[askTitle(source, pinned), askTitle(source, ask)]}
                    setEach={(each) => {
                      const { each: _, ...others } = panelOptions(panel);
                      setOptions(each ? { ...others, each: "1" } : others);
                    }}
                  />
                )
              ) : (
                <PathTreeTable panel={panel} source={source} path={path} />
              )}
            </div>
          </div>
        </>
      )}
    </PanelFrame>
  );
}

/** A panel's options as they are now. */
function panelOptions(panel: Panel): Readonly<Record<string, string>> {
  return panelsOf(layout.peek()).find((other) => other.id === panel.id)?.options ?? panel.options;
}

/** Asks for a path again whenever something else is asked for, or the source has grown. */
function useTold(source: Source, ask: PathAsk | null) {
  return useReply<Told>(
    (signal) => {
      const entity = ask === null ? undefined : source.entities.find(ask.of);
      if (ask === null || entity === undefined) return null;
      const { range, grain } = ask;
      return source.criticalPath(entity.id, range ?? source.bounds, grain, signal).then((path) => ({ ask, path }));
    },
    [source, ask === null ? "" : askToText(ask)],
    60,
  );
}

/** Asks what workers wait for together whenever they or the stretch are others; one alone waits with nobody. */
function useTogether(source: Source, members: readonly string[], range: Range | null) {
  const asked = togetherText(members, range);
  return useReply<{ asked: string; found: Together }>(
    (signal) => {
      const some = members.map((key) => source.entities.find(key)).filter((entity) => entity !== undefined);
      if (some.length < 2) return null;
      const ids = some.map((entity) => entity.id);
      return source.together(ids, range ?? source.bounds, signal).then((found) => ({ asked, found }));
    },
    [source, asked],
    60,
  );
}

function togetherText(members: readonly string[], range: Range | null): string {
  return `${range === null ? "" : `${range.begin}..${range.end}`} ${members.join("\n")}`;
}

/** The selection or what is visible; null where that is all there is. */
function subjectOf(source: Source): Range | null {
  const range = subject.peek();
  return sameRange(range, source.bounds) ? null : range;
}

function rangeText(source: Source, range: { begin: number; end: number }): string {
  return `${formatTime(source.moment(range.begin), timeFormat.value, source.origin, 6)} +${formatDuration(range.end - range.begin)}`;
}

function askTitle(source: Source, ask: PathAsk): string {
  const entity = source.entities.find(ask.of);
  const name = shorten(entity === undefined ? ask.of : source.entities.title(entity.id), 28);
  if (ask.range === null) return name;
  const begin = formatTime(ask.range.begin, timeFormat.value, source.origin, 3);
  return `${name}, ${begin} +${formatDuration(ask.range.end - ask.range.begin)}`;
}

/** Which stretch the path is of: it stays when one looks around. */
function Ranges({ source, ask, setAsk }: { source: Source; ask: PathAsk | null; setAsk: (ask: PathAsk) => void }) {
  const chosen = selection.value;
  const stretch = chosen !== null && chosen.end > chosen.begin ? chosen : null;
  const seen = view.value;
  const row = source.entities.get(currentRow.value?.entity ?? -1);
  const is = (range: Range | null): boolean =>
    ask !== null && (ask.range === null ? range === null : range !== null && sameRange(ask.range, range));
  const all = sameRange(seen, source.bounds);
  const button = (text: string, title: string, range: Range | null, disabled = false) => (
    <button
      type="button"
      class="small"
      title={title}
      aria-pressed={is(range)}
      disabled={ask === null || disabled}
      onClick={() => ask !== null && setAsk({ ...ask, range })}
    >
      {text}
    </button>
  );
  return (
    <>
      <button
        type="button"
        class="small"
        title={
          row === undefined || !isWorker(row)
            ? "Choose a row of a thread, vCPU or process in a timeline first"
            : `Of ${shorten(source.entities.title(row.id), 80)}, in the selection or what is visible`
        }
        disabled={row === undefined || !isWorker(row) || (ask?.of === row.key && is(subjectRange(source, stretch, seen)))}
        onClick={() => row !== undefined && setAsk({ of: row.key, range: subjectRange(source, stretch, seen), grain: null })}
      >
        Current row
      </button>
      <span class="inline" role="group" aria-label="In which stretch">
        <span class="label-text">In</span>
        {button("all", "All of the trace", null)}
        {button("visible", "What is visible", all ? null : seen, all)}
        {button("selection", "The selected stretch", stretch, stretch === null)}
      </span>
    </>
  );
}

function subjectRange(source: Source, stretch: Range | null, seen: Range): Range | null {
  const range = stretch ?? seen;
  return sameRange(range, source.bounds) ? null : range;
}

/** Where to begin when nobody is chosen. */
function Suggestions({ source, setAsk }: { source: Source; setAsk: (ask: PathAsk) => void }) {
  const some = useMemo(() => workersLike(source, "").slice(0, 10), [source]);
  if (some.length === 0) return <div class="data-empty">Nobody has a line that could be followed: no thread, vCPU or process.</div>;
  return (
    <div class="path-start">
      <p>
        Whose time it was while a worker waited. Choose one: by name above, by a click on its row in a timeline, or one of those
        that did most. On a waiting bar, <kbd>C</kbd> or the other mouse button says why it waits.
      </p>
      <ul>
        {some.map((entity) => (
          <li key={entity.id}>
            <button type="button" class="link" onClick={() => setAsk({ of: entity.key, range: subjectOf(source), grain: null })}>
              {shorten(source.entities.title(entity.id), 80)}
            </button>{" "}
            <span class="faint">{entity.kind}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** How long, how many, and what is not sure. */
function Summary({ source, path }: { source: Source; path: CriticalPath }) {
  const name = shorten(source.entities.title(path.entity), 60);
  const unsure = doubts(path);
  const only = path.stepCount === 1 && path.length === 1 ? path.step(0) : null;
  const unexplained = only !== null && isWait(source.vocabulary.state(only.state));
  if (path.whole <= 0)
    return <p class="path-summary">{name} was not there in this stretch: nothing to follow.</p>;
  return (
    <p class="path-summary">
      <b>{name}</b> {formatDuration(path.whole)}, {grouped(path.stepCount)} step{path.stepCount === 1 ? "" : "s"} of{" "}
      {grouped(path.workers.length)} worker{path.workers.length === 1 ? "" : "s"}
      {unsure.map(({ kind, text }) => (
        <span key={kind} class={`doubt doubt-${kind}`}>
          {text}
        </span>
      ))}
      {unexplained && <span class="doubt doubt-unknown">who ended this wait is not known: nobody to follow</span>}
      {unsure.length === 0 && !unexplained && <span class="faint">all of it known and proved</span>}
      {source.reply.state === "analysing" && <span class="faint">still being analysed: it may change</span>}
    </p>
  );
}

function Rows({
  panel,
  source,
  path,
  setAsk,
}: {
  panel: Panel;
  source: Source;
  path: CriticalPath;
  setAsk: () => void;
}) {
  const tree = useMemo(() => pathTree(source, path), [source, path]);
  const model = useTimeline(panel, source, tree);
  useLayoutEffect(() => {
    model.path.value = path;
  }, [model, path]);
  // The legend lists what the rows show.
  useEffect(() => {
    const lanes = [...stepsByWorker(path)].map(([entity, steps]) => ({
      entity,
      vcpu: -1,
      segments: steps.picture(path.begin, path.end, Math.max(1, path.whole / 1000)),
    }));
    seeLanes(source, lanes);
  }, [source, path, palette.value]);
  if (path.tooMany)
    return (
      <div class="path-rows path-many">
        <p>
          {grouped(path.stepCount)} steps are too many to be drawn one by one; what they come to stands beside. Zoom in, and take
          what is visible:
        </p>
        <button type="button" onClick={setAsk}>
          The path of what is visible
        </button>
      </div>
    );
  return (
    <div class="path-rows">
      <TimelineBody model={model} panel={panel} empty="Nobody did anything in this stretch." />
    </div>
  );
}
