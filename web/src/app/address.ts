import { batch, effect } from "@preact/signals";
import { TIME_FORMATS } from "../time/time";
import { layoutToText } from "./layout";
import { linkFromHash, linkToHash, type LinkState } from "./link";
import { listSources, openSource, watchSources } from "./opening";
import {
  arrows,
  currentRow,
  filterHides,
  filterText,
  hidden,
  layout,
  muted,
  palette,
  pins,
  problem,
  selection,
  source,
  sources,
  theme,
  timeFormat,
  view,
} from "./session";

function linkState(): LinkState {
  const opened = source.value;
  return {
    source: opened?.name ?? "",
    range: opened === null ? null : view.value,
    selection: selection.value,
    row: currentRow.value?.id ?? "",
    views: layoutToText(layout.value),
    filter: filterText.value,
    hide: filterHides.value,
    muted: [...muted.value],
    pins: [...pins.value],
    hidden: [...hidden.value],
    theme: theme.value === "system" ? "" : theme.value,
    palette: palette.value === "safe" ? "" : palette.value,
    time: timeFormat.value === "utc" ? "" : timeFormat.value,
    arrows: arrows.value,
  };
}

function applyLook(link: LinkState): void {
  batch(() => {
    if (link.theme === "light" || link.theme === "dark") theme.value = link.theme;
    if (link.palette === "classic") palette.value = "classic";
    const format = TIME_FORMATS.find((known) => known.id === link.time);
    if (format !== undefined) timeFormat.value = format.id;
    filterText.value = link.filter;
    filterHides.value = link.hide;
    muted.value = new Set(link.muted);
    arrows.value = link.arrows;
  });
}

let written = "";

/** Reads the address, opens what it names, and from then on keeps the address up to date. */
export async function start(): Promise<void> {
  const link = linkFromHash(location.hash);
  applyLook(link);
  const listed = await listSources();
  if (listed === null) return;
  const wanted = listed.find((known) => known.name === link.source) ?? listed.find((known) => known.id === link.source);
  if (link.source !== "" && wanted === undefined) problem.value = `No source is called “${link.source.slice(0, 80)}”.`;
  const first = wanted ?? (listed.length === 1 ? listed[0] : undefined);
  if (first !== undefined) await openSource(first.id, wanted === undefined ? undefined : link);
  void watchSources();

  let timer = 0;
  effect(() => {
    const hash = linkToHash(linkState());
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      written = hash;
      history.replaceState(null, "", "#" + hash);
    }, 200);
  });
  effect(() => localStorage.setItem("virtflow.theme", theme.value));
  effect(() => localStorage.setItem("virtflow.palette", palette.value));
  effect(() => localStorage.setItem("virtflow.time", timeFormat.value));
  addEventListener("hashchange", () => {
    if (location.hash.slice(1) === written) return;
    const changed = linkFromHash(location.hash);
    applyLook(changed);
    const target = sources.peek().find((known) => known.name === changed.source);
    if (target !== undefined) void openSource(target.id, changed);
  });
}
