import { Canvas2dSurface } from "./canvas2d";
import { Pattern, WEAK, WEAK_SOFT, type Rgb, type Surface, type TextStyle } from "./surface";

const VERTEX = `#version 300 es
uniform vec2 size;
in vec2 corner;
in vec4 box;
in vec4 color;
in float pattern;
out vec4 tint;
flat out int kind;
void main() {
  vec2 at = (box.xy + corner * box.zw) / size * 2.0 - 1.0;
  gl_Position = vec4(at.x, -at.y, 0.0, 1.0);
  tint = color;
  kind = int(pattern + 0.5);
}`;

/** The same tiles as `patternOn`, in CSS pixels from the top left. */
const FRAGMENT = `#version 300 es
precision highp float;
uniform float ratio;
uniform float pixels;
uniform vec3 background;
uniform vec2 weak;
in vec4 tint;
flat in int kind;
out vec4 result;
void main() {
  int shape = kind & 7;
  int x = int(floor(gl_FragCoord.x / ratio)) & 7;
  int y = int(floor((pixels - gl_FragCoord.y) / ratio)) & 7;
  bool on = true;
  if (shape == 1) on = ((x + y) & 7) < 3;
  else if (shape == 2) on = ((x - y + 8) & 3) < 2;
  else if (shape == 3) on = (x & 3) < 2 && (y & 3) < 2;
  else if (shape == 4) on = (x & 3) < 2;
  else if (shape == 5) on = (y & 3) < 2;
  else if (shape == 6) on = ((x + y) & 7) < 2 || ((x - y + 8) & 7) < 2;
  vec3 rgb = on ? tint.rgb : mix(background, tint.rgb, kind < 8 ? weak.x : weak.y);
  result = vec4(rgb * tint.a, tint.a);
}`;

/** Bytes of one rectangle: four floats, four bytes of colour, one of pattern and three spare. */
const STRIDE = 24;

function compile(gl: WebGL2RenderingContext, kind: number, text: string): WebGLShader {
  const shader = gl.createShader(kind);
  if (shader === null) throw new Error("no shader");
  gl.shaderSource(shader, text);
  gl.compileShader(shader);
  if (gl.getShaderParameter(shader, gl.COMPILE_STATUS) !== true)
    throw new Error(gl.getShaderInfoLog(shader) ?? "shader");
  return shader;
}

/** Draws rectangles as instances with WebGL2, in one call; lines and texts go to a 2D canvas above it. */
export class Webgl2Surface implements Surface {
  private readonly gl: WebGL2RenderingContext;
  private readonly program: WebGLProgram;
  private readonly buffer: WebGLBuffer;
  private readonly above: Canvas2dSurface;
  private bytes = new ArrayBuffer(STRIDE * 4096);
  private floats = new Float32Array(this.bytes);
  private octets = new Uint8Array(this.bytes);
  private count = 0;
  private background: Rgb = 0;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    texts: HTMLCanvasElement,
    private readonly ratio: number,
  ) {
    const gl = canvas.getContext("webgl2", {
      antialias: false,
      alpha: false,
      depth: false,
      powerPreference: "low-power",
    });
    if (gl === null) throw new Error("this browser has no WebGL2");
    this.gl = gl;
    this.program = gl.createProgram();
    gl.attachShader(this.program, compile(gl, gl.VERTEX_SHADER, VERTEX));
    gl.attachShader(this.program, compile(gl, gl.FRAGMENT_SHADER, FRAGMENT));
    gl.linkProgram(this.program);
    if (gl.getProgramParameter(this.program, gl.LINK_STATUS) !== true) throw new Error("shaders do not link");
    const corners = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, corners);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), gl.STATIC_DRAW);
    this.attribute("corner", 2, gl.FLOAT, 0, 0, false, 0);
    this.buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    this.attribute("box", 4, gl.FLOAT, STRIDE, 0, false, 1);
    this.attribute("color", 4, gl.UNSIGNED_BYTE, STRIDE, 16, true, 1);
    this.attribute("pattern", 1, gl.UNSIGNED_BYTE, STRIDE, 20, false, 1);
    this.above = new Canvas2dSurface(texts, ratio, true);
  }

  private attribute(
    name: string,
    size: number,
    type: number,
    stride: number,
    offset: number,
    normal: boolean,
    divisor: number,
  ): void {
    const at = this.gl.getAttribLocation(this.program, name);
    this.gl.enableVertexAttribArray(at);
    this.gl.vertexAttribPointer(at, size, type, normal, stride, offset);
    this.gl.vertexAttribDivisor(at, divisor);
  }

  begin(width: number, height: number, background: Rgb): void {
    const [w, h] = [Math.max(1, Math.round(width * this.ratio)), Math.max(1, Math.round(height * this.ratio))];
    if (this.canvas.width !== w || this.canvas.height !== h) {
      this.canvas.width = w;
      this.canvas.height = h;
    }
    this.background = background;
    this.count = 0;
    this.above.begin(width, height, background);
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
    if ((this.count + 1) * STRIDE > this.bytes.byteLength) {
      const larger = new ArrayBuffer(this.bytes.byteLength * 2);
      new Uint8Array(larger).set(this.octets);
      this.bytes = larger;
      this.floats = new Float32Array(larger);
      this.octets = new Uint8Array(larger);
    }
    const box = (this.count * STRIDE) / 4;
    this.floats[box] = x;
    this.floats[box + 1] = y;
    this.floats[box + 2] = width;
    this.floats[box + 3] = height;
    const tint = this.count * STRIDE + 16;
    this.octets[tint] = color >> 16;
    this.octets[tint + 1] = (color >> 8) & 255;
    this.octets[tint + 2] = color & 255;
    this.octets[tint + 3] = Math.round(alpha * 255);
    this.octets[tint + 4] = pattern + (soft ? 8 : 0);
    this.count += 1;
  }

  line(x1: number, y1: number, x2: number, y2: number, color: Rgb, width: number, dash?: readonly number[]): void {
    this.above.line(x1, y1, x2, y2, color, width, dash);
  }

  shape(points: readonly number[], color: Rgb): void {
    this.above.shape(points, color);
  }

  text(x: number, baseline: number, text: string, color: Rgb, style?: TextStyle): void {
    this.above.text(x, baseline, text, color, style);
  }

  measure(text: string, style?: TextStyle): number {
    return this.above.measure(text, style);
  }

  end(): void {
    const gl = this.gl;
    const { width, height } = this.canvas;
    const channel = (shift: number): number => ((this.background >> shift) & 255) / 255;
    gl.viewport(0, 0, width, height);
    gl.clearColor(channel(16), channel(8), channel(0), 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.useProgram(this.program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const uniform = (name: string): WebGLUniformLocation | null => gl.getUniformLocation(this.program, name);
    gl.uniform2f(uniform("size"), width / this.ratio, height / this.ratio);
    gl.uniform1f(uniform("ratio"), this.ratio);
    gl.uniform1f(uniform("pixels"), height);
    gl.uniform2f(uniform("weak"), WEAK, WEAK_SOFT);
    gl.uniform3f(uniform("background"), channel(16), channel(8), channel(0));
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    gl.bufferData(gl.ARRAY_BUFFER, this.octets.subarray(0, this.count * STRIDE), gl.STREAM_DRAW);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.count);
    this.above.end();
  }

  get lost(): boolean {
    return this.gl.isContextLost();
  }
}
