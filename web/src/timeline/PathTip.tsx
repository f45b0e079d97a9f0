import { shorten } from "../api/entities";
import type { CriticalPath } from "../api/critical";
import type { Source } from "../api/source";
import { timeFormat } from "../app/session";
import { formatDuration, formatExact, formatShare, formatTime, grouped } from "../time/time";
import { stateText } from "./looks";
import { StateHead, SureFacts } from "./StateFacts";

/** Waits around a step that are told. */
const MOST_WAITS = 6;

/** A step of a critical path: who, what, why that is known, who woke it and whom it woke, and what it explains. */
export function PathTip({
  source,
  path,
  at,
  sharing,
}: {
  source: Source;
  path: CriticalPath;
  at: number;
  sharing: number;
}) {
  const step = path.step(at);
  const name = (entity: number): string => shorten(source.entities.title(entity), 80);
  const by = step.by < 0 ? "" : shorten(source.entities.who(step.by), 80);
  const woken = path.wokenBy(at);
  const around = path.around(at);
  const ns = step.end - step.start;
  return (
    <div>
      {sharing > 1 && <div class="faint">One of {grouped(sharing)} steps in this column of the picture:</div>}
      <StateHead source={source} doing={step} />
      <dl class="facts">
        {by !== "" && (
          <>
            <dt>by</dt>
            <dd>{by}</dd>
          </>
        )}
        <dt>from</dt>
        <dd class="mono">{formatTime(source.moment(step.start), timeFormat.value, source.origin)}</dd>
        <dt>for</dt>
        <dd class="mono">
          {formatDuration(ns)} <span class="faint">({formatExact(ns)})</span>
        </dd>
        <dt>share</dt>
        <dd>{formatShare(path.share(ns))} of the path</dd>
        {woken >= 0 && (
          <>
            <dt>woken by</dt>
            <dd>{name(woken)}</dd>
          </>
        )}
        {step.woke >= 0 && (
          <>
            <dt>woke</dt>
            <dd>{name(step.woke)}</dd>
          </>
        )}
        <SureFacts source={source} doing={step} />
      </dl>
      {around.length > 0 && (
        <div class="tooltip-around">
          <span class="faint">while</span>
          {around.slice(0, MOST_WAITS).map((wait) => (
            <div key={`${wait.entity} ${wait.start}`}>
              {name(wait.entity)} was {stateText(source, wait.state, wait.cause, wait.level)}
              <span class="faint">
                {" "}
                for {formatDuration(wait.end - wait.start)}
                {wait.endedBy >= 0 && `, until ${name(wait.endedBy)} ended it`}
              </span>
            </div>
          ))}
          {around.length > MOST_WAITS && <div class="faint">and {around.length - MOST_WAITS} waits around them</div>}
        </div>
      )}
    </div>
  );
}
