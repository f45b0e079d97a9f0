import { useSignal } from "@preact/signals";
import { formatDuration, formatTime, parseDuration, parseTime } from "../time/time";
import { say, show, source, timeFormat, view } from "./session";

/** Begin, end and length of what is visible, to read and to type. */
export function RangeFields() {
  const opened = source.value;
  if (opened === null) return null;
  const { begin, end } = view.value;
  const text = (time: bigint): string => formatTime(time, timeFormat.value, opened.origin);
  const read = (typed: string): bigint | null => parseTime(typed, timeFormat.peek(), opened.origin);
  return (
    <div class="range-fields">
      <Field
        name="Begin of what is visible"
        value={text(begin)}
        width="23ch"
        apply={(typed) =>
          applyRange(read(typed), (time) => ({ begin: time, end: time < end ? end : time + (end - begin) }))
        }
      />
      <span class="faint">to</span>
      <Field
        name="End of what is visible"
        value={text(end)}
        width="23ch"
        apply={(typed) =>
          applyRange(read(typed), (time) => ({ begin: begin < time ? begin : time - (end - begin), end: time }))
        }
      />
      <Field
        name="Length of what is visible"
        value={formatDuration(end - begin)}
        width="9ch"
        apply={(typed) => applyRange(parseDuration(typed), (length) => ({ begin, end: begin + length }))}
      />
    </div>
  );
}

function applyRange(value: bigint | null, range: (value: bigint) => { begin: bigint; end: bigint }): void {
  if (value === null) say("That is no time: write 12.5s, +300ms, 21:02:41.5 or nanoseconds.");
  else show(range(value));
}

function Field({
  name,
  value,
  width,
  apply,
}: {
  name: string;
  value: string;
  width: string;
  apply: (typed: string) => void;
}) {
  const typed = useSignal<string | null>(null);
  return (
    <input
      type="text"
      class="mono"
      style={{ width }}
      aria-label={name}
      title={name}
      spellcheck={false}
      value={typed.value ?? value}
      onFocus={(event) => event.currentTarget.select()}
      onInput={(event) => (typed.value = event.currentTarget.value)}
      onBlur={() => (typed.value = null)}
      onKeyDown={(event) => {
        if (event.key === "Enter" && typed.value !== null) apply(typed.value);
        if (event.key === "Enter" || event.key === "Escape") {
          typed.value = null;
          event.currentTarget.blur();
        }
      }}
    />
  );
}
