import { shorten } from "../api/entities";
import { formatDuration, formatTime } from "../time/time";
import { IconButton } from "./icons";
import {
  bookmarks,
  bookmarksOpen,
  currentRow,
  say,
  select,
  selection,
  setBookmarks,
  source,
  timeFormat,
  view,
} from "./session";

/** Marks the selection, or the middle of what is visible. */
export function addBookmark(): void {
  const opened = source.peek();
  if (opened === null) return;
  const middle = (view.peek().begin + view.peek().end) / 2n;
  const place = selection.peek() ?? { begin: middle, end: middle };
  const id = `${Date.now()}`;
  setBookmarks(
    [...bookmarks.peek(), { id, ...place, note: "", row: currentRow.peek()?.id ?? "" }].sort((a, b) =>
      a.begin < b.begin ? -1 : 1,
    ),
  );
  bookmarksOpen.value = true;
  say("Bookmarked.");
  // The note is what one wants to write next.
  requestAnimationFrame(() => requestAnimationFrame(() => document.getElementById(`note-${id}`)?.focus()));
}

/** Goes to the bookmark after or before the cursor. */
export function stepBookmark(to: "next" | "previous"): void {
  const at = selection.peek()?.begin ?? view.peek().begin;
  const list = bookmarks.peek();
  const found = to === "next" ? list.find((mark) => mark.begin > at) : list.filter((mark) => mark.begin < at).at(-1);
  if (found === undefined) say("No bookmark there.");
  else visit(found.id);
}

function visit(id: string): void {
  const opened = source.peek();
  const mark = bookmarks.peek().find((other) => other.id === id);
  if (opened === null || mark === undefined) return;
  const entity = opened.entities.find(mark.row.replace(/@\d+$/, ""));
  if (entity !== undefined) currentRow.value = { id: mark.row, entity: entity.id, vcpu: -1 };
  select({ begin: mark.begin, end: mark.end }, { reveal: true });
  if (mark.note !== "") say(mark.note);
}

export function Bookmarks() {
  const opened = source.value;
  if (!bookmarksOpen.value || opened === null) return null;
  return (
    <aside class="bookmarks" aria-label="Bookmarks">
      <div class="bookmarks-head">
        <h2>Bookmarks</h2>
        <span class="spring" />
        <IconButton icon="plus" name="Bookmark the selection (B)" onClick={addBookmark} />
        <IconButton icon="close" name="Close" onClick={() => (bookmarksOpen.value = false)} />
      </div>
      {bookmarks.value.length === 0 && (
        <p class="faint">None yet. B marks the selection; notes are kept in this browser.</p>
      )}
      <ul>
        {bookmarks.value.map((mark) => (
          <li key={mark.id}>
            <button type="button" class="mono link" onClick={() => visit(mark.id)}>
              {formatTime(mark.begin, timeFormat.value, opened.origin)}
              {mark.end > mark.begin ? `  ${formatDuration(mark.end - mark.begin)}` : ""}
            </button>
            {mark.row !== "" && (
              <span class="faint">
                {shorten(opened.entities.title(opened.entities.find(mark.row.replace(/@\d+$/, ""))?.id ?? -1), 40)}
              </span>
            )}
            <div class="bookmark-note">
              <input
                id={`note-${mark.id}`}
                type="text"
                placeholder="Note"
                aria-label="Note"
                value={mark.note}
                onInput={(event) =>
                  setBookmarks(
                    bookmarks
                      .peek()
                      .map((other) => (other.id === mark.id ? { ...other, note: event.currentTarget.value } : other)),
                  )
                }
                onKeyDown={(event) => (event.key === "Enter" || event.key === "Escape") && event.currentTarget.blur()}
              />
              <IconButton
                icon="close"
                name="Delete"
                onClick={() => setBookmarks(bookmarks.peek().filter((other) => other.id !== mark.id))}
              />
            </div>
          </li>
        ))}
      </ul>
    </aside>
  );
}
