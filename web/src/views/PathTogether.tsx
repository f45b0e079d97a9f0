import { useEffect, useMemo } from "preact/hooks";
import { isWorker } from "../api/critical";
import { shorten, type Entity } from "../api/entities";
import type { Source } from "../api/source";
import type { Shared, Together, Waiter } from "../api/together";
import type { Panel } from "../app/layout";
import { tables } from "../export/save";
import { formatDuration, formatExact, formatShare, grouped } from "../time/time";
import { goToPart } from "./PathTables";
import { SET_MAX, siblingsOf } from "./path-set";
import { WorkerPicker } from "./WorkerPicker";

/** Names in a cell. */
const MOST_AHEAD = 3;

interface Props {
  panel: Panel;
  source: Source;
  /** Keys of those that are looked at together. */
  members: readonly string[];
  setMembers: (members: readonly string[]) => void;
  /** Shows the path of a worker in the same stretch. */
  showPath: (entity: Entity) => void;
  /** The answer; null while there is none. */
  together: Together | null;
}

/** What several workers wait for at the same time: of that, work in parallel wins nothing. */
export function PathTogether({ panel, source, members, setMembers, showPath, together }: Props) {
  const some = members.map((key) => source.entities.find(key)).filter((entity) => entity !== undefined);
  useEffect(() => {
    tables.set(panel.id, () => cellsOf(source, together?.shared ?? []));
    return () => void tables.delete(panel.id);
  }, [panel.id, source, together]);
  return (
    <div class="together">
      <Members source={source} some={some} setMembers={setMembers} showPath={showPath} />
      {some.length < 2 ? (
        <p class="data-empty">
          Who stands in whose way at one disk, device or thread? Add a second worker: by name above, or with <kbd>Q</kbd> or the
          other mouse button on its row in any timeline.
        </p>
      ) : together === null ? (
        <div class="data-empty">…</div>
      ) : together.shared.length === 0 ? (
        <p class="data-empty">
          In {formatDuration(together.whole)} never two of them wait at once for one disk, device or thread.
        </p>
      ) : (
        <div class="together-all" tabIndex={0} role="region" aria-label="What they wait for at the same time">
          {together.shared.map((shared) => (
            <One
              key={`${shared.entity} ${shared.disksOf}`}
              source={source}
              shared={shared}
              whole={together.whole}
              showPath={showPath}
            />
          ))}
          {together.count > together.shared.length && (
            <p class="faint">and {grouped(together.count - together.shared.length)} more that are waited for less</p>
          )}
        </div>
      )}
    </div>
  );
}

/** Who is looked at, and who else could be. */
function Members({
  source,
  some,
  setMembers,
  showPath,
}: Pick<Props, "source" | "setMembers" | "showPath"> & { some: readonly Entity[] }) {
  const keys = some.map((entity) => entity.key);
  const others = useMemo(() => {
    const [first] = some;
    const all = first === undefined ? [] : siblingsOf(source.entities, first);
    return all.filter((other) => !keys.includes(other.key)).slice(0, SET_MAX - some.length);
  }, [source, keys.join(" ")]);
  return (
    <div class="together-set" role="group" aria-label="Who is looked at together">
      {some.map((entity) => {
        const name = shorten(source.entities.title(entity.id), 40);
        return (
          <span key={entity.id} class="chip on">
            <button type="button" title={`The path of ${shorten(entity.key, 200)}`} onClick={() => showPath(entity)}>
              {name}
            </button>
            {some.length > 1 && (
              <button
                type="button"
                class="chip-close"
                aria-label={`Without ${name}`}
                onClick={() => setMembers(keys.filter((key) => key !== entity.key))}
              >
                ×
              </button>
            )}
          </span>
        );
      })}
      {some.length < SET_MAX && (
        <WorkerPicker
          source={source}
          label="Add a worker"
          placeholder="Add a worker"
          chosen={undefined}
          without={keys}
          onChoose={(entity) => setMembers([...keys, entity.key])}
        />
      )}
      {others.length > 0 && (
        <button
          type="button"
          class="small"
          title={others.map((other) => shorten(source.entities.title(other.id), 60)).slice(0, 20).join(", ")}
          onClick={() => setMembers([...keys, ...others.map((other) => other.key)])}
        >
          Add {groupText(others)}
        </button>
      )}
    </div>
  );
}

/** What siblings are called. */
function groupText(others: readonly Entity[]): string {
  const [first] = others;
  const [one, many, of] =
    first?.kind === "thread"
      ? ["thread", "threads", "process"]
      : first?.kind === "guest-thread"
        ? ["guest thread", "guest threads", "process"]
        : first?.kind === "process"
          ? ["process", "processes", "VM"]
          : ["vCPU", "vCPUs", "VM"];
  return `the other ${others.length === 1 ? one : `${grouped(others.length)} ${many}`} of its ${of}`;
}

/** One thing that several wait for: how much of the time, what that costs, and who stood behind whom. */
function One({
  source,
  shared,
  whole,
  showPath,
}: {
  source: Source;
  shared: Shared;
  whole: number;
  showPath: (entity: Entity) => void;
}) {
  const entity = source.entities.get(shared.entity);
  const name = resourceText(source, shared);
  const share = whole > 0 ? shared.ns / whole : 0;
  const faster = (whole / Math.max(1, shared.atLeast)).toFixed(2);
  const isDisk = shared.disksOf || entity?.kind === "device";
  return (
    <section class="together-one" aria-label={name}>
      <h3>
        {name} <span class="faint">{shared.disksOf ? "disks" : entity?.kind}</span>
      </h3>
      <p>
        <span class="together-share" aria-hidden="true">
          <i style={{ width: `${Math.min(1, share) * 100}%` }} />
        </span>
        <b>{formatShare(share)}</b> of the time two or more wait for it: <span title={formatExact(shared.ns)}>{formatDuration(shared.ns)}</span>{" "}
        of {formatDuration(whole)}.
      </p>
      <p>
        Had it served each at once, all of it would have taken{" "}
        {faster === "1.00" ? (
          "as long: who ended last hardly stood behind another."
        ) : (
          <>
            <b>{formatDuration(shared.atLeast)}</b> at least: <b>{faster} times</b> as fast at most.
          </>
        )}
      </p>
      {!isDisk && (
        <p class="faint">
          A lock that it held, or work that it handed out: no event tells which.{" "}
          {entity !== undefined && isWorker(entity) && (
            <button type="button" class="link" onClick={() => showPath(entity)}>
              What it did meanwhile
            </button>
          )}
        </p>
      )}
      <table class="together-waiters">
        <thead>
          <tr>
            <th scope="col">Who</th>
            <th scope="col" class="numeric">
              Waited for it
            </th>
            <th scope="col" class="numeric">
              Behind another
            </th>
            <th scope="col" class="together-whom">
              Behind whom
            </th>
            <th scope="col" class="numeric">
              Longest
            </th>
          </tr>
        </thead>
        <tbody>
          {shared.waiters.map((waiter) => (
            <WaiterRow key={waiter.entity} source={source} waiter={waiter} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function WaiterRow({ source, waiter }: { source: Source; waiter: Waiter }) {
  const name = (entity: number): string => shorten(source.entities.title(entity), 60);
  const { entity, waited, queued, longest, longestStart, behind } = waiter;
  return (
    <tr>
      <th scope="row">{name(entity)}</th>
      <td class="numeric" title={formatExact(waited)}>
        {formatDuration(waited)}
      </td>
      <td class="numeric" title={formatExact(queued)}>
        {queued === 0 ? <span class="faint">never</span> : formatDuration(queued)}
      </td>
      <td class="together-whom">
        {behind.slice(0, MOST_AHEAD).map((ahead) => (
          <span key={ahead.entity} class="together-ahead">
            {name(ahead.entity)} <span class="faint">{formatDuration(ahead.ns)}</span>
          </span>
        ))}
        {behind.length > MOST_AHEAD && <span class="faint">and {grouped(behind.length - MOST_AHEAD)} more</span>}
      </td>
      <td class="numeric">
        {longest > 0 && (
          <button
            type="button"
            class="link"
            title="Go there"
            aria-label={`The longest that ${name(entity)} stood behind another: ${formatDuration(longest)}`}
            onClick={() => goToPart(source, entity, longestStart, longestStart + longest, true)}
          >
            {formatDuration(longest)}
          </button>
        )}
      </td>
    </tr>
  );
}

function resourceText(source: Source, shared: Shared): string {
  const name = shorten(source.entities.title(shared.entity), 80);
  return shared.disksOf ? `the disks of ${name}` : name;
}

/** The same as a file's rows. */
function cellsOf(source: Source, all: readonly Shared[]): (string | number)[][] {
  const name = (entity: number): string => source.entities.title(entity);
  const head = ["For what", "Together ns", "At least ns", "Who", "Waited ns", "Behind another ns", "Behind whom", "Longest ns"];
  const rows = all.flatMap((shared) =>
    shared.waiters.map(({ entity, waited, queued, behind, longest }) => [
      resourceText(source, shared),
      shared.ns,
      shared.atLeast,
      name(entity),
      waited,
      queued,
      behind.map((ahead) => name(ahead.entity)).join("; "),
      longest,
    ]),
  );
  return [head, ...rows];
}
