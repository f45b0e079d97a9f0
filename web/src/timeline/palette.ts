import { Pattern, type Rgb } from "../surface/surface";

/** The two sets of colours: one that colour-blind eyes tell apart, and the one that Trace Compass users know. */
export type PaletteName = "safe" | "classic";

export interface Look {
  color: Rgb;
  pattern: Pattern;
  /** Share of the row's height that the bar takes. */
  height: number;
}

/** What a state is, for sorting stacks and for choosing among lanes: the most active first. */
const ORDER = [
  "guest",
  "run-user",
  "running",
  "run-kernel",
  "hypervisor",
  "run-hypervisor",
  "l0-handling",
  "l1-handling",
  "l2-handling",
  "vmm",
  "halt-poll",
  "irq-stolen",
  "preempted",
  "preempted-l0",
  "preempted-l1",
  "preempted-l2",
  "preempted-on-host",
  "throttled",
  "runnable",
  "ready-in-guest",
  "unknown",
  "blocked-on-host",
  "waiting",
  "halted",
  "sleeping",
  "uninterruptible",
  "idle",
  "off",
];

const RANK = new Map(ORDER.map((state, rank) => [state, rank]));

/** Smaller is more active; words of newer servers come between the running and the waiting ones. */
export function rankOf(state: string): number {
  return RANK.get(state) ?? 20.5;
}

const SHAPES: Record<string, [Pattern, number]> = {
  unknown: [Pattern.Dots, 0.4],
  running: [Pattern.Solid, 1],
  idle: [Pattern.Solid, 0.16],
  runnable: [Pattern.Falling, 0.55],
  preempted: [Pattern.Falling, 0.7],
  sleeping: [Pattern.Rising, 0.3],
  uninterruptible: [Pattern.Rising, 0.42],
  guest: [Pattern.Solid, 1],
  hypervisor: [Pattern.Solid, 0.72],
  vmm: [Pattern.Level, 0.72],
  "halt-poll": [Pattern.Upright, 0.5],
  halted: [Pattern.Rising, 0.4],
  "irq-stolen": [Pattern.Solid, 0.6],
  "blocked-on-host": [Pattern.Rising, 0.55],
  throttled: [Pattern.Cross, 0.7],
  "l0-handling": [Pattern.Solid, 0.72],
  "l1-handling": [Pattern.Upright, 0.72],
  "l2-handling": [Pattern.Level, 0.72],
  "preempted-l0": [Pattern.Falling, 0.7],
  "preempted-l1": [Pattern.Cross, 0.7],
  "preempted-l2": [Pattern.Cross, 0.6],
  "run-user": [Pattern.Solid, 1],
  "run-kernel": [Pattern.Solid, 0.86],
  "run-hypervisor": [Pattern.Solid, 0.66],
  "ready-in-guest": [Pattern.Falling, 0.5],
  waiting: [Pattern.Rising, 0.36],
  "preempted-on-host": [Pattern.Falling, 0.7],
  off: [Pattern.Solid, 0.08],
};

type Colors = Record<string, Rgb>;

const SAFE_STATES: Colors = {
  unknown: 0x8a8f98,
  running: 0x009e73,
  idle: 0xa9b0ba,
  runnable: 0xe69f00,
  preempted: 0xd55e00,
  sleeping: 0x8d97a5,
  uninterruptible: 0x8d97a5,
  guest: 0x009e73,
  hypervisor: 0x4f83cc,
  vmm: 0xa5416f,
  "halt-poll": 0x56b4e9,
  halted: 0x8d97a5,
  "irq-stolen": 0xcc79a7,
  "blocked-on-host": 0xb8860b,
  throttled: 0x882255,
  "l0-handling": 0x4f83cc,
  "l1-handling": 0x7c6bc4,
  "l2-handling": 0x9a77c9,
  "preempted-l0": 0xd55e00,
  "preempted-l1": 0xe69f00,
  "preempted-l2": 0xc98a2a,
  "run-user": 0x009e73,
  "run-kernel": 0x0f7d8c,
  "run-hypervisor": 0x4f83cc,
  "ready-in-guest": 0xe69f00,
  waiting: 0x8d97a5,
  "preempted-on-host": 0xd55e00,
  off: 0xa9b0ba,
};

const CLASSIC_STATES: Colors = {
  unknown: 0x808080,
  running: 0x00c800,
  idle: 0xc8c8c8,
  runnable: 0xc86400,
  preempted: 0xcf7f2f,
  sleeping: 0xc8c800,
  uninterruptible: 0xc8a000,
  guest: 0x00c800,
  hypervisor: 0xb30606,
  vmm: 0x8b0000,
  "halt-poll": 0x6464c8,
  halted: 0xc8c800,
  "irq-stolen": 0xc80064,
  "blocked-on-host": 0xdc143c,
  throttled: 0x6600cc,
  "l0-handling": 0xb30606,
  "l1-handling": 0xd0602a,
  "l2-handling": 0xd08050,
  "preempted-l0": 0xcf7f2f,
  "preempted-l1": 0xc86400,
  "preempted-l2": 0xb07030,
  "run-user": 0x00c800,
  "run-kernel": 0x0000c8,
  "run-hypervisor": 0xb30606,
  "ready-in-guest": 0xc86400,
  waiting: 0xc8c800,
  "preempted-on-host": 0xcf7f2f,
  off: 0xc8c8c8,
};

/** Waits take the colour of what ended them. */
const SAFE_CAUSES: Colors = {
  timer: 0x56b4e9,
  task: 0xc2a200,
  disk: 0x9467bd,
  net: 0xd874b0,
  vfio: 0x44aa99,
  console: 0x8c8c3c,
  spinlock: 0x882255,
  "host-memory": 0xb8542f,
  "host-io": 0xb8860b,
  "vmm-kick": 0xa5416f,
  nmi: 0xcc6677,
  idle: 0xaab2bd,
  "no-evidence": 0x8a8f98,
  uninterruptible: 0x9467bd,
};

const CLASSIC_CAUSES: Colors = {
  timer: 0x336699,
  task: 0xc8c800,
  disk: 0x6600cc,
  net: 0xff9bff,
  vfio: 0x6666cc,
  console: 0x8a4b4b,
  spinlock: 0xdc143c,
  "host-memory": 0xa05000,
  "host-io": 0xc89664,
  "vmm-kick": 0x8b0000,
  nmi: 0xff6600,
  idle: 0xc8c8c8,
  "no-evidence": 0x808080,
  uninterruptible: 0x6600cc,
};

/** Handlers of interrupts and of soft interrupts. */
const SAFE_HANDLERS: Colors = { irq: 0xcc79a7, softirq: 0xb8860b };
const CLASSIC_HANDLERS: Colors = { irq: 0xc80064, softirq: 0xc89664 };

const WAITS = new Set(["halted", "waiting", "sleeping", "uninterruptible", "blocked-on-host"]);

/** Whether a state is a wait for something other than a processor. */
export function isWait(state: string): boolean {
  return WAITS.has(state);
}

/** Whether the processor was taken or withheld. */
export function isSteal(state: string): boolean {
  return state.startsWith("preempted") || state === "runnable" || state === "ready-in-guest" || state === "throttled";
}

export function lookOf(state: string, cause: string, level: number, palette: PaletteName): Look {
  const [states, causes] = palette === "safe" ? [SAFE_STATES, SAFE_CAUSES] : [CLASSIC_STATES, CLASSIC_CAUSES];
  const [pattern, height] = SHAPES[state] ?? [Pattern.Level, 0.6];
  const byCause = WAITS.has(state) ? causes[cause] : undefined;
  // The handler of an interrupt is no work of a thread's.
  const handler = state === "running" && (cause === "irq" || cause === "softirq");
  const byHandler = handler ? (palette === "safe" ? SAFE_HANDLERS : CLASSIC_HANDLERS)[cause] : undefined;
  const color = byCause ?? byHandler ?? states[state] ?? 0x999999;
  const lost = state === "unknown" && cause === "lost";
  // A guest inside a guest stands lower than the one around it.
  const deep = state === "guest" ? Math.max(0.55, 1 - 0.22 * Math.max(0, level - 1)) : 1;
  return { color, pattern: lost ? Pattern.Cross : pattern, height: (lost ? 0.6 : height) * deep };
}

/** Colours for telling VMs apart on a processor's row, and threads that belong to none. */
const OF_VMS: readonly Rgb[] = [0x7c6bc4, 0xb07d2b, 0x2f8f9d, 0xa5416f, 0x6f8f3a, 0x4f83cc];
const OF_OTHERS: readonly Rgb[] = [0x009e73, 0x5a7fa8, 0x447a5a, 0x8d6a5a, 0x6b8e9b, 0x5f6f4a];

/** The colour of what runs on a processor: by the number of its VM, or by its process where `vm` is negative. */
export function taskColor(vm: number, process: number): Rgb {
  const colors = vm >= 0 ? OF_VMS : OF_OTHERS;
  return colors[(vm >= 0 ? vm : Math.abs(process) * 5) % colors.length] ?? 0x009e73;
}
