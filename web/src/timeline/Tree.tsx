import { shorten } from "../api/entities";
import { Icon } from "../app/icons";
import type { Panel } from "../app/layout";
import { activePanel, currentRow, pins, view } from "../app/session";
import { scaleText } from "./curve-store";
import { treeWidth } from "./inks";
import type { TimelineModel } from "./model";
import type { Row } from "./rows";

/** The border between names and bars. */
export function Splitter() {
  const start = (event: PointerEvent): void => {
    const element = event.currentTarget as HTMLElement;
    element.setPointerCapture(event.pointerId);
    const from = treeWidth.peek() - event.clientX;
    const move = (moved: PointerEvent): void => {
      treeWidth.value = Math.min(700, Math.max(90, from + moved.clientX));
    };
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", () => element.removeEventListener("pointermove", move), { once: true });
  };
  const nudge = (event: KeyboardEvent): void => {
    const by = event.key === "ArrowLeft" ? -20 : event.key === "ArrowRight" ? 20 : 0;
    if (by === 0) return;
    event.preventDefault();
    treeWidth.value = Math.min(700, Math.max(90, treeWidth.peek() + by));
  };
  return (
    <div
      class="timeline-splitter"
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of the names"
      tabIndex={0}
      onPointerDown={start}
      onKeyDown={nudge}
      onDblClick={() => (treeWidth.value = 260)}
    />
  );
}

/** The rows' names. */
export function Tree({ model, panel }: { model: TimelineModel; panel: Panel }) {
  const rows = model.visible.value;
  const current = currentRow.value?.id;
  const active = activePanel.value === panel.id;
  const all = model.rows.value.length;
  return (
    <div
      class="tree"
      role="treegrid"
      aria-label={`Rows of ${panel.view}`}
      aria-rowcount={all}
      tabIndex={0}
      data-timeline={panel.id}
      onFocus={() => (activePanel.value = panel.id)}
      aria-activedescendant={
        current === undefined
          ? undefined
          : rowElement(
              panel.id,
              rows.findIndex((row) => row.node.id === current),
            )
      }
    >
      {rows.map((row, index) => (
        <TreeRow
          key={`${row.pinned ? "pin " : ""}${row.node.id}`}
          model={model}
          row={row}
          id={rowElement(panel.id, index) ?? ""}
          current={current === row.node.id}
          active={active}
        />
      ))}
    </div>
  );
}

function rowElement(panel: number, index: number): string | undefined {
  return index < 0 ? undefined : `row-${panel}-${index}`;
}

function TreeRow({
  model,
  row,
  id,
  current,
  active,
}: {
  model: TimelineModel;
  row: Row;
  id: string;
  current: boolean;
  active: boolean;
}) {
  const { node } = row;
  const expandable = node.children.length > 0 && !row.pinned;
  const parent = row.pinned ? model.source.entities.title(node.entity) : "";
  return (
    <div
      id={id}
      role="row"
      aria-level={row.depth + 1}
      aria-expanded={expandable ? row.open : undefined}
      aria-selected={current}
      class={`tree-row kind-${node.kind} ${current ? "current" : ""} ${active ? "active" : ""} ${row.pinned ? "pinned" : ""}`}
      onClick={() => {
        activePanel.value = model.panel;
        model.setCurrent(row);
      }}
      onDblClick={() => model.toggle(row)}
    >
      <div
        role="gridcell"
        class="tree-cell"
        style={{ paddingLeft: `${4 + row.depth * 14}px` }}
        title={tipOf(model, row)}
      >
        {expandable ? (
          <button
            type="button"
            tabIndex={-1}
            class="twist"
            aria-label={row.open ? "Close" : "Open"}
            onClick={(event) => {
              event.stopPropagation();
              model.toggle(row);
            }}
          >
            <Icon name={row.open ? "down" : "right"} />
          </button>
        ) : (
          <span class="twist" />
        )}
        <span class="tree-title">{row.pinned && parent !== "" && node.vcpu < 0 ? parent : node.title}</span>
        {node.note !== undefined && <span class="faint tree-scale">{node.note}</span>}
        {node.drawing === "curve" && <Scale model={model} row={row} />}
        {expandable && !row.open && node.drawing !== "merge" && (
          <span class="faint tree-count">{node.children.length}</span>
        )}
      </div>
      <div class="tree-tools" role="gridcell">
        <button
          type="button"
          tabIndex={-1}
          title={row.pinned ? "Unpin (P)" : "Pin on top (P)"}
          aria-label={row.pinned ? "Unpin" : "Pin on top"}
          aria-pressed={pins.value.includes(node.id)}
          onClick={() => model.togglePin(row)}
        >
          <Icon name="pin" />
        </button>
        {!row.pinned && (
          <button type="button" tabIndex={-1} title="Hide (H)" aria-label="Hide" onClick={() => model.hideRow(row)}>
            <Icon name="hide" />
          </button>
        )}
      </div>
    </div>
  );
}

/** How high a curve's row is. */
function Scale({ model, row }: { model: TimelineModel; row: Row }) {
  void model.stamp.value;
  const picture = model.curves.picture(row.node, view.value, model.size.value.width);
  return picture === null ? null : <span class="faint tree-scale">{scaleText(picture)}</span>;
}

function tipOf(model: TimelineModel, row: Row): string {
  const entity = model.source.entities.get(row.node.entity);
  if (entity === undefined) return shorten(row.node.title, 300);
  const facts = [shorten(row.node.title, 300), entity.kind];
  if (entity.tid >= 0) facts.push(`thread ${entity.tid}`);
  if (entity.pid >= 0) facts.push(`process ${entity.pid}`);
  if (entity.cr3 !== null) facts.push(`CR3 ${shorten(entity.cr3, 40)}`);
  facts.push(shorten(entity.key, 300));
  return facts.join("\n");
}
