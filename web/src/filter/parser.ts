import { parseDuration } from "../time/time";
import { FilterError, tokenize, type Operator, type Token } from "./lexer";

/** What a filter can ask about. */
export const FIELDS = [
  "state",
  "cause",
  "name",
  "key",
  "kind",
  "vm",
  "vcpu",
  "tid",
  "pid",
  "cr3",
  "level",
  "duration",
  "by",
  "confidence",
  "evidence",
] as const;

export type Field = (typeof FIELDS)[number];

/** Other words for the same field. */
const ALIASES: Record<string, Field> = { culprit: "by", label: "name", entity: "name", length: "duration" };

const NUMERIC: ReadonlySet<Field> = new Set<Field>(["duration", "level", "vcpu", "tid", "pid"]);

export type Expression =
  | { kind: "and" | "or"; left: Expression; right: Expression }
  | { kind: "not"; of: Expression }
  | { kind: "present"; field: Field }
  | { kind: "compare"; field: Field; operator: Operator; text: string; number: number }
  | { kind: "match"; field: Field; pattern: RegExp }
  | { kind: "any"; pattern: RegExp };

/** Patterns ignore case; one that is no regular expression is taken letter by letter. */
function pattern(text: string): RegExp {
  try {
    return new RegExp(text, "iu");
  } catch {
    return new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, "\\$&"), "i");
  }
}

/** Parentheses and `!` inside one another. */
const DEEPEST = 64;

class Parser {
  private at = 0;
  private depth = 0;

  constructor(
    private readonly tokens: Token[],
    private readonly end: number,
  ) {}

  private peek(): Token | undefined {
    return this.tokens[this.at];
  }

  private take(kind: Token["kind"]): boolean {
    if (this.peek()?.kind !== kind) return false;
    this.at += 1;
    return true;
  }

  whole(): Expression {
    const expression = this.or();
    const rest = this.peek();
    if (rest !== undefined) throw new FilterError("nothing may follow here; join with && or ||", rest.at);
    return expression;
  }

  private or(): Expression {
    let left = this.and();
    while (this.take("or")) left = { kind: "or", left, right: this.and() };
    return left;
  }

  private and(): Expression {
    let left = this.unary();
    while (this.take("and")) left = { kind: "and", left, right: this.unary() };
    return left;
  }

  private unary(): Expression {
    this.depth += 1;
    if (this.depth > DEEPEST) throw new FilterError("too deep", this.peek()?.at ?? this.end);
    const expression = this.take("not")
      ? ({ kind: "not", of: this.unary() } as const)
      : this.take("open")
        ? this.inParentheses()
        : this.primary();
    this.depth -= 1;
    return expression;
  }

  private inParentheses(): Expression {
    const inner = this.or();
    if (!this.take("close")) throw new FilterError("a ) is missing", this.peek()?.at ?? this.end);
    return inner;
  }

  private primary(): Expression {
    const token = this.peek();
    if (token === undefined || (token.kind !== "word" && token.kind !== "string"))
      throw new FilterError("a field or a text is missing", token?.at ?? this.end);
    this.at += 1;
    const next = this.peek();
    if (next?.kind !== "operator") {
      // Plain words that follow one another are one text.
      let text = token.text;
      let more = this.peek();
      while (token.kind === "word" && more?.kind === "word") {
        text += " " + more.text;
        this.at += 1;
        more = this.peek();
      }
      return { kind: "any", pattern: pattern(text) };
    }
    const field = fieldOf(token);
    this.at += 1;
    if (next.text === "present") return { kind: "present", field };
    const value = this.peek();
    if (value === undefined || (value.kind !== "word" && value.kind !== "string"))
      throw new FilterError("a value is missing", value?.at ?? this.end);
    this.at += 1;
    let text = value.text;
    // `1 ms` is one value although it has a space.
    const unit = this.peek();
    if (field === "duration" && unit?.kind === "word" && parseDuration(text + unit.text) !== null) {
      text += unit.text;
      this.at += 1;
    }
    if (next.text === "matches") return { kind: "match", field, pattern: pattern(text) };
    return {
      kind: "compare",
      field,
      operator: next.text,
      text: text.toLowerCase(),
      number: numberOf(field, next.text, text, value.at),
    };
  }
}

function fieldOf(token: Token & { text: string }): Field {
  const name = token.text.toLowerCase();
  const field = ALIASES[name] ?? FIELDS.find((known) => known === name);
  if (field === undefined) throw new FilterError(`no field is called “${token.text.slice(0, 40)}”`, token.at);
  return field;
}

function numberOf(field: Field, operator: Operator, text: string, at: number): number {
  if (field === "duration") {
    const duration = parseDuration(text);
    const value = duration === null ? Number(text) : Number(duration);
    if (operator !== "contains" && Number.isNaN(value)) throw new FilterError("a length is wanted, such as 1.5ms", at);
    return value;
  }
  const value = Number(text);
  const ordered = operator === ">" || operator === "<" || operator === ">=" || operator === "<=";
  if (ordered && !NUMERIC.has(field)) throw new FilterError(`${field} has no order`, at);
  if (ordered && Number.isNaN(value)) throw new FilterError("a number is wanted", at);
  return value;
}

/** Reads a filter; null when it is empty. Throws a [`FilterError`]. */
export function parseFilter(text: string): Expression | null {
  const tokens = tokenize(text);
  return tokens.length === 0 ? null : new Parser(tokens, text.length).whole();
}
