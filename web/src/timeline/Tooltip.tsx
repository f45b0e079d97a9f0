import { useEffect, useState } from "preact/hooks";
import { isWorker } from "../api/critical";
import type { Interval } from "../api/segments";
import { shorten } from "../api/entities";
import { palette, timeFormat, view } from "../app/session";
import { formatDuration, formatExact, formatShare, formatTime } from "../time/time";
import type { TimelineModel } from "./model";
import type { Row } from "./rows";
import { stateText } from "./looks";
import { isWait, lookOf } from "./palette";
import { PathTip } from "./PathTip";
import { StateHead, SureFacts } from "./StateFacts";
import { Swatch } from "./Swatch";

/** What is under the mouse: the exact interval with its evidence, or the parts of a bucket and the exact interval in it. */
export function Tooltip({ model }: { model: TimelineModel }) {
  const hover = model.hover.value;
  const [exact, setExact] = useState<{ key: string; interval: Interval | null } | null>(null);
  const key = hover === null ? "" : `${hover.row.node.id} ${hover.time}`;
  const lanes =
    hover === null
      ? []
      : model.store.at(hover.row.node, model.source.distance(hover.time), view.value, model.size.value.width);
  const parts = lanes[0] ?? [];
  const isBucket = parts.length > 0 && parts[0]?.exact === false;
  const isGroup = hover?.row.node.drawing === "average";

  useEffect(() => {
    if (hover === null || !isBucket || isGroup) return;
    const timer = setTimeout(() => {
      model.intervalAt(hover.row, hover.time).then(
        (interval) => setExact({ key, interval }),
        () => undefined,
      );
    }, 150);
    return () => clearTimeout(timer);
  }, [key, isBucket]);

  const isCurve = hover?.row.node.drawing === "curve";
  if (hover === null || (parts.length === 0 && !isCurve)) return null;
  const [first] = parts;
  const shown = first?.exact === true ? first : exact?.key === key ? exact.interval : null;
  const path = model.path.value;
  const at = model.source.distance(hover.time);
  const nsPerPixel = Number(view.value.end - view.value.begin) / Math.max(1, model.size.value.width);
  const step = hover.row.node.steps?.stepAt(at, nsPerPixel) ?? -1;
  const { pageX: x, pageY: y } = hover;
  const toLeft = x > innerWidth - 420;
  const above = y > innerHeight - 280;
  const style = {
    left: toLeft ? "auto" : `${x + 16}px`,
    right: toLeft ? `${innerWidth - x + 12}px` : "auto",
    top: above ? "auto" : `${y + 18}px`,
    bottom: above ? `${innerHeight - y + 12}px` : "auto",
  };
  return (
    <div class="tooltip" style={style} role="tooltip">
      <div class="tooltip-title">{shorten(titleOf(model, hover.row), 120)}</div>
      {isCurve && <div>{model.describeCurve(hover.row, hover.time)}</div>}
      {isBucket && <Bucket model={model} parts={parts} of={isGroup ? hover.row.node.lanes.length : 0} />}
      {path !== null && step >= 0 && hover.row.node.steps !== undefined ? (
        <PathTip
          source={model.source}
          path={path}
          at={step}
          sharing={hover.row.node.steps.sharing(at, nsPerPixel)}
        />
      ) : (
        first !== undefined && shown !== null && <Exact model={model} interval={shown} more={lanes.slice(1)} />
      )}
    </div>
  );
}

function titleOf(model: TimelineModel, row: Row): string {
  const { entity, vcpu, title } = row.node;
  const full = model.source.entities.title(entity);
  return full === "" ? title : vcpu >= 0 ? `${full}, ${title}` : full;
}

function Bucket({ model, parts, of }: { model: TimelineModel; parts: readonly Interval[]; of: number }) {
  const total = (parts[0]?.end ?? 1) - (parts[0]?.start ?? 0);
  const words = model.source.vocabulary;
  return (
    <div class="tooltip-bucket">
      <div class="faint">
        {of > 0
          ? `Average of ${of}, ${formatDuration(total)} around here:`
          : `${formatDuration(total)} around here, one column of the picture:`}
      </div>
      {parts.slice(0, 8).map((part) => (
        <div key={`${part.state} ${part.cause} ${part.level} ${part.confidence}`} class="tooltip-part">
          <Swatch look={lookOf(words.state(part.state), words.cause(part.cause), part.level, palette.value)} />
          <span>
            {stateText(model.source, part.state, part.cause, part.level)}
            {words.confidence(part.confidence) === "likely" && <span class="faint"> likely</span>}
          </span>
          <span class="number">{formatDuration(part.ns)}</span>
          <span class="number">{formatShare(part.ns / total)}</span>
        </div>
      ))}
      {parts.length > 8 && <div class="faint">and {parts.length - 8} more</div>}
    </div>
  );
}

function Exact({ model, interval, more }: { model: TimelineModel; interval: Interval; more: readonly Interval[][] }) {
  const { source } = model;
  const waits = isWait(source.vocabulary.state(interval.state));
  const by = source.entities.who(interval.by);
  const time = (distance: number): string => formatTime(source.moment(distance), timeFormat.value, source.origin);
  return (
    <div>
      <StateHead source={source} doing={interval} />
      <dl class="facts">
        {by !== "" && (
          <>
            <dt>by</dt>
            <dd>{shorten(by, 80)}</dd>
          </>
        )}
        {interval.vcpu >= 0 && (
          <>
            <dt>on vCPU</dt>
            <dd>{interval.vcpu}</dd>
          </>
        )}
        <dt>begin</dt>
        <dd class="mono">{time(interval.start)}</dd>
        <dt>end</dt>
        <dd class="mono">{time(interval.end)}</dd>
        <dt>duration</dt>
        <dd class="mono">
          {formatDuration(interval.end - interval.start)}{" "}
          <span class="faint">({formatExact(interval.end - interval.start)})</span>
        </dd>
        <SureFacts source={source} doing={interval} />
      </dl>
      {waits && isWorker(source.entities.get(interval.entity)) && (
        <div class="faint tooltip-hint">Click, then C: why it waits</div>
      )}
      {more.slice(0, 3).map((parts) => {
        const [first] = parts;
        if (first === undefined || !first.exact) return null;
        return (
          <div class="faint" key={first.vcpu}>
            on vCPU {first.vcpu}: {stateText(source, first.state, first.cause, first.level)}
          </div>
        );
      })}
    </div>
  );
}
