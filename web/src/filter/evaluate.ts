import type { Expression, Field } from "./parser";

/** What a filter is asked about: the text of each field, and its number where it has one. */
export interface Subject {
  text(field: Field): string;
  /** NaN: no such number. Undefined: it has one that cannot be known at this scale. */
  number(field: Field): number | undefined;
}

/**
 * Answers yes, no, or null for "not known at this scale": a bucket of a pixel tells how long a state lasted in it, but not
 * how long its intervals are.
 */
export function evaluate(expression: Expression, subject: Subject): boolean | null {
  switch (expression.kind) {
    case "and": {
      const left = evaluate(expression.left, subject);
      if (left === false) return false;
      const right = evaluate(expression.right, subject);
      return right === false ? false : left === null || right === null ? null : true;
    }
    case "or": {
      const left = evaluate(expression.left, subject);
      if (left === true) return true;
      const right = evaluate(expression.right, subject);
      return right === true ? true : left === null || right === null ? null : false;
    }
    case "not": {
      const inner = evaluate(expression.of, subject);
      return inner === null ? null : !inner;
    }
    case "present":
      return subject.text(expression.field) !== "";
    case "any":
      return ANY.some((field) => expression.pattern.test(subject.text(field)));
    case "match":
      return expression.pattern.test(subject.text(expression.field));
    case "compare":
      return compare(expression, subject);
  }
}

/** The fields that plain text looks at. */
const ANY: readonly Field[] = ["state", "cause", "name", "key", "by", "vm"];

function compare(expression: Extract<Expression, { kind: "compare" }>, subject: Subject): boolean | null {
  const { field, operator, text, number } = expression;
  if (operator === "contains") return subject.text(field).toLowerCase().includes(text);
  const value = subject.number(field);
  if (value === undefined) return null;
  const byNumber = !Number.isNaN(value) && !Number.isNaN(number);
  switch (operator) {
    case "==":
      return byNumber ? value === number : subject.text(field).toLowerCase() === text;
    case "!=":
      return byNumber ? value !== number : subject.text(field).toLowerCase() !== text;
    case ">":
      return value > number;
    case "<":
      return value < number;
    case ">=":
      return value >= number;
    case "<=":
      return value <= number;
    default:
      return false;
  }
}
