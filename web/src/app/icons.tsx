/** Small line icons on a 16 by 16 grid; decoration only, the buttons have names. */
const PATHS = {
  close: "M4 4l8 8M12 4l-8 8",
  left: "M10 3L5 8l5 5",
  right: "M6 3l5 5-5 5",
  up: "M3 10l5-5 5 5",
  down: "M3 6l5 5 5-5",
  maximise: "M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3",
  restore: "M6 3v3H3M13 6h-3V3M10 13v-3h3M3 10h3v3",
  pin: "M6 2h4M7 2v4L5 9h6L9 6V2M8 9v5",
  hide: "M2 8s2-4 6-4 6 4 6 4-2 4-6 4-6-4-6-4zM3 13L13 3",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  fit: "M2 3v10M14 3v10M5 8h6M5 8l2-2M5 8l2 2M11 8L9 6M11 8l-2 2",
  undo: "M6 4L3 7l3 3M3 7h6a4 4 0 010 7H7",
  redo: "M10 4l3 3-3 3M13 7H7a4 4 0 000 7h2",
  star: "M8 2l1.8 4 4.2.4-3.2 2.9 1 4.2L8 11.3l-3.800 2.2 1-4.200L2 6.400 6.200 6z",
  bookmark: "M4 2h8v12l-4-3-4 3z",
  arrows: "M2 5h9M8 2l3 3-3 3M14 11H5M8 8l-3 3 3 3",
  unfold: "M4 6l4-4 4 4M4 10l4 4 4-4",
  fold: "M4 2l4 4 4-4M4 14l4-4 4 4",
  eye: "M2 8s2-4 6-4 6 4 6 4-2 4-6 4-6-4-6-4zM8 6.500a1.500 1.500 0 110 3 1.500 1.500 0 010-3",
  why: "M5 6a3 3 0 116 0c0 2-3 2-3 4.200M8 13v.3",
  zoom: "M7 2a5 5 0 110 10A5 5 0 017 2zM11 11l3 3",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" focusable="false">
      <path
        d={PATHS[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.4"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}

/** A button that is only an icon; its name is its tooltip too. */
export function IconButton(props: {
  icon: IconName;
  name: string;
  onClick: () => void;
  pressed?: boolean;
  disabled?: boolean;
  class?: string;
}) {
  return (
    <button
      type="button"
      class={`icon-button ${props.class ?? ""}`}
      title={props.name}
      aria-label={props.name}
      aria-pressed={props.pressed}
      disabled={props.disabled}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}
