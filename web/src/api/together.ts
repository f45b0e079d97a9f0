/** The server's answer: times are nanoseconds from `begin_ns`. */
export interface TogetherReply {
  begin_ns: string;
  end_ns: string;
  shared_count: number;
  shared: {
    resource: "entity" | "disks-of";
    entity: number;
    together_ns: number;
    at_least_ns: number;
    workers: {
      entity: number;
      waited_ns: number;
      queued_ns: number;
      longest_ns: number;
      longest_start: number;
      behind: [entity: number, ns: number][];
    }[];
  }[];
}

/** What two or more workers waited for at the same time. Times are nanoseconds from the source's begin. */
export interface Together {
  begin: number;
  end: number;
  /** How long all of it took. */
  whole: number;
  /** How many things there are; the answer has those that were waited for most. */
  count: number;
  shared: readonly Shared[];
}

export interface Shared {
  /** What was waited for, or the VM whose disks were. */
  entity: number;
  disksOf: boolean;
  /** How long two or more waited for it. */
  ns: number;
  /** How long all of it would have taken at least, had it served each at once. */
  atLeast: number;
  /** Those that waited for it; whoever stood behind others longest comes first. */
  waiters: readonly Waiter[];
}

export interface Waiter {
  entity: number;
  waited: number;
  /** Of that while another one that had begun to wait earlier still waited. */
  queued: number;
  longest: number;
  longestStart: number;
  behind: readonly { entity: number; ns: number }[];
}

export function togetherOf(reply: TogetherReply, sourceBegin: bigint): Together {
  const begin = Number(BigInt(reply.begin_ns) - sourceBegin);
  const end = Number(BigInt(reply.end_ns) - sourceBegin);
  const shared = reply.shared.map(({ resource, entity, together_ns, at_least_ns, workers }): Shared => {
    const waiters = workers.map(
      (worker): Waiter => ({
        entity: worker.entity,
        waited: worker.waited_ns,
        queued: worker.queued_ns,
        longest: worker.longest_ns,
        longestStart: begin + worker.longest_start,
        behind: worker.behind.map(([other, ns]) => ({ entity: other, ns })),
      }),
    );
    waiters.sort((a, b) => b.queued - a.queued || b.waited - a.waited);
    return { entity, disksOf: resource === "disks-of", ns: together_ns, atLeast: at_least_ns, waiters };
  });
  return { begin, end, whole: end - begin, count: reply.shared_count, shared };
}
