/** Which views are open and where: columns beside one another, each a stack of panels. */

export const VIEWS = [
  "overview",
  "vms",
  "processes",
  "resources",
  "budgets",
  "waits",
  "taken",
  "matrix",
  "exits",
  "events",
  "explorer",
  "path",
] as const;

export type ViewName = (typeof VIEWS)[number];

export const VIEW_TITLES: Record<ViewName, string> = {
  overview: "Overview",
  vms: "Virtual machines",
  processes: "Guest processes",
  resources: "Resources",
  budgets: "Budgets",
  waits: "Waits",
  taken: "Who took the CPU",
  matrix: "Pre-emption matrix",
  exits: "Exits",
  events: "Events",
  explorer: "State explorer",
  path: "Critical path",
};

/** Shorter names for where there is little room. */
export const VIEW_NAMES: Record<ViewName, string> = {
  ...VIEW_TITLES,
  vms: "VMs",
  processes: "Processes",
  taken: "Taken",
  matrix: "Pre-emption",
  explorer: "States",
  path: "Path",
};

/** Views that draw rows over time. */
export function isTimeline(view: ViewName): boolean {
  return view === "vms" || view === "processes" || view === "resources" || view === "path";
}

export interface Panel {
  readonly id: number;
  readonly view: ViewName;
  readonly weight: number;
  readonly options: Readonly<Record<string, string>>;
}

export interface Column {
  readonly id: number;
  readonly weight: number;
  readonly panels: readonly Panel[];
}

export type Layout = readonly Column[];

let lastId = 0;

export function newPanel(view: ViewName, options: Record<string, string> = {}, weight = 1): Panel {
  lastId += 1;
  return { id: lastId, view, weight, options };
}

export function newColumn(panels: readonly Panel[], weight = 1): Column {
  lastId += 1;
  return { id: lastId, weight, panels };
}

export function firstLayout(): Layout {
  return [newColumn([newPanel("overview")])];
}

export function panelsOf(layout: Layout): Panel[] {
  return layout.flatMap((column) => column.panels);
}

function withoutEmpty(layout: Column[]): Layout {
  const kept = layout.filter((column) => column.panels.length > 0);
  return kept.length > 0 ? kept : firstLayout();
}

/** Opens a view: timelines below the other timelines, tables in the column beside them. */
export function openView(layout: Layout, panel: Panel): Layout {
  const timeline = isTimeline(panel.view) || panel.view === "overview";
  const columns = layout.map((column) => ({ ...column, panels: [...column.panels] }));
  const target = columns.find((column) =>
    column.panels.some((other) => (isTimeline(other.view) || other.view === "overview") === timeline),
  );
  if (target !== undefined) {
    target.panels.push(panel);
    return columns;
  }
  const column = newColumn([panel], timeline ? 1.6 : 1);
  return timeline ? [column, ...columns] : [...columns, column];
}

export function closePanel(layout: Layout, id: number): Layout {
  return withoutEmpty(
    layout.map((column) => ({ ...column, panels: column.panels.filter((panel) => panel.id !== id) })),
  );
}

export function changePanel(layout: Layout, id: number, change: Partial<Pick<Panel, "options" | "weight">>): Layout {
  return layout.map((column) => ({
    ...column,
    panels: column.panels.map((panel) => (panel.id === id ? { ...panel, ...change } : panel)),
  }));
}

/** Moves a panel to the column on the left or right (a new one at the edge), or up or down in its own. */
export function movePanel(layout: Layout, id: number, to: "left" | "right" | "up" | "down"): Layout {
  const columns = layout.map((column) => ({ ...column, panels: [...column.panels] }));
  const from = columns.findIndex((column) => column.panels.some((panel) => panel.id === id));
  const source = columns[from];
  if (source === undefined) return layout;
  const at = source.panels.findIndex((panel) => panel.id === id);
  const panel = source.panels[at];
  if (panel === undefined) return layout;
  if (to === "up" || to === "down") {
    const other = to === "up" ? at - 1 : at + 1;
    const neighbour = source.panels[other];
    if (neighbour === undefined) return layout;
    source.panels[at] = neighbour;
    source.panels[other] = panel;
    return columns;
  }
  const target = to === "left" ? from - 1 : from + 1;
  if (source.panels.length === 1 && columns[target] === undefined) return layout;
  source.panels.splice(at, 1);
  const column = columns[target];
  const alone = { ...newColumn([]), panels: [panel] };
  if (column !== undefined) column.panels.push(panel);
  else if (to === "left") columns.unshift(alone);
  else columns.push(alone);
  return withoutEmpty(columns);
}

/** `vms;processes,vm=key|budgets`: columns by bars, panels by semicolons, options by commas. */
export function layoutToText(layout: Layout): string {
  const escape = (text: string): string => encodeURIComponent(text);
  const weight = (value: number): string => (Math.abs(value - 1) < 0.005 ? "" : `*${value.toFixed(2)}`);
  return layout
    .map(
      (column) =>
        column.panels
          .map((panel) =>
            [
              panel.view + weight(panel.weight),
              ...Object.entries(panel.options).map(([name, value]) => `${escape(name)}=${escape(value)}`),
            ].join(","),
          )
          .join(";") + (weight(column.weight) === "" ? "" : `;${weight(column.weight)}`),
    )
    .join("|");
}

/** Reads the text above; null if nothing in it is a view. */
export function layoutFromText(text: string): Layout | null {
  const columns: Column[] = [];
  for (const part of text.split("|")) {
    let columnWeight = 1;
    const panels: Panel[] = [];
    for (const item of part.split(";")) {
      const [head = "", ...rest] = item.split(",");
      const [name = "", weightText] = head.split("*");
      const parsed = Number(weightText ?? "1");
      const weight = Number.isFinite(parsed) ? Math.min(20, Math.max(0.05, parsed)) : 1;
      const view = VIEWS.find((known) => known === name);
      if (view === undefined) {
        if (name === "") columnWeight = weight;
        continue;
      }
      const options: Record<string, string> = {};
      for (const option of rest) {
        const cut = option.indexOf("=");
        if (cut > 0) options[decode(option.slice(0, cut))] = decode(option.slice(cut + 1));
      }
      panels.push(newPanel(view, options, weight));
    }
    if (panels.length > 0) columns.push(newColumn(panels, columnWeight));
  }
  return columns.length > 0 ? columns : null;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
