import { Canvas2dSurface } from "../surface/canvas2d";
import type { Surface } from "../surface/surface";
import { Webgl2Surface } from "../surface/webgl2";

/**
 * Puts canvases into an element and draws on them: with WebGL2 where the machine does it in hardware, else with the 2D
 * context. `virtflow.renderer` in the browser's storage (`canvas` or `webgl`) overrules.
 */
export class Drawing {
  surface: Surface;
  private webgl: Webgl2Surface | null = null;
  private canvases: HTMLCanvasElement[] = [];
  private ratio = devicePixelRatio;
  private static webglBroken = false;

  constructor(private readonly host: HTMLElement) {
    this.surface = this.make();
  }

  private canvas(): HTMLCanvasElement {
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true");
    this.host.append(canvas);
    this.canvases.push(canvas);
    return canvas;
  }

  private make(): Surface {
    for (const canvas of this.canvases) canvas.remove();
    this.canvases = [];
    this.webgl = null;
    this.ratio = devicePixelRatio;
    const wish = localStorage.getItem("virtflow.renderer");
    if (wish !== "canvas" && !Drawing.webglBroken && (wish === "webgl" || Drawing.fast())) {
      try {
        this.webgl = new Webgl2Surface(this.canvas(), this.canvas(), this.ratio);
        this.host.dataset["renderer"] = "webgl";
        return this.webgl;
      } catch {
        Drawing.webglBroken = true;
        for (const canvas of this.canvases) canvas.remove();
        this.canvases = [];
      }
    }
    this.host.dataset["renderer"] = "canvas";
    return new Canvas2dSurface(this.canvas(), this.ratio);
  }

  /** Whether WebGL2 runs on a graphics processor: in software the 2D context is many times quicker. */
  private static fast(): boolean {
    Drawing.probed ??= runsInHardware();
    return Drawing.probed;
  }
  private static probed: boolean | null = null;

  /** Draws one picture, on new canvases if the old ones no longer do. */
  draw(paint: (surface: Surface) => void): void {
    if (this.ratio !== devicePixelRatio) this.surface = this.make();
    if (this.webgl?.lost === true) {
      Drawing.webglBroken = true;
      this.surface = this.make();
    }
    paint(this.surface);
    this.surface.end();
  }
}

function runsInHardware(): boolean {
  const gl = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (gl === null) return false;
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  const renderer = String(gl.getParameter(names?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer);
}
