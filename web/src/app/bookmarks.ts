/** A place that somebody marked, kept in this browser. */
export interface Bookmark {
  id: string;
  begin: bigint;
  end: bigint;
  note: string;
  /** The row's key, or an empty text. */
  row: string;
}

interface Stored {
  id: string;
  begin: string;
  end: string;
  note: string;
  row: string;
}

export function bookmarksToText(bookmarks: readonly Bookmark[]): string {
  const stored: Stored[] = bookmarks.map((mark) => ({
    ...mark,
    begin: mark.begin.toString(),
    end: mark.end.toString(),
  }));
  return JSON.stringify(stored);
}

/** Reads what was stored; entries that are none are left out. */
export function bookmarksFromText(text: string | null): Bookmark[] {
  if (text === null) return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return [];
  }
  if (!Array.isArray(parsed)) return [];
  const out: Bookmark[] = [];
  for (const entry of parsed as Partial<Stored>[]) {
    if (!/^-?\d+$/.test(entry?.begin ?? "") || !/^-?\d+$/.test(entry?.end ?? "")) continue;
    out.push({
      id: String(entry.id ?? out.length),
      begin: BigInt(entry.begin ?? "0"),
      end: BigInt(entry.end ?? "0"),
      note: String(entry.note ?? ""),
      row: String(entry.row ?? ""),
    });
  }
  return out;
}
