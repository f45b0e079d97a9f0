import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { Component } from "preact";
import { IconButton } from "./icons";
import { closePanel, movePanel, VIEW_TITLES, type Panel } from "./layout";
import { activePanel, layout, maximised } from "./session";

interface Props {
  panel: Panel;
  controls?: ComponentChildren;
  busy?: Signal<boolean> | undefined;
  error?: string | null;
  children: ComponentChildren;
}

/** A panel's bar and its content. */
export function PanelFrame({ panel, controls, busy, error, children }: Props) {
  const active = activePanel.value === panel.id;
  const full = maximised.value === panel.id;
  const move = (to: "left" | "right" | "up" | "down"): void => {
    layout.value = movePanel(layout.peek(), panel.id, to);
  };
  return (
    <section
      class={`panel ${active ? "active" : ""}`}
      aria-label={VIEW_TITLES[panel.view]}
      data-view={panel.view}
      onPointerDown={() => (activePanel.value = panel.id)}
    >
      <header class="panel-bar">
        <h2>{VIEW_TITLES[panel.view]}</h2>
        <div class="panel-controls">{controls}</div>
        {busy?.value === true && <span class="busy" role="status" aria-label="Loading" />}
        <div class="panel-buttons">
          <IconButton icon="up" name="Move up" onClick={() => move("up")} />
          <IconButton icon="down" name="Move down" onClick={() => move("down")} />
          <IconButton icon="left" name="Move to the column on the left" onClick={() => move("left")} />
          <IconButton icon="right" name="Move to the column on the right" onClick={() => move("right")} />
          <IconButton
            icon={full ? "restore" : "maximise"}
            name={full ? "Restore" : "Maximise"}
            pressed={full}
            onClick={() => (maximised.value = full ? 0 : panel.id)}
          />
          <IconButton icon="close" name="Close" onClick={() => (layout.value = closePanel(layout.peek(), panel.id))} />
        </div>
      </header>
      {error != null && <div class="panel-error">{error}</div>}
      <div class="panel-body">{children}</div>
    </section>
  );
}

/** Keeps one broken panel from taking the page with it. */
export class Guard extends Component<{ children: ComponentChildren }, { error: string | null }> {
  override state = { error: null as string | null };

  static override getDerivedStateFromError(error: unknown): { error: string } {
    return { error: error instanceof Error ? error.message : String(error) };
  }

  override render() {
    return this.state.error === null ? (
      this.props.children
    ) : (
      <div class="panel-error">This view failed: {this.state.error}</div>
    );
  }
}
