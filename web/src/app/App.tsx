import { Fragment } from "preact";
import type { Source } from "../api/source";
import { BudgetsView } from "../views/Budgets";
import { EventsView } from "../views/Events";
import { ExitsView } from "../views/Exits";
import { ExplorerView } from "../views/Explorer";
import { MatrixView } from "../views/Matrix";
import { OverviewView } from "../views/Overview";
import { MachinesView, ProcessesView, ResourcesView } from "../views/Timelines";
import { TakenView } from "../views/Taken";
import { PathView } from "../views/Path";
import { WaitsView } from "../views/Waits";
import { Bookmarks } from "./Bookmarks";
import { ContextMenu } from "./ContextMenu";
import { Help } from "./Help";
import { isTimeline, panelsOf, type Column, type Layout, type Panel } from "./layout";
import { Legend } from "./Legend";
import { Minimap } from "./Minimap";
import { Guard } from "./PanelFrame";
import { layout, maximised, opening, problem, source, unreachable } from "./session";
import { StatusBar } from "./StatusBar";
import { Toolbar } from "./Toolbar";

export function App() {
  const opened = source.value;
  const timelines = panelsOf(layout.value).some((panel) => isTimeline(panel.view));
  return (
    <div class="app">
      <Toolbar />
      {problem.value !== null && (
        <div class="problem" role="alert">
          {problem.value}
          <button type="button" class="small" onClick={() => (problem.value = null)}>
            Dismiss
          </button>
        </div>
      )}
      {unreachable.value && (
        <div class="problem" role="status">
          The server does not answer. What is shown stays; the page goes on by itself when the server is back.
        </div>
      )}
      {opened !== null && <Minimap key={opened.id} source={opened} />}
      <main class={`columns ${opening.value ? "opening" : ""}`}>
        <Columns />
      </main>
      <Bookmarks />
      {timelines && opened !== null && <Legend />}
      <StatusBar />
      <Help />
      <ContextMenu />
    </div>
  );
}

function Columns() {
  const columns = layout.value;
  const full = panelsOf(columns).find((panel) => panel.id === maximised.value);
  if (full !== undefined)
    return (
      <div class="column" style={{ flexGrow: 1 }}>
        <PanelSlot panel={full} grow={1} />
      </div>
    );
  return (
    <>
      {columns.map((column, index) => (
        <Fragment key={column.id}>
          {index > 0 && <ColumnSplitter at={index} />}
          <div class="column" style={{ flexGrow: column.weight }}>
            {column.panels.map((panel, place) => (
              <Fragment key={panel.id}>
                {place > 0 && <PanelSplitter column={index} at={place} />}
                <PanelSlot panel={panel} grow={panel.weight} />
              </Fragment>
            ))}
          </div>
        </Fragment>
      ))}
    </>
  );
}

function PanelSlot({ panel, grow }: { panel: Panel; grow: number }) {
  const opened = source.value;
  return (
    <div class="slot" style={{ flexGrow: grow }}>
      <Guard>
        {opened === null ? <OverviewView panel={panel} source={null} /> : <View panel={panel} source={opened} />}
      </Guard>
    </div>
  );
}

function View({ panel, source: opened }: { panel: Panel; source: Source }) {
  switch (panel.view) {
    case "overview":
      return <OverviewView panel={panel} source={opened} />;
    case "vms":
      return <MachinesView panel={panel} source={opened} />;
    case "processes":
      return <ProcessesView panel={panel} source={opened} />;
    case "resources":
      return <ResourcesView panel={panel} source={opened} />;
    case "budgets":
      return <BudgetsView panel={panel} source={opened} />;
    case "waits":
      return <WaitsView panel={panel} source={opened} />;
    case "taken":
      return <TakenView panel={panel} source={opened} />;
    case "matrix":
      return <MatrixView panel={panel} source={opened} />;
    case "exits":
      return <ExitsView panel={panel} source={opened} />;
    case "events":
      return <EventsView panel={panel} source={opened} />;
    case "explorer":
      return <ExplorerView panel={panel} source={opened} />;
    case "path":
      return <PathView panel={panel} source={opened} />;
  }
}

/** Arrow keys on a border between two neighbours. */
function nudge(
  event: KeyboardEvent,
  along: "x" | "y",
  weights: readonly [number, number],
  apply: (first: number, second: number) => void,
): void {
  const [less, more] = along === "x" ? ["ArrowLeft", "ArrowRight"] : ["ArrowUp", "ArrowDown"];
  const by = event.key === less ? -0.05 : event.key === more ? 0.05 : 0;
  if (by === 0) return;
  event.preventDefault();
  const sum = weights[0] + weights[1];
  const share = Math.min(0.92, Math.max(0.08, weights[0] / sum + by));
  apply(sum * share, sum * (1 - share));
}

/** Drags the border between two neighbours; `apply` gets the share of the first. */
function drag(
  event: PointerEvent,
  along: "x" | "y",
  weights: readonly [number, number],
  apply: (first: number, second: number) => void,
): void {
  const splitter = event.currentTarget as HTMLElement;
  const before = splitter.previousElementSibling?.getBoundingClientRect();
  const after = splitter.nextElementSibling?.getBoundingClientRect();
  if (before === undefined || after === undefined) return;
  const start = along === "x" ? before.left : before.top;
  const length = along === "x" ? before.width + after.width : before.height + after.height;
  const sum = weights[0] + weights[1];
  splitter.setPointerCapture(event.pointerId);
  const move = (moved: PointerEvent): void => {
    const share = Math.min(0.92, Math.max(0.08, ((along === "x" ? moved.clientX : moved.clientY) - start) / length));
    apply(sum * share, sum * (1 - share));
  };
  splitter.addEventListener("pointermove", move);
  splitter.addEventListener("pointerup", () => splitter.removeEventListener("pointermove", move), { once: true });
}

function withColumn(columns: Layout, at: number, change: (column: Column) => Column): Column[] {
  return columns.map((column, index) => (index === at ? change(column) : column));
}

function ColumnSplitter({ at }: { at: number }) {
  const weights = (): [number, number] => [layout.peek()[at - 1]?.weight ?? 1, layout.peek()[at]?.weight ?? 1];
  const apply = (first: number, second: number): void => {
    const moved = withColumn(layout.peek(), at - 1, (column) => ({ ...column, weight: first }));
    layout.value = withColumn(moved, at, (column) => ({ ...column, weight: second }));
  };
  return (
    <div
      class="splitter vertical"
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of the columns"
      tabIndex={0}
      onPointerDown={(event) => drag(event, "x", weights(), apply)}
      onKeyDown={(event) => nudge(event, "x", weights(), apply)}
    />
  );
}

function PanelSplitter({ column, at }: { column: number; at: number }) {
  const weights = (): [number, number] => {
    const panels = layout.peek()[column]?.panels;
    return [panels?.[at - 1]?.weight ?? 1, panels?.[at]?.weight ?? 1];
  };
  const apply = (first: number, second: number): void => {
    layout.value = withColumn(layout.peek(), column, (changed) => ({
      ...changed,
      panels: changed.panels.map((panel, place) =>
        place === at - 1 ? { ...panel, weight: first } : place === at ? { ...panel, weight: second } : panel,
      ),
    }));
  };
  return (
    <div
      class="splitter level"
      role="separator"
      aria-orientation="horizontal"
      aria-label="Height of the panels"
      tabIndex={0}
      onPointerDown={(event) => drag(event, "y", weights(), apply)}
      onKeyDown={(event) => nudge(event, "y", weights(), apply)}
    />
  );
}
