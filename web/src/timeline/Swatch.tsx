import { css, Pattern, patternOn } from "../surface/surface";
import type { Look } from "./palette";

/** A state's colour, pattern and height in small; drawn as SVG so that it needs no canvas. */
export function Swatch({ look }: { look: Look }) {
  const height = Math.max(2, Math.round(look.height * 12));
  const color = css(look.color);
  let path = "";
  if (look.pattern !== Pattern.Solid) {
    for (let y = 12 - height; y < 12; y += 1)
      for (let x = 0; x < 16; x += 1) if (patternOn(look.pattern, x, y)) path += `M${x} ${y}h1v1h-1z`;
  }
  return (
    <svg class="swatch" viewBox="0 0 16 12" width="16" height="12" aria-hidden="true" focusable="false">
      <rect
        x="0"
        y={12 - height}
        width="16"
        height={height}
        fill={color}
        opacity={look.pattern === Pattern.Solid ? 1 : 0.42}
      />
      {path !== "" && <path d={path} fill={color} />}
    </svg>
  );
}
