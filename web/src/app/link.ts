import type { Range } from "../time/range";

/** What a link in the address bar restores. Times are epoch nanoseconds; rows and pins are keys. */
export interface LinkState {
  source: string;
  range: Range | null;
  selection: Range | null;
  row: string;
  views: string;
  filter: string;
  hide: boolean;
  muted: string[];
  pins: string[];
  hidden: string[];
  theme: string;
  palette: string;
  time: string;
  arrows: boolean;
}

function rangeText(range: Range): string {
  return `${range.begin}..${range.end}`;
}

function rangeOf(text: string | null): Range | null {
  const match = /^(-?\d{1,19})\.\.(-?\d{1,19})$/.exec(text ?? "");
  if (match === null) return null;
  const [begin, end] = [BigInt(match[1] ?? "0"), BigInt(match[2] ?? "0")];
  return begin <= end ? { begin, end } : null;
}

const list = (values: readonly string[]): string => values.map(encodeURIComponent).join(",");

function unlist(text: string | null): string[] {
  if (text === null || text === "") return [];
  return text.split(",").map((value) => {
    try {
      return decodeURIComponent(value);
    } catch {
      return value;
    }
  });
}

export function linkToHash(state: LinkState): string {
  const parameters = new URLSearchParams();
  const set = (name: string, value: string): void => {
    if (value !== "") parameters.set(name, value);
  };
  set("source", state.source);
  if (state.range !== null) {
    set("visStart", state.range.begin.toString());
    set("visEnd", state.range.end.toString());
  }
  if (state.selection !== null) set("sel", rangeText(state.selection));
  set("row", state.row);
  set("views", state.views);
  set("filter", state.filter);
  if (state.hide) set("hide", "1");
  set("muted", list(state.muted));
  set("pins", list(state.pins));
  set("hidden", list(state.hidden));
  set("theme", state.theme);
  set("palette", state.palette);
  set("time", state.time);
  if (state.arrows) set("arrows", "1");
  return parameters.toString();
}

export function linkFromHash(hash: string): LinkState {
  const parameters = new URLSearchParams(hash.replace(/^#/, ""));
  const get = (name: string): string => parameters.get(name) ?? "";
  return {
    source: get("source"),
    range: rangeOf(`${get("visStart")}..${get("visEnd")}`),
    selection: rangeOf(parameters.get("sel")),
    row: get("row"),
    views: get("views"),
    filter: get("filter"),
    hide: get("hide") === "1",
    muted: unlist(parameters.get("muted")),
    pins: unlist(parameters.get("pins")),
    hidden: unlist(parameters.get("hidden")),
    theme: get("theme"),
    palette: get("palette"),
    time: get("time"),
    arrows: get("arrows") === "1",
  };
}
