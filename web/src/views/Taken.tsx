import { useEffect, useMemo } from "preact/hooks";
import { shorten, shortName, type Entity } from "../api/entities";
import type { Source } from "../api/source";
import { PanelFrame } from "../app/PanelFrame";
import { changePanel, type Panel } from "../app/layout";
import { currentRow, goTo, layout } from "../app/session";
import { useReply } from "../app/use-reply";
import { tables } from "../export/save";
import { formatDuration, formatExact, formatShare, grouped } from "../time/time";
import { guestsIn } from "./guests";
import { culpritTitle } from "./Matrix";
import { RangeNote, useSubject } from "./scope";
import { levelsOf, victimsOf, type Decider, type Level, type Taker } from "./takers";

const DECIDER_TITLES: Readonly<Record<Decider, string>> = {
  l0: "L0: the host gave the CPU to",
  l1: "L1: the guest's hypervisor ran",
  l2: "L2: the hypervisor in the nested VM ran",
  below: "Below the guest: its vCPU was without a CPU, which had",
  guest: "In the guest: the vCPU was with",
};

/** How many of a level are listed; the rest is summed. */
const MOST = 40;

/** View 6: who had the CPU while one VM, nested VM, vCPU or process wanted it, by the level that decided so. */
export function TakenView({ panel, source }: { panel: Panel; source: Source }) {
  const range = useSubject(panel);
  const chosen = panel.options["of"] ?? "";
  const row = currentRow.value;
  const victim = chosen !== "" ? source.entities.find(chosen) : source.entities.get(row?.entity ?? -1);
  const victims = useMemo(
    () => (victim === undefined ? [] : victimsOf(source.entities, victim).map((lane) => lane.id)),
    [source, victim],
  );
  const reply = useReply(
    (signal) => (victims.length === 0 ? null : source.matrix(range, signal, victims)),
    [source, range, victims],
    150,
  );
  const rows = reply.value.value;
  const levels = useMemo(
    () => levelsOf(source.entities, source.vocabulary, rows ?? [], new Set(victims)),
    [source, rows, victims],
  );
  useEffect(() => {
    tables.set(panel.id, () => [
      ["decided by", "had the CPU", "key", "ns", "count", "longest_ns", "longest_start_ns"],
      ...levels.flatMap((level) =>
        level.takers.map((taker) => [
          level.decider,
          takerTitle(source, taker),
          source.entities.get(taker.id)?.key ?? "",
          taker.ns,
          taker.count,
          taker.longest,
          source.moment(taker.longestStart),
        ]),
      ),
    ]);
    return () => void tables.delete(panel.id);
  }, [panel.id, levels]);
  return (
    <PanelFrame
      panel={panel}
      busy={reply.busy}
      error={reply.error.value}
      controls={
        <>
          <VictimPicker panel={panel} source={source} chosen={chosen} />
          <RangeNote source={source} panel={panel} />
        </>
      }
    >
      <div class="taken" tabIndex={0}>
        {victim === undefined ? (
          <div class="data-empty">Choose a VM, nested VM or vCPU above, or click a row of a timeline.</div>
        ) : rows === null || reply.busy.value ? (
          rows === null && <div class="data-empty">…</div>
        ) : (
          <Summary source={source} victim={victim} victims={victims.length} levels={levels} />
        )}
        {victim !== undefined &&
          rows !== null &&
          levels.map((level) => (
            <LevelTable key={level.decider} panel={panel} source={source} victim={victim} level={level} />
          ))}
      </div>
    </PanelFrame>
  );
}

function VictimPicker({ panel, source, chosen }: { panel: Panel; source: Source; chosen: string }) {
  const guests = useMemo(() => guestsIn(source), [source]);
  const known = chosen === "" || guests.some(({ entity }) => entity.key === chosen);
  return (
    <label class="inline">
      <span class="label-text">From</span>
      <select
        value={chosen}
        onChange={(event) => {
          layout.value = changePanel(layout.peek(), panel.id, {
            options: { ...panel.options, of: event.currentTarget.value },
          });
        }}
      >
        <option value="">the current row</option>
        {!known && <option value={chosen}>{shorten(source.entities.title(source.entities.find(chosen)?.id ?? -1))}</option>}
        {guests.slice(0, 2000).map(({ entity, depth }) => (
          <option key={entity.key} value={entity.key}>
            {"\u00a0\u00a0".repeat(depth) + shortName(entity)}
          </option>
        ))}
      </select>
    </label>
  );
}

function Summary({
  source,
  victim,
  victims,
  levels,
}: {
  source: Source;
  victim: Entity;
  victims: number;
  levels: readonly Level[];
}) {
  const all = levels.reduce((sum, level) => sum + level.ns, 0);
  const name = shorten(source.entities.title(victim.id), 80);
  if (all === 0) return <p class="taken-summary">Nobody took the CPU from {name} in this range.</p>;
  return (
    <p class="taken-summary">
      <b>{name}</b>
      {victims > 1 && ` (its ${victims} vCPUs together)`} wanted a CPU and was without one for{" "}
      <b title={formatExact(all)}>{formatDuration(all)}</b>
      {levels.length > 1 &&
        `: ${levels.map((level) => `${formatDuration(level.ns)} ${DECIDER_WORDS[level.decider]}`).join(", ")}`}
      .
    </p>
  );
}

const DECIDER_WORDS: Readonly<Record<Decider, string>> = {
  l0: "at L0",
  l1: "in L1",
  l2: "in L2",
  below: "below the guest",
  guest: "in the guest",
};

function LevelTable({
  panel,
  source,
  victim,
  level,
}: {
  panel: Panel;
  source: Source;
  victim: Entity;
  level: Level;
}) {
  const shown = level.takers.slice(0, MOST);
  const rest = level.takers.slice(MOST);
  const largest = Math.max(1, shown[0]?.ns ?? 1);
  const woken = level.takers.some((taker) => taker.wokenNs > 0);
  return (
    <section class="taken-level" data-level={level.decider}>
      <table class="plain" aria-label={DECIDER_TITLES[level.decider]}>
        <thead>
          <tr>
            <th scope="col">{DECIDER_TITLES[level.decider]}</th>
            <th scope="col" class="numeric">
              for
            </th>
            <th scope="col" class="numeric">
              share
            </th>
            {woken && (
              <th scope="col" class="numeric" title="Of it, the time between a wake-up and running">
                after waking
              </th>
            )}
            <th scope="col" class="numeric">
              times
            </th>
            <th scope="col" class="numeric">
              longest
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map((taker) => (
            <tr key={taker.id} data-key={source.entities.get(taker.id)?.key ?? ""}>
              <th scope="row" class="taken-who">
                <i class="taken-bar" style={{ "--share": `${(taker.ns / largest) * 100}%` }} />
                {takerTitle(source, taker)} <span class="faint">{takerNote(source, victim, taker)}</span>
              </th>
              <td class="numeric" data-ns={taker.ns} title={formatExact(taker.ns)}>
                {formatDuration(taker.ns)}
              </td>
              <td class="numeric">{formatShare(taker.ns / level.ns)}</td>
              {woken && <td class="numeric">{formatDuration(taker.wokenNs)}</td>}
              <td class="numeric">{grouped(taker.count)}</td>
              <td class="numeric">
                <button
                  type="button"
                  class="link number"
                  title="Go there"
                  onClick={() =>
                    goTo(
                      taker.victim,
                      {
                        begin: source.moment(taker.longestStart),
                        end: source.moment(taker.longestStart + taker.longest),
                      },
                      -1,
                      panel.id,
                    )
                  }
                >
                  {formatDuration(taker.longest)}
                </button>
              </td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">{rest.length > 0 ? `all, with ${grouped(rest.length)} more` : "all"}</th>
            <td class="numeric" data-ns={level.ns} title={formatExact(level.ns)}>
              {formatDuration(level.ns)}
            </td>
            <td class="numeric" colSpan={woken ? 4 : 3} />
          </tr>
        </tfoot>
      </table>
    </section>
  );
}

export function takerTitle(source: Source, taker: Taker): string {
  const entity = source.entities.get(taker.id);
  return entity?.kind === "nested-vm" ? `nested VM ${shortName(entity)}` : culpritTitle(source, taker.id);
}

/** What a taker is to the one that it took from, where that is not plain from its name. */
function takerNote(source: Source, victim: Entity, taker: Taker): string {
  const { entities } = source;
  const entity = entities.get(taker.id);
  if (entity === undefined) return "";
  if (entity.kind === "nested-vm") return "its process and vCPUs";
  if (entity.kind !== "vcpu" || victim.kind === "process") return "";
  const outermost = [victim, ...entities.ancestors(victim)].find((above) => above.kind === "vm");
  return outermost !== undefined && entities.guestOf(entity)?.id === outermost.id
    ? victim.kind === "nested-vm" || victim.kind === "nested-vcpu"
      ? "a vCPU of the VM around it"
      : "a vCPU of the same VM"
    : "";
}
