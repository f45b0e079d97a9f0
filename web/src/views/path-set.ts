import { isWorker } from "../api/critical";
import { Entities, type Entity } from "../api/entities";

type Options = Readonly<Record<string, string>>;

/** As many workers as the server looks at together. */
export const SET_MAX = 64;

/** Keys of the workers that are looked at together: those that were put there, or the path's alone. */
export function membersOf(options: Options): string[] {
  const { of = "", set = "" } = options;
  if (set !== "") return set.split(" ").map(decode).slice(0, SET_MAX);
  return of === "" ? [] : [of];
}

/** A panel's options with these workers looked at together; the path's own needs no mention if it is alone. */
export function withMembers(options: Options, members: readonly string[]): Record<string, string> {
  const { set: _, ...others } = options;
  const some = [...new Set(members)].slice(0, SET_MAX);
  const alone = some.length === 0 || (some.length === 1 && some[0] === options["of"]);
  return alone ? others : { ...others, set: some.map(encodeURIComponent).join(" ") };
}

/** Those that make up one thing with a worker: threads of its process, vCPUs or processes of its VM; what did most first. */
export function siblingsOf(entities: Entities, worker: Entity): Entity[] {
  const same = (other: Entity): boolean =>
    worker.kind === "thread"
      ? worker.pid >= 0 && other.pid === worker.pid
      : worker.kind === "guest-thread"
        ? other.parent === worker.parent
        : worker.vm >= 0 && other.vm === worker.vm && !Entities.isRest(other);
  return entities
    .ofKind(worker.kind)
    .filter((other) => other.id !== worker.id && other.machine === worker.machine && isWorker(other) && same(other))
    .sort((a, b) => b.intervals - a.intervals || a.id - b.id);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
