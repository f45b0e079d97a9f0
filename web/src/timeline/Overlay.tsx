import { bookmarks, cursor, mouseTime, selection, timeFormat, view } from "../app/session";
import { pixelOf, type Range } from "../time/range";
import { formatTime } from "../time/time";
import type { TimelineModel } from "./model";

/** Selection, cursor, bookmarks and the mouse's line, above the picture so that they move without a repaint. */
export function Overlay({ model, zoomBox }: { model: TimelineModel; zoomBox: Range | null }) {
  const { width } = model.size.value;
  const range = view.value;
  const chosen = selection.value;
  const mouse = mouseTime.value;
  const box = (shown: Range): { left: string; width: string } => {
    const left = Math.max(-2, pixelOf(range, shown.begin, width));
    const right = Math.min(width + 2, pixelOf(range, shown.end, width));
    return { left: `${left}px`, width: `${Math.max(0, right - left)}px` };
  };
  return (
    <div class="overlay" aria-hidden="true">
      {bookmarks.value.map((mark) => (
        <div key={mark.id} class="overlay-bookmark" style={{ left: `${pixelOf(range, mark.begin, width)}px` }} />
      ))}
      {chosen !== null && chosen.end > chosen.begin && <div class="overlay-selection" style={box(chosen)} />}
      {chosen !== null && chosen.end === chosen.begin && (
        <div class="overlay-cursor" style={{ left: `${pixelOf(range, chosen.begin, width)}px` }} />
      )}
      {zoomBox !== null && <div class="overlay-zoom" style={box(zoomBox)} />}
      {mouse !== null && <div class="overlay-mouse" style={{ left: `${pixelOf(range, mouse, width)}px` }} />}
    </div>
  );
}

/** The same as the picture, in words: what each visible row does at the cursor. */
export function Spoken({ model }: { model: TimelineModel }) {
  void model.stamp.value;
  const at = cursor.value;
  const time = at ?? view.value.begin + (view.value.end - view.value.begin) / 2n;
  const inView = time >= view.value.begin && time < view.value.end;
  return (
    <table class="spoken">
      <caption>
        States at {formatTime(time, timeFormat.value, model.source.origin)}
        {at === null ? ", the middle of what is visible" : ""}
      </caption>
      <tbody>
        {inView &&
          model.visible.value.slice(0, 60).map((row) => (
            <tr key={`${row.pinned ? "pin " : ""}${row.node.id}`}>
              <td>{model.describe(row, time)}</td>
            </tr>
          ))}
      </tbody>
    </table>
  );
}
