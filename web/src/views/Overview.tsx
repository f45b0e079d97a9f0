import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { Entities, shorten, shortName, type Entity } from "../api/entities";
import type { Source } from "../api/source";
import type { Finding } from "../api/types";
import { PanelFrame } from "../app/PanelFrame";
import type { Panel } from "../app/layout";
import { openPath, openSource } from "../app/opening";
import { batchOpen, goTo, openPanel, openTaken, select, sources, timeFormat } from "../app/session";
import { percent } from "../app/Toolbar";
import { useReply } from "../app/use-reply";
import { formatDate, formatDuration, formatShare, formatTime, grouped } from "../time/time";
import { guestsIn } from "./guests";
import { takerTitle } from "./Taken";
import { levelsOf, victimsOf, type Level } from "./takers";
import { guestTitle } from "./Timelines";

/** View 9: what is there, what stands out, and what the trace lacks. */
export function OverviewView({ panel, source }: { panel: Panel; source: Source | null }) {
  return (
    <PanelFrame panel={panel}>
      <div class="overview" tabIndex={0}>
        <div class="overview-columns">{source === null ? <SourceList /> : <Opened source={source} />}</div>
      </div>
    </PanelFrame>
  );
}

function SourceList() {
  const path = useSignal("");
  return (
    <section>
      <h3>Sources</h3>
      {sources.value.length === 0 && <p class="faint">The server has none.</p>}
      <table class="plain">
        <tbody>
          {sources.value.map((known) => {
            const ready = known.begin_ns !== null && known.end_ns !== null && known.state !== "failed";
            return (
              <tr key={known.id}>
                <th scope="row">
                  <button type="button" class="link" disabled={!ready} onClick={() => void openSource(known.id)}>
                    {shorten(known.name, 80)}
                  </button>
                </th>
                <td>{known.kind}</td>
                <td>
                  {known.state === "analysing" ? `analysing, ${percent(known.bytes_read, known.bytes)}` : known.state}
                </td>
                <td>
                  {ready
                    ? formatDuration(BigInt(known.end_ns ?? "0") - BigInt(known.begin_ns ?? "0"))
                    : shorten(known.error ?? "", 200)}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <form
        class="open-path"
        onSubmit={(event) => {
          event.preventDefault();
          void openPath(path.value.trim());
        }}
      >
        <label class="inline">
          Open another, below the server's root
          <input
            type="text"
            class="mono"
            spellcheck={false}
            value={path.value}
            placeholder="directory of a trace or a store"
            onInput={(event) => (path.value = event.currentTarget.value)}
          />
        </label>
        <button type="submit" disabled={path.value.trim() === ""}>
          Open
        </button>
      </form>
    </section>
  );
}

function Opened({ source }: { source: Source }) {
  const findings = useReply((signal) => source.findings(signal), [source], 0);
  const { reply, bounds } = source;
  const text = (time: bigint): string => formatTime(time, timeFormat.value, source.origin, 3);
  // What there is comes first, unless it is so much that what stands out would not be seen.
  const guestsFirst = useMemo(() => guestsIn(source).length <= 12, [source]);
  return (
    <>
      <section class="overview-facts">
        <h3>{shorten(source.name, 120)}</h3>
        <dl class="facts">
          <dt>recorded</dt>
          <dd>
            {formatDate(bounds.begin, timeFormat.value)} <span class="mono">{text(bounds.begin)}</span> to{" "}
            <span class="mono">{text(bounds.end)}</span>, {formatDuration(bounds.end - bounds.begin)}
          </dd>
          <dt>machines</dt>
          <dd>{reply.machines.map((machine) => shorten(machine.name, 60)).join(", ") || "none"}</dd>
          <dt>analysed</dt>
          <dd>
            {reply.state === "complete"
              ? "all of it"
              : reply.complete_to_ns === null
                ? reply.state
                : `until ${text(BigInt(reply.complete_to_ns))} (${reply.state})`}
          </dd>
          <dt>lost events</dt>
          <dd>
            {source.loss.length === 0
              ? "none that the recording says"
              : `in ${source.loss.length} stretches; see below`}
          </dd>
          <dt>lanes</dt>
          <dd>{lanesText(source)}</dd>
        </dl>
        <div class="overview-open">
          <button type="button" class="primary" onClick={() => batchOpen([["vms"], ["budgets"]])}>
            Open virtual machines
          </button>
          <button type="button" onClick={() => batchOpen([["vms", "processes", "resources"]])}>
            All timelines
          </button>
          <button type="button" onClick={() => batchOpen([["vms"], ["matrix"]])}>
            Who pre-empted whom
          </button>
        </div>
      </section>
      {guestsFirst && <Guests source={source} />}
      <section>
        <h3>What stands out</h3>
        {findings.error.value !== null && <p class="panel-error">{findings.error.value}</p>}
        {findings.value.value?.length === 0 && <p class="faint">Nothing does.</p>}
        <ol class="findings">
          {(findings.value.value ?? []).slice(0, 12).map((finding, index) => (
            <FindingItem key={index} source={source} finding={finding} />
          ))}
        </ol>
      </section>
      {!guestsFirst && <Guests source={source} />}
      <Missing source={source} />
      <Losses source={source} />
      {sources.value.length > 1 && <SourceList />}
      {reply.problems.length > 0 && (
        <section>
          <h3>Problems</h3>
          <ul class="problems">
            {reply.problems.slice(0, 100).map((text_, index) => (
              <li key={index}>{shorten(text_, 400)}</li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function lanesText(source: Source): string {
  const count = (...kinds: string[]): number => source.entities.ofKind(...kinds).length;
  const parts: [number, string][] = [
    [count("cpu"), "CPU"],
    [count("vm"), "VM"],
    [count("vcpu"), "vCPU"],
    [count("nested-vm"), "nested VM"],
    [source.entities.ofKind("process").filter((entity) => !Entities.isRest(entity)).length, "guest process"],
    [count("thread"), "host thread"],
    [count("container"), "container"],
  ];
  return parts
    .filter(([number]) => number > 0)
    .map(([number, title]) => `${grouped(number)} ${title}${number === 1 ? "" : title.endsWith("s") ? "es" : "s"}`)
    .join(", ");
}

function FindingItem({ source, finding }: { source: Source; finding: Finding }) {
  const place =
    finding.begin_ns === null || finding.end_ns === null
      ? null
      : { begin: BigInt(finding.begin_ns), end: BigInt(finding.end_ns) };
  const open = (): void => {
    if (place === null) return;
    if (finding.entity !== null && source.entities.get(finding.entity) !== undefined) goTo(finding.entity, place);
    else {
      openPanel(finding.kind === "loss" ? "resources" : "vms");
      select(place, { focus: true });
    }
  };
  return (
    <li>
      <span class={`finding-kind kind-${finding.kind.replaceAll(/[^a-z-]/g, "")}`}>{shorten(finding.kind, 24)}</span>
      <div>
        {place === null ? (
          <span>{shorten(finding.title, 400)}</span>
        ) : (
          <button type="button" class="link" onClick={open}>
            {shorten(finding.title, 400)}
          </button>
        )}
        <div class="faint">
          {place !== null && <span class="mono">{formatTime(place.begin, timeFormat.value, source.origin, 6)}</span>}
          {finding.ns !== null && <span> · {formatDuration(BigInt(finding.ns))}</span>}
          {finding.share !== null && <span> · {formatShare(finding.share)}</span>}
          {finding.detail !== null && finding.detail !== "" && <span> · {shorten(finding.detail, 400)}</span>}
        </div>
      </div>
    </li>
  );
}

/** So many lanes at most are summed for the list of VMs: more would keep the server busy for a glance. */
const SUMMED = 512;

function Guests({ source }: { source: Source }) {
  const { entities } = source;
  const guests = useMemo(() => guestsIn(source).slice(0, 300), [source]);
  const lanes = useMemo(() => {
    const all = guests.flatMap(({ entity }) => victimsOf(entities, entity).map((lane) => lane.id));
    return [...new Set(all)].slice(0, SUMMED);
  }, [guests]);
  const taken = useReply(
    (signal) => (lanes.length === 0 ? null : source.matrix(source.bounds, signal, lanes)),
    [source, lanes],
    0,
  );
  const rows = taken.value.value;
  const lost = useMemo(
    () =>
      new Map(
        guests.map(({ entity }) => {
          const victims = new Set(victimsOf(entities, entity).map((lane) => lane.id));
          return [entity.id, levelsOf(entities, source.vocabulary, rows ?? [], victims)];
        }),
      ),
    [guests, rows],
  );
  if (guests.length === 0) return null;
  const count = (guest: Entity, ...kinds: string[]): string => {
    const all = entities.children(guest.id).filter((child) => kinds.includes(child.kind));
    return isGuest(guest) ? grouped(all.length) : "";
  };
  const hasNested = guests.some(({ entity }) => entity.kind === "nested-vm");
  return (
    <section>
      <h3>Virtual machines</h3>
      <table class="plain guests">
        <thead>
          <tr>
            <th scope="col">name</th>
            <th scope="col" class="numeric">
              vCPUs
            </th>
            <th scope="col" class="numeric">
              seen
            </th>
            <th scope="col" class="numeric" title="How long the host (L0) let others run while it wanted a CPU">
              CPU taken{hasNested && " at L0"}
            </th>
            {hasNested && (
              <th scope="col" class="numeric" title="How long the guest's hypervisor let others run">
                in L1
              </th>
            )}
            <th scope="col">most by</th>
          </tr>
        </thead>
        <tbody>
          {guests.map(({ entity, depth }) => (
            <tr key={entity.key} data-key={entity.key}>
              <th scope="row" style={{ paddingLeft: `${8 + depth * 16}px` }} title={shorten(entity.key, 200)}>
                {isGuest(entity) ? (
                  <button
                    type="button"
                    class="link"
                    title={`${count(entity, "process")} processes of ${guestTitle(source, entity)}`}
                    onClick={() => openPanel("processes", { vm: entity.key })}
                  >
                    {entity.kind === "nested-vm" ? "nested VM " : ""}
                    {shortName(entity)}
                  </button>
                ) : (
                  shortName(entity)
                )}
              </th>
              <td class="numeric">{count(entity, "vcpu", "nested-vcpu")}</td>
              <td class="numeric">{formatDuration(entity.end - entity.begin)}</td>
              <TakenCells source={source} entity={entity} levels={lost.get(entity.id) ?? []} nested={hasNested} />
            </tr>
          ))}
        </tbody>
      </table>
      {rows === null && taken.busy.value && <p class="faint">Who took the CPU is being summed…</p>}
    </section>
  );
}

function isGuest(entity: Entity): boolean {
  return entity.kind === "vm" || entity.kind === "nested-vm";
}

/** How long an entity was without a CPU, by level, and who had most of it; each opens the whole answer. */
function TakenCells({
  source,
  entity,
  levels,
  nested,
}: {
  source: Source;
  entity: Entity;
  levels: readonly Level[];
  nested: boolean;
}) {
  const title = `Who took the CPU from ${shorten(source.entities.title(entity.id), 80)}, and for how long`;
  const cell = (level: Level | undefined) => (
    <td class="numeric">
      {level !== undefined && (
        <button type="button" class="link number" title={title} onClick={() => openTaken(entity.key)}>
          {formatDuration(level.ns)}
        </button>
      )}
    </td>
  );
  const most = levels.flatMap((level) => level.takers).sort((a, b) => b.ns - a.ns)[0];
  return (
    <>
      {cell(levels.find((level) => level.decider === "l0"))}
      {nested && cell(levels.find((level) => level.decider === "l1"))}
      <td class="cut">
        {most !== undefined && (
          <button type="button" class="link" title={title} onClick={() => openTaken(entity.key)}>
            {takerTitle(source, most)}
          </button>
        )}
      </td>
    </>
  );
}

function Missing({ source }: { source: Source }) {
  const { missing } = source.reply;
  if (missing.length === 0) return null;
  return (
    <section>
      <h3>What the trace lacks, and how to record it</h3>
      <table class="plain missing">
        <tbody>
          {missing.slice(0, 60).map((item, index) => (
            <tr key={index}>
              <th scope="row" class="mono">
                {shorten(item.event, 60)}
              </th>
              <td>
                {shorten(item.hides, 300)}
                {item.record !== "" && <code class="command">{shorten(item.record, 400)}</code>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Losses({ source }: { source: Source }) {
  if (source.loss.length === 0) return null;
  return (
    <section>
      <h3>Where events were lost</h3>
      <p class="faint">
        Meanwhile everything on that CPU is unknown, and what the others show is less certain than it says.
      </p>
      <table class="plain">
        <tbody>
          {source.loss.slice(0, 40).map((loss, index) => (
            <tr key={index}>
              <th scope="row">
                <button
                  type="button"
                  class="link mono"
                  onClick={() => {
                    openPanel("resources");
                    select({ begin: source.moment(loss.begin), end: source.moment(loss.end) }, { focus: true });
                  }}
                >
                  {formatTime(source.moment(loss.begin), timeFormat.value, source.origin, 6)}
                </button>
              </th>
              <td>CPU {loss.cpu}</td>
              <td class="numeric">{formatDuration(loss.end - loss.begin)}</td>
              <td>
                {loss.count === null ? shorten(loss.kind, 40) : `${grouped(loss.count)} ${shorten(loss.kind, 40)}`}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {source.loss.length > 40 && <p class="faint">and {source.loss.length - 40} more</p>}
    </section>
  );
}
