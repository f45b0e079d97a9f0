import { describe, expect, it } from "vitest";
import { fit, inkOn, Pattern, patternOn } from "../surface/surface";
import { xml } from "../surface/svg";
import { csvText } from "./csv";

describe("csv", () => {
  it("quotes what needs it and defuses formulas", () => {
    expect(
      csvText([
        ["a", 'b "c"', "d,e"],
        [1n, -2, "-5"],
      ]),
    ).toBe('a,"b ""c""","d,e"\r\n1,-2,-5\r\n');
    expect(csvText([["=1+1", "@x", "-x"]])).toBe("'=1+1,'@x,'-x\r\n");
    expect(csvText([["two\nlines"]])).toBe('"two\nlines"\r\n');
  });
});

describe("xml", () => {
  it("escapes markup and leaves no character that XML forbids", () => {
    expect(xml('<script>"&"</script>')).toBe("&lt;script&gt;&quot;&amp;&quot;&lt;/script&gt;");
    expect(xml("a\u0000b\uD800c\uFFFF")).toBe("a\uFFFDb\uFFFDc\uFFFD");
    expect(xml("😀")).toBe("😀");
  });
});

describe("drawing", () => {
  it("cuts texts with an ellipsis, or leaves them out", () => {
    const measure = (text: string): number => text.length * 6;
    expect(fit("preempted", 100, measure)).toBe("preempted");
    expect(fit("preempted", 36, measure)).toBe("preem…");
    expect(fit("preempted", 12, measure)).toBe("");
    expect(fit("x".repeat(10_000), 60, measure)).toHaveLength(10);
  });

  it("has patterns that differ from one another", () => {
    const pictures = Object.values(Pattern)
      .filter((value): value is Pattern => typeof value === "number")
      .map((pattern) =>
        Array.from({ length: 64 }, (_, at) => Number(patternOn(pattern, at % 8, Math.floor(at / 8)))).join(""),
      );
    expect(new Set(pictures).size).toBe(pictures.length);
  });

  it("writes black on light and white on dark", () => {
    expect(inkOn(0xffffff)).toBe(0);
    expect(inkOn(0x101010)).toBe(0xffffff);
  });
});
