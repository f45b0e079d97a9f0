import { useEffect, useRef } from "preact/hooks";
import { FIELDS } from "../filter/parser";
import { helpOpen, version } from "./session";

const KEYS: readonly [string, readonly [string, string][]][] = [
  [
    "Time",
    [
      ["W S", "zoom in and out, at the mouse or the cursor (also I K)"],
      ["A D", "pan (also J L)"],
      ["Ctrl+wheel", "zoom at the mouse"],
      ["Shift+wheel, Shift+drag, middle drag", "pan"],
      ["Right drag, drag on the axis", "zoom to the stretch"],
      ["Z", "zoom to the selection"],
      ["F", "zoom to the selection or the state at the cursor"],
      ["0, Home", "show everything"],
      ["Ctrl+Z, Ctrl+Y", "undo and redo a zoom"],
    ],
  ],
  [
    "States and rows",
    [
      ["Click, drag", "set the cursor, select a stretch"],
      ["Double-click", "zoom to the state"],
      [". , or → ←", "next and previous state (with a filter: that passes it)"],
      ["[ ]", "follow what woke, interrupted or displaced: back and forth"],
      ["↑ ↓, Page", "rows"],
      ["Enter, Space", "open or close a row"],
      ["P, H", "pin, hide a row"],
      ["C", "why this is waiting: its critical path (also with the other mouse button)"],
      ["Q", "ask what this row waits for together with others (likewise)"],
      ["M", "select the state at the cursor"],
      ["E", "arrows on and off"],
      ["G", "grid on and off"],
    ],
  ],
  [
    "Page",
    [
      ["/, Ctrl+F", "filter; Enter hides what does not match, Esc takes it back"],
      ["N, Shift+N", "next and previous match of the filter, in all of the source"],
      ["B", "bookmark with a note"],
      ["Shift+. Shift+,", "next and previous bookmark"],
      ["1 … 9", "open and close views"],
      ["T", "light and dark"],
      ["?", "this help"],
      ["Esc", "close, clear the selection"],
    ],
  ],
];

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (helpOpen.value && dialog.current?.open === false) dialog.current.showModal();
  }, [helpOpen.value]);
  if (!helpOpen.value) return null;
  const close = (): void => {
    helpOpen.value = false;
  };
  return (
    <dialog
      class="help"
      ref={dialog}
      onClose={close}
      aria-label="Help"
      onClick={(event) => event.target === dialog.current && close()}
    >
      <div class="help-head">
        <h2>Keys, mouse and filters</h2>
        <span class="faint">virtflow {version.value}</span>
        <span class="spring" />
        <button type="button" onClick={close} autofocus>
          Close
        </button>
      </div>
      <div class="help-columns">
        {KEYS.map(([title, keys]) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {keys.map(([key, words]) => (
                <>
                  <dt>{key}</dt>
                  <dd>{words}</dd>
                </>
              ))}
            </dl>
          </section>
        ))}
        <section class="help-filter">
          <h3>Filter</h3>
          <p>
            Plain text is a regular expression on state, cause, name, key, culprit and VM. Else{" "}
            <code>field op value</code>, joined by <code>&amp;&amp;</code>, <code>||</code>, <code>!</code> and
            parentheses.
          </p>
          <p>
            Fields: <code>{FIELDS.join(" ")}</code>; <code>culprit</code> is <code>by</code>.
          </p>
          <p>
            Operators: <code>== != &lt; &gt; &lt;= &gt;= contains matches present</code>. Lengths have units:{" "}
            <code>duration &gt; 1ms</code>. Quote values with spaces.
          </p>
          <p>
            <code>state == preempted &amp;&amp; duration &gt; 1ms</code>
            <br />
            <code>(cause == disk || cause == net) &amp;&amp; !(vm contains qemu)</code>
            <br />
            <code>by matches "^CPU 0" &amp;&amp; confidence == proved</code>
          </p>
          <p>
            Where one pixel covers many states their lengths are not known; there a length passes. Zoom in to be exact.
          </p>
          <h3>Reading the picture</h3>
          <p>
            A tall bar runs, a half-high one works on its behalf or waits for a CPU, a low one sleeps. Rising lines
            wait, falling lines were pre-empted, dots are unknown, crossed lines were lost. A column with several
            colours is one pixel's time shared by several states, the most active at the bottom; none is left out,
            however short. Paler bars with a dashed edge are likely, full ones proved.
          </p>
        </section>
      </div>
    </dialog>
  );
}
