import { signal, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

export interface Reply<T> {
  value: Signal<T | null>;
  busy: Signal<boolean>;
  error: Signal<string | null>;
}

/**
 * Asks the server again whenever `inputs` change, a little later; a stale question is aborted and the last answer stays
 * until the next is there.
 */
export function useReply<T>(
  ask: (signal: AbortSignal) => Promise<T> | null,
  inputs: readonly unknown[],
  delayMs = 150,
): Reply<T> {
  const reply = useMemo<Reply<T>>(
    () => ({ value: signal<T | null>(null), busy: signal(false), error: signal<string | null>(null) }),
    [],
  );
  useEffect(() => {
    const controller = new AbortController();
    const timer = setTimeout(() => {
      const asked = ask(controller.signal);
      if (asked === null) {
        reply.value.value = null;
        return;
      }
      reply.busy.value = true;
      asked.then(
        (value) => {
          if (controller.signal.aborted) return;
          reply.value.value = value;
          reply.error.value = null;
          reply.busy.value = false;
        },
        (error: unknown) => {
          if (controller.signal.aborted) return;
          reply.error.value = error instanceof Error ? error.message : String(error);
          reply.busy.value = false;
        },
      );
    }, delayMs);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, inputs);
  return reply;
}
