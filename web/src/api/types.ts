/** The JSON replies of the server. Times are decimal strings there. */

export interface SourceSummary {
  id: string;
  name: string;
  kind: "trace" | "store";
  state: "analysing" | "complete" | "failed";
  error: string | null;
  bytes_read: number;
  bytes: number;
  begin_ns: string | null;
  end_ns: string | null;
  complete_to_ns: string | null;
}

export interface Word {
  code: number;
  name: string;
}

export interface VocabularyReply {
  kinds: Word[];
  states: Word[];
  causes: Word[];
  confidences: Word[];
  evidences: Word[];
  edges: Word[];
  counters: Word[];
}

export interface LossReply {
  machine: number;
  cpu: number;
  begin_ns: string;
  end_ns: string;
  kind: string;
  count: number | null;
}

export interface MissingReply {
  event: string;
  hides: string;
  record: string;
}

export interface CounterReply {
  entity: number;
  counter: number;
  values: number;
  sum: string;
  greatest: string;
}

export interface SourceReply {
  id: string;
  name: string;
  state: SourceSummary["state"];
  begin_ns: string | null;
  end_ns: string | null;
  complete_to_ns: string | null;
  machines: { number: number; name: string }[];
  loss: LossReply[];
  missing: MissingReply[];
  problems: string[];
  has_events: boolean;
  /** Counters whose values hold until the next. */
  holds: number[];
  counters: CounterReply[];
  vocabulary: VocabularyReply;
}

export interface IntervalReply {
  entity: number;
  vcpu: number;
  start_ns: string;
  end_ns: string;
  state: number;
  cause: number;
  level: number;
  confidence: number;
  evidence: number;
  by: number;
}

export interface EdgeReply {
  from: number;
  from_ns: string;
  to: number;
  to_ns: string;
  kind: number;
  confidence: number;
  evidence: number;
}

export interface Finding {
  kind: string;
  title: string;
  detail: string | null;
  entity: number | null;
  begin_ns: string | null;
  end_ns: string | null;
  ns: string | null;
  share: number | null;
}

export interface ExitReply {
  /** The entity of the group; -1 where it is not known, or where nothing was told apart. */
  who: number;
  isa: string;
  reason: number;
  name: string;
  class: number;
  reflected: boolean;
  count: number;
  ns: string;
  kernel_ns: string;
  vmm_ns: string;
  off_cpu_ns: string;
  p50_ns: string;
  p99_ns: string;
  max_ns: string;
  max_start_ns: string;
  max_vcpu: number;
  histogram: { from_ns: string; count: number }[];
}

export interface EventReply {
  time_ns: string;
  cpu: number;
  name: string;
  fields: Record<string, unknown>;
}
