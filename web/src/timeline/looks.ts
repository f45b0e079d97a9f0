import type { Source } from "../api/source";
import type { Rgb } from "../surface/surface";
import { lookOf, rankOf, taskColor, type Look, type PaletteName } from "./palette";

/** Knows how each code looks under one palette; asked for every bar, so it remembers. */
export class Looks {
  private readonly known = new Map<number, Look>();
  private readonly labels = new Map<number, string>();
  private readonly ranks = new Map<number, number>();
  private readonly tasks = new Map<number, Rgb>();
  /** VMs' numbers by machine and process. */
  private vms: Map<string, number> | null = null;

  private static readonly made = new WeakMap<Source, Map<PaletteName, Looks>>();

  private constructor(
    private readonly source: Source,
    private readonly palette: PaletteName,
  ) {}

  static of(source: Source, palette: PaletteName): Looks {
    const made = Looks.made.get(source) ?? new Map<PaletteName, Looks>();
    Looks.made.set(source, made);
    const looks = made.get(palette) ?? new Looks(source, palette);
    made.set(palette, looks);
    return looks;
  }

  look(state: number, cause: number, level: number): Look {
    const key = (state << 16) | (cause << 8) | level;
    let look = this.known.get(key);
    if (look === undefined) {
      const words = this.source.vocabulary;
      look = lookOf(words.state(state), words.cause(cause), level, this.palette);
      this.known.set(key, look);
    }
    return look;
  }

  label(state: number, cause: number, level: number): string {
    const key = (state << 16) | (cause << 8) | level;
    let label = this.labels.get(key);
    if (label === undefined) {
      label = stateText(this.source, state, cause, level);
      this.labels.set(key, label);
    }
    return label;
  }

  /** The colour of a thread on a processor's row; those of one VM share one. */
  task(id: number): Rgb {
    const known = this.tasks.get(id);
    if (known !== undefined) return known;
    const { entities } = this.source;
    this.vms ??= new Map(entities.ofKind("vm").map((vm, number) => [`${vm.machine} ${vm.pid}`, number]));
    const entity = entities.get(id);
    const vm = entity === undefined || entity.pid < 0 ? undefined : this.vms.get(`${entity.machine} ${entity.pid}`);
    const color = taskColor(vm ?? -1, entity !== undefined && entity.pid >= 0 ? entity.pid : id);
    this.tasks.set(id, color);
    return color;
  }

  rank(state: number): number {
    let rank = this.ranks.get(state);
    if (rank === undefined) {
      rank = rankOf(this.source.vocabulary.state(state));
      this.ranks.set(state, rank);
    }
    return rank;
  }
}

/** A state in words: `halted: timer`, `guest L2`. */
export function stateText(source: Source, state: number, cause: number, level: number): string {
  const words = source.vocabulary;
  const name = words.state(state);
  const why = words.cause(cause);
  const deep = level >= 2 && (name === "guest" || name.startsWith("run-")) ? ` L${level}` : "";
  const short =
    name === "hypervisor" || name === "l0-handling" || name === "run-hypervisor" ? why.replace(/^exit-/, "") : why;
  return name + deep + (short === "" ? "" : `: ${short}`);
}
