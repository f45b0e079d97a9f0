import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { saveAs } from "../export/save";
import { say } from "./session";

/** Writes what is on screen to a file. */
export function SaveMenu() {
  const open = useSignal(false);
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open.value) return;
    const outside = (event: Event): void => {
      if (element.current?.contains(event.target as Node) !== true) open.value = false;
    };
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [open.value]);
  const item = (kind: "svg" | "png" | "csv", text: string) => (
    <button
      type="button"
      role="menuitem"
      onClick={() => {
        open.value = false;
        void saveAs(kind).then(say);
      }}
    >
      {text}
    </button>
  );
  return (
    <div
      class="menu"
      ref={element}
      onKeyDown={(event) => {
        if (event.key === "Escape" && open.value) {
          open.value = false;
          event.stopPropagation();
          element.current?.querySelector("button")?.focus();
        }
      }}
    >
      <button type="button" aria-haspopup="menu" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
        Export
      </button>
      {open.value && (
        <div class="menu-items" role="menu">
          {item("svg", "The active timeline as SVG")}
          {item("png", "The active timeline as PNG")}
          {item("csv", "The active view as CSV")}
        </div>
      )}
    </div>
  );
}
