/** Words of the filter language, with where they stand so that errors can point at them. */
export type Token =
  | { kind: "word" | "string"; text: string; at: number }
  | { kind: "operator"; text: Operator; at: number }
  | { kind: "and" | "or" | "not" | "open" | "close"; at: number };

export type Operator = "==" | "!=" | ">" | "<" | ">=" | "<=" | "contains" | "matches" | "present";

export class FilterError extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(message);
  }
}

const SIGNS: readonly [string, Token["kind"], Operator?][] = [
  ["&&", "and"],
  ["||", "or"],
  ["==", "operator", "=="],
  ["!=", "operator", "!="],
  [">=", "operator", ">="],
  ["<=", "operator", "<="],
  [">", "operator", ">"],
  ["<", "operator", "<"],
  ["!", "not"],
  ["(", "open"],
  [")", "close"],
];

const WORD = /[^\s()!<>=&|"]+/y;

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const character = text[at] ?? "";
    if (/\s/.test(character)) {
      at += 1;
      continue;
    }
    if (character === '"') {
      let value = "";
      let end = at + 1;
      while (end < text.length && text[end] !== '"') {
        if (text[end] === "\\" && end + 1 < text.length && /["\\]/.test(text[end + 1] ?? "")) end += 1;
        value += text[end];
        end += 1;
      }
      if (end >= text.length) throw new FilterError("the quotation has no end", at);
      tokens.push({ kind: "string", text: value, at });
      at = end + 1;
      continue;
    }
    const sign = SIGNS.find(([spelling]) => text.startsWith(spelling, at));
    if (sign !== undefined) {
      const [spelling, kind, operator] = sign;
      tokens.push(operator === undefined ? ({ kind, at } as Token) : { kind: "operator", text: operator, at });
      at += spelling.length;
      continue;
    }
    WORD.lastIndex = at;
    const word = WORD.exec(text)?.[0];
    if (word === undefined) throw new FilterError(`“${character}” stands alone`, at);
    if (word === "contains" || word === "matches" || word === "present")
      tokens.push({ kind: "operator", text: word, at });
    else tokens.push({ kind: "word", text: word, at });
    at += word.length;
  }
  return tokens;
}
