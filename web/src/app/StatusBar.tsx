import { formatDuration, formatExact, formatShare, formatTime } from "../time/time";
import type { Source } from "../api/source";
import { shorten } from "../api/entities";
import { lookOf } from "../timeline/palette";
import { css } from "../surface/surface";
import { currentRow, mouseTime, notice, palette, selection, source, sources, timeFormat } from "./session";
import { percent } from "./Toolbar";
import { useReply } from "./use-reply";

/** Where the mouse is, what is selected, and what the selected row did in it. */
export function StatusBar() {
  const opened = source.value;
  const summary = sources.value.find((known) => known.id === opened?.id);
  const mouse = mouseTime.value;
  return (
    <footer class="status">
      {opened !== null && (
        <span class="status-mouse mono">
          {mouse === null ? "" : formatTime(mouse, timeFormat.value, opened.origin)}
        </span>
      )}
      {opened !== null && <Selection source={opened} />}
      <span class="spring" />
      <span class="status-notice" role="status" aria-live="polite">
        {shorten(notice.value, 220)}
      </span>
      {opened !== null && opened.loss.length > 0 && <span class="status-loss">events were lost</span>}
      {summary?.state === "analysing" && (
        <span class="status-progress">
          analysing {percent(summary.bytes_read, summary.bytes)}
          <progress max={1} value={summary.bytes > 0 ? summary.bytes_read / summary.bytes : 0} />
        </span>
      )}
    </footer>
  );
}

function Selection({ source: opened }: { source: Source }) {
  const chosen = selection.value;
  const row = currentRow.value;
  const stretch = chosen !== null && chosen.end > chosen.begin;
  const entity = row === null ? undefined : opened.entities.get(row.entity);
  const asks = stretch && entity !== undefined && entity.intervals > 0;
  const budget = useReply(
    (signal) => (asks && chosen !== null ? opened.budget(chosen, [entity.id], signal) : null),
    [opened, chosen, row?.id, row?.vcpu],
  );
  if (chosen === null) return <span class="faint">Click to set the cursor, drag to select, ? for all keys</span>;
  const text = (time: bigint): string => formatTime(time, timeFormat.value, opened.origin);
  const sums = new Map<number, number>();
  for (const part of budget.value.value ?? [])
    if (row !== null && (row.vcpu < 0 || part.vcpu === row.vcpu))
      sums.set(part.state, (sums.get(part.state) ?? 0) + part.ns);
  const total = [...sums.values()].reduce((sum, ns) => sum + ns, 0);
  return (
    <>
      <span class="mono status-selection">
        {stretch ? (
          <>
            {text(chosen.begin)} … {text(chosen.end)} <b>{formatDuration(chosen.end - chosen.begin)}</b>{" "}
            <span class="faint">({formatExact(chosen.end - chosen.begin)})</span>
          </>
        ) : (
          <>cursor {text(chosen.begin)}</>
        )}
      </span>
      {row !== null && entity !== undefined && (
        <span class="status-row">{shorten(opened.entities.title(entity.id), 40)}</span>
      )}
      {asks && total > 0 && (
        <span class="status-shares">
          {[...sums]
            .sort((a, b) => b[1] - a[1])
            .slice(0, 6)
            .map(([state, ns]) => {
              const name = opened.vocabulary.state(state);
              return (
                <span key={state}>
                  <i class="dot" style={{ background: css(lookOf(name, "", 1, palette.value).color) }} />
                  {name} {formatShare(ns / total)}
                </span>
              );
            })}
        </span>
      )}
    </>
  );
}
