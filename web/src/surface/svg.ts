import {
  blend,
  css,
  fit,
  fontOf,
  Pattern,
  patternOn,
  WEAK,
  WEAK_SOFT,
  type Rgb,
  type Surface,
  type TextStyle,
} from "./surface";

/** Control characters are not allowed in XML at all, the rest is escaped. */
export function xml(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\uFFFE\uFFFF]/gu, "\uFFFD")
    .replaceAll(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, "\uFFFD")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

function round(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** Writes a picture as SVG, with patterns as definitions and texts as texts. */
export class SvgSurface implements Surface {
  private readonly parts: string[] = [];
  private readonly patterns = new Map<string, string>();
  private width = 0;
  private height = 0;
  private background: Rgb = 0xffffff;
  private readonly ruler = document.createElement("canvas").getContext("2d");

  begin(width: number, height: number, background: Rgb): void {
    this.width = width;
    this.height = height;
    this.background = background;
    this.parts.length = 0;
    this.patterns.clear();
  }

  private fill(color: Rgb, pattern: Pattern, soft: boolean): string {
    if (pattern === Pattern.Solid) return css(color);
    const id = `p${pattern}${soft ? "s" : ""}-${color.toString(16)}`;
    if (!this.patterns.has(id)) {
      let path = "";
      for (let row = 0; row < 8; row += 1)
        for (let column = 0; column < 8; column += 1)
          if (patternOn(pattern, column, row)) path += `M${column} ${row}h1v1h-1z`;
      const weak = css(blend(color, this.background, soft ? WEAK_SOFT : WEAK));
      this.patterns.set(
        id,
        `<pattern id="${id}" width="8" height="8" patternUnits="userSpaceOnUse"><rect width="8" height="8" fill="${weak}"/><path d="${path}" fill="${css(color)}"/></pattern>`,
      );
    }
    return `url(#${id})`;
  }

  rect(
    x: number,
    y: number,
    width: number,
    height: number,
    color: Rgb,
    pattern: Pattern,
    alpha = 1,
    soft = false,
  ): void {
    const left = Math.max(0, x);
    const right = Math.min(this.width, x + width);
    if (right <= left) return;
    const opacity = alpha < 1 ? ` opacity="${round(alpha)}"` : "";
    this.parts.push(
      `<rect x="${round(left)}" y="${round(y)}" width="${round(right - left)}" height="${round(height)}" fill="${this.fill(color, pattern, soft)}"${opacity}/>`,
    );
  }

  line(x1: number, y1: number, x2: number, y2: number, color: Rgb, width: number, dash?: readonly number[]): void {
    const dashes = dash === undefined || dash.length === 0 ? "" : ` stroke-dasharray="${dash.join(" ")}"`;
    this.parts.push(
      `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${css(color)}" stroke-width="${width}"${dashes}/>`,
    );
  }

  shape(points: readonly number[], color: Rgb): void {
    this.parts.push(`<polygon points="${points.map(round).join(" ")}" fill="${css(color)}"/>`);
  }

  text(x: number, baseline: number, text: string, color: Rgb, style?: TextStyle): void {
    const shown = style?.room === undefined ? text : fit(text, style.room, (part) => this.measure(part, style));
    if (shown === "") return;
    const anchor = style?.align === "center" ? "middle" : style?.align === "right" ? "end" : "start";
    const bold = style?.bold === true ? ' font-weight="600"' : "";
    this.parts.push(
      `<text x="${round(x)}" y="${round(baseline)}" fill="${css(color)}" font-size="${style?.size ?? 11}" text-anchor="${anchor}"${bold}>${xml(shown)}</text>`,
    );
  }

  measure(text: string, style?: TextStyle): number {
    if (this.ruler === null) return text.length * 6;
    this.ruler.font = fontOf(style);
    return this.ruler.measureText(text).width;
  }

  end(): void {
    // The text is put together when it is asked for.
  }

  toString(): string {
    const size = `width="${this.width}" height="${this.height}" viewBox="0 0 ${this.width} ${this.height}"`;
    return (
      `<svg xmlns="http://www.w3.org/2000/svg" ${size} shape-rendering="crispEdges" font-family="system-ui, 'DejaVu Sans', sans-serif">` +
      `<defs>${[...this.patterns.values()].join("")}</defs><rect width="100%" height="100%" fill="${css(this.background)}"/>` +
      this.parts.join("\n") +
      "</svg>\n"
    );
  }
}
