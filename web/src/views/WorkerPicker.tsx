import { useSignal } from "@preact/signals";
import { useId, useMemo, useRef } from "preact/hooks";
import { isWorker } from "../api/critical";
import { Entities, shorten, type Entity } from "../api/entities";
import type { Source } from "../api/source";

/** Names that are offered at once. */
const OFFERED = 12;

/** Those that somebody may mean: by a part of a name or key, or a thread's number; what did most comes first. */
export function workersLike(source: Source, text: string): Entity[] {
  const wanted = text.trim().toLowerCase();
  const { entities } = source;
  const rank = (entity: Entity): number =>
    (wanted !== "" && (String(entity.tid) === wanted || entity.key.toLowerCase() === wanted) ? 0 : 4) +
    (Entities.isRest(entity) ? 2 : 0) +
    (entity.kind === "vcpu" || entity.kind === "nested-vcpu" ? 0 : 1);
  return entities.all
    .filter(isWorker)
    .filter(
      (entity) =>
        wanted === "" || `${entities.title(entity.id)} ${entity.key} ${entity.kind} ${entity.tid}`.toLowerCase().includes(wanted),
    )
    .sort((a, b) => rank(a) - rank(b) || b.intervals - a.intervals || a.id - b.id);
}

/** A box that finds a worker by what is typed. Where nobody is shown as chosen, it waits for the next one. */
export function WorkerPicker({
  source,
  label,
  placeholder,
  chosen,
  without = [],
  onChoose,
}: {
  source: Source;
  label: string;
  placeholder: string;
  chosen: Entity | undefined;
  /** Keys of those that are not offered. */
  without?: readonly string[];
  onChoose: (entity: Entity) => void;
}) {
  const id = useId();
  /** What is typed; null while nobody types. */
  const typed = useSignal<string | null>(null);
  const focused = useSignal(0);
  const input = useRef<HTMLInputElement>(null);
  const found = useMemo(
    () => (typed.value === null ? [] : workersLike(source, typed.value).filter(({ key }) => !without.includes(key))),
    [source, typed.value, without],
  );
  const shown = found.slice(0, OFFERED);
  const take = (entity: Entity | undefined): void => {
    if (entity === undefined) return;
    typed.value = null;
    if (chosen !== undefined) input.current?.blur();
    onChoose(entity);
  };
  const key = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown" && typed.value === null) typed.value = "";
    else if (event.key === "ArrowDown") focused.value = Math.min(shown.length - 1, focused.value + 1);
    else if (event.key === "ArrowUp") focused.value = Math.max(0, focused.value - 1);
    else if (event.key === "Enter") take(shown[focused.value]);
    else if (event.key === "Escape") {
      typed.value = null;
      input.current?.blur();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="worker-picker">
      <input
        ref={input}
        type="text"
        role="combobox"
        aria-label={label}
        aria-expanded={typed.value !== null}
        aria-controls={id}
        aria-autocomplete="list"
        aria-activedescendant={shown.length > 0 ? `${id}-${focused.value}` : undefined}
        placeholder={placeholder}
        title={chosen === undefined ? undefined : shorten(chosen.key, 300)}
        value={typed.value ?? (chosen === undefined ? "" : shorten(source.entities.title(chosen.id), 80))}
        onFocus={(event) => {
          typed.value = "";
          focused.value = 0;
          event.currentTarget.select();
        }}
        onBlur={() => (typed.value = null)}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
          focused.value = 0;
        }}
        onKeyDown={key}
      />
      {typed.value !== null && (
        <div class="menu-items worker-list" role="listbox" id={id} aria-label="Workers">
          {shown.map((entity, at) => (
            <button
              key={entity.id}
              id={`${id}-${at}`}
              type="button"
              role="option"
              tabIndex={-1}
              aria-selected={at === focused.value}
              title={shorten(entity.key, 300)}
              // Before the box loses the focus.
              onPointerDown={(event) => {
                event.preventDefault();
                take(entity);
              }}
            >
              <span class="worker-name">{shorten(source.entities.title(entity.id), 70)}</span>
              <span class="faint">{entity.kind}</span>
            </button>
          ))}
          {found.length > shown.length && <div class="faint worker-more">and {found.length - shown.length} more</div>}
          {found.length === 0 && <div class="faint worker-more">Nobody is called so.</div>}
        </div>
      )}
    </div>
  );
}
