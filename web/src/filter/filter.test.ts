import { describe, expect, it } from "vitest";
import { evaluate, type Subject } from "./evaluate";
import { FilterError, tokenize } from "./lexer";
import { parseFilter, type Field } from "./parser";

function subject(
  texts: Partial<Record<Field, string>>,
  numbers: Partial<Record<Field, number | undefined>> = {},
): Subject {
  return { text: (field) => texts[field] ?? "", number: (field) => (field in numbers ? numbers[field] : NaN) };
}

const SOME = subject(
  { state: "preempted", cause: "", name: "vCPU 0", by: "CPU 0/KVM thread:157", vm: "qemu-system-x86:139" },
  { duration: 2_000_000, level: 1, vcpu: 0 },
);

function ask(text: string, of = SOME): boolean | null {
  const expression = parseFilter(text);
  return expression === null ? true : evaluate(expression, of);
}

describe("tokenize", () => {
  it("splits signs from words without spaces", () => {
    expect(tokenize("a>=1ms&&!(b)").map((token) => ("text" in token ? token.text : token.kind))).toEqual([
      "a",
      ">=",
      "1ms",
      "and",
      "not",
      "open",
      "b",
      "close",
    ]);
  });

  it("keeps quoted text whole, with escapes", () => {
    expect(tokenize('"a \\"b\\" && c"')).toEqual([{ kind: "string", text: 'a "b" && c', at: 0 }]);
    expect(() => tokenize('"open')).toThrow(FilterError);
  });
});

describe("filter", () => {
  it("compares fields", () => {
    expect(ask("state == preempted")).toBe(true);
    expect(ask("state == PREEMPTED")).toBe(true);
    expect(ask("state != preempted")).toBe(false);
    expect(ask("name contains cpu")).toBe(true);
    expect(ask("by matches ^CPU")).toBe(true);
    expect(ask("culprit present")).toBe(true);
    expect(ask("cause present")).toBe(false);
  });

  it("knows units", () => {
    expect(ask("duration > 1ms")).toBe(true);
    expect(ask("duration > 1 ms")).toBe(true);
    expect(ask("duration >= 2000us")).toBe(true);
    expect(ask("duration < 1.5ms")).toBe(false);
    expect(ask("duration == 2000000")).toBe(true);
    expect(ask("level >= 1 && vcpu == 0")).toBe(true);
  });

  it("binds && closer than ||, and ! closest", () => {
    expect(ask("state == x && level == 1 || level == 1")).toBe(true);
    expect(ask("state == x && (level == 1 || level == 1)")).toBe(false);
    expect(ask("!state == x")).toBe(true);
    expect(ask("!(state == preempted || level == 7)")).toBe(false);
  });

  it("takes plain text for a regular expression on any field", () => {
    expect(ask("preem.*ed")).toBe(true);
    expect(ask("KVM")).toBe(true);
    expect(ask("vCPU 0")).toBe(true);
    expect(ask("disk")).toBe(false);
    expect(ask('"qemu-system"')).toBe(true);
    expect(ask("c++")).toBe(false);
  });

  it("answers null for what cannot be known at a scale", () => {
    const bucket = subject({ state: "guest" }, { duration: undefined });
    expect(ask("duration > 1ms", bucket)).toBeNull();
    expect(ask("!(duration > 1ms)", bucket)).toBeNull();
    expect(ask("state == guest && duration > 1ms", bucket)).toBeNull();
    expect(ask("state == halted && duration > 1ms", bucket)).toBe(false);
    expect(ask("state == guest || duration > 1ms", bucket)).toBe(true);
  });

  it("is empty when nothing is written", () => {
    expect(parseFilter("   ")).toBeNull();
  });

  it("says where it does not understand", () => {
    const at = (text: string): number => {
      try {
        parseFilter(text);
      } catch (error) {
        return (error as FilterError).at;
      }
      return -1;
    };
    expect(at("stat == x")).toBe(0);
    expect(at("state ==")).toBe(8);
    expect(at("(state == x")).toBe(11);
    expect(at("state == x )")).toBe(11);
    expect(at("duration > soon")).toBe(11);
    expect(at("state > x")).toBe(8);
    expect(at("a && ")).toBe(5);
    expect(at("&")).toBe(0);
  });

  it("does not follow how deep somebody nests, and does not throw on noise", () => {
    for (const noise of [
      "((((",
      "(".repeat(100_000),
      "!".repeat(100_000),
      "!!!!",
      "||",
      '""',
      "a b c d",
      "= =",
      "\u0000",
      "[",
      "by matches [",
    ]) {
      try {
        parseFilter(noise);
      } catch (error) {
        expect(error).toBeInstanceOf(FilterError);
      }
    }
  });
});
