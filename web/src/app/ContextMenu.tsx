import { useEffect, useRef } from "preact/hooks";
import { contextMenu } from "./session";

/** What can be done with what is under the mouse. */
export function ContextMenu() {
  const menu = contextMenu.value;
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (menu === null) return;
    const close = (event: Event): void => {
      if (element.current?.contains(event.target as Node) !== true) contextMenu.value = null;
    };
    addEventListener("pointerdown", close);
    addEventListener("wheel", close);
    element.current?.querySelector("button")?.focus();
    return () => {
      removeEventListener("pointerdown", close);
      removeEventListener("wheel", close);
    };
  }, [menu]);
  if (menu === null) return null;
  const move = (event: KeyboardEvent): void => {
    const buttons = [...(element.current?.querySelectorAll("button") ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    if (event.key === "Escape") contextMenu.value = null;
    else if (event.key === "ArrowDown") buttons[(at + 1) % buttons.length]?.focus();
    else if (event.key === "ArrowUp") buttons[(at + buttons.length - 1) % buttons.length]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      ref={element}
      class="menu-items context-menu"
      role="menu"
      style={{ left: `${Math.min(menu.x, innerWidth - 330)}px`, top: `${Math.min(menu.y, innerHeight - 14 - 24 * menu.items.length)}px` }}
      onKeyDown={move}
    >
      {menu.items.map((item) => (
        <button
          key={item.text}
          type="button"
          role="menuitem"
          onClick={() => {
            contextMenu.value = null;
            item.act();
          }}
        >
          <span>{item.text}</span>
          {item.keys !== undefined && <kbd class="faint">{item.keys}</kbd>}
        </button>
      ))}
    </div>
  );
}
