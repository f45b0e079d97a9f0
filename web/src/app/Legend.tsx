import { seen } from "../timeline/legend-items";
import { lookOf } from "../timeline/palette";
import { Swatch } from "../timeline/Swatch";
import { Pattern } from "../surface/surface";
import { muted, palette } from "./session";
import { CAUSE_WORDS, STATE_WORDS } from "./words";

/** Turns one item off or on; with `only`, turns off all others. */
function toggle(item: string, only: boolean, all: readonly string[]): void {
  const before = muted.peek();
  if (only) {
    const others = all.filter((other) => other !== item && other.split(":")[0] === item.split(":")[0]);
    const isOnly = others.every((other) => before.has(other)) && !before.has(item);
    muted.value = isOnly ? new Set() : new Set(others);
    return;
  }
  const next = new Set(before);
  if (!next.delete(item)) next.add(item);
  muted.value = next;
}

/** What the colours mean; clicking an item turns it off, so the legend is a filter too. */
export function Legend() {
  const { states, causes } = seen.value;
  const colors = palette.value;
  const items = [
    ...states.map((state) => `state:${state}`),
    ...causes.map((cause) => `cause:${cause}`),
    "confidence:proved",
    "confidence:likely",
  ];
  const item = (id: string, text: string, tip: string, swatch: preact.JSX.Element) => (
    <button
      key={id}
      type="button"
      class="legend-item"
      aria-pressed={!muted.value.has(id)}
      title={`${tip}\nClick: off and on. Shift+click: only this.`}
      onClick={(event) => toggle(id, event.shiftKey, items)}
    >
      {swatch}
      {text}
    </button>
  );
  return (
    <div class="legend" role="group" aria-label="Legend and filter">
      {states.map((state) =>
        item(`state:${state}`, state, STATE_WORDS[state] ?? state, <Swatch look={lookOf(state, "", 1, colors)} />),
      )}
      {causes.length > 0 && <span class="legend-title">ended by</span>}
      {causes.map((cause) =>
        item(
          `cause:${cause}`,
          cause,
          CAUSE_WORDS[cause] ?? cause,
          <Swatch look={lookOf("halted", cause, 0, colors)} />,
        ),
      )}
      <span class="legend-title">sure</span>
      {item(
        "confidence:proved",
        "proved",
        "The events leave no other answer.",
        <Swatch look={{ color: lookOf("guest", "", 1, colors).color, pattern: Pattern.Solid, height: 1 }} />,
      )}
      {item(
        "confidence:likely",
        "likely",
        "A rule decided that can err: drawn paler, with a dashed edge.",
        <span
          class="likely-swatch"
          style={{ "--likely": `#${lookOf("guest", "", 1, colors).color.toString(16).padStart(6, "0")}` }}
        />,
      )}
      {muted.value.size > 0 && (
        <button type="button" class="small" onClick={() => (muted.value = new Set())}>
          All on
        </button>
      )}
    </div>
  );
}
