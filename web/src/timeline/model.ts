import { batch, computed, effect, signal, type ReadonlySignal } from "@preact/signals";
import { isWorker, type CriticalPath } from "../api/critical";
import type { Interval } from "../api/segments";
import type { Edge, Source } from "../api/source";
import { changePanel, type Panel } from "../app/layout";
import {
  currentRow,
  cursor,
  goTo,
  hidden,
  layout as pageLayout,
  mouseTime,
  openPath,
  openTogether,
  openWhy,
  pins,
  say,
  select,
  selection,
  view,
  type MenuItem,
} from "../app/session";
import { sameRange } from "../time/range";
import { formatDuration } from "../time/time";
import { columnText } from "./counters";
import { columnAt } from "./curve";
import { CurveStore } from "./curve-store";
import { LaneStore } from "./lane-store";
import { seeLanes } from "./legend-items";
import { stateText } from "./looks";
import { isWait, rankOf } from "./palette";
import { followBusy, followEdges, followMatches, matcher } from "./row-requests";
import { allNodes, pathTo, rowsOf, type Row, type Sorting, type TreeNode } from "./rows";
import { ROW_HEIGHT } from "./scene";

export interface Hover {
  row: Row;
  time: bigint;
  /** Where the mouse is in the window. */
  pageX: number;
  pageY: number;
}

/** Rows opened or closed by hand that a link keeps. */
const MOST_TOGGLED = 60;

const NO_BUSY: ReadonlyMap<number, number> = new Map();

/** What one timeline panel shows and does; knows nothing of the page's elements. */
export class TimelineModel {
  readonly tree = signal<readonly TreeNode[]>([]);
  readonly toggled = signal<ReadonlySet<string>>(new Set());
  readonly top = signal(0);
  readonly size = signal({ width: 0, height: 0 });
  /** Rises whenever new data has come. */
  readonly stamp = signal(0);
  readonly loading = signal(false);
  readonly error = signal<string | null>(null);
  readonly hover = signal<Hover | null>(null);
  readonly edges = signal<readonly Edge[]>([]);
  readonly edgesLeftOut = signal(0);
  /** The path that the rows are of, if they are of one. */
  readonly path = signal<CriticalPath | null>(null);
  readonly store: LaneStore;
  readonly curves: CurveStore;
  /** Brings a row into view; set by the element that scrolls. */
  scrollTo: (row: number) => void = () => undefined;

  /** Time on a processor by entity, while rows are sorted by it. */
  readonly busy = signal<ReadonlyMap<number, number>>(NO_BUSY);
  /** The rows that a filter leaves, while it hides the others. */
  readonly matching = signal<ReadonlySet<string> | null>(null);
  private readonly ends: (() => void)[] = [];

  readonly rows: ReadonlySignal<readonly Row[]>;
  readonly visible: ReadonlySignal<readonly Row[]>;
  readonly pinnedCount: ReadonlySignal<number>;

  constructor(
    readonly panel: number,
    readonly source: Source,
    private readonly options: ReadonlySignal<Panel["options"]>,
    before?: TimelineModel,
  ) {
    const told = {
      changed: (error: string | null) => {
        batch(() => {
          this.error.value = error;
          this.stamp.value += 1;
        });
      },
      busy: (busy: boolean) => (this.loading.value = busy),
    };
    this.store = new LaneStore(source, { ...told, seen: (lanes) => seeLanes(source, lanes) }, before?.store);
    this.curves = new CurveStore(source, told, before?.curves);
    this.rows = computed(() =>
      rowsOf(this.tree.value, {
        toggled: this.toggled.value,
        pins: pins.value,
        hidden: hidden.value,
        sorting: this.sorting.value,
        flat: this.options.value["group"] === "flat",
        busy: this.busy.value,
        matching: this.matching.value,
        alive:
          this.options.value["absent"] === "hide"
            ? { begin: source.distance(view.value.begin), end: source.distance(view.value.end) }
            : null,
      }),
    );
    this.pinnedCount = computed(() => this.rows.value.filter((row) => row.pinned).length);
    this.visible = computed(() => {
      const rows = this.rows.value;
      const pinned = Math.min(this.pinnedCount.value, Math.max(0, this.capacity.value - 2));
      const from =
        this.pinnedCount.value + Math.min(this.top.value, Math.max(0, rows.length - this.pinnedCount.value - 1));
      return [...rows.slice(0, pinned), ...rows.slice(from, from + this.capacity.value - pinned)];
    });
    this.toggled.value = new Set(fromList(this.options.peek()["toggled"]));
    this.ends.push(effect(() => this.setOption("toggled", toList(this.toggled.value))));
    this.ends.push(
      effect(() => this.request()),
      followEdges(this),
      followBusy(this),
      followMatches(this),
      effect(() => this.openCurrent()),
      effect(() => this.forgetHover()),
    );
  }

  /** Where each worker of a path stands among the visible rows: -1 above them, behind the last below them. */
  readonly places = computed<ReadonlyMap<number, number>>(() => {
    const visible = this.visible.value;
    const places = new Map<number, number>();
    const first = visible.findIndex((row) => !row.pinned);
    const top = first < 0 ? undefined : visible[first]?.node.id;
    let isBelow = false;
    for (const { node, pinned } of this.rows.value) {
      if (pinned || node.steps === undefined) continue;
      isBelow ||= node.id === top;
      places.set(node.entity, isBelow ? visible.length : -1);
    }
    visible.forEach(({ node }, index) => {
      if (node.steps !== undefined) places.set(node.entity, index);
    });
    return places;
  });

  readonly capacity = computed(() => Math.max(1, Math.ceil(this.size.value.height / ROW_HEIGHT)));
  readonly sorting = computed<Sorting>(() => {
    const wanted = this.options.value["sort"];
    return wanted === "name" || wanted === "begin" || wanted === "busy" ? wanted : "tree";
  });

  close(): void {
    for (const end of this.ends) end();
    this.store.cache.close();
    this.curves.cache.close();
  }

  setOption(name: string, value: string): void {
    if ((this.options.peek()[name] ?? "") === value) return;
    const options = { ...this.options.peek() };
    if (value === "") delete options[name];
    else options[name] = value;
    pageLayout.value = changePanel(pageLayout.peek(), this.panel, { options });
  }

  private request(): void {
    const entities = new Set<number>();
    const counted = new Set<number>();
    for (const { node } of this.visible.value) {
      for (const lane of node.lanes) entities.add(lane);
      if (node.drawing === "curve") counted.add(node.entity);
    }
    this.store.cache.want([...entities], view.value, this.size.value.width);
    if (counted.size > 0) this.curves.cache.want([...counted], view.value, this.size.value.width);
  }

  /** What was under the mouse is elsewhere once the picture has moved. */
  private forgetHover(): void {
    void view.value;
    this.hover.value = null;
  }

  private shownCurrent = "";

  /** When another view or a link names a row here, opens what is above it and scrolls to it. */
  private openCurrent(): void {
    const id = currentRow.value?.id ?? "";
    const tree = this.tree.value;
    if (id === this.shownCurrent || tree.length === 0 || this.size.value.height === 0) return;
    this.shownCurrent = id;
    const path = pathTo(tree, id);
    if (path.length === 0) return;
    const toggled = new Set(this.toggled.peek());
    for (const above of path.slice(0, -1)) {
      if (above.open === toggled.has(above.id)) {
        if (above.open) toggled.delete(above.id);
        else toggled.add(above.id);
      }
    }
    this.toggled.value = toggled;
    const at = this.rows.peek().findIndex((row) => row.node.id === id);
    if (at >= 0) this.scrollTo(at);
  }

  setCurrent(row: Row): void {
    this.shownCurrent = row.node.id;
    currentRow.value = { id: row.node.id, entity: row.node.entity, vcpu: row.node.vcpu };
  }

  get current(): Row | undefined {
    const id = currentRow.peek()?.id;
    return this.rows.peek().find((row) => row.node.id === id);
  }

  toggle(row: Row): void {
    if (row.node.children.length === 0) return;
    const toggled = new Set(this.toggled.peek());
    if (!toggled.delete(row.node.id)) toggled.add(row.node.id);
    this.toggled.value = toggled;
  }

  setAllOpen(open: boolean): void {
    this.toggled.value = new Set(
      allNodes(this.tree.peek())
        .filter((node) => node.children.length > 0 && node.open !== open)
        .map((node) => node.id),
    );
  }

  moveRow(by: number): void {
    this.hover.value = null;
    const rows = this.rows.peek();
    if (rows.length === 0) return;
    const at = rows.findIndex((row) => row.node.id === currentRow.peek()?.id);
    const next = Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by));
    const row = rows[next];
    if (row === undefined) return;
    this.setCurrent(row);
    this.scrollTo(next);
    say(this.describe(row, cursor.peek()));
  }

  togglePin(row: Row): void {
    const { id } = row.node;
    pins.value = pins.peek().includes(id) ? pins.peek().filter((other) => other !== id) : [...pins.peek(), id];
  }

  hideRow(row: Row): void {
    hidden.value = new Set([...hidden.peek(), row.node.id]);
    say(`${row.node.title} is hidden; “show hidden rows” in the panel's bar brings it back.`);
  }

  /** The exact intervals of a row's lanes, asked of the server. */
  private async changes(row: Row, time: bigint, to: "next" | "previous" | "here"): Promise<Interval[]> {
    const { entity, vcpu, drawing, steps } = row.node;
    if (steps !== undefined) {
      const step = steps.change(this.source.distance(time), to);
      return step === null ? [] : [step];
    }
    if (drawing !== "lane" && drawing !== "merge") return [];
    const lanes = vcpu >= 0 ? [vcpu] : this.store.vcpusOf(entity);
    const answers = await Promise.all(
      (lanes.length > 0 ? lanes : [-1]).map((lane) => this.source.change(entity, lane, time, to)),
    );
    return answers.filter((answer) => answer !== null);
  }

  /** The interval under a moment; of several lanes the most active one's. */
  async intervalAt(row: Row, time: bigint): Promise<Interval | null> {
    const found = await this.changes(row, time, "here");
    const rank = (interval: Interval): number => rankOf(this.source.vocabulary.state(interval.state));
    return found.sort((a, b) => rank(a) - rank(b))[0] ?? null;
  }

  /** Selects the next or previous interval of the current row; with a filter, the next that passes it. */
  async step(to: "next" | "previous"): Promise<void> {
    const row = this.current ?? this.rows.peek().find((other) => other.node.drawing === "lane" || other.node.drawing === "steps");
    if (row === undefined) return;
    this.setCurrent(row);
    const judge = matcher.peek();
    let time = cursor.peek() ?? (to === "next" ? view.peek().begin : view.peek().end);
    for (let turn = 0; turn < 400; turn += 1) {
      const found = await this.changes(row, time, to);
      const interval = found.sort((a, b) => (to === "next" ? a.start - b.start : b.end - a.end))[0];
      if (interval === undefined) {
        say(to === "next" ? "No state follows." : "No state comes before.");
        return;
      }
      time = this.source.moment(interval.start);
      if (judge !== null && judge.active && !judge.interval(interval)) continue;
      this.selectInterval(interval);
      return;
    }
    say("None of the next 400 states passes the filter.");
  }

  selectInterval(interval: Interval, focus = false): void {
    select(
      { begin: this.source.moment(interval.start), end: this.source.moment(interval.end) },
      { reveal: true, focus },
    );
    say(this.sentence(interval));
  }

  /** Goes along the edge that made this row go on, or that it caused. */
  async follow(to: "back" | "forth"): Promise<void> {
    const row = this.current;
    const time = cursor.peek();
    if (row === undefined || row.node.entity < 0 || time === null) {
      say("Select a state first.");
      return;
    }
    const { entities } = this.source;
    const own = entities.get(row.node.entity);
    const twin = own === undefined ? undefined : entities.twin(own);
    const asked = twin === undefined ? [row.node.entity] : [row.node.entity, twin.id];
    const answers = (await Promise.all(asked.map((entity) => this.source.follow(entity, time, to)))).filter(
      (answer) => answer !== null,
    );
    const edge = answers.sort((a, b) => (to === "back" ? b.toTime - a.toTime : a.fromTime - b.fromTime))[0];
    if (edge === undefined) {
      say(to === "back" ? "Nothing is known to have led here." : "Nothing is known to follow from here.");
      return;
    }
    const [end, at] = to === "back" ? [edge.from, edge.fromTime] : [edge.to, edge.toTime];
    const other = entities.get(end);
    const entity = other === undefined ? end : entities.asVcpu(other).id;
    const moment = this.source.moment(at);
    if (to === "back" && moment === time && entity === row.node.entity) {
      say("This edge leads to itself.");
      return;
    }
    const keep = view.peek();
    const length = keep.end - keep.begin;
    const shown =
      moment >= keep.begin && moment < keep.end ? keep : { begin: moment - length / 2n, end: moment + length / 2n };
    goTo(entity, { begin: moment, end: moment });
    if (!sameRange(view.peek(), shown)) view.value = shown;
    const words = this.source.vocabulary;
    say(
      `${words.edge(edge.kind)} (${words.confidence(edge.confidence)}): ${entities.who(edge.from)} to ${entities.who(edge.to)}`,
    );
  }

  /** One interval as a sentence. */
  sentence(interval: Interval): string {
    const words = this.source.vocabulary;
    const by = this.source.entities.who(interval.by);
    const state = stateText(this.source, interval.state, interval.cause, interval.level);
    return `${this.source.entities.title(interval.entity)}: ${state}${by === "" ? "" : ` by ${by}`}, ${formatDuration(interval.end - interval.start)}, ${words.confidence(interval.confidence)}`;
  }

  /** What a row does at a moment, in words, from what is on screen. */
  describe(row: Row, time: bigint | null): string {
    if (time === null) return row.node.title;
    if (row.node.drawing === "curve") return this.describeCurve(row, time);
    const lanes = this.store.at(row.node, this.source.distance(time), view.peek(), this.size.peek().width);
    const parts = lanes[0];
    if (parts === undefined || parts.length === 0)
      return `${row.node.title}: ${row.node.drawing === "none" ? "a group" : row.node.drawing === "steps" ? "no part in it" : "not there"}`;
    const [first] = parts;
    if (first !== undefined && first.exact) {
      const by = this.source.entities.who(first.by);
      return `${row.node.title}: ${stateText(this.source, first.state, first.cause, first.level)}${by === "" ? "" : ` by ${by}`}, ${formatDuration(first.end - first.start)}, ${this.source.vocabulary.confidence(first.confidence)}`;
    }
    const total = (first?.end ?? 1) - (first?.start ?? 0);
    // Parts that differ in cause or level but read the same are one.
    const sums = new Map<string, number>();
    for (const part of parts) {
      const text = stateText(this.source, part.state, part.cause, part.level);
      sums.set(text, (sums.get(text) ?? 0) + part.ns);
    }
    const shares = [...sums].map(([text, ns]) => `${text} ${Math.round((ns / total) * 100)} %`);
    return `${row.node.title}: ${shares.join(", ")} of ${formatDuration(total)}`;
  }

  /** What a counter came to around a moment, in words. */
  describeCurve(row: Row, time: bigint): string {
    const of = this.source.entities.title(row.node.entity);
    const picture = this.curves.picture(row.node, view.peek(), this.size.peek().width);
    const column = picture === null ? undefined : columnAt(picture.columns, this.source.distance(time));
    const title = `${of}, ${row.node.title}`;
    return picture === null || column === undefined
      ? `${title}: ${picture?.look.kind === "level" ? "not known" : "none"} here`
      : `${title}: ${columnText(picture.look, column)}`;
  }

  /** Sets the cursor and the current row where somebody clicked; a step of a path is selected as a whole. */
  point(row: Row | undefined, time: bigint): void {
    const nsPerPixel = Number(view.peek().end - view.peek().begin) / Math.max(1, this.size.peek().width);
    const step = row?.node.steps?.at(this.source.distance(time), 2 * nsPerPixel)[0];
    if (row !== undefined && step !== undefined) {
      this.setCurrent(row);
      this.selectInterval(step);
      return;
    }
    batch(() => {
      if (row !== undefined) this.setCurrent(row);
      select({ begin: time, end: time });
    });
  }

  /** Opens the critical path of the state at a moment. */
  async why(row: Row, time: bigint): Promise<void> {
    const interval = await this.intervalAt(row, time);
    if (interval === null) say(row.node.drawing === "average" ? "Choose a row of its own." : "Nothing is known there.");
    else openWhy(interval);
  }

  /** What can be done with the state at a moment. */
  async menu(row: Row, time: bigint): Promise<readonly MenuItem[]> {
    const interval = await this.intervalAt(row, time);
    const entity = this.source.entities.get(row.node.entity);
    const items: MenuItem[] = [];
    if (interval !== null && isWorker(this.source.entities.get(interval.entity))) {
      const waits = isWait(this.source.vocabulary.state(interval.state));
      const text = waits ? "Why is this waiting?" : "Critical path of this state";
      items.push({ text, keys: "C", act: () => openWhy(interval) });
    }
    if (entity !== undefined && isWorker(entity)) {
      const range = view.peek();
      items.push({
        text: "Critical path of this row, in what is visible",
        act: () => openPath({ of: entity.key, range, grain: null }),
      });
    }
    if (entity !== undefined && isWorker(entity))
      items.push({ text: "Waiting for the same: add this row", keys: "Q", act: () => openTogether(entity) });
    if (interval !== null) items.push({ text: "Zoom to this state", keys: "F", act: () => this.selectInterval(interval, true) });
    return items;
  }

  async zoomToState(row: Row, time: bigint): Promise<void> {
    const interval = await this.intervalAt(row, time);
    if (interval !== null) this.selectInterval(interval, true);
  }

  /** Zooms to the selection, or to the state under the cursor. */
  async focus(): Promise<void> {
    const chosen = selection.peek();
    if (chosen !== null && chosen.end > chosen.begin) {
      select(chosen, { focus: true });
      return;
    }
    const row = this.current;
    const time = cursor.peek() ?? mouseTime.peek();
    if (row !== undefined && time !== null) await this.zoomToState(row, time);
  }
}

function toList(ids: ReadonlySet<string>): string {
  return [...ids].slice(0, MOST_TOGGLED).map(encodeURIComponent).join(" ");
}

function fromList(text: string | undefined): string[] {
  if (text === undefined || text === "") return [];
  return text.split(" ").map((id) => {
    try {
      return decodeURIComponent(id);
    } catch {
      return id;
    }
  });
}

/** The timelines that are open, by panel: keys act on the active one. */
export const timelines = new Map<number, TimelineModel>();
